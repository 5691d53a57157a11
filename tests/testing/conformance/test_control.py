"""The scenarios of a carrier's control: a sound carrier with one thing undone fails the scenario that is about it."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import msgspec
import pytest

from patter_core.carrier import Carrier
from patter_core.errors import CarrierRequestFailed, ConformanceError
from patter_core.telephony.control import Callbacks, Capability, DialRequest, LegFacts
from patter_core.telephony.leg import Leg, Progress
from patter_core.telephony.numbers import VoiceTarget
from patter_core.telephony.outcome import Transfer
from patter_core.testing.conformance.check import Check
from patter_core.testing.conformance.control import CONTROL
from patter_core.testing.conformance.hang_ups import HANG_UPS
from patter_core.testing.conformance.harness import Harness
from patter_core.testing.conformance.numbers import NUMBERS
from patter_core.testing.conformance.scene import play
from patter_core.testing.emulator import CarrierEmulator
from patter_core.webhook import CallRouter, RoutedCall, Webhook, WebhookRequest, WebhookResponse
from patter_telnyx import Telnyx
from patter_telnyx.testing import TelnyxEmulator
from patter_twilio import Twilio
from patter_twilio.control import Control as TwilioControl
from patter_twilio.testing import TwilioEmulator
from patter_vonage import Vonage
from patter_vonage.testing import VonageEmulator
from tests.testing.conformance.told import told

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

Write = Callable[..., Callable[[], CarrierEmulator]]


C = TypeVar("C", bound=Carrier)
SOUND_TRANSFER = Twilio.transfer
SOUND_CONNECT = Twilio.connect


async def nothing(*_: object, **__: object) -> str:
    """A command that is never sent."""
    return "nothing"


async def transfer_without_text(twilio: Twilio, leg: Leg, transfer: Transfer) -> None:
    await SOUND_TRANSFER(twilio, leg, Transfer(transfer.to))


async def transfer_at_any_rate(twilio: Twilio, leg: Leg, transfer: Transfer) -> None:
    with contextlib.suppress(CarrierRequestFailed):
        await SOUND_TRANSFER(twilio, leg, transfer)


async def hang_up_without_text(twilio: Twilio, leg: Leg, _text: str) -> None:
    await twilio.hang_up(leg)


async def look_up_without_looking(_twilio: Twilio, _leg: Leg) -> LegFacts:
    return LegFacts(progress=Progress.ANSWERED)


def dial(**changes: object) -> Callable[[Twilio, DialRequest], Awaitable[str]]:
    """`dial`, with another request than the core's."""
    sound = Twilio.dial
    return lambda twilio, request: sound(twilio, msgspec.structs.replace(request, **changes))


def unread(webhooks: Callable[[C], Mapping[str, Webhook]], name: str) -> Callable[[C], object]:
    """`webhooks`, of which one is answered and not read."""

    async def ignore(_request: WebhookRequest, _router: CallRouter) -> WebhookResponse:
        return WebhookResponse(status=204)

    return lambda carrier: {**webhooks(carrier), name: Webhook(ignore)}


async def connect_one(twilio: Twilio, _leg: Leg, other: Leg) -> None:
    """The human waits in a room to which the caller never comes."""
    await SOUND_CONNECT(twilio, other, other)


class Unbriefed:
    """A router whose calls have no briefing, for handlers that do not look at it."""

    def __init__(self, router: CallRouter) -> None:
        self.seen = router.seen
        self._router = router

    def call(self, leg: Leg, verified_url: str, token: str = "") -> RoutedCall:
        call = self._router.call(leg, verified_url, token)
        without = type("Without", (type(call),), {"briefing": ""})
        call.__class__ = without
        return call


def unbriefed(webhooks: Callable[[C], Mapping[str, Webhook]]) -> Callable[[C], object]:
    def wrapped(webhook: Webhook) -> Webhook:
        async def handle(request: WebhookRequest, router: CallRouter) -> WebhookResponse:
            return await webhook.handler(request, Unbriefed(router))

        return Webhook(handle, webhook.methods)

    return lambda carrier: {name: wrapped(webhook) for name, webhook in webhooks(carrier).items()}


async def same_target(*_: object) -> VoiceTarget:
    return VoiceTarget(shown="", settings={})


