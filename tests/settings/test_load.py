"""From a file, the environment and options to a phone: which wins, and what is said of what is wrong."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from patter_core import Agent, Registry
from patter_core.errors import ConfigurationError, PluginNotFound
from patter_core.observe.redaction import Redaction
from patter_core.settings.agents import make_agents
from patter_core.settings.load import address, load
from patter_core.settings.model import AgentConfig, Option, PluginConfig, Settings
from patter_core.settings.phone import make_phone
from patter_core.settings.plugins import (
    make_carrier,
    make_engine,
    make_sinks,
    make_store,
    numbered,
    require_shareable,
)
from patter_elevenlabs import ElevenLabsConvAI
from patter_redis import RedisCallStore
from patter_twilio import Twilio
from patter_twilio.testing import ACCOUNT_SID

FILE = """
phone_number = "+15005550001"
notice = "This call is recorded."

[carrier]
name = "twilio"
options = { account_sid = "ACffffffffffffffffffffffffffffffff", auth_token = "file-token" }

[engine]
name = "elevenlabs"
[engine.options]
api_key = "file-key"
agent_id = "agent_file"

[agent]
system_prompt = "Be brief."
variables = { name = "Ada" }
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_anything_all_is_left_to_the_plugins() -> None:
    assert load(None) == Settings()


def test_a_file_says_all_of_it() -> None:
    Path("patter.toml").write_text(FILE)
    settings = load(None)
    registry = Registry.discover()
    phone = make_phone(registry, settings)
    agent = make_agents(phone, registry, settings)
    assert isinstance(agent, Agent)
    assert make_carrier(registry, settings.carrier) == Twilio("AC" + 32 * "f", "file-token")
    assert agent.notice == "This call is recorded."
    assert isinstance(agent.engine, ElevenLabsConvAI)
    assert (agent.engine.agent_id, agent.system_prompt, agent.variables) == ("agent_file", "Be brief.", {"name": "Ada"})


def test_options_win_over_the_environment_and_that_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("patter.toml").write_text(FILE)
    monkeypatch.setenv("PATTER_ENGINE", "of-the-environment")
    monkeypatch.setenv("PATTER_SYSTEM_PROMPT", "Be long.")
    monkeypatch.setenv("PATTER_SINKS", "one, two")
    monkeypatch.setenv("PATTER_NOTICE", "It is recorded.")
    settings = load(None, carrier="of-an-option")
    assert (settings.carrier, settings.engine) == (PluginConfig("of-an-option"), PluginConfig("of-the-environment"))
    assert settings.agent == AgentConfig("Be long.", "", {"name": "Ada"})
    assert settings.sinks == [PluginConfig("one"), PluginConfig("two")]
    assert settings.notice == "It is recorded."


def test_without_a_name_the_only_one_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", ACCOUNT_SID)
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "token")
    monkeypatch.setenv("PATTER_DISABLE", "telnyx,vonage")
    assert make_carrier(Registry.discover(), PluginConfig()) == Twilio(ACCOUNT_SID, "token")


def test_without_any_it_says_what_to_install() -> None:
    with pytest.raises(PluginNotFound, match="The README says how to install them"):
        make_engine(Registry(), PluginConfig())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("carrier = 1", "carrier"),
        ("colour = 'red'", "colour"),
        ("[carrier]\nname = 'twilio'\ntoken = 'x'", "token"),
        ("phone_number = secret", "not valid TOML"),
        ("a = " + "[" * 20_000, "nested too deep"),
    ],
)
def test_a_file_that_is_not_understood_is_told_and_not_repeated(text: str, said: str) -> None:
    Path("patter.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=said) as caught:
        load(None)
    assert "secret" not in str(caught.value)


PLACES = {
    "a number": ("phone_number = '01234'", {}, r"no plus sign, and 5 characters.*set by phone_number in patter\.toml"),
    "a number of a carrier": ("phone_number = { twilio = '+1' }", {}, r"set by phone_number in patter\.toml"),
    "in the environment": ("", {"PATTER_PHONE_NUMBER": "01234"}, "set by PATTER_PHONE_NUMBER"),
    "an address": ("webhook_url = 'ftp://x'", {}, r"the host alone.*set by webhook_url in patter\.toml"),
    "an address there": ("", {"PATTER_WEBHOOK_URL": "ftp://x"}, "set by PATTER_WEBHOOK_URL"),
    "a port": ("port = 70000", {}, r"not a port number.*set by port in patter\.toml"),
    "a port of apps": ("apps_port = -1", {}, r"not a port number.*set by apps_port in patter\.toml"),
}


@pytest.mark.parametrize(("text", "environment", "said"), PLACES.values(), ids=PLACES.keys())
def test_an_invalid_value_is_told_with_the_key_or_the_variable(
    monkeypatch: pytest.MonkeyPatch, text: str, environment: dict[str, str], said: str
) -> None:
    Path("patter.toml").write_text(text)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=f"(?s){said}") as caught:
        load(None)
    assert "01234" not in str(caught.value)


