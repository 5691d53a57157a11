"""What each message of the service means, without a socket: the cases that a service seldom makes."""

from __future__ import annotations

import base64
from collections import Counter

from patter_core.audio import ULAW_8000
from patter_core.engine import Heard, HeardItem
from patter_core.events import (
    Error,
    Interruption,
    ResponseDone,
    ResponseStart,
    SpeechItem,
    SpeechStarted,
    TranscriptOutput,
)
from patter_openai import wire
from patter_openai.dialogue import Dialogue, Step


def dialogue(*, interrupts: bool = True) -> Dialogue:
    return Dialogue(
        model="gpt-realtime-2.1",
        transcription_model="gpt-transcribe",
        output_format=ULAW_8000,
        interrupts=interrupts,
        anomalies=Counter(),
    )


def audio(response: str, item: str, ms: int = 100) -> wire.AudioDelta:
    data = base64.b64encode(bytes(ULAW_8000.size(ms))).decode()
    return wire.AudioDelta(response_id=response, item_id=item, delta=data)


def created(name: str, request: wire.ClientMessage | None = None) -> wire.ResponseCreated:
    metadata = None
    if isinstance(request, wire.ResponseCreate) and isinstance(request.response, wire.ResponseParameters):
        metadata = request.response.metadata
    return wire.ResponseCreated(
        response=wire.Response(
            id=name, status="in_progress", metadata=dict(metadata) if isinstance(metadata, dict) else None
        )
    )


def done(name: str, status: str = "completed", reason: str = "") -> wire.ResponseDone:
    details = wire.StatusDetails(type=status, reason=reason) if reason else None
    return wire.ResponseDone(response=wire.Response(id=name, status=status, status_details=details))


def corrections(steps: list[Step]) -> list[tuple[str, str]]:
    return [
        (type(step).__name__, step.item_id) for step in steps if isinstance(step, wire.ItemDelete | wire.ItemTruncate)
    ]


def test_a_response_that_talks_over_the_user_is_cancelled_and_said_later() -> None:
    talk = dialogue()
    (request,) = talk.ask(wire.ResponseParameters(instructions="Say it."))
    assert isinstance(request, wire.ResponseCreate)
    talk.take(wire.SpeechStarted(item_id="u1", audio_start_ms=5))
    assert talk.take(created("r1", request)) == [wire.ResponseCancel(event_id="correction_cancel", response_id="r1")]
    assert talk.audio(audio("r1", "i1")) is None
    assert corrections(talk.take(done("r1", "cancelled", "client_cancelled"))) == [("ItemDelete", "i1")]
    _, again = talk.take(wire.SpeechStopped(item_id="u1", audio_end_ms=50))
    assert isinstance(again, wire.ResponseCreate)


def test_audio_of_a_response_that_is_done_is_dropped() -> None:
    talk = dialogue()
    talk.take(created("r1"))
    first, second = talk.audio(audio("r1", "i1")), talk.audio(audio("r1", "i1"))
    assert first is not None
    assert second is not None
    assert list(first[0]) == [ResponseStart(turn="r1"), SpeechItem(item="i1", turn="r1")]
    assert (list(second[0]), second[2]) == ([], first[2])
    assert first[2].size == first[1].size + second[1].size
    assert talk.take(done("r1")) == [ResponseDone("r1")]
    assert talk.audio(audio("r1", "i1")) is None


def test_audio_that_follows_a_cancellation_is_dropped_and_counts_as_sent() -> None:
    talk = dialogue()
    talk.take(created("r1"))
    begun = talk.audio(audio("r1", "i1"))
    assert begun is not None
    item, sent = begun[2], begun[2].size
    item.is_taken = True
    told = (HeardItem(item="i1", heard_ms=1.0, sent_ms=100.0),)
    cancel, truncate = talk.heard(Heard(turn="r1", items=told, interrupted=True))
    assert isinstance(cancel, wire.ResponseCancel)
    assert isinstance(truncate, wire.ItemTruncate)
    assert talk.audio(audio("r1", "i1")) is None
    assert item.size == 2 * sent


