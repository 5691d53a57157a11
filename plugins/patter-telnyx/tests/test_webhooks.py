"""Telnyx's webhooks, one event at a time: what reaches the router, and which commands follow."""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from patter_core.errors import CarrierRequestFailed, WebhookRefused
from patter_core.telephony.control import Callbacks
from patter_core.telephony.leg import AnsweredBy, Direction, Leg, Progress
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.telephony.prices import Cost
from patter_core.testing.api import ApiAnswer, FakeApi, fake_api
from patter_core.testing.fakes import FakeRouter, Report
from patter_core.webhook import Accept, Reject, WebhookRequest
from patter_telnyx import Telnyx
from patter_telnyx.client_state import ClientState
from patter_telnyx.signing import SIGNATURE_HEADER, TIMESTAMP_HEADER, signed_bytes

pytestmark = pytest.mark.anyio

KEY = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
PUBLIC_KEY = base64.b64encode(KEY.public_key().public_bytes_raw()).decode()
URL = "https://phone.example/webhooks/telnyx/voice"
ACCEPT = Accept(
    call_id="1",
    media_url="wss://phone.example/media/telnyx/stream-token",
    callbacks=Callbacks("https://phone.example/webhooks/telnyx", "token"),
)
CALL = {"call_control_id": "v3:a", "from": "+15005550006", "to": "+15005550001", "direction": "incoming"}
OVER = ApiAnswer(status=422, body=b'{"errors":[{"code":"90018"}]}')


class Line:
    """A carrier whose API is a fake, and the router that its events are reported to."""

    def __init__(self, api: FakeApi) -> None:
        self.api = api
        self.router = FakeRouter(ACCEPT)
        self.carrier = Telnyx("KEY", "17", PUBLIC_KEY, base_url=api.url)

    async def event(
        self,
        event_type: str,
        payload: Mapping[str, object] = {},
        *,
        event_id: str = "e-1",
        key: Ed25519PrivateKey = KEY,
    ) -> None:
        event = {"event_type": event_type, "id": event_id, "payload": {**CALL, **payload}}
        body, timestamp = msgspec.json.encode({"data": event}), str(int(time.time()))
        signature = base64.b64encode(key.sign(signed_bytes(timestamp, body))).decode()
        headers = {SIGNATURE_HEADER: signature, TIMESTAMP_HEADER: timestamp}
        request = WebhookRequest(method="POST", candidate_urls=(URL,), headers=headers, body=body, is_configured=True)
        response = await self.carrier.webhooks()["voice"].handler(request, self.router)
        assert (response.status, response.body) == (200, b"")

    @property
    def reported(self) -> list[tuple[str, object]]:
        return [(report.what, report.value) for report in self.router.reports]

    @property
    def commands(self) -> list[str]:
        return [request.path.rpartition("/")[2] for request in self.api.requests]


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    async with fake_api() as api:
        yield Line(api)


def state(**fields: object) -> dict[str, object]:
    return {"client_state": msgspec.convert(fields, ClientState).encode()}


# --- start ---------------------------------------------------------------------------------------------------------


async def test_an_incoming_call_is_reported_and_answered_with_a_stream(line: Line) -> None:
    await line.event("call.initiated")
    leg = Leg(carrier="telnyx", call_id="v3:a", from_number="+15005550006", to_number="+15005550001")
    assert line.router.reports == [Report(what="arrived", leg=leg, verified_url=URL, token="")]
    answer = msgspec.json.decode(line.api.requests[0].body, type=dict[str, str])
    assert (line.commands, answer["stream_url"]) == (["answer"], ACCEPT.media_url)


@pytest.mark.parametrize(
    ("written", "held"),
    [
        ("anonymous", ""),
        (None, ""),
        ("+1-500-555-0006", "+15005550006"),
        ("sip:ada@sip.Example.com;transport=udp", "sip:ada@sip.example.com"),
        ("1001", ""),
    ],
)
async def test_a_leg_holds_e164_or_a_sip_address_whatever_telnyx_writes(
    line: Line, written: str | None, held: str
) -> None:
    await line.event("call.initiated", {"from": written, "to": written})
    assert (line.router.reports[0].leg.from_number, line.router.reports[0].leg.to_number) == (held, held)


@pytest.mark.parametrize(
    ("outcome", "command"), [(Reject(reason="busy"), "reject"), (Transfer("+15005550009", "One moment."), "answer")]
)
async def test_an_incoming_call_that_is_not_accepted_is_rejected_or_answered_to_be_transferred(
    line: Line, outcome: Reject | Transfer, command: str
) -> None:
    line.router.answer = outcome
    await line.event("call.initiated")
    assert line.commands == [command]