def test_a_name_that_is_not_installed_is_told_with_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PluginNotFound, match=r"(?s)“json”.*Did you mean jsonl.*\[\[sinks\]\] in the TOML file"):
        make_sinks(Registry.discover(), [PluginConfig("json")])
    monkeypatch.setenv("PATTER_SINKS", "json")
    with pytest.raises(PluginNotFound, match=r"(?s)named by PATTER_SINKS"):
        make_sinks(Registry.discover(), [PluginConfig("json")])
    with pytest.raises(PluginNotFound, match="pip install patter-redis"):
        make_store(Registry(), PluginConfig("redis"))


def test_a_file_that_is_asked_for_must_be_there() -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load(Path("nowhere.toml"))


def test_an_option_that_the_class_does_not_have_is_told_with_those_that_it_has() -> None:
    with pytest.raises(ConfigurationError, match=r"no option “colour”.*account_sid"):
        make_carrier(Registry.discover(), PluginConfig("twilio", {"colour": "red"}))


def test_settings_show_no_credentials_in_their_repr() -> None:
    Path("patter.toml").write_text(FILE)
    assert "file-" not in repr(load(None))
    assert "+15005550001" not in repr(load(None))


@pytest.mark.parametrize("text", ["[limits]\ncals = 3", "[deadlines]\nlongest = 3", "[limits]\ncalls = 'many'"])
def test_a_limit_that_nobody_understands_is_refused(text: str) -> None:
    Path("patter.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=r"limits|deadlines"):
        load(None)


def test_workers_of_other_machines_are_told_of_by_the_file_or_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(None).several_workers is None
    monkeypatch.setenv("PATTER_SEVERAL_WORKERS", "1")
    assert load(None).several_workers
    monkeypatch.delenv("PATTER_SEVERAL_WORKERS")
    Path("patter.toml").write_text("several_workers = true")
    assert load(None).several_workers
    monkeypatch.setenv("PATTER_SEVERAL_WORKERS", "0")
    assert load(None).several_workers is False


def test_redaction_is_set_by_the_file_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(None).redaction == Redaction()
    Path("patter.toml").write_text("[redaction]\ntranscripts = true")
    assert load(None).redaction == Redaction(transcripts=True)
    monkeypatch.setenv("PATTER_REDACT_TRANSCRIPTS", "0")
    assert load(None).redaction == Redaction(transcripts=False)
    Path("patter.toml").unlink()
    monkeypatch.setenv("PATTER_REDACT_TRANSCRIPTS", "1")
    assert load(None).redaction == Redaction(transcripts=True)


def test_which_numbers_are_masked_is_set_by_the_file_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("patter.toml").write_text('[redaction]\nnumbers = "all"\ntranscripts = true')
    assert load(None).redaction == Redaction(numbers="all", transcripts=True)
    monkeypatch.setenv("PATTER_REDACT_NUMBERS", "none")
    assert load(None).redaction == Redaction(numbers="none", transcripts=True)
    monkeypatch.setenv("PATTER_REDACT_NUMBERS", "some")
    with pytest.raises(ConfigurationError, match="PATTER_REDACT_NUMBERS"):
        load(None)


@pytest.mark.parametrize(
    "text", ["[redaction]\nnumbers = 'some'", "[redaction]\ntranscript = true", "[redaction]\ntranscripts = 'yes'"]
)
def test_a_redaction_that_is_not_understood_is_refused_and_not_left_out(text: str) -> None:
    Path("patter.toml").write_text(text)
    with pytest.raises(ConfigurationError, match="redaction"):
        load(None)


def test_a_switch_that_is_not_understood_is_refused_and_not_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATTER_REDACT_TRANSCRIPTS", "true")
    with pytest.raises(ConfigurationError, match="PATTER_REDACT_TRANSCRIPTS"):
        load(None)


def test_each_worker_has_files_of_its_own_where_their_names_hold_its_number() -> None:
    sinks = [PluginConfig("jsonl", {"path": "calls-{worker}.jsonl", "max_bytes": 5}), PluginConfig("sqlite")]
    assert [config.options for config in numbered(sinks, 3)] == [{"path": "calls-3.jsonl", "max_bytes": 5}, {}]


def test_the_only_worker_has_the_number_0(tmp_path: Path) -> None:
    async def write() -> None:
        path = tmp_path / "folder-{worker}" / "calls.jsonl"
        (sink,) = make_sinks(Registry.discover(), [PluginConfig("jsonl", {"path": str(path)})])
        await sink.write([])
        await sink.aclose()

    anyio.run(write)
    assert [folder.name for folder in tmp_path.iterdir()] == ["folder-0"]


STORE = '[store]\nname = "redis"\noptions = { url = "redis://127.0.0.1:6379/0", expiry = 60 }'


def test_a_sink_without_a_name_is_told_by_its_table(tmp_path: Path) -> None:
    path = tmp_path / "patter.toml"
    path.write_text("[[sinks]]\noptions = {path = 'x'}\n", encoding="utf-8")
    said = r"^\[\[sinks\]\] in the TOML file lacks the setting “name”\. Expected console or .*\.$"
    with pytest.raises(ConfigurationError, match=said):
        make_sinks(Registry.discover(), load(path).sinks)


def test_a_store_is_named_by_an_option_or_the_environment_or_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(None).store == PluginConfig()
    Path("patter.toml").write_text(STORE)
    assert load(None).store == PluginConfig("redis", {"url": "redis://127.0.0.1:6379/0", "expiry": 60})
    monkeypatch.setenv("PATTER_STORE", "of-the-environment")
    assert load(None).store == PluginConfig("of-the-environment")
    assert load(None, store="of-an-option").store == PluginConfig("of-an-option")


def test_a_store_is_made_from_its_options_and_given_to_the_phone() -> None:
    registry = Registry.discover()
    Path("patter.toml").write_text(FILE)
    assert make_store(registry, load(None).store) is None
    assert make_phone(registry, load(None)).several_workers is False
    Path("patter.toml").write_text(FILE + STORE)
    assert isinstance(make_store(registry, load(None).store), RedisCallStore)
    assert make_phone(registry, load(None)).several_workers is True  # as with any store


def test_options_of_a_store_without_its_name_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^\[store\] .* lacks the setting “name”\. Expected redis"):
        make_store(Registry.discover(), PluginConfig("", {"expiry": 60}))
    with pytest.raises(PluginNotFound, match="No store “nowhere” is installed"):
        make_store(Registry.discover(), PluginConfig("nowhere"))


def test_where_to_listen_is_said_by_an_option_or_the_environment_or_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    assert address(Settings()) == ("127.0.0.1", 8000)
    settings = Settings(host="::1", port=8001)
    assert address(settings) == ("::1", 8001)
    monkeypatch.setenv("PATTER_HOST", "0.0.0.0")
    monkeypatch.setenv("PATTER_PORT", "8002")
    assert address(settings) == ("0.0.0.0", 8002)
    assert address(settings, "127.0.0.2", 8003) == ("127.0.0.2", 8003)
    monkeypatch.setenv("PATTER_PORT", "eighty")
    with pytest.raises(ConfigurationError, match="not a port number"):
        address(settings)


@pytest.mark.parametrize("option", [{"agent_id": 5}, {"agent_id": True}])
def test_an_option_of_a_wrong_type_is_an_error_of_ours(option: dict[str, Option]) -> None:
    with pytest.raises(ConfigurationError, match=r"ElevenLabsConvAI\(agent_id=…\) is of the wrong type"):
        make_engine(Registry.discover(), PluginConfig("elevenlabs", {"api_key": "key", **option}))


@pytest.mark.parametrize("text", ["[limits]\ncalls = -3", "[deadlines]\nmedia_start = -1.0"])
def test_a_limit_below_nothing_is_refused(text: str) -> None:
    Path("patter.toml").write_text(text)
    with pytest.raises(ConfigurationError, match="out of range"):
        load(None)


@pytest.mark.parametrize(
    ("sinks", "shareable"),
    [
        ('[[sinks]]\nname = "prometheus"\n', True),
        ('[[sinks]]\nname = "jsonl"\noptions = { path = "calls.jsonl" }\n', False),
        ('[[sinks]]\nname = "jsonl"\noptions = { path = "calls-{worker}.jsonl" }\n', True),
        ('[[sinks]]\nname = "sqlite"\n[[sinks]]\nname = "console"\n[[sinks]]\nname = "wav"\n', True),
    ],
)
def test_a_sink_that_workers_cannot_share_is_told_before_they_start(
    tmp_path: Path, sinks: str, shareable: bool
) -> None:
    file = tmp_path / "patter.toml"
    file.write_text(sinks)
    settings = load(file)
    if shareable:
        require_shareable(Registry.discover(), settings.sinks)
    else:
        with pytest.raises(ConfigurationError, match=r"cannot be shared by several workers.*\{worker\}"):
            require_shareable(Registry.discover(), settings.sinks)
