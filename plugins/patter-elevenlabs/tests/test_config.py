from __future__ import annotations

import dataclasses

import pytest

from patter_core.errors import ConfigurationError
from patter_elevenlabs.config import Service, check_variables


def service(base_url: str = "", agent_id: str = "agent_1") -> Service:
    return Service.resolve("Thing", api_key="sk_secret", agent_id=agent_id, base_url=base_url)


def test_the_environment_fills_what_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELEVENLABS_API_KEY", "sk_env\n")
    monkeypatch.setenv("ELEVENLABS_AGENT_ID", "agent_env")
    monkeypatch.setenv("ELEVENLABS_BASE_URL", "http://127.0.0.1:5")
    found = Service.resolve("Thing")
    assert (found.api_key, found.agent_id, found.base_url) == ("sk_env", "agent_env", "http://127.0.0.1:5")
    assert Service.resolve("Thing", agent_id="agent_given").agent_id == "agent_given"


def test_a_missing_value_names_parameter_variable_and_place() -> None:
    with pytest.raises(ConfigurationError, match=r"Thing\(api_key=…\).*ELEVENLABS_API_KEY.*dashboard"):
        Service.resolve("Thing", agent_id="agent_1")
    with pytest.raises(ConfigurationError, match=r"Thing\(agent_id=…\).*ELEVENLABS_AGENT_ID.*dashboard"):
        Service.resolve("Thing", api_key="sk_secret")


def test_a_key_that_cannot_be_sent_is_refused_without_being_shown() -> None:
    for key in ("sk_\nsecret", "sk secret", "sk_sécret"):
        with pytest.raises(ConfigurationError) as error:
            Service.resolve("Thing", api_key=key, agent_id="agent_1")
        assert "cret" not in str(error.value)


@pytest.mark.parametrize(
    ("key", "agent", "said"),
    [
        ("sk_secret", "sk_secret", r"agent_id=….*is not an agent's ID.*9 characters: they look like an API key"),
        ("agent_secret", "agent_secret", r"api_key=….*is not an API key.*12 characters: they look like an agent's ID"),
    ],
)
def test_key_and_agent_exchanged_are_told_and_not_shown(key: str, agent: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as error:
        Service.resolve("Thing", api_key=key, agent_id=agent)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("agent", "got"),
    [
        ('"agent_a"', "9 characters: they begin with a quotation mark"),
        ("agent_a”", "8 characters"),
        ("My agent", "8 characters"),
        ("https://elevenlabs.io/app/agents/agent_a", "40 characters: an address"),
    ],
)
def test_what_cannot_be_an_agents_id_is_refused_and_not_shown(agent: str, got: str) -> None:
    with pytest.raises(ConfigurationError, match="is not an agent's ID") as error:
        service(agent_id=agent)
    assert error.value.got == got
    assert agent not in str(error.value)


def test_a_key_of_another_service_is_told_and_not_shown() -> None:
    with pytest.raises(ConfigurationError, match=r"is not an API key\. .*begin with sk-, and not with sk_") as error:
        Service.resolve("Thing", api_key="sk-proj-secret", agent_id="agent_1")
    assert "secret" not in str(error.value)


def test_the_key_is_not_in_the_repr() -> None:
    assert "sk_secret" not in repr(service())
    assert service().headers == {"xi-api-key": "sk_secret"}


def test_the_socket_follows_from_the_base_url() -> None:
    assert service().conversation_url == "wss://api.elevenlabs.io/v1/convai/conversation?agent_id=agent_1"
    assert service("http://localhost:80/").conversation_url.startswith("ws://localhost:80/v1/convai/")
    assert service("https://[::1]:8").conversation_url.startswith("wss://[::1]:8/v1")
    assert service().signed_url_url == (
        "https://api.elevenlabs.io/v1/convai/conversation/get-signed-url?agent_id=agent_1"
    )


def test_a_branch_and_an_environment_are_in_the_query_where_they_are_set() -> None:
    chosen = dataclasses.replace(service(), branch_id="b&1", environment="staging")
    assert chosen.conversation_url.endswith("?agent_id=agent_1&environment=staging")
    assert chosen.signed_url_url.endswith("?agent_id=agent_1&branch_id=b%261&environment=staging")


def test_an_agent_id_cannot_add_to_the_query() -> None:
    assert service(agent_id="a&b=c").conversation_url.endswith("?agent_id=a%26b%3Dc")


@pytest.mark.parametrize(
    "base_url",
    [
        "api.elevenlabs.io",
        "wss://x",
        "https://",
        "https://x/v1",
        "https://x?k=v",
        "https://me:pw@x",
        "http://x:99999",
        "http://[",
    ],
)
def test_an_invalid_base_url_is_refused_without_being_shown(base_url: str) -> None:
    with pytest.raises(ConfigurationError, match="base_url") as error:
        service(base_url)
    assert "pw" not in str(error.value)


def test_variables_of_the_service_cannot_be_set() -> None:
    check_variables({"name": "Ada", "secret__token": "x"}, "Thing")
    with pytest.raises(ConfigurationError, match="system__time"):
        check_variables({"system__time": "now"}, "Thing")