# The scenario, the class and its attribute, what stands there instead, and what the check must say of it.
MISTAKES = [
    ("hanging up a live call", Twilio, "hang_up", nothing, "hang_up() returns, and the call stays up"),
    ("hanging up a live call", Telnyx, "hang_up", nothing, "hang_up() returns, and the call stays up"),
    ("a route that rejects the call", Telnyx, "webhooks", unread(Telnyx.webhooks, "voice"), "is rejected stays up"),
    ("a route that transfers the call", Telnyx, "webhooks", unread(Telnyx.webhooks, "voice"), "is not transferred"),
    ("a call that the app makes", Telnyx, "dial", nothing, "something else than the vendor's id"),
    ("a call that the app makes", Twilio, "dial", dial(from_number="+15550004321"), "not come from DialRequest.from"),
    (
        "a call that is not answered",
        Twilio,
        "webhooks",
        unread(Twilio.webhooks, "status"),
        "outcome busy is never over",
    ),
    ("a call that is given up while it rings", Twilio, "hang_up", nothing, "goes on ringing"),
    ("machine detection, a human", Twilio, "webhooks", unread(Twilio.webhooks, "machine"), "its result never comes"),
    ("machine detection, a machine", Twilio, "dial", dial(machine_detection=False), "its result never comes"),
    ("a message for a machine", Twilio, "dial", dial(await_greeting_end=False), "A machine answers, and the call"),
    ("a message for a machine", Twilio, "say_and_hang_up", hang_up_without_text, "is not left the message"),
    ("hanging up by the media socket", Twilio, "has_api", False, "its media socket does not end calls"),
    ("a transfer", Telnyx, "transfer", nothing, "The call is not transferred."),
    ("a transfer with a text", Twilio, "transfer", transfer_without_text, "not transferred as it should be"),
    ("a transfer that the vendor refuses", Twilio, "transfer", transfer_at_any_rate, "returns as if it had not"),
    ("a hold, and its end", Twilio, "hold", nothing, "does not hear the audio that they should"),
    ("a hold, and its end", Telnyx, "resume", nothing, "does not hear the agent again"),
    ("a warm transfer", Twilio, "connect", nothing, "does not hear who they were connected with"),
    ("a warm transfer", Twilio, "connect", connect_one, "does not hear who they were connected with"),
    ("a warm transfer", Telnyx, "connect", nothing, "does not hear who they were connected with"),
    ("a warm transfer", Telnyx, "webhooks", unbriefed(Telnyx.webhooks), "What comes of a warm transfer"),
    ("a warm transfer to who cannot be reached", Twilio, "resume", nothing, "does not hear the agent again"),
    ("a warm transfer to who hangs up", Telnyx, "resume", nothing, "does not hear the agent again"),
    ("a recording", Twilio, "stop_recording", nothing, "is not what the app asked for"),
    ("a recording that is paused", Twilio, "pause_recording", nothing, "is not what the app asked for"),
    (
        "machine detection, a human who is not announced",
        Twilio,
        "capabilities",
        Twilio.capabilities - {Capability.HUMAN_DETECTION},
        "A human is taken for something else",
    ),
    (
        "a recording that ends with the call",
        Twilio,
        "webhooks",
        unread(Twilio.webhooks, "recording"),
        "is never reported",
    ),
    ("keys that the app sends", Telnyx, "send_dtmf", nothing, "does not send the keys"),
    ("keys that the app sends", Vonage, "dtmf_keys", "0123456789*#ABCD", "send_dtmf() raises"),
    ("looking a call up", Twilio, "look_up", look_up_without_looking, "does not tell how far"),
    ("configuring a number", Twilio, "set_voice_url", nothing, "does not point that number"),
    ("putting a number back", Twilio, "put_back", nothing, "does not point a number where it pointed"),
    ("putting a number back", Twilio, "voice_target", same_target, "does not tell a number that is pointed elsewhere"),
    (
        "a media stream that is lost and comes back",
        Twilio,
        "webhooks",
        unread(Twilio.webhooks, "action"),
        "does not come back",
    ),
    ("a media stream that is lost for good", Twilio, "asks_at_stream_end", False, "and the call stays up"),
    ("an engine that is lost", Twilio, "say_and_hang_up", hang_up_without_text, "the text of the fallback"),
    ("an engine that is lost, with a transfer", Twilio, "transfer", transfer_without_text, "as it should be"),
]
EMULATORS: dict[type[Carrier], type[CarrierEmulator]] = {
    Twilio: TwilioEmulator,
    Telnyx: TelnyxEmulator,
    Vonage: VonageEmulator,
}


async def try_one(emulator: CarrierEmulator, doing: str, patience: float = 1.0) -> None:
    async with emulator, Harness.running(Check("carrier", patience), emulator, emulator.carrier()) as harness:
        await play(harness, *(scenario for scenario in (*HANG_UPS, *CONTROL, *NUMBERS) if scenario.doing == doing))


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: f"{mistake[0]}: {mistake[2]}")
async def test_one_with_a_mistake_is_told_which(
    mistake: tuple[str, type[Carrier], str, object, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    doing, cls, name, broken, said = mistake
    monkeypatch.setattr(cls, name, broken)
    message = await told(lambda patience: try_one(EMULATORS[cls](), doing, patience), said, patience=0.4)
    assert f"[carrier: {doing}]" in message


async def test_one_whose_token_does_not_come_back_is_a_stranger_to_another_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Callbacks, "url", lambda callbacks, webhook: f"{callbacks.root}/{webhook}")
    doing = "a media stream that is lost with its worker"
    await told(lambda patience: try_one(TwilioEmulator(), doing, patience), "does not reach the engine", patience=0.4)


@pytest.mark.parametrize("doing", ["a media stream that is lost for good", "an engine that is lost"])
async def test_one_that_only_hangs_up_is_tried_with_what_fails_too(write: Write, doing: str) -> None:
    line = "    async def hang_up(self, leg: Leg) -> None:\n"
    emulator = write("carrier", "carrier.py", line, f"{line}        return\n")
    await told(lambda patience: try_one(emulator(), doing, patience), "and the call stays up")


async def test_of_several_that_fail_the_first_is_raised_and_notes_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Twilio, "set_voice_url", nothing)
    monkeypatch.setattr(Twilio, "look_up", look_up_without_looking)
    emulator = TwilioEmulator()
    async with emulator, Harness.running(Check("carrier"), emulator, emulator.carrier()) as harness:
        tried = [one for one in CONTROL if one.doing in {"looking a call up", "configuring a number"}]
        with pytest.raises(ConformanceError, match="does not tell how far") as caught:
            await play(harness, *tried)
    (note,) = caught.value.__notes__
    assert "configuring a number" in note


async def test_one_that_leaves_out_the_notice_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TwilioControl, "_say", lambda _control, _text: [])
    await told(
        lambda patience: try_one(TwilioEmulator(), "a notice at the call's start", patience),
        "is not what the caller hears first",
        patience=0.4,
    )


def test_every_capability_is_tried() -> None:
    """`PRICE` is tried where a carrier without it is tried in another way."""
    tried = {capability for scenario in CONTROL for capability in scenario.needs}
    assert tried | {Capability.PRICE} == set(Capability)
