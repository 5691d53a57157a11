from __future__ import annotations

import json
from decimal import Decimal

import pytest

from patter_core.errors import WebhookRefused
from patter_core.telephony.leg import AnsweredBy, Progress
from patter_core.telephony.prices import Cost
from patter_core.webhook import WebhookRequest
from patter_telnyx.events import Payload, read_event

PUBLIC = "https://phone.example/webhooks/telnyx/voice?call=token"
CANDIDATES = (PUBLIC, PUBLIC.replace("https", "http"))
EVENT = {
    "record_type": "event",
    "event_type": "call.initiated",
    "id": "0ccc7b54",
    "payload": {"call_control_id": "v3:a"},
}


def request(body: object, candidates: tuple[str, ...] = CANDIDATES, *, configured: bool = False) -> WebhookRequest:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return WebhookRequest(method="POST", candidate_urls=candidates, headers={}, body=content, is_configured=configured)


@pytest.mark.parametrize("body", [{"data": EVENT, "meta": {"attempt": 1}}, {"data": EVENT}, EVENT])
def test_both_envelopes_hold_the_same_event(body: object) -> None:
    delivery = read_event(request(body))
    assert (delivery.event.event_type, delivery.event.id) == ("call.initiated", "0ccc7b54")
    assert delivery.event.call.call_control_id == "v3:a"
    assert delivery.token == "token"
    assert "token" not in repr(delivery)


@pytest.mark.parametrize("configured", [True, False])
@pytest.mark.parametrize("candidates", [CANDIDATES, (PUBLIC,)])  # one alone, if a proxy's headers are trusted
@pytest.mark.parametrize(
    ("delivered_to", "proved"),
    [
        (CANDIDATES[1], CANDIDATES[1]),  # only the signed body says that there is no TLS
        ("https://other.example/webhooks/telnyx/voice", "https://other.example/webhooks/telnyx/voice"),
        ("https://x.example/prefix/webhooks/telnyx/voice", "https://x.example/prefix/webhooks/telnyx/voice"),
        ("https://other.example/elsewhere", ""),
        ("https://other.example", ""),
        (None, ""),
        ("ftp://x/webhooks/telnyx/voice", ""),
    ],
)
def test_the_public_address_is_the_configured_or_the_signed_one_and_never_the_host(
    delivered_to: str | None, proved: str, candidates: tuple[str, ...], configured: bool
) -> None:
    body = {"data": EVENT, "meta": {"attempt": 1, "delivered_to": delivered_to}}
    url = read_event(request(body, candidates, configured=configured)).verified_url
    assert url == (PUBLIC if configured else proved)


