"""The log tells of each call in a line, and of each that was not taken, without numbers and without what was said."""

from __future__ import annotations

import logging
import re

import anyio
import anyio.lowlevel
import httpx
import pytest

from patter_browser import Browser
from patter_core import Patter, Registry
from patter_core.audio import ULAW_8000
from patter_core.call.limits import Limits
from patter_core.call.token import CallToken
from patter_core.events import CallEnded, CallMetrics, Record
from patter_core.server.call_lines import CallLines
from patter_core.server.serving import serve_app
from patter_core.telephony.leg import Leg
from patter_core.telephony.outcome import Transfer
from patter_core.testing.caller import Caller, Pause, Say, WaitForAgent, WaitForSilence
from patter_core.testing.speech import CALLER_LINES
from patter_core.webhook import Reject
from patter_elevenlabs.testing import ElevenLabsEmulator
from patter_twilio.testing import TwilioEmulator

pytestmark = pytest.mark.anyio

VOICE = "/webhooks/twilio/voice"
QUIET = Pause(0.3)


def lines(caplog: pytest.LogCaptureFixture, logger: str) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == logger]


async def test_a_call_is_one_line_and_at_info_a_story_without_what_was_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "patter")
    async with TwilioEmulator() as twilio, ElevenLabsEmulator() as elevenlabs:
        phone = Patter(carrier=twilio.carrier(), registry=Registry())
        agent = phone.agent(engine=elevenlabs.engine(), name="concierge")
        async with serve_app(phone.asgi(agent)) as url:
            said = Say(CALLER_LINES[-1].audio(ULAW_8000))
            caller = Caller([WaitForAgent(heard=0.3), said, WaitForSilence(0.5)], ULAW_8000)
            await twilio.call(url + VOICE, caller, from_number="+15550001234", to_number="+15550005678")
            await anyio.lowlevel.checkpoint()
    (line,) = lines(caplog, "patter.calls")
    assert "from +*********34 to +*********78, inbound: " in line
    assert "caller hung up (by the caller); agent concierge, " in line
    assert "1 of the caller, reply after " in line
    story = lines(caplog, "patter.call.story")
    assert any("elevenlabs is ready after" in one for one in story)
    assert any("caller: [redacted]" in one for one in story)
    assert "goodbye" not in caplog.text
    assert "5550001234" not in caplog.text


@pytest.mark.parametrize(
    ("detail", "told"),
    [
        ("the server stopped at once", "reply not measured. Why it ended: the server stopped at once."),
        ("It is gone. Look.\n", "reply not measured. Why it ended: It is gone. Look."),
        ("", "reply not measured."),
    ],
)
def test_the_line_says_why_a_call_ended_in_a_sentence(detail: str, told: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "patter.calls")
    token = CallToken(carrier="fake", call_id="a1", agent="concierge")
    ended = CallEnded(reason="host_hung_up", by="host", duration_ms=0, metrics=CallMetrics(), detail=detail)
    CallLines().of(token)(Record(call_id="a1", sequence=1, time=0, elapsed_ms=0, event=ended))
    (line,) = lines(caplog, "patter.calls")
    assert line.endswith(told)


@pytest.mark.parametrize(
    ("answer", "level", "why"),
    [
        ("unknown", logging.WARNING, "nothing says who answers it"),
        (Reject(), logging.INFO, "its route rejects it."),
        (Transfer("+15550002222"), logging.INFO, "its route transfers it."),
        ("full", logging.WARNING, " live or accepted, no more are taken (Limits.calls, .calls_per_second)."),
    ],
)
async def test_a_call_that_is_not_taken_is_told_with_the_reason(
    answer: str | Reject | Transfer, level: int, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "patter.calls")
    async with TwilioEmulator() as twilio, ElevenLabsEmulator() as elevenlabs:
        limits = Limits(calls_per_second=0.001) if answer == "full" else Limits()  # then one is taken
        phone = Patter(carrier=twilio.carrier(), registry=Registry(), limits=limits)
        agent = phone.agent(engine=elevenlabs.engine())

        async def decide(_leg: Leg) -> Reject | Transfer:
            assert not isinstance(answer, str)
            return answer

        routing = {"+15550009999": agent} if answer == "unknown" else agent
        async with serve_app(phone.asgi(routing if isinstance(answer, str) else decide)) as url:
            for _ in range(2 if answer == "full" else 1):
                await twilio.call(url + VOICE, Caller([QUIET], ULAW_8000), from_number="+15550001234")
    (record,) = [one for one in caplog.records if one.name == "patter.calls" and "turned away" in one.getMessage()]
    assert record.levelno == level
    assert "from +*********34 to " in record.getMessage()
    assert "was turned away: " in record.getMessage()
    assert why in record.getMessage()