async def test_an_event_about_no_call_is_refused(line: Line) -> None:
    with pytest.raises(WebhookRefused, match="no call"):
        await line.event("call.initiated", {"call_control_id": ""})
    assert (line.reported, line.commands) == ([], [])


async def test_a_call_that_we_made_is_outbound(line: Line) -> None:
    await line.event("call.initiated", {"direction": "outgoing", **state(t="token", d=True)})
    await line.event("call.answered", {"direction": "outgoing", **state(t="token", d=True)}, event_id="e-2")
    assert line.reported == [("progressed", Progress.RINGING), ("arrived", None)]
    assert {(report.leg.direction, report.token) for report in line.router.reports} == {(Direction.OUTBOUND, "token")}
    assert line.commands == ["streaming_start"]


@pytest.mark.parametrize(
    ("event_type", "fields", "command"),
    [
        ("call.answered", {"x": "+15005550009"}, "transfer"),
        ("call.answered", {"x": "+15005550009", "a": "One moment."}, "speak"),
        ("call.speak.ended", {"x": "+15005550009"}, "transfer"),
        ("call.speak.ended", {"h": True}, "hangup"),
    ],
)
async def test_the_next_step_is_in_the_client_state(
    line: Line, event_type: str, fields: dict[str, object], command: str
) -> None:
    await line.event(event_type, state(**fields))
    assert line.commands == [command]


# --- during the call -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "command"),
    [
        (ACCEPT, "streaming_start"),
        (Transfer("+15005550009"), "transfer"),
        (HangUp(), "hangup"),
        (HangUp("Sorry."), "speak"),
    ],
)
async def test_after_the_stream_the_router_decides(
    line: Line, outcome: Accept | HangUp | Transfer, command: str
) -> None:
    line.router.at_stream_end = outcome
    await line.event("streaming.stopped", {"stream_url": "wss://phone.example/1"})
    await line.event("streaming.failed", {"stream_params": {"stream_url": "wss://phone.example/1"}}, event_id="e-2")
    assert line.reported == [("stream_ended", None)]  # once, though Telnyx reports it twice
    assert line.commands == [command]


@pytest.mark.parametrize("fields", [{"s": True}, {"l": "v3:other"}, {"u": "mark of a later stream"}])
async def test_a_stream_that_ended_on_purpose_or_was_replaced_is_ignored(line: Line, fields: dict[str, object]) -> None:
    await line.event("streaming.stopped", {"stream_url": "wss://phone.example/1", **state(**fields)})
    assert line.reported == []
    assert line.commands == []


@pytest.mark.parametrize(
    ("event_type", "payload", "what", "value"),
    [
        ("call.hangup", {"hangup_cause": "user_busy"}, "progressed", Progress.BUSY),
        ("call.machine.detection.ended", {"result": "human"}, "answered_by", AnsweredBy.HUMAN),
        ("call.machine.greeting.ended", {"result": "beep_detected"}, "answered_by", AnsweredBy.MACHINE_READY),
        ("call.cost", {"total_cost": "0.0042"}, "priced", Cost(Decimal("0.0042"), estimated=False)),
    ],
)
async def test_a_report_reaches_the_router(
    line: Line, event_type: str, payload: dict[str, object], what: str, value: object
) -> None:
    await line.event(event_type, payload)
    assert line.reported == [(what, value)]
    assert line.commands == []


@pytest.mark.parametrize(
    ("event_type", "status"), [("call.recording.saved", "completed"), ("call.recording.error", "failed")]
)
async def test_the_end_of_a_recording_reaches_the_router(line: Line, event_type: str, status: str) -> None:
    await line.event(event_type, {"recording_urls": {"wav": "https://r/wav"}})
    (report,) = line.router.of("recording_changed")
    assert f" {status}>" in repr(report.value)


async def test_the_far_end_of_a_transfer_ends_the_call(line: Line) -> None:
    await line.event("call.hangup", state(l="v3:first"))
    assert line.reported == []
    assert [request.path for request in line.api.requests] == ["/v2/calls/v3%3Afirst/actions/hangup"]


async def test_a_price_that_is_not_an_amount_is_logged(line: Line, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="patter.telnyx"):
        await line.event("call.cost", {"total_cost": "free"})
    assert line.reported == []
    assert "call.cost event is not an amount" in caplog.text