def test_without_a_host_there_is_no_address() -> None:
    with pytest.raises(WebhookRefused, match="Host"):
        read_event(request(EVENT, ()))


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"data":{}}', b"\xff", b'{"a":' * 3_000])
def test_a_body_that_is_not_an_event_is_refused(body: bytes) -> None:
    with pytest.raises(WebhookRefused, match="version to 2"):
        read_event(request(body))


def test_an_unreadable_payload_is_refused_when_it_is_used() -> None:
    event = read_event(request({"event_type": "call.answered", "payload": {"call_control_id": {}}})).event
    with pytest.raises(WebhookRefused, match=r"call\.answered"):
        _ = event.call


@pytest.mark.parametrize(
    ("cause", "progress"),
    [
        ("normal_clearing", Progress.COMPLETED),
        ("time_limit", Progress.COMPLETED),
        ("unspecified", Progress.COMPLETED),
        ("something new", Progress.COMPLETED),
        (None, Progress.COMPLETED),
        ("user_busy", Progress.BUSY),
        ("call_rejected", Progress.BUSY),
        ("no_answer", Progress.NO_ANSWER),
        ("timeout", Progress.NO_ANSWER),
        ("originator_cancel", Progress.CANCELED),
        ("not_found", Progress.FAILED),
    ],
)
def test_each_hangup_cause_is_a_final_progress(cause: str | None, progress: Progress) -> None:
    assert Payload(hangup_cause=cause).progress is progress


@pytest.mark.parametrize(
    ("result", "who"),
    [
        ("human", AnsweredBy.HUMAN),
        ("human_residence", AnsweredBy.HUMAN),
        ("human_business", AnsweredBy.HUMAN),
        ("machine", AnsweredBy.MACHINE),
        ("fax_detected", AnsweredBy.FAX),
        ("not_sure", AnsweredBy.UNKNOWN),
        ("silence", AnsweredBy.UNKNOWN),
        (None, AnsweredBy.UNKNOWN),
    ],
)
def test_each_result_of_machine_detection_is_known(result: str | None, who: AnsweredBy) -> None:
    assert Payload(result=result).answered_by is who


def test_the_price_is_telnyxs() -> None:
    body = {"event_type": "call.cost", "payload": {"total_cost": "0.0042", "cost_parts": [{"currency": "EUR"}]}}
    assert read_event(request(body)).event.call.cost == Cost(Decimal("0.0042"), "EUR", estimated=False)


@pytest.mark.parametrize("total", [None, "", "free", "NaN", "-1", "Infinity"])
def test_a_price_that_is_not_an_amount_is_no_cost(total: str | None) -> None:
    assert Payload(total_cost=total).cost is None


def test_a_recording_has_its_url() -> None:
    payload = {"recording_id": "r", "recording_urls": {"mp3": "https://r/mp3", "wav": None}}
    call = read_event(request({"event_type": "call.recording.saved", "payload": payload})).event.call
    saved = call.recording("", "completed")
    assert (saved.recording_id, saved.status, saved.url) == ("r", "completed", "https://r/mp3")
    assert call.recording("ours", "completed").recording_id == "ours"


def test_no_number_shows_in_a_repr() -> None:
    call = read_event(
        request({"event_type": "x", "payload": {"from": "+15005550006", "to": "+15005550001"}})
    ).event.call
    assert (call.from_, call.to) == ("+15005550006", "+15005550001")
    assert "+1500" not in repr(call)


@pytest.mark.parametrize(
    "payload", [{"stream_url": "wss://x/secret"}, {"stream_params": {"stream_url": "wss://x/secret"}}]
)
def test_the_end_of_a_stream_has_its_url_which_no_repr_shows(
    payload: dict[str, str | dict[str, str]],
) -> None:
    call = read_event(request({"event_type": "streaming.failed", "payload": payload})).event.call
    assert call.media_url == "wss://x/secret"
    assert "secret" not in repr(call) + repr(call.stream_params)


def test_an_event_that_is_not_about_a_stream_has_no_url() -> None:
    assert Payload(stream_id="s").media_url == ""


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("call_control_id", "v3:" + "a" * 400),
        ("call_control_id", "v3:a\n"),
        ("call_control_id", "v3:a b"),
        ("from", "+1\r\nx"),
        ("to", "1" * 301),
        ("stream_url", "wss://x/" + "a" * 5_000),
        ("stream_id", "\x00"),
    ],
)
def test_ids_and_numbers_have_their_form(field: str, value: str) -> None:
    event = read_event(request({"event_type": "x", "payload": {"call_control_id": "v3:a", field: value}})).event
    with pytest.raises(WebhookRefused, match="not as documented") as refused:
        _ = event.call
    assert value not in str(refused.value)


@pytest.mark.parametrize("party", ["+15005550006", "sip:ada@x.example", "ada", "Restricted", "", "José"])
def test_callers_are_as_telnyx_writes_them(party: str) -> None:
    assert read_event(request({"event_type": "x", "payload": {"from": party}})).event.call.from_ == party


def test_an_events_id_has_its_form() -> None:
    with pytest.raises(WebhookRefused):
        read_event(request({**EVENT, "id": "a" * 1_000}))