def test_a_turn_that_is_never_done_is_done_when_the_next_begins() -> None:
    talk = dialogue()
    talk.audio(audio("r1", "i1"))
    again = talk.audio(audio("r2", "i2"))
    assert again is not None
    assert list(again[0]) == [ResponseDone("r1"), ResponseStart(turn="r2"), SpeechItem(item="i2", turn="r2")]
    assert talk.finish() == [ResponseDone("r2")]
    assert talk.finish() == []


def test_a_response_that_the_service_interrupts_without_a_word_is_interrupted() -> None:
    talk = dialogue()
    talk.take(created("r1"))
    talk.audio(audio("r1", "i1"))
    steps = talk.take(done("r1", "cancelled", "turn_detected"))
    assert [step for step in steps if not isinstance(step, wire.ItemDelete)] == [Interruption("r1")]
    assert corrections(steps) == [("ItemDelete", "i1")]  # nothing of it was taken


def test_each_interruption_is_told_also_when_all_was_sent() -> None:
    talk = dialogue()
    talk.take(created("r1"))
    talk.audio(audio("r1", "i1"))
    talk.memory.item("i1", "r1").is_taken = True
    talk.take(done("r1"))
    steps = talk.take(wire.SpeechStarted(item_id="u1", audio_start_ms=900))
    assert steps == [Interruption("r1"), SpeechStarted(900.0)]
    told = (HeardItem(item="i1", heard_ms=40.7, sent_ms=100.0),)
    (truncate,) = talk.heard(Heard(turn="r1", items=told, interrupted=True))
    assert isinstance(truncate, wire.ItemTruncate)
    assert truncate.audio_end_ms == 40
    assert not talk.heard(Heard(turn="r1", items=told, interrupted=True))  # told twice
    assert not talk.heard(Heard(turn="r1", items=told))


def test_audio_that_waits_when_a_turn_is_void_is_deleted() -> None:
    talk = dialogue()
    talk.take(created("r1"))
    for item in ("i1", "i2"):
        talk.audio(audio("r1", item))
    talk.memory.item("i1", "r1").is_taken = True  # the second still waits
    talk.take(done("r1"))
    told = (HeardItem(item="i1", heard_ms=100.0, sent_ms=100.0),)
    assert corrections(talk.heard(Heard(turn="r1", items=told, interrupted=True))) == [("ItemDelete", "i2")]


def test_a_service_without_measure_costs_bounded_memory() -> None:
    talk = dialogue()
    calls = 0
    for number in range(1_000):
        call = wire.Item(
            type="function_call", status="completed", call_id=f"c{number}", name="f", arguments="{}", id=f"f{number}"
        )
        calls += len(talk.take(wire.OutputItemDone(response_id="r1", item=call)))
        talk.take(wire.TranscriptDelta(response_id="r1", item_id="i1", delta="x" * 1_000))
        talk.take(wire.SpeechStarted(item_id=f"u{number}", audio_start_ms=number))
        talk.take(done(f"x{number}"))
    assert calls == 256
    (said,) = (step for step in talk.take(done("r1")) if isinstance(step, TranscriptOutput))
    assert len(said.text) == 100_000


def test_a_busy_service_is_no_error() -> None:
    talk = dialogue()
    (request,) = talk.ask(wire.ResponseParameters(instructions="Say it."))
    assert isinstance(request, wire.ResponseCreate)
    busy = wire.ServiceError(code="conversation_already_has_active_response", event_id=request.event_id, message="Busy")
    assert talk.take(wire.Error(error=busy)) == []
    (again,) = talk.take(done("another"))
    assert isinstance(again, wire.ResponseCreate)
    refused = wire.ServiceError(code="invalid_value", event_id=again.event_id, message="No.")
    assert talk.take(wire.Error(error=refused)) == [Error("No.", "invalid_value")]