async def test_of_many_that_are_turned_away_each_is_told_or_counted_also_if_the_server_stops(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with TwilioEmulator() as twilio, ElevenLabsEmulator() as elevenlabs:
        phone = Patter(carrier=twilio.carrier(), registry=Registry(), limits=Limits(calls_per_second=0.001))
        agent = phone.agent(engine=elevenlabs.engine())
        async with serve_app(phone.asgi(agent)) as url:
            for _ in range(31):  # the first one is taken
                await twilio.call(url + VOICE, Caller([QUIET], ULAW_8000), from_number="+15550001234")
    told = [line for line in lines(caplog, "patter.calls") if "turned away" in line]
    counts = [re.search(r"(\d+) more (?:messages )?like this", line) for line in told]
    whole = sum("left out. The last one: " not in line for line in told)
    assert whole + sum(int(one[1]) for one in counts if one) == 30
    assert len(told) < 30
    assert all("from +*********34 to " in line and "no more are taken" in line for line in told)


async def test_a_webhook_that_is_refused_is_told_with_both_addresses(caplog: pytest.LogCaptureFixture) -> None:
    async with TwilioEmulator() as twilio, httpx.AsyncClient() as client:
        phone = Patter(carrier=twilio.carrier(), webhook_url="https://voice.example/base", registry=Registry())
        async with serve_app(phone.asgi()) as url:
            answer = await client.post(
                f"{url}{VOICE}?secret=x", data={"CallSid": "CA1"}, headers={"X-Twilio-Signature": "wrong"}
            )
    assert answer.status_code == 403
    (line,) = lines(caplog, "patter.server")
    assert "The signature is not Twilio's for this account and address." in line
    assert f"It came to {url}{VOICE}, and was taken to be for https://voice.example/base{VOICE}." in line
    assert "secret" not in line


@pytest.mark.parametrize(
    ("method", "path", "status", "told"),
    [
        (
            "POST",
            "/webhooks/twilio",
            404,
            "Calls come to /webhooks/twilio/voice, below the public address: check your number's voice webhook.",
        ),
        ("POST", "/", 404, "Calls come to /webhooks/twilio/voice"),
        ("POST", "/webhooks/twilio/%1b[2J", 404, "\\x1b[2J"),
        ("DELETE", "/webhooks/twilio/status", 405, ": set the method of that URL at the carrier."),
        ("DELETE", "/webhooks/twilio/voice", 405, ": set the method of your number's voice webhook at the carrier."),
    ],
)
async def test_what_comes_to_no_webhook_is_told_with_what_was_expected(
    method: str, path: str, status: int, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with TwilioEmulator() as twilio, httpx.AsyncClient() as client:
        phone = Patter(carrier=twilio.carrier(), registry=Registry())
        async with serve_app(phone.asgi()) as url:
            answer = await client.request(method, url + path)
    assert answer.status_code == status
    (line,) = lines(caplog, "patter.server")
    assert line.startswith(f"{method} came to {url}/")
    assert told in line


async def test_where_no_carrier_has_webhooks_their_names_are_told(caplog: pytest.LogCaptureFixture) -> None:
    phone = Patter(carrier=Browser(), registry=Registry())
    async with serve_app(phone.asgi()) as url, httpx.AsyncClient() as client:
        assert (await client.post(f"{url}/webhooks/twilio/voice")).status_code == 404
    (line,) = lines(caplog, "patter.server")
    assert line.endswith(
        "This server takes no calls by webhook (carriers: browser): choose the number's carrier, as by PATTER_CARRIER."
    )
