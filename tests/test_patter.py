"""The front door: wrong values are refused before any call, with what to do."""

from __future__ import annotations

import pytest

from patter_core import Patter
from patter_core.errors import CallError, ConfigurationError
from patter_core.registry import Registry
from patter_core.testing.fakes import FakeCarrier, FakeEngine


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


@pytest.mark.parametrize("part", ["stt", "llm", "tts"])
def test_pipeline_mode_without_a_plugin_for_it_says_so(part: str) -> None:
    parts: dict[str, object] = {part: object()}
    with pytest.raises(ConfigurationError, match=rf"{part}= ask for pipeline mode, and no plugin .*engine="):
        phone().agent(**parts)  # type: ignore[arg-type] # strings to objects


def test_an_engine_takes_no_parts_of_a_pipeline() -> None:
    with pytest.raises(ConfigurationError, match=r"takes no stt= or tts="):
        phone().agent(engine=FakeEngine(), stt=object(), tts=object())


def test_an_agent_needs_an_engine() -> None:
    with pytest.raises(ConfigurationError, match="needs an engine"):
        phone().agent(system_prompt="Be brief.")


def test_tools_are_ignored_with_a_warning_that_holds_the_engine_s_hint(caplog: pytest.LogCaptureFixture) -> None:
    class Toolmaker(FakeEngine):
        tools_hint = "Give them to the maker."

    patter = phone()
    patter.agent(engine=Toolmaker())
    assert not caplog.records
    patter.agent(engine=Toolmaker(), tools=[print])
    assert "tools= is ignored" in caplog.text
    assert "Give them to the maker." in caplog.text


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
