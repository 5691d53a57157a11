"""What `Patter.serve` takes as its routes, over real sockets: who answers, with which options, on whatever worker."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from typing import ClassVar

import anyio
import anyio.lowlevel
import httpx
import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect

from patter_core import Agent, AgentForCall, CallOptions, Deadlines, Leg, Patter, Registry, Reject, Transfer, hookimpl
from patter_core.errors import ConfigurationError
from patter_core.plugins.loading import new_manager
from patter_core.server.routing import RouteHooks, Routes, Routing
from patter_core.server.serving import serve_app
from patter_core.server.tokens import CallTokens
from patter_core.testing.fakes import FakeCarrier, FakeEngine, FakeMessage

pytestmark = pytest.mark.anyio

FAKE = {"x-fake": "yes"}
LEG = Leg(carrier="fake", call_id="leg-1", to_number="+15550001234")


class NarrowCarrier(FakeCarrier):
    longest_media_url: ClassVar[int] = 700


class Optional(FakeEngine):
    call_options: ClassVar[Mapping[str, type[str]]] = {"branch": str}


class Older(FakeEngine):
    """The engine of an earlier version, without that option."""


class Worker:
    """A phone with one agent, called `one`."""

    def __init__(
        self,
        carrier: FakeCarrier | None = None,
        *,
        registry: Registry | None = None,
        engine: FakeEngine | None = None,
        webhook_url: str = "",
    ) -> None:
        self.engine = engine or Optional()
        self.phone = Patter(
            carrier=carrier or FakeCarrier(),
            registry=registry or Registry(),
            several_workers=True,
            phone_number="+15550001234",
            webhook_url=webhook_url,
            deadlines=Deadlines(route=0.3, last_word=0.1, media_return=0.1),
        )
        self.agent = self.phone.agent(
            engine=self.engine,
            name="one",
            language="en",
            voice="v1",
            first_message="Hello.",
            variables=lambda leg: {"looked_up": "a secret of the database", "leg": leg.call_id, "name": "?"},
        )

    @contextlib.asynccontextmanager
    async def serving(self, routing: Routing | None) -> AsyncIterator[str]:
        async with serve_app(self.phone.asgi(routing)) as url:
            yield url


async def arrive(url: str, leg: str = "leg-1") -> str:
    """What the carrier is told of a call that arrives."""
    async with httpx.AsyncClient(base_url=url) as client:
        response = await client.post("/webhooks/fake/voice", content=leg, headers=FAKE)
    assert response.status_code in {200, 503}
    return response.text


async def say(media: ClientConnection, event: str, value: str = "") -> None:
    await media.send(msgspec.json.encode(FakeMessage(event, value)).decode())


@pytest.mark.parametrize(("engine", "known"), [(Optional(), {"branch": "b1"}), (Older(), {})])
async def test_the_options_of_a_route_reach_a_worker_that_never_saw_the_webhook(
    engine: FakeEngine, known: dict[str, str]
) -> None:
    first, second = Worker(), Worker(engine=engine)

    async def route(leg: Leg) -> AgentForCall:
        await anyio.lowlevel.checkpoint()
        return first.agent.with_options(
            first_message="Good day, Ada.",
            variables={"name": "Ada", "leg": leg.call_id},
            language="it",
            engine_options={"branch": "b1"},
        )

    with anyio.fail_after(20):
        async with first.serving(route) as url, second.serving(None) as other:
            media_url = await arrive(url)
            elsewhere = media_url.replace(url.partition("://")[2], other.partition("://")[2])
            async with connect(elsewhere, additional_headers=FAKE) as media:
                await say(media, "start", "leg-1")
                session = await second.engine.session()
                (call,) = second.phone.calls
                await say(media, "stop")
            await call.wait()
    assert first.engine.sessions == []
    assert session.setup.first_message == "Good day, Ada."
    assert (session.setup.language, session.setup.voice) == ("it", "v1")
    assert session.setup.engine_options == known
    # the function ran here; the options of the call win over what it returned
    assert session.setup.variables == {"looked_up": "a secret of the database", "leg": "leg-1", "name": "Ada"}


async def test_what_the_function_of_an_agent_looked_up_does_not_travel() -> None:
    worker = Worker()
    long_look_up = worker.phone.agent(engine=worker.engine, name="long", variables=lambda _leg: {"text": "x" * 10_000})
    async with worker.serving({"": long_look_up.with_options(variables={"name": "Ada"})}) as url:
        assert len(await arrive(url)) < 700


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize(
    ("answer", "told"), [(Reject(), "rejected"), (Reject(reason="busy"), "busy"), (None, "rejected")]
)
async def test_a_function_may_reject(answer: Reject | None, told: str, plain: bool) -> None:
    def function(_leg: Leg) -> Reject | None:
        return answer

    async def coroutine_function(_leg: Leg) -> Reject | None:
        return answer

    async with Worker().serving(function if plain else coroutine_function) as url:
        assert told in await arrive(url)


async def test_a_function_may_transfer_and_a_mapping_may_too() -> None:
    transfer = Transfer("+15550007777")
    hooks = RouteHooks(new_manager(), 1.0)
    assert await Routes(lambda _leg: transfer, hooks, 1.0).decide(LEG) is transfer
    assert await Routes({LEG.to_number: transfer}, hooks, 1.0).decide(LEG) is transfer
    assert await Routes({"+15550005678": transfer}, hooks, 1.0).decide(LEG) is None
    assert await Routes(None, hooks, 1.0).decide(LEG) is None


def fail(_leg: Leg) -> Agent:
    raise ValueError("It fails.")


def leave(_leg: Leg) -> Agent:
    sys.exit(1)


async def say_cancelled(_leg: Leg) -> Agent:
    raise asyncio.CancelledError


async def hang(_leg: Leg) -> Agent:
    await anyio.sleep_forever()
    raise AssertionError


def made_by_hand(_leg: Leg) -> AgentForCall:
    return AgentForCall("one")  # type: ignore[arg-type] # the mistake under test


def name_it(_leg: Leg) -> str:
    return "one"


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (fail, "ValueError: It fails."),
        (leave, "It raised SystemExit."),
        (say_cancelled, "It raised CancelledError, without being cancelled."),
        (hang, "It took too long."),
        (made_by_hand, "not routed to an Agent, one with options, a Reject, a Transfer or None but to AgentForCall"),
        (name_it, "not routed to an Agent, one with options, a Reject, a Transfer or None but to str"),
    ],
)
async def test_a_function_that_does_it_wrong_is_told_and_its_call_alone_is_rejected(
    function: Callable[[Leg], object], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Worker()
    wrong = {"leg-1"}

    async def route(leg: Leg) -> object:
        answer = function(leg) if leg.call_id in wrong else worker.agent
        return await answer if asyncio.iscoroutine(answer) else answer

    with anyio.fail_after(20):
        async with worker.serving(route) as url:  # type: ignore[arg-type] # the mistake under test
            assert "rejected" in await arrive(url)
            assert "/media/fake/" in await arrive(url, "leg-2")
    assert told in caplog.text
    assert "the call is rejected" in caplog.text


async def test_a_mapping_of_the_users_own_that_fails_rejects_its_call(caplog: pytest.LogCaptureFixture) -> None:
    class Database(dict[str, Agent]):
        def get(self, key: str, default: object = None) -> Agent:
            sys.exit(f"{default} {key}")

    async with Worker().serving(Database()) as url:
        assert "rejected" in await arrive(url)
        assert "rejected" in await arrive(url, "leg-2")
    assert caplog.text.count("What routes calls failed") == 2
    assert "It raised SystemExit." in caplog.text


async def test_options_that_were_made_by_hand_are_checked_too(caplog: pytest.LogCaptureFixture) -> None:
    worker = Worker()
    options = CallOptions(variables=None)  # type: ignore[arg-type] # the mistake under test
    async with worker.serving(lambda _leg: AgentForCall(worker.agent, options)) as url:
        assert "rejected" in await arrive(url)
    assert "`variables` of one call are no mapping" in caplog.text


async def test_a_plain_function_that_blocks_does_not_block_other_calls() -> None:
    worker, gate = Worker(), threading.Event()

    def route(leg: Leg) -> Agent:
        if leg.call_id == "leg-1":
            gate.wait(20)
        return worker.agent

    with anyio.fail_after(20):
        async with worker.serving(route) as url, anyio.create_task_group() as tasks:
            tasks.start_soon(arrive, url)
            assert "/media/fake/" in await arrive(url, "leg-2")
            gate.set()


async def test_an_agent_that_this_phone_did_not_make_is_refused_with_the_remedy(
    caplog: pytest.LogCaptureFixture,
) -> None:
    worker, made_elsewhere = Worker(), Worker().agent
    async with worker.serving(lambda _leg: made_elsewhere.with_options(first_message="Hi.")) as url:
        assert "rejected" in await arrive(url)
    assert "“one” that this phone has not made" in caplog.text
    assert "phone.agent(name=…)" in caplog.text


async def test_a_plugin_may_give_an_agent_options() -> None:
    class Concierge:
        agent: ClassVar[Agent]

        @hookimpl
        def patter_route_call(self) -> AgentForCall:
            return self.agent.with_options(first_message="Welcome back.")

    registry = Registry()
    registry.manager.register(Concierge())
    worker = Worker(registry=registry)
    Concierge.agent = worker.agent
    with anyio.fail_after(20):
        async with worker.serving(None) as url, connect(await arrive(url), additional_headers=FAKE) as media:
            await say(media, "start", "leg-1")
            assert (await worker.engine.session()).setup.first_message == "Welcome back."
            await say(media, "stop")


async def test_options_that_do_not_fit_into_the_carriers_url_reject_the_call_and_the_log_names_the_field(
    caplog: pytest.LogCaptureFixture,
) -> None:
    worker = Worker(NarrowCarrier())
    async with worker.serving(lambda _leg: worker.agent.with_options(variables={"notes": "x" * 400})) as url:
        assert "rejected" in await arrive(url)
    assert "too long for a URL of fake" in caplog.text
    assert "variables['notes'] has 400" in caplog.text


async def test_options_that_fit_into_one_carriers_url_are_taken_there_and_refused_for_another_before_any_call() -> None:
    wide, narrow = Worker(), Worker(NarrowCarrier())
    notes = {"notes": "x" * 400}
    async with wide.serving({"": wide.agent.with_options(variables=notes)}) as url:
        assert "/media/fake/" in await arrive(url)
    for routing in (narrow.agent.with_options(variables=notes), {"": narrow.agent.with_options(variables=notes)}):
        with pytest.raises(ConfigurationError, match=r"too long for a URL of fake.*variables\['notes'\] has 400"):
            narrow.phone.asgi(routing)


async def test_what_cannot_route_is_refused_before_any_call() -> None:
    worker = Worker()
    for routing, told in (
        ("one", "function of the call's Leg.*Got str"),
        (7, "Got int"),
        ({"+15550001234": "one"}, "an Agent, one with options, a Reject.*Got str"),
    ):
        with pytest.raises(ConfigurationError, match=told):
            worker.phone.asgi(routing)  # type: ignore[arg-type] # the mistake under test
    with pytest.raises(ConfigurationError, match="not made by this phone"):
        worker.phone.asgi({"+15550001234": Worker().agent.with_options(first_message="Hi.")})


async def test_the_options_of_an_outbound_call_are_those_of_the_agent_given_and_of_the_call() -> None:
    carrier = FakeCarrier()
    worker = Worker(carrier, webhook_url="https://phone.example")
    agent = worker.agent.with_options(
        first_message="Hello.", variables={"a": 1, "b": 2}, language="it", engine_options={"branch": "b1"}
    )
    too_long = worker.agent.with_options(engine_options={"branch": "x" * 4_000})
    async with worker.serving(None):
        for call in (
            await worker.phone.call("+15550009876", agent=agent, variables={"b": 3}, voicemail_message="Call us."),
            await worker.phone.call("+15550009876", agent=worker.agent, first_message="Hi."),
        ):
            await call.hang_up()
        with pytest.raises(ConfigurationError, match="not made by this phone"):
            await worker.phone.call("+15550009876", agent=Worker().agent.with_options(language="it"))
        with pytest.raises(ConfigurationError, match=r"`variables\['a'\]` is not finite"):
            await worker.phone.call("+15550009876", agent=worker.agent, variables={"a": float("nan")})
        with pytest.raises(ConfigurationError, match=r"engine_options\['branch'\] has 4000"):
            await worker.phone.call("+15550009876", agent=too_long)
    tokens = [CallTokens(carrier).read_callback(request.callbacks.token) for request in carrier.dialled]
    assert [token and token.options for token in tokens] == [
        CallOptions(
            first_message="Hello.",
            variables={"a": 1, "b": 3},
            language="it",
            engine_options={"branch": "b1"},
            machine_detection=True,
            voicemail_message="Call us.",
        ),
        CallOptions(first_message="Hi."),
    ]
