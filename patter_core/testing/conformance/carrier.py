"""`check_carrier`: a carrier's webhooks, media codec and control, tried through its emulator over real sockets."""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Callable, Iterator

import anyio
import httpx

from patter_core.carrier import CARRIER_API_VERSION, Carrier
from patter_core.errors import CarrierRequestFailed, WebhookRefused
from patter_core.media import MediaCodec
from patter_core.telephony.control import RecordingStatus
from patter_core.telephony.leg import AnsweredBy, Leg, Progress
from patter_core.telephony.outcome import HangUp
from patter_core.telephony.prices import Cost
from patter_core.testing.conformance.check import SENTINEL, Check, at_once
from patter_core.testing.conformance.codec import check_codec, check_codec_with
from patter_core.testing.conformance.harness import Harness
from patter_core.testing.conformance.scenarios import agent_ends, interruption, two_talks
from patter_core.testing.emulator import CarrierEmulator
from patter_core.webhook import Reject, WebhookRequest

__all__ = ["check_carrier"]

_SHORTEST_SECRET = 16


async def check_carrier(make_emulator: Callable[[], CarrierEmulator], *, patience: float = 1.0) -> None:
    """Try a carrier against the whole of its contract. It takes some ten seconds: calls are placed in real time.

    Args:
        make_emulator: makes the emulator of `Carrier.emulator`, whose `carrier()` is what is tried.
        patience: what all bounds in time are multiplied by: more for a slow machine.

    Raises:
        ConformanceError: the contract is not kept; the error says what was tried, expected and got.
    """
    check = Check("carrier", patience)
    with check.watching_logs():
        async with check.leaving_nothing("The carrier, or its emulator,"):
            emulator = make_emulator()
            async with emulator:
                check.keep_secret(emulator.secrets)
                carrier = emulator.carrier()
                leg = await _check(check, emulator, carrier)
            await _check_unreachable(check, carrier, leg)


async def _check(check: Check, emulator: CarrierEmulator, carrier: Carrier) -> Leg:
    check.check_class(type(carrier), CARRIER_API_VERSION)
    _check_instance(check, emulator, carrier)

    def new_codec() -> MediaCodec:
        return carrier.media_codec(Harness.leg_of(carrier))

    check_codec(check, new_codec)
    await _check_strangers(check, carrier)
    async with Harness.set_up(check, emulator, carrier) as harness:
        await at_once(lambda: two_talks(harness), lambda: _deliver_twice(harness))
        check_codec_with(check, new_codec, harness.tap.media[0])
        await _check_forgeries(harness)
        await interruption(harness)
        ended = await agent_ends(harness)
        legs = [session.setup.leg for session in harness.engine.sessions]  # events have their numbers masked
        for leg in legs:
            check.keep_secret([leg.from_number, leg.to_number])
        check.keep_secret(upgrade.target.rpartition("/")[2] for upgrade in harness.tap.upgrades)
        check.now("the events")
        for leg in legs:
            check.shows_nothing("repr(leg)", repr(leg))
        leg = ended.session.setup.leg
        await _check_hang_up(check, carrier, leg)
    return leg


