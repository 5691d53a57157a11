"""`check_sink`: what a sink must do, in the order in which it is tried.

1. **The class** has a usable name and implements this version of the contract. Its `repr` shows no secret.
2. **`check()`** finds no problem with a destination that takes everything.
3. **Every kind of event** is taken; audio too, if `takes_audio` says so; and an empty batch.
4. **A cancelled `write()`** ends at once, and leaves the sink usable: the same batch can be written again.
5. **Large batches** do not stop the event loop. Every record reaches the destination once, in the order of its call.
6. **Closing** ends. A sink that never wrote can be closed, too.

`run()` goes on beside all that. At no time does a log line, an error or a `repr` show a secret or a phone number, and
nothing is left open at the end.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from decimal import Decimal

import anyio

from patter_core.audio import ULAW_8000
from patter_core.checks import Level
from patter_core.events import (
    AudioCaptured,
    CallAnnounced,
    CallAnswered,
    CallEnded,
    CallEvent,
    CallMetrics,
    CallMoved,
    CallPriced,
    CallProgressed,
    ConversationStarted,
    DtmfReceived,
    Error,
    FallbackUsed,
    GuardrailActed,
    Interruption,
    MachineDetected,
    MediaPaused,
    MediaStarted,
    MediaTrouble,
    MetricsReported,
    NoticePlayed,
    Record,
    RecordingChanged,
    RecordingStarted,
    ResponseDone,
    ResponseHeard,
    ResponseStart,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    ToolResult,
    TranscriptCorrection,
    TranscriptInput,
    TranscriptOutput,
    TransferDone,
    TransferStarted,
    TurnTimings,
    Usage,
)
from patter_core.sink import SINK_API_VERSION, EventSink, WorkerFigures
from patter_core.telephony.control import RecordingStatus
from patter_core.telephony.leg import AnsweredBy, Leg, Progress
from patter_core.telephony.prices import Cost
from patter_core.testing.conformance.check import SENTINEL, Check, beside
from patter_core.testing.conformance.loop import watching_the_loop

__all__ = ["check_sink", "sample_records"]

_WRITE_WITHIN = 10.0

Received = Callable[[], Awaitable[Sequence[tuple[str, int]]]]


async def check_sink(
    make_sink: Callable[[], EventSink],
    *,
    received: Received | None = None,
    secrets: Iterable[str] = (),
    patience: float = 1.0,
) -> None:
    """Tries a sink against the whole of its contract.

    Args:
        make_sink: makes one, pointed at a destination that takes everything.
        received: gives (call id, sequence) of every record that has reached the destination, in order. With it, the
            check also sees that nothing is lost, repeated or reordered.
        secrets: the credentials that the sink is configured with, which must be shown nowhere.
        patience: a factor for all bounds in time: more for a slow machine.

    Raises:
        ConformanceError: the contract is not kept; the error says what was tried, expected and got.
    """
    check = Check("sink", patience)
    check.keep_secret([*secrets, _LEG.from_number, _LEG.to_number])
    with check.raises_only_failures(), check.watching_logs():
        async with check.leaving_nothing("A closed sink"):
            sink = make_sink()
            # 1. The class, and an instance of it.
            check.check_class(type(sink), SINK_API_VERSION)
            check.now("redaction of repr")
            check.shows_nothing("repr(sink)", f"{sink!r} {sink!s}")

            async def run() -> None:
                with check.raises_only(problem="run() raises, though its destination takes everything."):
                    await sink.run(WorkerFigures)

            # 2. Its own check.
            await _check_check(check, sink)
            async with beside() as start:
                start(run)
                # 3. Every kind of event.
                await _check_events(check, sink)
                # 4. A write() that is cancelled.
                await _check_cancelling(check, sink)
                # 5. Large batches.
                await _check_batches(check, sink, received)
            # 6. Closing.
            check.now("closing")
            await _close(check, sink)
        async with check.leaving_nothing("A sink that never wrote"):
            check.now("closing a sink that never wrote")
            await _close(check, make_sink())


_LEG = Leg(carrier="conformance", call_id="leg-1", from_number="+15005550006", to_number="+15005550001")

_EVENTS: tuple[CallEvent, ...] = (
    CallAnnounced(leg=_LEG, agent="agent"),
    MediaStarted(format=ULAW_8000),
    NoticePlayed(text="This call is recorded.", by="carrier"),
    ConversationStarted(
        engine="conformance", conversation_id="", input_format=ULAW_8000, output_format=ULAW_8000, connect_ms=1.5
    ),
    ResponseStart(text="Hello “there”\n\x00 ü 🙂"),
    TranscriptOutput(text=SENTINEL, turn="1"),
    SpeechStarted(at_ms=1_200.0),
    SpeechStopped(at_ms=2_400.0),
    Usage(part="engine", vendor="acme", model="one", amounts={"seconds": 1.5}, cost=Cost(Decimal("0.01"))),
    TurnTimings(turn="1", stages_ms={"end_of_turn": 300.5, "first_token": -120.0}),
    GuardrailActed(guardrail="polite", side="agent", decision="replace"),
    Interruption(),
    TranscriptCorrection(text="", original=SENTINEL),
    ResponseHeard(heard_ms=0.0, sent_ms=1e9, interrupted=True),
    TranscriptInput(text=SENTINEL),
    ResponseDone(),
    DtmfReceived(digit="#"),
    Error(message="x" * 20_000),
    MediaTrouble(problem="malformed message"),
    CallProgressed(progress=Progress.RINGING),
    CallAnswered(answer_ms=0.1),
    MachineDetected(answered_by=AnsweredBy.MACHINE),
    MediaPaused(held=True),
    ToolCall(id="tool-1", name="weather", arguments=f'{{"city": "{SENTINEL}"}}'),
    ToolResult(id="tool-1", name="weather", result=SENTINEL, failed=True, duration_ms=3.0),
    RecordingStarted(by="conformance", location="recordings/1.wav"),
    RecordingChanged(recording=RecordingStatus(recording_id="recording-1", status="completed", duration=2.0)),
    MetricsReported(metrics=CallMetrics()),
    TransferStarted(to="**********07"),
    TransferDone(to="**********07", ok=False, detail="busy"),
    FallbackUsed(say="Please call later.", to="**********07"),
    CallEnded(reason="caller_hung_up", by="caller", duration_ms=1.0, metrics=CallMetrics(reply_ms=(1.0, 2.0))),
    CallMoved(),
    CallPriced(cost=Cost(Decimal("0.0085"), estimated=False)),
)
_AUDIO = AudioCaptured(side="agent", format=ULAW_8000, base64="f39/fw==")


def sample_records(call_id: str, first: int = 1) -> list[Record]:
    """Returns a record of every kind of event but audio, as one call would have them."""
    return [
        Record(
            call_id=call_id,
            sequence=first + place,
            time=1_700_000_000.0 + first + place,
            elapsed_ms=(first + place) * 20.0,
            event=event,
        )
        for place, event in enumerate(_EVENTS)
    ]


async def _check_check(check: Check, sink: EventSink) -> None:
    check.now("check()")
    with (
        check.within(_WRITE_WITHIN, "check() does not return."),
        check.raises_only(problem="check() raises.", mistake="what it finds belongs into a CheckResult"),
    ):
        results = await sink.check()
    for result in results:
        check.shows_nothing("a CheckResult", f"{result.what} {result.remedy}")
    problems = [result.what for result in results if result.level is Level.PROBLEM]
    check.require(not problems, "check() finds a problem where there is none.", got=" ".join(problems))


async def _check_events(check: Check, sink: EventSink) -> None:
    check.now("every kind of event")
    for record in sample_records("every-kind"):
        check.now(f"the event {record.event.kind}")
        await _write(check, sink, [record])
    if sink.takes_audio:
        check.now("audio")
        audio = [
            Record(call_id="heard", sequence=0, time=1_700_000_000.0, elapsed_ms=at * 20.0, event=_AUDIO)
            for at in range(5)
        ]
        await _write(check, sink, [*audio, *sample_records("heard")])
    check.now("an empty batch")
    await _write(check, sink, [])


async def _check_cancelling(check: Check, sink: EventSink) -> None:
    check.now("cancelling write()")
    batch = sample_records("cancelled")
    for delay in (0.0, 0.001, 0.005):
        with (
            check.within(2, "write() does not let itself be cancelled.", mistake="`except BaseException`, or a shield"),
            check.raises_only(problem="A cancelled write() raises something else.", mistake="`except BaseException`"),
            anyio.move_on_after(delay),
        ):
            await sink.write(batch)
    check.now("a batch that comes again")
    await _write(check, sink, batch)


async def _check_batches(check: Check, sink: EventSink, received: Received | None) -> None:
    batches = [  # three large ones, each of two calls
        [
            record
            for first in range(1, 1 + 15 * len(_EVENTS), len(_EVENTS))
            for call in ("one", "two")
            for record in sample_records(call, at + first)
        ]
        for at in (0, 1_000, 2_000)
    ]
    check.now("large batches")
    async with watching_the_loop(check, "write()"):
        for batch in batches:
            await _write(check, sink, batch)
    if received is None:
        return
    check.now("what reached the destination")
    expected = {call: [r.sequence for batch in batches for r in batch if r.call_id == call] for call in ("one", "two")}
    with check.within(_WRITE_WITHIN, "Not every record reaches the destination.", mistake="records lost in a buffer"):
        while True:
            got = await received()
            if all(set(expected[call]) <= {number for of, number in got if of == call} for call in expected):
                break
            await anyio.sleep(0.01)
    for call, numbers in expected.items():
        check.require(
            [number for of, number in got if of == call] == numbers,
            "Records of a call are reordered or repeated.",
            expected="each once, by sequence",
            mistake="batches written side by side",
        )


async def _write(check: Check, sink: EventSink, batch: Sequence[Record]) -> None:
    with (
        check.within(_WRITE_WITHIN, "write() does not return."),
        check.raises_only(
            problem="write() raises, though its destination takes everything.",
            mistake="a kind of event that was not expected; or a sink that a cancelled write leaves unusable",
        ),
    ):
        await sink.write(batch)


async def _close(check: Check, sink: EventSink) -> None:
    with check.within(_WRITE_WITHIN, "aclose() does not return."), check.raises_only(problem="aclose() raises."):
        await sink.aclose()
