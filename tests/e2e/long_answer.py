"""Two answers of 90 seconds, given at once, with each carrier, in a process whose clock runs as fast as it can.

`python -m tests.virtual_time tests.e2e.long_answer` prints what came of the calls. The caller hears the first answer to
its end, and talks over the second one after 40 seconds; then the agent answers them.
"""

from __future__ import annotations

import random
import sys

import msgspec

from patter_core import Patter
from patter_core.audio import AudioFormat
from patter_core.net.tls import make_tls_context
from patter_core.server.serving import serve_app
from patter_core.testing.caller import FRAME_MS, Caller, Pause, Say, Step, WaitForAgent, WaitForSilence
from patter_core.testing.fakes import MemorySink
from patter_core.testing.speech import CALLER_LINES
from patter_openai.testing import Behaviour, Conversation, OpenAIRealtimeEmulator, Parrot, Reply
from tests.carriers import MakeEmulator, emulators

__all__ = ["CUT_AFTER", "SECONDS", "Outcome", "main"]

SECONDS, CUT_AFTER = 90.0, 40.0


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of the call with one carrier."""

    carrier: str
    differs: list[str]
    """What the caller did not hear byte for byte as the agent said it, in its place."""
    heard_ms: float
    """How much of the second answer the caller heard."""
    kept_ms: float
    """How much of it the engine's service remembers as heard."""
    longest_ms: float
    """The most that waited at the carrier at once."""
    problems: list[str]
    """What the carrier and the service complain of."""


async def agent(reply: Reply) -> None:
    """Greets, gives two answers of which no two pieces are alike, and repeats what the caller says then."""
    if len(reply.talk.replies) in {2, 3}:
        noise = random.Random(len(reply.talk.replies)).randbytes(reply.talk.output_format.size(SECONDS * 1_000))
        await reply.say("A long answer.", noise)
    else:
        await Parrot()(reply)


def steps(format: AudioFormat) -> list[Step]:
    """What the caller does."""
    first, second, over_it = (Say(line.audio(format)) for line in CALLER_LINES[:3])
    to_the_end: list[Step] = [WaitForSilence(), first, WaitForSilence()]
    return [*to_the_end, second, WaitForAgent(heard=CUT_AFTER), over_it, WaitForSilence(), Pause(0.5)]


def differences(played: bytes, talk: Conversation, format: AudioFormat) -> tuple[list[str], bytes]:
    """Returns what was not heard as it was said, and what was heard of the answer that was cut."""
    greeting, whole, cut, last = talk.spoken.values()
    differs, gaps, at = [], [], 0
    for name, audio in (("greeting", greeting), ("whole answer", whole), ("last answer", last)):
        found = played.find(audio, at)
        if found < 0:
            return [name], b""
        gaps.append(played[at:found])
        at = found + len(audio)
    *pauses, heard = (*gaps[:2], played[at:], gaps[2])
    if any(pause.strip(format.silence) or len(pause) >= format.size(FRAME_MS) for pause in pauses):
        differs.append("padding")
    if not cut.startswith(heard):
        differs.append("cut answer")
    return differs, heard


async def call(name: str, emulator: MakeEmulator) -> Outcome:
    """Has the call."""
    sink = MemorySink()
    service = OpenAIRealtimeEmulator(Behaviour(agent=agent, pace=0.0, chunk_ms=500))
    async with emulator() as carrier, service:
        format = carrier.format
        phone = Patter(carrier=carrier.carrier(), sinks=[sink])
        async with serve_app(phone.asgi(phone.agent(engine=service.engine()))) as url:
            recording = await carrier.call(f"{url}/webhooks/{name}/voice", Caller(steps(format), format))
            await sink.wait_for("call_ended")
        (stream,), (talk,) = carrier.calls[0].streams, service.conversations
    differs, heard = differences(bytes(recording.played), talk, format)
    kept = talk.kept(list(talk.spoken)[2])
    return Outcome(
        carrier=name,
        differs=differs,
        heard_ms=format.duration_ms(len(heard)),
        kept_ms=0.0 if kept is None else kept.ms(format),
        longest_ms=stream.longest_ms,
        problems=[*(problem.text for problem in stream.problems), *(str(error) for error in talk.errors)],
    )


async def main() -> None:
    """Has the calls, one after the other, and prints their outcomes."""
    make_tls_context()  # a thread would make it later, while the clock runs on
    outcomes = [await call(name, emulator) for name, emulator in emulators(linear=24_000).items()]
    sys.stdout.write(msgspec.json.encode(outcomes).decode())
