"""A call with an agent that is made of parts: who calls, the services behind it, and what was told."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import anyio

from patter_core import Patter
from patter_core.agent import Agent
from patter_core.audio import ULAW_8000
from patter_core.call.handle import PhoneCall
from patter_core.call.timeouts import Deadlines
from patter_core.events import (
    CallEnded,
    ConversationStarted,
    Event,
    ResponseHeard,
    TranscriptOutput,
)
from patter_core.history import HistoryItem
from patter_core.server.serving import serve_app
from patter_core.testing.call import EmulatedCall
from patter_core.testing.caller import Caller, CallerFrame, Pause
from patter_core.testing.fakes import MemorySink
from patter_core.testing.speech import CALLER_LINES
from patter_pipeline.testing.fakes import FakeLlmEmulator, FakeSttEmulator, FakeTtsEmulator
from patter_telnyx.testing import TelnyxEmulator
from patter_twilio.testing import TwilioEmulator
from tests.polling import until

__all__ = ["LINE", "LONG", "Person", "Scene", "calling", "talker"]

LINE = CALLER_LINES[0].audio(ULAW_8000)
LONG = "We are open from seven in the morning until eleven at night. On Sundays we open at noon. Please come soon."
FRAME = 160
E = TypeVar("E", bound=Event)


class Person(Caller):
    """A caller who does what the test says, when it says it."""

    def __init__(self) -> None:
        super().__init__((Pause(3_600),), ULAW_8000)
        self.frames: deque[CallerFrame] = deque()

    def next(self, agent_audible: bool) -> CallerFrame:
        return self.frames.popleft() if self.frames else super().next(agent_audible)

    def say(self, audio: bytes) -> None:
        """Says that from now on."""
        for at in range(0, len(audio) - FRAME + 1, FRAME):
            self.frames.append(CallerFrame(audio[at : at + FRAME]))

    def press(self, digits: str) -> None:
        """Presses keys."""
        self.frames.extend(CallerFrame(b"\xff" * FRAME, digit) for digit in digits)

    def hang_up(self) -> None:
        """Leaves."""
        self.frames.append(CallerFrame(b"\xff" * FRAME, "", hang_up=True))


class Scene:
    """One call, and the services behind it. It is over when the context is."""

    call: EmulatedCall
    agent: Agent
    phone: Patter

    def __init__(self, carrier: TwilioEmulator | TelnyxEmulator) -> None:
        self.carrier = carrier
        self.stt, self.llm, self.tts = FakeSttEmulator(), FakeLlmEmulator(), FakeTtsEmulator()
        self.sink = MemorySink()
        self.person = Person()

    async def say(self, text: str, *, speech: float = 1.0) -> None:
        """The caller speaks for a while; then that is recognised."""
        interims = text.split(" ", 1)[0]
        self.person.say(LINE[: int(speech * 8_000)])
        await anyio.sleep(speech / 2)
        await self.stt.interim(interims)
        await until(lambda: not self.person.frames)
        await self.stt.final(text)

    def of(self, kind: type[E]) -> list[E]:
        """The events of that kind."""
        return [record.event for record in self.sink.records if isinstance(record.event, kind)]

    async def told(self, kind: type[E], count: int = 1) -> E:
        """Waits for an event; returns the last."""
        await until(lambda: len(self.of(kind)) >= count)
        return self.of(kind)[-1]

    async def hears(self, text: str) -> None:
        """Waits until the caller has heard a turn that says this."""

        def is_heard() -> bool:
            turns = {said.turn for said in self.of(TranscriptOutput) if said.text == text}
            return any(heard.turn in turns and not heard.interrupted for heard in self.of(ResponseHeard))

        await until(is_heard)

    @property
    def history(self) -> tuple[HistoryItem, ...]:
        """What the model was told last."""
        return self.llm.requests[-1].history

    @property
    def handle(self) -> PhoneCall:
        """The call, as the user's code has it."""
        (call,) = self.phone.calls
        return call

    @property
    def problems(self) -> list[object]:
        """What the carrier complained of."""
        return [problem for stream in self.call.streams for problem in stream.problems]


@contextlib.asynccontextmanager
async def calling(
    scene: Scene, make_agent: Callable[[Patter], Agent], *, deadlines: Deadlines | None = None
) -> AsyncIterator[None]:
    """The call, from its first ring until the caller hangs up."""
    async with (
        scene.carrier as carrier,
        scene.stt,
        scene.llm,
        scene.tts,
        anyio.create_task_group() as tasks,
    ):
        phone = scene.phone = Patter(carrier=carrier.carrier(), sinks=[scene.sink], deadlines=deadlines)
        scene.agent = make_agent(phone)
        async with serve_app(phone.asgi(scene.agent)) as url:
            name = next(iter(phone._carriers))
            scene.call = carrier.place(f"{url}/webhooks/{name}/voice", scene.person)
            tasks.start_soon(scene.call.run)
            with anyio.fail_after(60):
                await scene.told(ConversationStarted)
                yield
                scene.person.hang_up()
                await scene.told(CallEnded)


def talker(scene: Scene, **options: object) -> Callable[[Patter], Agent]:
    """An agent of the scene's parts that greets."""

    def make(phone: Patter) -> Agent:
        parts = {"stt": scene.stt.part(), "llm": scene.llm.part(), "tts": scene.tts.part()}
        return phone.agent(**{**parts, "first_message": "Hello there.", **options})  # type: ignore[arg-type]

    return make
