"""`check_carrier`: a carrier's webhooks, media codec and control, tried through its emulator over real sockets."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

import anyio
import httpx

from patter_core.carrier import CARRIER_API_VERSION, Carrier, MediaCodec, Rejection, WebhookRequest
from patter_core.control import Farewell, RecordingStatus
from patter_core.cost import Cost
from patter_core.errors import CarrierRequestFailed, WebhookRefused
from patter_core.leg import AnsweredBy, Leg, Progress
from patter_core.testing.conformance.calls import agent_ends, interruption, two_talks
from patter_core.testing.conformance.codec import check_codec, check_codec_with
from patter_core.testing.conformance.stage import Stage
from patter_core.testing.conformance.trial import SENTINEL, Trial, at_once
from patter_core.testing.emulator import CarrierEmulator

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
    trial = Trial("carrier", patience)
    with trial.watching_logs():
        async with trial.leaving_nothing("The carrier, or its emulator,"):
            emulator = make_emulator()
            async with emulator:
                trial.keep_secret(emulator.secrets)
                carrier = emulator.carrier()
                leg = await _check(trial, emulator, carrier)
            await _check_unreachable(trial, carrier, leg)


async def _check(trial: Trial, emulator: CarrierEmulator, carrier: Carrier) -> Leg:
    trial.check_class(type(carrier), CARRIER_API_VERSION)
    _check_instance(trial, emulator, carrier)

    def new_codec() -> MediaCodec:
        return carrier.media_codec(Stage.leg_of(carrier))

    check_codec(trial, new_codec)
    await _check_strangers(trial, carrier)
    async with Stage.set_up(trial, emulator, carrier) as stage:
        await at_once(lambda: two_talks(stage), lambda: _deliver_twice(stage))
        check_codec_with(trial, new_codec, stage.tap.media[0])
        await _check_forgeries(stage)
        await interruption(stage)
        ended = await agent_ends(stage)
        legs = [session.setup.leg for session in stage.engine.sessions]  # events have their numbers masked
        for leg in legs:
            trial.keep_secret([leg.from_number, leg.to_number])
        trial.keep_secret(upgrade.target.rpartition("/")[2] for upgrade in stage.tap.upgrades)
        trial.now("the events")
        for leg in legs:
            trial.shows_nothing("repr(leg)", repr(leg))
        leg = ended.session.setup.leg
        await _check_hang_up(trial, carrier, leg)
    return leg


def _check_instance(trial: Trial, emulator: CarrierEmulator, carrier: Carrier) -> None:
    trial.now("the token secret")
    secret: object = carrier.token_secret()
    if not isinstance(secret, bytes) or len(secret) < _SHORTEST_SECRET:
        raise trial.failed(
            "token_secret() is no key material.",
            expected=f"at least {_SHORTEST_SECRET} bytes",
            got=f"{type(secret).__name__} of {len(secret) if isinstance(secret, bytes) else '?'}",
        )
    trial.require(
        emulator.carrier().token_secret() == secret,
        "Two carriers of one account have different token secrets.",
        expected="the same bytes on every worker",
        mistake="a secret that is made up at random",
        remedy="Derive it from the account's credentials.",
    )
    trial.keep_secret([secret.hex(), base64.b64encode(secret).decode(), repr(secret)[2:-1]])
    trial.now("redaction of repr")
    trial.shows_nothing("repr(carrier)", f"{carrier!r} {carrier!s} {carrier.media_codec(Stage.leg_of(carrier))!r}")
    trial.now("the webhooks")
    names = list(carrier.webhooks())
    trial.require(
        "voice" in names and all(re.fullmatch(r"[a-z][a-z0-9-]*", name) for name in names),
        "webhooks() is not as the server needs it.",
        expected="“voice”, and names of lower-case letters, digits and hyphens",
        got=repr(names),
    )


class _NoDesk:
    """A desk that nobody who proves nothing may reach."""

    def __init__(self) -> None:
        self.reached = False

    async def announce(self, leg: Leg, verified_url: str, ticket: str = "") -> Rejection:
        self.reached = True
        return Rejection(reason="rejected")

    async def after_stream(self, leg: Leg, verified_url: str, ticket: str = "") -> Farewell:
        self.reached = True
        return Farewell()

    async def progress(self, leg: Leg, progress: Progress, ticket: str = "") -> None:
        self.reached = True

    async def answered_by(self, leg: Leg, who: AnsweredBy, ticket: str = "") -> None:
        self.reached = True

    async def recording(self, leg: Leg, status: RecordingStatus, ticket: str = "") -> None:
        self.reached = True

    async def priced(self, leg: Leg, cost: Cost, ticket: str = "") -> None:
        self.reached = True

    def first_time(self, event_id: str) -> bool:
        self.reached = True
        return True

    def forget(self, event_id: str) -> None:
        self.reached = True


async def _check_strangers(trial: Trial, carrier: Carrier) -> None:
    trial.now("a webhook from a stranger")
    url = f"https://phone.example/webhooks/{carrier.name}/voice"
    for body in (b"", b"{}", b"a=b", b"\xff\xfe", f'{{"x": "{SENTINEL}"}}'.encode(), b"[" * 3_000):
        for candidates in ((), (url,)):
            for headers in ({}, {"authorization": "Basic \xff", "content-type": "application/json"}):
                request = WebhookRequest(method="POST", candidate_urls=candidates, headers=headers, body=body)
                for name, handler in carrier.webhooks().items():
                    desk = _NoDesk()
                    refused = False
                    with trial.raises_only(problem=f"The handler “{name}” raises something else than WebhookRefused."):
                        try:
                            await handler(request, desk)
                        except WebhookRefused as error:
                            refused = True
                            trial.shows_nothing("WebhookRefused", str(error))
                    trial.require(
                        refused and not desk.reached,
                        f"The handler “{name}” takes a request that proves nothing.",
                        expected="WebhookRefused, before the desk is asked anything",
                        mistake="the signature is checked too late, or only where there is one",
                    )
                with trial.raises_only(WebhookRefused, problem="verify_upgrade() raises something else."):
                    carrier.verify_upgrade(request)


async def _deliver_twice(stage: Stage) -> None:
    """While calls are on, the first webhook comes again, as carriers do."""
    await stage.sink.wait_for("media_started", 2)
    before = len(stage.announced)
    async with httpx.AsyncClient(base_url=stage.url) as client:
        status = await stage.tap.webhooks[0].again(client)
    stage.trial.now("a webhook that is delivered twice")
    stage.trial.require(
        status < 400 and len(stage.announced) == before,
        "A repeated webhook is not taken as the same call.",
        expected="the same answer, and no second call",
        got=f"status {status}, {len(stage.announced) - before} more calls",
        mistake="a Leg whose call_id is not the vendor's own",
    )


async def _check_forgeries(stage: Stage) -> None:
    trial = stage.trial
    trial.now("a forged webhook")
    before = len(stage.announced)
    genuine = stage.tap.webhooks[0]
    proofs = genuine.proof_headers
    async with httpx.AsyncClient(base_url=stage.url) as client:
        statuses = {"without its headers": await genuine.again(client, without=frozenset(proofs))}
        for part in range(1, 12 if genuine.body else 1):  # one may hit where no text makes sense
            at = len(genuine.body) * part // 12
            changed = genuine.body[:at] + bytes([genuine.body[at] ^ 1]) + genuine.body[at + 1 :]
            statuses[f"with another byte {at} in its body"] = await genuine.again(client, body=changed)
    for how, status in statuses.items():
        trial.require(
            status == 403,
            f"A real webhook, sent again {how}, is not refused.",
            expected="403, from WebhookRefused",
            got=str(status),
            mistake="the signature is not compared, or does not cover the body",
            remedy="Verify first, with hmac.compare_digest, and read only what was verified.",
        )
    trial.require(len(stage.announced) == before, "A forged webhook announced a call.")


async def _check_hang_up(trial: Trial, carrier: Carrier, leg: Leg) -> None:
    trial.now("hanging up a call that is over")
    with (
        trial.within(15, "hang_up() does not return."),
        trial.raises_only(
            problem="hang_up() of a call that is over is an error.",
            mistake="the vendor's “not found” and “not in progress” are not taken as success",
        ),
    ):
        await carrier.hang_up(leg)
        await carrier.hang_up(leg)
    trial.now("cancelling hang_up()")
    with trial.within(2, "hang_up() does not let itself be cancelled.", mistake="`except BaseException`, or a shield"):
        for delay in (0.0, 0.002):
            with anyio.move_on_after(delay):
                await carrier.hang_up(leg)


async def _check_unreachable(trial: Trial, carrier: Carrier, leg: Leg) -> None:
    trial.now("a vendor that cannot be reached")
    with (
        trial.within(20, "hang_up() waits for ever for a vendor that does not answer."),
        trial.raises_only(
            CarrierRequestFailed,
            problem="hang_up() raises something else than CarrierRequestFailed.",
            mistake="an exception of the HTTP client that is passed on",
        ),
    ):
        await carrier.hang_up(leg)
