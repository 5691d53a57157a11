from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from patter_core.errors import WebhookRefused
from patter_core.telephony.leg import AnsweredBy, Progress
from patter_core.telephony.prices import Cost
from patter_vonage.events import Answer, Event, Notified, RecordingMade, read_body
from patter_vonage.wire import SocketHeaders


def event(**fields: object) -> Event:
    return read_body(msgspec.json.encode(fields), Event)


@pytest.mark.parametrize(
    ("status", "detail", "progress"),
    [
        ("started", None, Progress.DIALLING),
        ("ringing", None, Progress.RINGING),
        ("answered", None, Progress.ANSWERED),
        ("completed", None, Progress.COMPLETED),
        ("busy", None, Progress.BUSY),
        ("timeout", None, Progress.NO_ANSWER),
        ("unanswered", "unavailable", Progress.NO_ANSWER),
        ("rejected", "declined", Progress.BUSY),
        ("rejected", "invalid_number", Progress.FAILED),
        ("rejected", "restricted", Progress.FAILED),
        ("failed", "cannot_route", Progress.FAILED),
        ("cancelled", None, Progress.CANCELED),
        ("transfer", None, None),
        ("a later one", None, None),
    ],
)
def test_each_status_is_a_step_of_the_call(status: str, detail: str | None, progress: Progress | None) -> None:
    assert event(uuid="1", status=status, detail=detail).progress is progress


@pytest.mark.parametrize(
    ("fields", "who"),
    [
        ({"status": "human"}, AnsweredBy.HUMAN),
        ({"status": "machine"}, AnsweredBy.MACHINE),
        ({"status": "machine", "sub_state": "beep_start"}, AnsweredBy.MACHINE_READY),
        ({"status": "machine", "sub_state": "beep_timeout"}, AnsweredBy.MACHINE_READY),
        ({"status": "answered"}, None),
    ],
)
def test_machine_detection_has_its_verdict_under_another_id(fields: dict[str, str], who: AnsweredBy | None) -> None:
    told = event(call_uuid="leg", **fields)
    assert (told.leg_id, told.answered_by) == ("leg", who)


@pytest.mark.parametrize(
    ("fields", "cost"),
    [
        ({"status": "completed", "price": "0.0125"}, Cost(Decimal("0.0125"), "EUR", estimated=False)),
        ({"status": "completed", "price": 0.5}, None),
        ({"status": "completed", "price": ""}, None),
        ({"status": "completed", "price": "-1"}, None),
        ({"status": "completed"}, None),
        ({"status": "answered", "price": "0.1"}, None),
    ],
)
def test_the_price_is_that_of_the_end_in_euros(fields: dict[str, object], cost: Cost | None) -> None:
    if fields.get("price") == 0.5:
        with pytest.raises(WebhookRefused):
            event(uuid="1", **fields)
    else:
        assert event(uuid="1", **fields).cost == cost


def test_fields_may_be_missing_null_or_new() -> None:
    assert event(reason="Invalid NCCO", conversation_uuid="CON-1", timestamp="2026").leg_id == ""
    answer = read_body(b'{"uuid":"1","from":null,"region_url":null,"later":{"a":[1]}}', Answer)
    assert (answer.from_, answer.to, answer.region_url) == (None, None, None)
    told = event(uuid="2", status="disconnected", headers={"patter_leg": "1", "other": "x"})
    assert told.headers == SocketHeaders(leg="1")


def test_a_recording_can_be_fetched() -> None:
    made = read_body(
        b'{"recording_uuid":"r","recording_url":"https://api.nexmo.com/v1/files/r","size":1}', RecordingMade
    )
    assert (made.recording.recording_id, made.recording.status) == ("r", "completed")
    assert made.recording.url == "https://api.nexmo.com/v1/files/r"


@pytest.mark.parametrize("body", [b'{"payload":{"patter_leg":"1"}}', b'{"patter_leg":"1"}'])
def test_the_payload_of_a_notify_is_a_field_or_the_whole_body(body: bytes) -> None:
    assert read_body(body, Notified).ours == SocketHeaders(leg="1")


@pytest.mark.parametrize("body", [b"", b"[]", b"a=b", b"\xff", b'{"uuid":"a b"}', b'{"uuid":7,"to":[]}', b"[" * 9_000])
def test_a_body_of_another_form_is_refused(body: bytes) -> None:
    with pytest.raises(WebhookRefused, match="POST") as error:
        read_body(body, Answer)
    assert "a b" not in str(error.value)


def test_numbers_are_not_shown() -> None:
    assert "1555" not in repr(event(uuid="1", to="15550001234")) + repr(Answer("1", "15550001234", "15550001235"))
