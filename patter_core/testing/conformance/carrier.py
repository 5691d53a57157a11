"""`check_carrier`: what a carrier must do, in the order in which it is tried.

The carrier is the one that its emulator makes; calls go over real sockets to the real server.

1. **The class** has a usable name and implements this version of the contract. An **instance** derives its token
   secret from the account's credentials, shows no secret in its `repr`, and names a `voice` webhook. What it declares
   in `capabilities` is written.
2. **The codec** (`codec.py`) is a new one for each media socket, states its format before the stream starts, and reads
   any message without raising.
3. **Webhooks and upgrades that prove nothing** are refused before the router is asked.
4. **Two calls at once** (`scenarios.py`): speech and keys arrive whole, in order and unmixed, marks come back, and a
   caller who hangs up is reported. Meanwhile **a webhook that comes twice** starts no second call.
5. **Broken copies of the vendor's real messages** are survived, with a fixed set of words for their faults. What the
   codec writes are messages.
6. **Forged webhooks**, made of a real one, are refused.
7. **Live calls** are hung up by each way that the carrier has (`hang_ups.py`). **Interruptions** clear the vendor's
   buffer. When **the agent ends** the conversation, the call is hung up.
8. **Control** (`control.py`, `notices.py`, `outbound.py`, `warm.py`), by `Carrier.capabilities`: routes, notices, calls
   that the app makes, machine detection, voicemail, transfer, hold, warm transfer, recording, keys, look-up, numbers.
   For every carrier, **failures** (`failures.py`): a media stream, a worker, an engine that is lost; and **callers**
   (`numbers.py`) who withhold their number, or have a SIP address. The numbers of all legs are E.164, SIP addresses or
   empty.
9. **Commands** (`commands.py`): hanging up a call that is over is a success, and can be cancelled; a vendor that cannot
   be reached is a `CarrierRequestFailed`.

After all calls (`media.py`): their media sockets agreed on a subprotocol, if there is one; each message of agent audio
had the length that the core gave it; no mark came back too early; the emulator's streams noted no `Problem`.

No method and no step of an asynchronous one holds the event loop (`pace.py`): 40 ms are too long, but for the first two
times, and 250 ms once.

At no time does a log line, an error or a `repr` show a secret or a phone number, and nothing is left open at the end.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping

import httpx

from patter_core.carrier import CARRIER_API_VERSION, Carrier
from patter_core.errors import ConformanceError, WebhookRefused
from patter_core.telephony.leg import Leg
from patter_core.testing.conformance.check import SENTINEL, Check
from patter_core.testing.conformance.codec import check_codec, check_codec_with, check_writing
from patter_core.testing.conformance.commands import check_capabilities, check_hang_up, check_unreachable
from patter_core.testing.conformance.control import CONTROL
from patter_core.testing.conformance.hang_ups import HANG_UPS
from patter_core.testing.conformance.harness import Harness
from patter_core.testing.conformance.numbers import NUMBERS, check_numbers
from patter_core.testing.conformance.pace import Pace
from patter_core.testing.conformance.scenarios import CONVERSATIONS, ENDINGS
from patter_core.testing.conformance.scene import play
from patter_core.testing.conformance.watched import WatchedCarrier, WatchedCodec
from patter_core.testing.emulator import CarrierEmulator
from patter_core.testing.fakes import FakeRouter
from patter_core.webhook import Webhook, WebhookRequest

__all__ = ["check_carrier"]

_SHORTEST_SECRET = 16


async def check_carrier(make_emulator: Callable[[], CarrierEmulator], *, patience: float = 1.0) -> None:
    """Tries a carrier against the whole of its contract. It takes up to half a minute: calls are placed in real time.

    Args:
        make_emulator: makes the emulator of `Carrier.emulator`, whose `carrier()` is what is tried.
        patience: a factor for all bounds in time: more for a slow machine.

    Raises:
        ConformanceError: the contract is not kept; the error says what was tried, expected and got.
    """
    check = Check("carrier", patience)
    with check.raises_only_failures(), check.watching_logs():
        async with check.leaving_nothing("The carrier, or its emulator,"):
            async with make_emulator() as emulator:
                check.keep_secret(emulator.secrets)
                carrier = emulator.carrier()
                leg = await _check(check, make_emulator, emulator, carrier)
            await check_unreachable(check, carrier, leg)


async def _check(
    check: Check, make_emulator: Callable[[], CarrierEmulator], emulator: CarrierEmulator, carrier: Carrier
) -> Leg:
    pace = Pace(check)
    watched = WatchedCarrier(carrier, pace)

    def new_codec() -> WatchedCodec:
        return watched.media_codec(Harness.leg_of(carrier))

    # 1. The class, and an instance of it.
    check.check_class(type(carrier), CARRIER_API_VERSION)
    _check_instance(check, emulator, carrier)
    await _check_accounts(check, make_emulator, emulator)
    check_capabilities(check, carrier)
    await check.check_own_checks(carrier.check)
    # 2. The codec, without a message of the vendor's.
    check_codec(check, new_codec, pace)
    # 3. Requests that prove nothing.
    await _check_strangers(check, watched, pace)
    async with Harness.running(check, emulator, carrier, pace) as harness:
        # 4. Two calls at once, and a webhook that comes twice.
        try:
            await play(harness, *CONVERSATIONS)
        except ConformanceError as error:
            if harness.worker.recorder.media:
                _check_reason(error, lambda: check_writing(check, new_codec, harness.worker.recorder.media[0]))
            raise
        # 5. The codec, with the messages of the first call, broken.
        check_codec_with(check, new_codec, pace, harness.worker.recorder.media[0])
        check_writing(check, new_codec, harness.worker.recorder.media[0])
        # 6. Forgeries of the first webhook.
        await _check_forgeries(harness)
        # 7. and 8. All that does not depend on each other, side by side.
        await play(harness, *HANG_UPS, *ENDINGS, *CONTROL, *NUMBERS)
        for session in harness.engine.sessions:
            check_numbers(check, session.setup.leg)
        _keep_private(harness)
        # 9. Commands about a call that is over.
        leg = harness.engine.sessions[0].setup.leg
        await check_hang_up(check, carrier, leg)
    return leg


def _check_reason(error: ConformanceError, check: Callable[[], None]) -> None:
    """What fails here is the reason of another failure."""
    try:
        check()
    except ConformanceError as reason:
        reason.add_note(f"Also: {error}")
        raise reason from None


def _keep_private(harness: Harness) -> None:
    """Adds the numbers and stream tokens of all calls to what logs must not hold: they are looked at in the end."""
    check = harness.check
    legs = [session.setup.leg for session in harness.engine.sessions]  # events have their numbers masked
    for leg in legs:
        check.keep_secret([leg.from_number, leg.to_number])
    check.keep_secret(upgrade.target.rpartition("/")[2] for upgrade in harness.worker.recorder.upgrades)
    check.now("redaction of legs")
    for leg in legs:
        check.shows_nothing("repr(leg)", repr(leg))


def _check_instance(check: Check, emulator: CarrierEmulator, carrier: Carrier) -> None:
    # The token secret is key material, and the same for every worker of the account.
    check.now("the token secret")
    secret: object = carrier.token_secret()
    if not isinstance(secret, bytes) or len(secret) < _SHORTEST_SECRET:
        raise check.failed(
            "token_secret() returns no key material.",
            expected=f"at least {_SHORTEST_SECRET} bytes",
            got=f"{type(secret).__name__} of {len(secret) if isinstance(secret, bytes) else '?'}",
        )
    check.require(
        emulator.carrier().token_secret() == secret,
        "Two carriers of one account have different token secrets.",
        expected="the same bytes on every worker",
        mistake="a secret that is made up at random",
        remedy="Derive it from the account's credentials.",
    )
    check.keep_secret([secret.hex(), base64.b64encode(secret).decode(), repr(secret)[2:-1]])
    # Neither it nor a codec shows a secret.
    check.now("redaction of repr")
    check.shows_nothing("repr(carrier)", f"{carrier!r} {carrier!s} {carrier.media_codec(Harness.leg_of(carrier))!r}")
    # Its webhooks can be served.
    check.now("the webhooks")
    webhooks: Mapping[str, object] = carrier.webhooks()
    names = list(webhooks)
    check.require(
        "voice" in names and all(re.fullmatch(r"[a-z][a-z0-9-]*", name) for name in names),
        "webhooks() cannot be served.",
        expected="“voice”, and names of lower-case letters, digits and hyphens",
        got=repr(names),
    )
    check.require(
        all(isinstance(webhook, Webhook) for webhook in webhooks.values()),
        "webhooks() returns something else than webhooks.",
        expected="Webhook(handler, methods)",
        got=", ".join(sorted({type(webhook).__name__ for webhook in webhooks.values()})),
        mistake="the handler itself",
    )
    # Its media socket is told apart.
    check.now("the media socket's request")
    subprotocols: object = carrier.subprotocols
    check.require(
        isinstance(subprotocols, tuple) and all(isinstance(name, str) for name in subprotocols),
        "`subprotocols` is not a tuple of names.",
        expected="('name',) or ()",
        got=repr(subprotocols),
        mistake="one name without the comma that makes it a tuple",
    )


async def _check_accounts(
    check: Check, make_emulator: Callable[[], CarrierEmulator], emulator: CarrierEmulator
) -> None:
    """Another account has another token secret. An emulator that always plays the same account shows nothing."""
    check.now("the token secret of another account")
    async with make_emulator() as other:
        check.keep_secret(other.secrets)
        if not other.secrets or set(other.secrets) & set(emulator.secrets):
            return
        check.require(
            other.carrier().token_secret() != emulator.carrier().token_secret(),
            "Two accounts have the same token secret.",
            expected="a secret of the account's own",
            mistake="a constant, or the id of the account",
            remedy="Derive it from the account's credentials.",
        )


async def _check_strangers(check: Check, carrier: Carrier, pace: Pace) -> None:
    check.now("a webhook from a stranger")
    url = f"https://phone.example/webhooks/{carrier.name}/voice"
    for body in (b"", b"{}", b"a=b", b"\xff\xfe", f'{{"x": "{SENTINEL}"}}'.encode(), b"[" * 3_000):
        for candidates in ((), (url,)):
            for headers in ({}, {"authorization": "Basic \xff", "content-type": "application/json"}):
                request = WebhookRequest(method="POST", candidate_urls=candidates, headers=headers, body=body)
                for name, webhook in carrier.webhooks().items():
                    router = FakeRouter()
                    refused = False
                    with check.raises_only(problem=f"The handler “{name}” raises something else than WebhookRefused."):
                        try:
                            await webhook.handler(request, router)
                        except WebhookRefused as error:
                            refused = True
                            check.shows_nothing("WebhookRefused", str(error))
                    check.require(
                        refused and not router.reports,
                        f"The handler “{name}” takes a request that proves nothing.",
                        expected="WebhookRefused, before anything is reported to the router",
                        mistake="the signature is checked too late, or only where there is one",
                    )
                with check.raises_only(WebhookRefused, problem="verify_upgrade() raises something else."):
                    carrier.verify_upgrade(request)
                pace.require_quick()


async def _check_forgeries(harness: Harness) -> None:
    """The first webhook, sent again without what proves it, and with other bytes in its body."""
    check = harness.check
    check.now("a forged webhook")
    before = harness.arrived
    genuine = harness.worker.recorder.webhooks[0]
    proofs = genuine.proof_headers
    async with httpx.AsyncClient(base_url=harness.worker.url) as client:
        statuses = {"without its headers": await genuine.again(client, without=frozenset(proofs))}
        for part in range(1, 12 if genuine.body else 1):
            at = len(genuine.body) * part // 12
            changed = genuine.body[:at] + bytes([genuine.body[at] ^ 1]) + genuine.body[at + 1 :]
            statuses[f"with another byte {at} in its body"] = await genuine.again(client, body=changed)
    for how, status in statuses.items():
        check.require(
            status == 403,
            f"A real webhook, sent again {how}, is not refused.",
            expected="403, from WebhookRefused",
            got=str(status),
            mistake="the signature is not compared, or does not cover the body",
            remedy="Verify first, with hmac.compare_digest, and read only what was verified.",
        )
    check.require(harness.arrived == before, "A forged webhook announced a call.")
