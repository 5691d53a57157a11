"""The ways of taking turns that are measured."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import msgspec

from patter_pipeline import Pipeline, TurnTaking, WebRtcActivity
from patter_pipeline.parts import VoiceActivity
from patter_pipeline.silero import SileroActivity, is_installed
from patter_pipeline.testing.emulators import Answer
from patter_pipeline.testing.fakes import FakeLlmEmulator, FakeTtsEmulator
from tests.turns.cases import Case
from tests.turns.figures import Result
from tests.turns.phone import call
from tests.turns.recogniser import Recogniser

__all__ = ["WAYS", "Way", "measure"]

_FIRST_TOKEN = 0.35
_VOICE_PACE = 2.0
"""At which the first word of an answer takes 0.15 s."""
_AT_ONCE = 16


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a pipeline, and its settings."""

    title: str
    vad: VoiceActivity
    turn_taking: TurnTaking = TurnTaking()
    interims: bool = True
    """Recognition tells words before they are final."""
    ends_turns: bool = False
    """Recognition ends turns."""


class _Model(FakeLlmEmulator):
    def next_answer(self) -> Answer:
        return Answer(("Sure, let me have a look for you.",))


def _ways() -> dict[str, Way]:
    vad = WebRtcActivity()
    ways = {"default": Way(title="the defaults", vad=vad)}
    if is_installed():
        ways["silero"] = Way(title="`vad=SileroActivity()`", vad=SileroActivity())
    ways["ends-turns"] = Way(title="recognition that ends turns", vad=vad, ends_turns=True)
    ways["no-interims"] = Way(title="recognition without interims", vad=vad, interims=False)
    for end in (0.4, 0.8, 1.2):
        ways[f"end-{end}"] = Way(title=f"`TurnTaking(end={end})`", vad=vad, turn_taking=TurnTaking(end=end))
    for barge_in in (0.15, 0.5):
        taking = TurnTaking(barge_in=barge_in)
        ways[f"barge-in-{barge_in}"] = Way(title=f"`TurnTaking(barge_in={barge_in})`", vad=vad, turn_taking=taking)
    return ways


WAYS = _ways()
"""By name."""


async def measure(way: Way, cases: Sequence[Case]) -> list[Result]:
    """Has all the calls, some at once, and returns what happened in each."""
    outcomes: dict[int, Result] = {}
    limit = anyio.Semaphore(_AT_ONCE)
    async with (
        Recogniser(cases, interims=way.interims, ends_turns=way.ends_turns) as recogniser,
        _Model(delay=_FIRST_TOKEN) as model,
        FakeTtsEmulator(pace=_VOICE_PACE) as voice,
        anyio.create_task_group() as tasks,
    ):

        async def have(place: int, case: Case) -> None:
            async with limit:
                stt = recogniser.part_for(place)
                pipeline = Pipeline((stt,), (model.part(),), (voice.part(),), vad=way.vad, turn_taking=way.turn_taking)
                outcomes[place] = Result(case, await call(pipeline, case))

        for place, case in enumerate(cases):
            tasks.start_soon(have, place, case)
    return [outcomes[place] for place in range(len(cases))]
