"""The front door: wrong values are refused before any call, with what to do."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from patter_core import Capability, HangUp, Limits, Patter, Retry, Transfer
from patter_core.engine import EngineCapability
from patter_core.errors import CallError, ConfigurationError
from patter_core.registry import Registry
from patter_core.server.serving import serve_app
from patter_core.testing.fakes import FakeCarrier, FakeEngine, MemoryCallStore


def phone(**options: str) -> Patter:
    return Patter(carrier=FakeCarrier(), registry=Registry(), **options)  # type: ignore[arg-type] # strings only here


def test_agents_get_names_of_their_own() -> None:
    patter = phone()
    names = [patter.agent(engine=FakeEngine()).name for _ in range(3)]
    assert names == ["agent", "agent-2", "agent-3"]


def test_a_name_is_given_once() -> None:
    patter = phone()
    patter.agent(engine=FakeEngine(), name="concierge")
    with pytest.raises(ConfigurationError, match="concierge"):
        patter.agent(engine=FakeEngine(), name="concierge")


@pytest.mark.parametrize("number", ["15550001234", "+1 555 000 1234", "+0123456789", "call me"])
def test_a_number_that_is_not_e164_is_refused_and_not_repeated(number: str) -> None:
    with pytest.raises(ConfigurationError, match=r"E\.164") as caught:
        phone(phone_number=number)
    assert number not in str(caught.value)


def test_a_carrier_or_engine_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="carrier"):
        Patter(carrier="acme")  # type: ignore[arg-type] # the mistake under test
    with pytest.raises(ConfigurationError, match="engine"):
        phone().agent(engine="acme")  # type: ignore[arg-type] # the mistake under test


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"phone_number": 15550001234}, r"phone_number=…\) is of the wrong type\. Expected a text"),
        ({"webhook_url": None}, r"webhook_url=…\) .* Got None"),
        ({"sinks": "console"}, r"sinks=…\) .* Expected a list, each an EventSink\. Got str"),
        ({"sinks": ["console"]}, r"sinks=…\) .* Expected an EventSink\. Got str at sinks\[0\]"),
        ({"store": "redis"}, r"store=…\) .* Expected a CallStore or None"),
        ({"redaction": "all"}, r"redaction=…\) .* Expected a Redaction or None"),
        ({"limits": {"calls": 5}}, r"limits=…\) .* Expected a Limits or None\. Got dict"),
        ({"notice": ["Recorded."]}, r"notice=…\) .* Expected a text"),
        ({"on_call_start": "started"}, r"on_call_start=…\) .* Expected a function or None"),
    ],
)
def test_a_value_of_another_type_is_refused_where_it_is_set(options: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"Patter\({told}"):
        phone(**options)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"fallback": "bye"}, r"Expected Transfer\(\"\+15550001234\"\) for a number, HangUp\(.*or an agent\. Got str"),
        ({"first_message": 5}, "Expected a text"),
        ({"system_prompt": None}, "Expected a text. Got None"),
        ({"variables": ["name"]}, "Expected a mapping of a text to a text, a number or a boolean or a function"),
        ({"variables": {"name": None}}, r"Got None at variables\['name'\]"),
        ({"idle_after": "5"}, "Expected a number"),
        ({"language": 1}, "Expected a text"),
        ({"notice": 5}, "Expected a text"),
        ({"name": 1}, "Expected a text"),
    ],
)
def test_an_agents_value_of_another_type_is_refused_where_it_is_set(options: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"agent\({next(iter(options))}=…\) is of the wrong type.*{told}"):
        phone().agent(engine=FakeEngine(), **options)  # type: ignore[arg-type] # mistakes under test


@pytest.mark.parametrize("number", ["15550001234", "call me", "+1 555 000 1234"])
def test_calls_are_routed_by_numbers_only(number: str) -> None:
    with pytest.raises(
        ConfigurationError, match=r"not a number\. Expected a plus sign.* Got .* characters with"
    ) as caught:
        phone().asgi({number: None})
    assert number not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "values"),
    [
        (Transfer, {"to": 5}),
        (HangUp, {"say": 5}),
        (Retry, {"times": "2"}),
        (Retry, {"then": "+15550001111"}),
        (Limits, {"calls": "5"}),
    ],
)
def test_what_becomes_of_calls_is_of_the_right_type(make: Callable[..., object], values: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match=r"is of the wrong type"):
        make(**values)


def test_an_agent_needs_an_engine() -> None:
    with pytest.raises(ConfigurationError, match=r"needs an engine.* or stt=, llm= and tts=.* Got nothing"):
        phone().agent(system_prompt="Be brief.")
    with pytest.raises(ConfigurationError, match="Got the class FakeEngine"):
        phone().agent(engine=FakeEngine)  # type: ignore[arg-type] # the mistake


def test_tools_are_ignored_with_a_warning_that_holds_the_engine_s_hint(caplog: pytest.LogCaptureFixture) -> None:
    class Toolmaker(FakeEngine):
        tools_hint = "Give them to the maker."

    patter = phone()
    patter.agent(engine=Toolmaker())
    assert not caplog.records
    patter.agent(engine=Toolmaker(), tools=[print])
    assert "tools= is ignored" in caplog.text
    assert "Give them to the maker." in caplog.text


class Talker(FakeEngine):
    capabilities = frozenset({EngineCapability.SPEECH, EngineCapability.PROMPT})


class Speaker(FakeEngine):
    capabilities = frozenset({EngineCapability.SAY, EngineCapability.PROMPT})


@pytest.mark.parametrize("engine", [FakeEngine(), Speaker()])
def test_an_idle_message_needs_an_engine_that_hears_when_the_caller_speaks_and_says_what_it_is_told(
    engine: FakeEngine,
) -> None:
    patter = phone()
    with pytest.raises(ConfigurationError, match=r"fake cannot say idle messages.*speech and say or speech and.*Leave"):
        patter.agent(engine=engine, idle_message="Are you still there?")
    assert patter.agent(engine=engine).name == "agent"  # the one before was not made
    assert patter.agent(engine=Talker(), idle_message="Are you still there?").idle_after == 10


@pytest.mark.parametrize("after", [0, 0.9, -1, 3601, float("nan"), float("inf")])
def test_an_idle_time_has_bounds(after: float) -> None:
    with pytest.raises(ConfigurationError, match="`idle_after` is out of range"):
        phone().agent(engine=Talker(), idle_message="Are you still there?", idle_after=after)


def test_its_repr_shows_no_number() -> None:
    assert "555" not in repr(phone(phone_number="+15550001234"))


@pytest.mark.anyio
async def test_an_address_that_is_taken_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATTER_PORT", "no port")
    with pytest.raises(ConfigurationError, match="PATTER_PORT"):
        await phone().serve()
    with pytest.raises(ConfigurationError, match=r"192\.0\.2\.1"):
        await phone().serve(host="192.0.2.1", port=1)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("options", "to", "told"),
    [
        ({"phone_number": "+15550001234"}, "+15550009876", "webhook_url"),
        ({"webhook_url": "https://phone.example"}, "+15550009876", "phone_number"),
        ({"webhook_url": "https://phone.example", "phone_number": "+15550001234"}, "12", r"E\.164"),
        ({"webhook_url": "https://phone.example", "phone_number": "+15550001234"}, "+15550009876", "No server runs"),
    ],
)
async def test_a_call_says_what_it_lacks_before_anybody_is_dialled(options: dict[str, str], to: str, told: str) -> None:
    patter = phone(**options)
    with pytest.raises((ConfigurationError, CallError), match=told) as caught:
        await patter.call(to, agent=patter.agent(engine=FakeEngine()))
    assert to not in str(caught.value)
    assert patter.calls == []


@pytest.mark.anyio
async def test_the_callers_number_has_the_form_of_one() -> None:
    patter = phone(webhook_url="https://phone.example", phone_number="+15550001234")
    with pytest.raises(
        ConfigurationError, match=r"^`from_number` is not an E\.164 number\..* Leave out all but"
    ) as caught:
        await patter.call("+15550009876", agent=patter.agent(engine=FakeEngine()), from_number="+1 (555) 000-4321")
    assert "4321" not in str(caught.value)


@pytest.mark.anyio
async def test_a_ring_timeout_has_bounds() -> None:
    patter = phone(webhook_url="https://phone.example", phone_number="+15550001234")
    with pytest.raises(ConfigurationError, match="ring_timeout"):
        await patter.call("+15550009876", agent=patter.agent(engine=FakeEngine()), ring_timeout=1)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("options", "told"),
    [({"webhook_url": "https://phone.example"}, "phone_number"), ({"phone_number": "+15550001234"}, "webhook_url")],
)
async def test_a_number_is_configured_only_with_all_that_takes(options: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        await phone(**options).serve(configure_number=True)


# --- several carriers ----------------------------------------------------------------------------------------------


class OtherCarrier(FakeCarrier):
    name = "other"


class Unconfigurable(OtherCarrier):
    capabilities = FakeCarrier.capabilities - {Capability.CONFIGURE_NUMBER}


NUMBERS = {"fake": "+15550001111", "other": "+15550002222"}


@pytest.mark.anyio
async def test_a_call_is_dialled_by_the_first_carrier_or_by_the_one_that_is_named() -> None:
    fake, other = FakeCarrier(), OtherCarrier()
    patter = Patter(
        carrier=[fake, other], registry=Registry(), phone_number=NUMBERS, webhook_url="https://phone.example"
    )
    assert repr(patter) == "<Patter on fake, other>"
    agent = patter.agent(engine=FakeEngine())
    with anyio.fail_after(10):
        async with serve_app(patter.asgi(agent)):
            for carrier in ((), "other", other, [other, fake], ["other", "fake"]):
                call = await patter.call("+15550009876", agent=agent, carrier=carrier)
                await call.hang_up()
            other.refusals = 1
            call = await patter.call("+15550009876", agent=agent, carrier=["other", "fake"], from_number="+15550003333")
            assert call.leg.carrier == "fake"
            await call.hang_up()
    assert [request.from_number for request in fake.dialled] == ["+15550001111", "+15550003333"]
    assert [request.from_number for request in other.dialled] == ["+15550002222"] * 4 + ["+15550003333"]


@pytest.mark.anyio
async def test_each_carrier_points_its_number_at_its_own_webhook() -> None:
    fake, other = FakeCarrier(), OtherCarrier()
    patter = Patter(
        carrier=[fake, other], registry=Registry(), phone_number=NUMBERS, webhook_url="https://phone.example"
    )
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            ready = anyio.Event()
            tasks.start_soon(
                functools.partial(patter.serve, port=0, configure_number=True, on_ready=lambda _url: ready.set())
            )
            await ready.wait()
            tasks.cancel_scope.cancel()
    assert fake.commands == ["point +15550001111 https://phone.example/webhooks/fake/voice"]
    assert other.commands == ["point +15550002222 https://phone.example/webhooks/other/voice"]


@pytest.mark.anyio
async def test_a_carrier_without_a_number_is_not_configured() -> None:
    def phone_with(**numbers: str) -> Patter:
        return Patter(
            carrier=[FakeCarrier(), Unconfigurable()],
            registry=Registry(),
            phone_number=numbers,
            webhook_url="https://phone.example",
        )

    with anyio.move_on_after(0.5) as scope:
        await phone_with(fake=NUMBERS["fake"]).serve(
            port=0, configure_number=True, on_ready=lambda _url: scope.cancel()
        )
    with pytest.raises(CallError, match="configure_number"):
        await phone_with(**NUMBERS).serve(configure_number=True)
    with pytest.raises(ConfigurationError, match="phone_number"):
        await Patter(carrier=FakeCarrier(), registry=Registry(), webhook_url="https://phone.example").serve(
            configure_number=True
        )


@pytest.mark.anyio
async def test_what_is_printed_names_the_webhook_of_each_carrier(capsys: pytest.CaptureFixture[str]) -> None:
    patter = Patter(carrier=[FakeCarrier(), OtherCarrier()], registry=Registry(), webhook_url="https://phone.example")
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(functools.partial(patter.serve, port=0))
            shown = ""
            while "Point your number" not in shown:
                await anyio.sleep(0.01)
                shown += capsys.readouterr().err
            tasks.cancel_scope.cancel()
    assert "https://phone.example/webhooks/fake/voice and https://phone.example/webhooks/other/voice." in shown


# --- one phone, one server, its own agents -------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_second_app_or_server_of_one_phone_is_an_error_that_says_what_to_do() -> None:
    patter = phone()
    patter.asgi()
    with pytest.raises(ConfigurationError, match=r"served already.*make a second Patter"):
        patter.asgi()
    with pytest.raises(ConfigurationError, match="served already"):
        await patter.serve(port=0)


@pytest.mark.anyio
async def test_an_agent_that_the_phone_did_not_make_is_refused_wherever_it_is_given() -> None:
    patter = phone(webhook_url="https://phone.example", phone_number="+15550001234")
    stranger = phone().agent(engine=FakeEngine())
    for give in (
        lambda: patter.asgi(stranger),
        lambda: patter.asgi({"+15550001234": stranger}),
        lambda: patter.agent(engine=FakeEngine(), fallback=stranger),
        lambda: patter.agent(engine=FakeEngine(), fallback=Retry(then=stranger)),
    ):
        with pytest.raises(ConfigurationError, match=r"not made by this phone.*phone\.agent"):
            give()
    with pytest.raises(ConfigurationError, match="not made by this phone"):
        await patter.call("+15550009876", agent=stranger)


@pytest.mark.anyio
@pytest.mark.parametrize("how", ["port", "environment"])
async def test_port_0_takes_any_free_port(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "environment":
        monkeypatch.setenv("PATTER_PORT", "0")
    ports: list[int] = []
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            for patter in (phone(), phone()):
                ready = anyio.Event()

                def on_ready(url: str, ready: anyio.Event = ready) -> None:
                    ports.append(int(url.rpartition(":")[2]))
                    ready.set()

                port = 0 if how == "port" else None
                tasks.start_soon(functools.partial(patter.serve, port=port, on_ready=on_ready))
                await ready.wait()
            tasks.cancel_scope.cancel()
    assert len(set(ports)) == 2
    assert 0 not in ports


def test_a_phone_with_a_store_assumes_several_workers_unless_told_otherwise() -> None:
    store = MemoryCallStore()
    made = [
        Patter(carrier=FakeCarrier(), registry=Registry()),
        Patter(carrier=FakeCarrier(), registry=Registry(), store=store),
        Patter(carrier=FakeCarrier(), registry=Registry(), store=store, several_workers=False),
        Patter(carrier=FakeCarrier(), registry=Registry(), several_workers=True),
    ]
    assert [patter.several_workers for patter in made] == [False, True, False, True]


def test_what_a_plugin_logs_is_masked_whatever_its_logger_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "acme_carrier.py").write_text(
        "import logging\n\ndef call():\n    logging.getLogger('calls').warning('from %s', '+15550001234')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = Registry.discover([importlib.metadata.EntryPoint("acme", "acme_carrier", "patter")])
    Patter(carrier=FakeCarrier(), registry=registry)
    importlib.import_module("acme_carrier").call()
    assert [record.getMessage() for record in caplog.records if record.name == "calls"] == ["from +*********34"]


def test_a_text_that_the_carrier_cannot_say_is_told_when_the_agent_is_made(caplog: pytest.LogCaptureFixture) -> None:
    class Mute(FakeCarrier):
        capabilities = FakeCarrier.capabilities - {Capability.SAY}

    for carrier, told in ((FakeCarrier(), 0), (Mute(), 2)):
        patter = Patter(carrier=carrier, registry=Registry())
        for fallback in (HangUp("Sorry."), Retry(then=HangUp("Sorry.")), HangUp()):
            patter.agent(engine=FakeEngine(), fallback=fallback)
        assert sum("is not said" in record.getMessage() for record in caplog.records) == told
