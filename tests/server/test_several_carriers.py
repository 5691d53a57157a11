"""One worker with two carriers: the same ids on both never meet, and a call fails over only if it was not made."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import ClassVar

import anyio
import httpx
import pytest

from patter_core.agent import Agent, CallOptions
from patter_core.call.config import HostConfig
from patter_core.call.handle import OutboundCall
from patter_core.call.limits import Limits
from patter_core.call.timeouts import Deadlines
from patter_core.carrier import Carrier
from patter_core.errors import CallError, CallLimitReached, CarrierRequestFailed, ConfigurationError
from patter_core.events import CallAnnounced, CallEnded, CallPriced, Record
from patter_core.server.app import make_app
from patter_core.server.host import CallHost
from patter_core.server.serving import serve_app
from patter_core.server.trunks import carriers_by_name, numbers_by_carrier, picked
from patter_core.telephony.control import Capability, DialRequest, LegFacts
from patter_core.telephony.leg import Leg, Progress
from patter_core.telephony.prices import Cost
from patter_core.testing.fakes import FakeCarrier, FakeEngine, MemorySink
from patter_core.webhook import Accept, Reject, RoutedCall
from tests.polling import until

pytestmark = pytest.mark.anyio


class OtherCarrier(FakeCarrier):
    name: ClassVar[str] = "other"


class Unreliable(OtherCarrier):
    """Fails a request to dial in the way that it is given."""

    def __init__(self, failure: BaseException) -> None:
        super().__init__()
        self.failure = failure

    async def dial(self, request: DialRequest) -> str:
        self.dialled.append(request)
        raise self.failure


class Mute(OtherCarrier):
    capabilities: ClassVar[frozenset[Capability]] = frozenset()


def refused(name: str = "other") -> CarrierRequestFailed:
    return CarrierRequestFailed(f"{name} would not.", taken=False, status=400)


class Scene:
    def __init__(self, *carriers: FakeCarrier, several_workers: bool = False, limits: Limits | None = None) -> None:
        self.carriers = carriers or (FakeCarrier(), OtherCarrier())
        self.sink = MemorySink()
        self.agent = Agent(engine=FakeEngine())
        self.several_workers = several_workers
        self.limits = limits or Limits(drain=0.01, price_after=(0.0,))
        self.host = self.new_host()

    def new_host(self) -> CallHost:
        async def route(_leg: Leg) -> Agent:
            return self.agent

        return CallHost(
            *self.carriers,
            config=HostConfig(
                limits=self.limits,
                deadlines=Deadlines(last_word=0.05),
                several_workers=self.several_workers,
            ),
            route=route,
            find_agent=lambda _name: self.agent,
            sinks=[self.sink],
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[CallHost]:
        with anyio.fail_after(10):
            async with self.host.running():
                yield self.host

    async def dial(self, *names: str) -> OutboundCall:
        return await self.host.dialer.dial(
            agent=self.agent,
            to_number="+15550001111",
            callers={name: f"+1555000222{number}" for number, name in enumerate(names)},
            base="https://phone.example",
            ring_timeout=5,
            options=CallOptions(),
        )

    def records(self, kind: type) -> Sequence[Record]:
        return [record for record in self.sink.records if isinstance(record.event, kind)]


def routed(host: CallHost, carrier: str, *, token: str = "", call_id: str = "leg-1") -> RoutedCall:
    url = f"https://phone.example/webhooks/{carrier}/voice"
    return host.routers[carrier].call(Leg(carrier=carrier, call_id=call_id), url, token)


async def accepted(host: CallHost, carrier: str) -> Accept:
    answer = await routed(host, carrier).arrived()
    assert isinstance(answer, Accept)
    return answer


# --- the same ids --------------------------------------------------------------------------------------------------


async def test_two_calls_with_the_same_id_on_two_carriers_never_meet() -> None:
    scene = Scene()
    async with scene.running() as host:
        first, second = await accepted(host, "fake"), await accepted(host, "other")
        assert first.call_id != second.call_id
        assert len(host.table) == 2
        await routed(host, "fake").progressed(Progress.COMPLETED)
        await until(lambda: len(host.table) == 1)
        (left,) = host.table.calls
        assert (left.leg.carrier, left.call_id) == ("other", second.call_id)
        assert isinstance(await routed(host, "fake").arrived(), Reject)  # it is over
        assert (await accepted(host, "other")).call_id == second.call_id  # it is not
    assert {record.call_id for record in scene.records(CallEnded)} == {first.call_id, second.call_id}


async def test_a_call_that_is_over_on_one_carrier_may_begin_on_the_other() -> None:
    scene = Scene()
    async with scene.running() as host:
        await accepted(host, "fake")
        await routed(host, "fake").progressed(Progress.COMPLETED)
        await until(lambda: not len(host.table))
        await accepted(host, "other")
        assert [call.leg.carrier for call in host.table.calls] == ["other"]


async def test_an_event_of_one_carrier_is_new_though_the_other_had_one_with_its_id() -> None:
    scene = Scene()
    async with scene.running() as host:
        for carrier in ("fake", "other"):
            with host.routers[carrier].seen("event-1") as seen:
                assert not seen
            with host.routers[carrier].seen("event-1") as seen:
                assert seen


async def test_the_price_of_a_call_is_that_of_its_carrier() -> None:
    scene = Scene()
    ids = {}
    async with scene.running() as host:
        for number, carrier in enumerate(scene.carriers, start=1):
            carrier.facts = LegFacts(progress=Progress.COMPLETED, cost=Cost(Decimal(number), estimated=False))
            ids[carrier.name] = (await accepted(host, carrier.name)).call_id
            await routed(host, carrier.name).progressed(Progress.ANSWERED)
            await routed(host, carrier.name).progressed(Progress.COMPLETED)
        await scene.sink.wait_for("call_priced", 2)
    prices = {
        record.call_id: record.event.cost.amount
        for record in scene.sink.records
        if isinstance(record.event, CallPriced)
    }
    assert prices == {ids["fake"]: 1, ids["other"]: 2}


async def test_a_hang_up_that_failed_is_asked_again_of_its_own_carrier() -> None:
    class Deaf(OtherCarrier):
        deaf = True

        async def hang_up(self, leg: Leg) -> None:
            if self.deaf:
                raise refused()
            await super().hang_up(leg)

        async def look_up(self, leg: Leg) -> LegFacts:
            return LegFacts(progress=Progress.ANSWERED)

    good, deaf = FakeCarrier(), Deaf()
    scene = Scene(good, deaf)
    async with scene.running() as host:
        await accepted(host, "fake")
        await accepted(host, "other")
        for call in host.table.calls:
            call.hang_up()
        await until(lambda: not len(host.table))
        assert (len(host.trunks["fake"].hang_ups), len(host.trunks["other"].hang_ups)) == (0, 1)
        deaf.deaf = False
    assert (good.hung_up, deaf.hung_up) == (["leg-1"], ["leg-1"])


# --- whose is what -------------------------------------------------------------------------------------------------


async def test_a_carrier_cannot_report_calls_of_the_other() -> None:
    scene = Scene()
    async with scene.running() as host:
        await accepted(host, "fake")
        with pytest.raises(CallError, match="another carrier"):
            host.routers["other"].call(Leg(carrier="fake", call_id="leg-1"), "https://a/webhooks/other/voice")
        assert len(host.table) == 1


async def test_a_token_of_one_carrier_is_none_at_the_other() -> None:
    scene = Scene(several_workers=True)  # both have the same secret, which only a test has
    async with scene.running() as host:
        accept = await accepted(host, "fake")
        stream = accept.media_url.rsplit("/", 1)[1]
        assert host.routers["other"].claim(stream) is None
        assert host.trunks["other"].tokens.read_callback(accept.callbacks.token) is None
        call = host.routers["fake"].claim(stream)
        assert call is not None
        assert call.leg.carrier == "fake"


async def test_one_app_serves_the_webhooks_and_media_sockets_of_all() -> None:
    scene = Scene()
    with anyio.fail_after(20):
        async with serve_app(make_app(scene.host)) as url, httpx.AsyncClient(base_url=url) as client:
            for carrier in ("fake", "other"):
                answer = await client.post(f"/webhooks/{carrier}/voice", content="leg-1", headers={"x-fake": "yes"})
                assert answer.text.startswith(f"{url.replace('http', 'ws')}/media/{carrier}/")
            assert (await client.post("/webhooks/none/voice", content="leg-1")).status_code == 404
            assert [call.leg.carrier for call in scene.host.table.calls] == ["fake", "other"]


# --- fail-over -----------------------------------------------------------------------------------------------------


async def test_a_call_that_was_refused_is_made_by_the_next_carrier(caplog: pytest.LogCaptureFixture) -> None:
    refusing, good = Unreliable(refused()), FakeCarrier()
    scene = Scene(refusing, good)
    async with scene.running() as host:
        call = await scene.dial("other", "fake")
        assert call.leg.carrier == "fake"
        assert call.leg.from_number == good.dialled[0].from_number == "+15550002221"
        assert refusing.dialled[0].callbacks.token != good.dialled[0].callbacks.token
        late = routed(host, "other", token=refusing.dialled[0].callbacks.token, call_id="x")
        assert isinstance(await late.arrived(), Reject)  # should it have been made all the same
        await call.hang_up()
    (announced,) = scene.records(CallAnnounced)
    assert isinstance(announced.event, CallAnnounced)
    assert announced.event.leg.carrier == "fake"
    assert "other did not take a call" in caplog.text


@pytest.mark.parametrize(
    "failure",
    [CarrierRequestFailed("No answer."), CarrierRequestFailed("A fault.", status=503), TimeoutError(), SystemExit(1)],
)
async def test_a_call_that_may_have_been_made_is_not_made_again(failure: BaseException) -> None:
    unsure, good = Unreliable(failure), FakeCarrier()
    scene = Scene(unsure, good)
    async with scene.running() as host:
        with pytest.raises(Exception) as raised:  # noqa: PT011 - what is raised differs, and is compared
            await scene.dial("other", "fake")
        assert failure in (raised.value, raised.value.__cause__)
        assert len(host.table) == 0
        assert not host.table.dialling
    assert (len(unsure.dialled), len(good.dialled)) == (1, 0)


@pytest.mark.parametrize("taken", [True, False])
async def test_a_call_that_was_answered_while_its_carrier_failed_is_that_call(taken: bool) -> None:
    failing, good = OtherCarrier(), FakeCarrier()
    scene = Scene(failing, good)

    async def answer(request: DialRequest, call_id: str) -> None:
        await routed(scene.host, "other", token=request.callbacks.token, call_id=call_id).arrived()
        raise CarrierRequestFailed("The answer was lost.", taken=taken)

    failing.on_dial = answer
    async with scene.running() as host:
        call = await scene.dial("other", "fake")
        assert (call.leg.carrier, call.leg.call_id, len(host.table)) == ("other", "out-1", 1)
        await call.hang_up()
    assert good.dialled == []


async def test_a_call_that_rings_was_made_whatever_its_carrier_says() -> None:
    failing, good = OtherCarrier(), FakeCarrier()
    scene = Scene(failing, good)

    async def ring(request: DialRequest, call_id: str) -> None:
        await routed(scene.host, "other", token=request.callbacks.token, call_id=call_id).progressed(Progress.RINGING)
        raise refused()

    failing.on_dial = ring
    async with scene.running():
        with pytest.raises(CarrierRequestFailed) as raised:
            await scene.dial("other", "fake")
    assert raised.value.taken
    assert good.dialled == []


async def test_where_all_refuse_the_last_refusal_is_raised_with_the_others_in_its_notes() -> None:
    class Third(FakeCarrier):
        name: ClassVar[str] = "third"

    good = FakeCarrier()
    good.refusals, third = 1, Third()
    third.refusals = 1
    scene = Scene(Unreliable(refused()), good, third)
    async with scene.running():
        with pytest.raises(CarrierRequestFailed) as raised:
            await scene.dial("other", "fake", "third")
    assert raised.value.__notes__ == [
        "Before, other did not take the call: other would not.",
        "Before, fake did not take the call: The fake carrier would not.",
    ]
    assert not scene.records(CallAnnounced)


async def test_no_other_carrier_is_asked_once_the_worker_stops() -> None:
    scene = Scene()
    other = scene.carriers[1]
    other.refusals = 1

    async def stop(_request: DialRequest, _call_id: str) -> None:
        scene.host.table.draining = True

    other.on_dial = stop
    async with scene.running():
        with pytest.raises(CarrierRequestFailed):
            await scene.dial("other", "fake")
    assert scene.carriers[0].dialled == []


async def test_a_call_counts_once_however_many_carriers_are_asked() -> None:
    scene = Scene(Unreliable(refused()), FakeCarrier(), limits=Limits(drain=0.01, outbound_per_minute=2))
    async with scene.running():
        for _ in range(2):
            await (await scene.dial("other", "fake")).hang_up()
        with pytest.raises(CallLimitReached, match="outbound_per_minute"):
            await scene.dial("other", "fake")
    assert [len(carrier.dialled) for carrier in scene.carriers] == [2, 2]


async def test_calls_and_transfers_of_one_worker_share_their_limits() -> None:
    scene = Scene(limits=Limits(drain=0.01, destinations_per_hour=1))
    async with scene.running() as host:
        await (await scene.dial("fake")).hang_up()
        await accepted(host, "other")
        (call,) = (one for one in host.table.calls if not one.is_over)
        call.context.destinations.take("+15550001111")  # which was called
        with pytest.raises(CallLimitReached, match="destinations_per_hour"):
            call.context.destinations.take("+15550009999")


async def test_no_carrier_dials_if_one_of_them_could_not() -> None:
    scene = Scene(FakeCarrier(), Mute())
    async with scene.running():
        with pytest.raises(CallError, match="carrier other cannot make calls"):
            await scene.dial("fake", "other")
    assert scene.carriers[0].dialled == []


# --- what a phone is given -----------------------------------------------------------------------------------------


def test_each_carrier_has_a_name_of_its_own() -> None:
    one, other = FakeCarrier(), OtherCarrier()
    assert carriers_by_name(one) == {"fake": one}
    assert list(carriers_by_name([other, one])) == ["other", "fake"]
    with pytest.raises(ConfigurationError, match="two carriers “fake”"):
        carriers_by_name([one, FakeCarrier()])
    with pytest.raises(ConfigurationError, match="empty list"):
        carriers_by_name([])


@pytest.mark.parametrize("wrong", ["fake", b"fake", None, 7, [FakeCarrier(), "other"], FakeCarrier])
def test_what_is_no_carrier_is_refused(wrong: Carrier) -> None:
    with pytest.raises(ConfigurationError, match="`carrier` is not a Carrier"):
        carriers_by_name(wrong)


def test_a_number_is_one_carriers() -> None:
    both = carriers_by_name([FakeCarrier(), OtherCarrier()])
    one = carriers_by_name(FakeCarrier())
    assert numbers_by_carrier("+15550001111", one) == {"fake": "+15550001111"}
    assert numbers_by_carrier("", both) == {}
    assert numbers_by_carrier({"other": "+15550001111"}, both) == {"other": "+15550001111"}
    with pytest.raises(ConfigurationError, match=r"which carrier's number.*'fake': …, 'other': …"):
        numbers_by_carrier("+15550001111", both)
    with pytest.raises(ConfigurationError, match=r"“third”.*fake or other"):
        numbers_by_carrier({"third": "+15550001111"}, both)
    for number in ("15550001111", ""):
        with pytest.raises(ConfigurationError, match=r"E\.164"):
            numbers_by_carrier({"fake": number}, both)


def test_a_call_names_carriers_of_the_phone() -> None:
    one, other = FakeCarrier(), OtherCarrier()
    both = carriers_by_name([one, other])
    assert picked((), both) == ["fake"]
    assert picked("other", both) == picked(other, both) == ["other"]
    assert picked([other, "fake"], both) == ["other", "fake"]
    for wrong in ("third", FakeCarrier(), [one, OtherCarrier()]):
        with pytest.raises(ConfigurationError, match="not one of this phone"):
            picked(wrong, both)
    with pytest.raises(ConfigurationError, match="twice"):
        picked(["fake", one], both)
