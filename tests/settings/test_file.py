"""`patter.toml`: unknown settings are told with those that are known, wherever they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from patter_core.config.variables import CORE_VARIABLES
from patter_core.errors import ConfigurationError
from patter_core.settings.file import read_file
from patter_core.settings.invalid import IN_TABLES
from patter_core.settings.model import AgentFallback, PluginConfig, RetryFallback, Settings
from patter_core.telephony.outcome import HangUp


def read(folder: Path, text: str) -> object:
    path = folder / "patter.toml"
    path.write_text(text, encoding="utf-8")
    return read_file(path)


ALONE = {
    "CONFIG",
    "CONTROL",
    "DB",
    "DISABLE",
    "LOG_FORMAT",
    "LOG_LEVEL",
    "TRACEBACK",
    "WORKER",
    "WORKERS_FOLDER",
    "WORKERS_SECRET",
}
"""What the environment sets, and the file does not."""

UNKNOWN = {
    "at the top": ('weebhook_url = ""', "“weebhook_url”. .*webhook_url.* Did you mean webhook_url"),
    "in a table": ("[agent]\nfirst_mesage = 'Hi'", "“first_mesage” in agent. .* Did you mean first_message"),
    "in a list": ("[[sinks]]\nnam = 'jsonl'", r"“nam” in sinks\[0\]. Expected name, options. Did you mean name"),
    "under a name": ("[agents.sales]\nlanguge = 'it'", r"“languge” in agents.sales. .* Did you mean language"),
    "in a part": ("[agent.parts.stt]\nmodel = 'x'", r"“model” in agent.parts.stt. Expected name, options"),
    "in limits": ("[limits]\ncals = 3", "“cals” in limits. .* Did you mean calls"),
    "in deadlines": ("[deadlines]\nlongest = 3", "“longest” in deadlines. .* Did you mean longest_call"),
    "of another type": (
        "[agents.a]\nfallback = {type = 'hang_up', to = '+15550001234'}",
        r"“to” in agents\.a\.fallback\. Expected say\.$",
    ),
    "of another type, deeper": (
        "[agent]\nfallback = {type = 'retry', then = {type = 'agent', tu = ''}}",
        r"“tu” in agent\.fallback\.then\. Expected name\.$",
    ),
    "set in a table": ('system_prompt = "x"', r"SYSTEM_PROMPT, or by system_prompt in \[agent\]\."),
    "a password": ("apps_password = 'x'", r"PATTER_APPS_PASSWORD, or by password in \[apps_access\]\."),
    "set by a variable alone": ("log_level = 'debug'", r"by the environment variable PATTER_LOG_LEVEL\."),
    "named as its variable": ("PATTER_WORKERS_SECRET = 'x'", r"environment variable PATTER_WORKERS_SECRET\."),
    "a setting, named as its variable": ("PATTER_PORT = 8000", r"“PATTER_PORT”\. .* Write port\."),
    "set by an option alone": ("workers = 2", r"“workers”\. .* It is the option --workers of `patter serve`\."),
    "of a table": ("drain = 30", r"“drain”\. .* It is a setting of \[limits\]\."),
    "of another table": ("[deadlines]\noutbound_per_minute = 3", r" It is a setting of \[limits\]\."),
    "of several tables": ("name = 'acme'", r" It is a setting of \[carrier\], \[engine\] or \[store\]\."),
    "a credential": ("acme_auth_token = 'x'", r"A vendor's credential is an environment variable, .*`patter doctor`"),
    "a credential in a table": (
        "[engine]\napi_key = 'x'",
        r"“api_key” in engine\. Expected .* A vendor's credential is",
    ),
    "like one in a table": ("[apps_access]\napp_password = 'x'", r"in apps_access\. .* Did you mean password"),
    "like none": ("[callbacks]\nzzz = ''", "“zzz” in callbacks. Expected on_call_end, on_call_start"),
    "in a choice": ("[agent]\nfallback = { type = 'retry', time = 2 }", "“time” in agent.fallback. .* mean times"),
}


@pytest.mark.parametrize(("text", "said"), UNKNOWN.values(), ids=UNKNOWN.keys())
def test_an_unknown_setting_is_told_with_its_place_and_the_known_ones(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=f"has an unknown setting .*{said}"):
        read(tmp_path, text)


def test_each_variable_that_is_no_setting_at_the_top_is_one_in_a_table_or_none_at_all() -> None:
    for variable, place in IN_TABLES.items():
        setting, table = re.fullmatch(r"(\w+) in \[(\w+)\]", place).groups()  # type: ignore[union-attr] # it matches
        assert hasattr(getattr(Settings(), table), setting)
        assert variable in CORE_VARIABLES
        assert not hasattr(Settings(), variable.removeprefix("PATTER_").lower())
    alone = {name for name in CORE_VARIABLES - IN_TABLES.keys() if not hasattr(Settings(), name[7:].lower())}
    assert alone == {f"PATTER_{name}" for name in ALONE}


INVALID = {
    "a table for a list": ("[carriers]\nname = 'acme'", "carriers. Expected a list. Got a table. Write [[carriers]]."),
    "sinks, too": ("[sinks]\nname = 'acme'", "type at sinks. Expected a list. Got a table. Write [[sinks]]."),
    "a list for a table": ("[[carrier]]\nname = 'acme'", "carrier. Expected a table. Got a list. Write [carrier]."),
    "a table for a list of texts": ("[agent.tools]\na = 'b'", "type at agent.tools. Expected a list. Got a table."),
    "a list under a name": (
        "[[agents.a.engine]]\nname = 'x'",
        "agents.a.engine. Expected a table. Got a list. Write [agents.a.engine].",
    ),
    "of the phone, in a table": (
        "[engine]\nname = 'acme'\napps = ['dashboard']",
        "unknown setting “apps” in engine. Expected name, options. “apps” is a setting of the phone:",
    ),
    "at the top": ("phone_number = 5", "type at phone_number. Expected a text or a table. Got a whole number."),
    "what may be absent": ("port = 'many'", "type at port. Expected a whole number. Got a text."),
    "in a table": ("[agent]\ntools = 'app:book'", "type at agent.tools. Expected a list. Got a text."),
    "under a name": (
        "[agents.a]\nlanguage = true",
        "type at agents.a.language. Expected a text. Got true or false.",
    ),
    "in a list": (
        "[limits]\nrefused_prefixes = [1]",
        "at limits.refused_prefixes[0]. Expected a text. Got a whole number.",
    ),
    "not a table": ("carrier = 'twilio'", "type at carrier. Expected a table. Got a text."),
    "none of a few": (
        "[redaction]\nnumbers = 'cal'",
        'invalid value at redaction.numbers. Expected "all", "call" or "none". Got \'cal\'. Did you mean call?',
    ),
    "an unknown choice": (
        "[agent]\nfallback = { type = 'hangup' }",
        'at agent.fallback.type. Expected "agent", "hang_up", "retry" or "transfer". Got \'hangup\'. Did you mean hang',
    ),
    "no choice": ("[agent]\nfallback = { say = 'x' }", 'lacks the setting “type” in agent.fallback. Expected "agent",'),
    "a part of a choice": ("[agent]\nfallback = { type = 'transfer' }", "lacks the setting “to” in agent.fallback."),
    "by its class": ("[agent]\nfallback = { type = 'transfer', to = '5' }", "patter.toml, at agent.fallback."),
    "by its class, deep": (
        "[agents.night.fallback]\ntype = 'retry'\nthen = { type = 'transfer', to = '5' }",
        "patter.toml, at agents.night.fallback.",
    ),
    "in a table with free names": ("[agent.variables]\na = 'x'\nb = [1]", "wrong type at agent.variables.b."),
    "deep in such tables": ("[agents.night.parts]\nvoice = { end = 1 }", "“end” in agents.night.parts.voice."),
    "in a list in one": ("[[sinks]]\nname = 'a'\noptions = { x = [[1]] }", "at sinks[0].options[...][0]."),
    "out of a range": ("[limits]\ncalls = -1", "patter.toml, at limits.calls."),
}


@pytest.mark.parametrize(("text", "said"), INVALID.values(), ids=INVALID.keys())
def test_an_invalid_value_is_told_with_its_place_and_what_is_expected(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path, text)
    assert said in str(caught.value)
    assert "patter.toml" in str(caught.value)
    assert "[..." not in str(caught.value).partition("Write")[2]
    assert not re.search(r"`|object|\barray\b|\$\.", str(caught.value).replace("`to`", ""))


def test_tables_in_thousands_of_tables_are_told_as_others(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"wrong type at agent\.variables\.a\. "):
        read(tmp_path, f"[agent.variables.{'.'.join('a' * 3_000)}]\nb = 1")


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
def test_files_of_other_systems_are_read(tmp_path: Path, start: bytes, end: bytes) -> None:
    path = tmp_path / "patter.toml"
    path.write_bytes(start + b'webhook_url = "https://voice.example.org"' + end + b"[carrier]" + end + b'name = "acme"')
    settings = read_file(path)
    assert (settings.webhook_url, settings.carrier.name) == ("https://voice.example.org", "acme")


def test_a_file_that_is_not_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "patter.toml"
    path.write_bytes(b"a = '\xff'")
    with pytest.raises(ConfigurationError, match=r"is not valid TOML\. Expected text in UTF-8"):
        read_file(path)


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("[carrier", "expected ']' at the end of a table declaration, at end of document"),
        ("a = 1\n5ecret", "expected '=' after a key in a key/value pair, at end of document"),
        ("a = { secret = 1, secret = 2 }", "an error, at line 1, column 29"),
    ],
)
def test_text_that_is_no_toml_is_told_with_the_cause_and_the_line(tmp_path: Path, text: str, got: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path, text)
    assert str(caught.value).endswith(f"is not valid TOML. Got {got}.")
    assert "ecret" not in str(caught.value)


def test_options_may_be_lists_and_tables(tmp_path: Path) -> None:
    path = tmp_path / "patter.toml"
    path.write_text("[carrier]\nname = 'acme'\noptions = { tokens = ['a', 'b'], more = { c = ['d'], e = 1 } }")
    assert read_file(path).carrier == PluginConfig("acme", {"tokens": ["a", "b"], "more": {"c": ["d"], "e": 1}})


def test_a_fallback_may_be_another_agent_or_new_tries(tmp_path: Path) -> None:
    path = tmp_path / "patter.toml"
    path.write_text(
        "[agents.a]\nfallback = { type = 'agent', name = 'b' }\n"
        "[agents.b]\nfallback = { type = 'retry', times = 2, then = { type = 'hang_up', say = 'Bye.' } }"
    )
    agents = read_file(path).agents
    assert agents["a"].fallback == AgentFallback("b")
    assert agents["b"].fallback == RetryFallback(2, HangUp("Bye."))