# --- delivery ------------------------------------------------------------------------------------------------------


async def test_an_unverified_webhook_never_reaches_the_router(line: Line) -> None:
    with pytest.raises(WebhookRefused):
        await line.event("call.initiated", key=Ed25519PrivateKey.from_private_bytes(b"\x08" * 32))
    assert line.reported == []


async def test_a_repeated_event_is_handled_once(line: Line) -> None:
    for _ in range(2):
        await line.event("call.initiated")
    assert line.reported == [("arrived", None)]


async def test_an_event_whose_command_failed_is_new_again(line: Line) -> None:
    line.api.answers = [ApiAnswer(status=400), ApiAnswer()]
    with pytest.raises(CarrierRequestFailed):
        await line.event("call.initiated")
    await line.event("call.initiated")
    assert line.commands == ["answer", "answer"]


async def test_a_command_for_a_call_that_is_over_ends_it(line: Line) -> None:
    line.api.answers = [OVER]
    await line.event("call.initiated")
    assert line.reported == [("arrived", None), ("progressed", Progress.COMPLETED)]


async def test_an_unknown_event_is_acknowledged(line: Line) -> None:
    await line.event("call.bridged", {"call_control_id": {}})
    assert line.reported == []


async def test_the_human_of_a_warm_transfer_is_told_the_brief_and_then_the_core_is(line: Line) -> None:
    line.router.briefing = "It is Ada."
    await line.event("call.answered", state(t="consult", d=True))
    (request,) = line.api.requests
    said = msgspec.json.decode(request.body, type=dict[str, str])
    assert said["payload"] == "It is Ada."
    after = {"client_state": said["client_state"]}
    await line.event("call.speak.ended", {**after, "status": "call_hangup"}, event_id="e-2")
    assert line.reported == [("progressed", Progress.ANSWERED)]
    await line.event("call.speak.ended", {**after, "status": "completed"}, event_id="e-3")
    await line.event("call.hangup", {**after, "hangup_cause": "normal_clearing"}, event_id="e-4")
    assert line.reported[1:] == [("briefed", None), ("progressed", Progress.COMPLETED)]
    assert {report.token for report in line.router.reports} == {"consult"}
    assert line.commands == ["speak"]


async def test_the_stream_of_an_incoming_call_begins_once_its_notice_was_said_whole(line: Line) -> None:
    line.router.answer = msgspec.structs.replace(ACCEPT, notice="It is recorded.")
    await line.event("call.initiated")
    states: list[dict[str, object]] = []
    for number, (event_type, status) in enumerate(
        [("call.answered", ""), ("call.speak.ended", "cancelled_amd"), ("call.speak.ended", "completed")], start=2
    ):
        asked = msgspec.json.decode(line.api.requests[-1].body, type=dict[str, object])
        states.append({"client_state": asked["client_state"], "status": status})
        await line.event(event_type, states[-1], event_id=f"e-{number}")
    assert line.commands == ["answer", "speak", "speak", "streaming_start"]
    said = [msgspec.json.decode(request.body, type=dict[str, object]) for request in line.api.requests]
    assert "stream_url" not in said[0]
    assert [one["payload"] for one in said[1:3]] == ["It is recorded."] * 2
    assert said[1]["command_id"] != said[2]["command_id"]
    assert said[3]["stream_url"] == ACCEPT.media_url


async def test_a_caller_who_hangs_up_during_the_notice_gets_no_stream(line: Line) -> None:
    line.router.answer = msgspec.structs.replace(ACCEPT, notice="It is recorded.")
    await line.event("call.speak.ended", {**state(t="token", n=True), "status": "call_hangup"})
    assert (line.commands, line.reported) == ([], [])


async def test_a_stream_that_is_lost_after_a_hold_is_asked_for_by_a_command_of_its_own(line: Line) -> None:
    leg = Leg(carrier="telnyx", call_id="v3:a")
    await line.carrier.resume(leg, ACCEPT)
    mark = msgspec.json.decode(base64.b64decode(msgspec.json.decode(line.api.requests[-1].body)["client_state"]))["u"]
    line.router.at_stream_end = ACCEPT
    await line.event("streaming.failed", {**state(t="token", u=mark), "stream_url": ACCEPT.media_url})
    assert line.commands[1:] == ["streaming_start", "streaming_start"]
    first, second = (msgspec.json.decode(request.body)["command_id"] for request in line.api.requests[1:])
    assert first != second  # Telnyx carries out one of the same id once