def _check_instance(check: Check, emulator: CarrierEmulator, carrier: Carrier) -> None:
    check.now("the token secret")
    secret: object = carrier.token_secret()
    if not isinstance(secret, bytes) or len(secret) < _SHORTEST_SECRET:
        raise check.failed(
            "token_secret() is no key material.",
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
    check.now("redaction of repr")
    check.shows_nothing("repr(carrier)", f"{carrier!r} {carrier!s} {carrier.media_codec(Harness.leg_of(carrier))!r}")
    check.now("the webhooks")
    names = list(carrier.webhooks())
    check.require(
        "voice" in names and all(re.fullmatch(r"[a-z][a-z0-9-]*", name) for name in names),
        "webhooks() is not as the server needs it.",
        expected="“voice”, and names of lower-case letters, digits and hyphens",
        got=repr(names),
    )


class _UnreachedRouter:
    """A router that no unverified request may reach."""

    def __init__(self) -> None:
        self.reached = False

    def call(self, leg: Leg, verified_url: str, token: str = "") -> _UnreachedCall:
        self.reached = True
        return _UnreachedCall()

    @contextlib.contextmanager
    def seen(self, event_id: str) -> Iterator[bool]:
        self.reached = True
        yield False


class _UnreachedCall:
    async def arrived(self) -> Reject:
        return Reject(reason="rejected")

    async def stream_ended(self) -> HangUp:
        return HangUp()

    async def progressed(self, progress: Progress) -> None:
        pass

    async def answered_by(self, who: AnsweredBy) -> None:
        pass

    async def recording_changed(self, status: RecordingStatus) -> None:
        pass

    async def priced(self, cost: Cost) -> None:
        pass


async def _check_strangers(check: Check, carrier: Carrier) -> None:
    check.now("a webhook from a stranger")
    url = f"https://phone.example/webhooks/{carrier.name}/voice"
    for body in (b"", b"{}", b"a=b", b"\xff\xfe", f'{{"x": "{SENTINEL}"}}'.encode(), b"[" * 3_000):
        for candidates in ((), (url,)):
            for headers in ({}, {"authorization": "Basic \xff", "content-type": "application/json"}):
                request = WebhookRequest(method="POST", candidate_urls=candidates, headers=headers, body=body)
                for name, handler in carrier.webhooks().items():
                    router = _UnreachedRouter()
                    refused = False
                    with check.raises_only(problem=f"The handler “{name}” raises something else than WebhookRefused."):
                        try:
                            await handler(request, router)
                        except WebhookRefused as error:
                            refused = True
                            check.shows_nothing("WebhookRefused", str(error))
                    check.require(
                        refused and not router.reached,
                        f"The handler “{name}” takes a request that proves nothing.",
                        expected="WebhookRefused, before the router is asked anything",
                        mistake="the signature is checked too late, or only where there is one",
                    )
                with check.raises_only(WebhookRefused, problem="verify_upgrade() raises something else."):
                    carrier.verify_upgrade(request)


async def _deliver_twice(harness: Harness) -> None:
    """While calls are on, the first webhook comes again, as carriers do."""
    await harness.sink.wait_for("media_started", 2)
    before = len(harness.announced)
    async with httpx.AsyncClient(base_url=harness.url) as client:
        status = await harness.tap.webhooks[0].again(client)
    harness.check.now("a webhook that is delivered twice")
    harness.check.require(
        status < 400 and len(harness.announced) == before,
        "A repeated webhook is not taken as the same call.",
        expected="the same answer, and no second call",
        got=f"status {status}, {len(harness.announced) - before} more calls",
        mistake="a Leg whose call_id is not the vendor's own",
    )


async def _check_forgeries(harness: Harness) -> None:
    check = harness.check
    check.now("a forged webhook")
    before = len(harness.announced)
    genuine = harness.tap.webhooks[0]
    proofs = genuine.proof_headers
    async with httpx.AsyncClient(base_url=harness.url) as client:
        statuses = {"without its headers": await genuine.again(client, without=frozenset(proofs))}
        for part in range(1, 12 if genuine.body else 1):  # one may hit where no text makes sense
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
    check.require(len(harness.announced) == before, "A forged webhook announced a call.")


async def _check_hang_up(check: Check, carrier: Carrier, leg: Leg) -> None:
    check.now("hanging up a call that is over")
    with (
        check.within(15, "hang_up() does not return."),
        check.raises_only(
            problem="hang_up() of a call that is over is an error.",
            mistake="the vendor's “not found” and “not in progress” are not taken as success",
        ),
    ):
        await carrier.hang_up(leg)
        await carrier.hang_up(leg)
    check.now("cancelling hang_up()")
    with check.within(2, "hang_up() does not let itself be cancelled.", mistake="`except BaseException`, or a shield"):
        for delay in (0.0, 0.002):
            with anyio.move_on_after(delay):
                await carrier.hang_up(leg)


async def _check_unreachable(check: Check, carrier: Carrier, leg: Leg) -> None:
    check.now("a vendor that cannot be reached")
    with (
        check.within(20, "hang_up() waits for ever for a vendor that does not answer."),
        check.raises_only(
            CarrierRequestFailed,
            problem="hang_up() raises something else than CarrierRequestFailed.",
            mistake="an exception of the HTTP client that is passed on",
        ),
    ):
        await carrier.hang_up(leg)
