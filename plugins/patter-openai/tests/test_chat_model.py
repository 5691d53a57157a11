"""The configuration of a language model, its checks, its prices, and the plugin without patter-pipeline."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Mapping
from decimal import Decimal

import pytest

from patter_core.checks import Level
from patter_core.errors import ConfigurationError
from patter_core.history import UserSaid
from patter_core.registry import Registry
from patter_core.testing.api import ApiAnswer, fake_api
from patter_core.tools.spec import ToolSpec
from patter_openai import OpenAILLM, plugin
from patter_openai.chat import wire
from patter_openai.chat.checks import found
from patter_openai.chat.prices import AS_OF, SOURCE, answer_usage
from patter_openai.chat.server import Server
from patter_openai.rest import Model
from patter_openai.testing.chat import AZURE, OPENAI, Manners, OpenAIChatEmulator
from patter_pipeline.parts import LlmRequest

TOOL = ToolSpec(name="f", parameters={"type": "object", "properties": {}})
REQUEST = LlmRequest(instructions="Be kind.", history=(UserSaid(text="Hello", started_ms=1.0),), tools=(TOOL,))


async def ask(part: OpenAILLM) -> None:
    async with contextlib.aclosing(part.stream(REQUEST)) as answer:
        assert [event async for event in answer]


# --- options ---------------------------------------------------------------------------------------------------------


def test_the_vendors_key_is_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        OpenAILLM()
    monkeypatch.setenv("OPENAI_API_KEY", "sk-env")
    part = OpenAILLM()
    assert (part.api_key, part.base_url) == ("sk-env", "https://api.openai.com/v1")
    assert OpenAILLM(base_url="https://eu.api.openai.com/v1").api_key == "sk-env"
    monkeypatch.setenv("OPENAI_BASE_URL", "https://gateway.example/v1")
    assert (OpenAILLM().api_key, OpenAILLM().base_url) == ("sk-env", "https://gateway.example/v1")


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:11434/v1", "https://api.groq.example/openai/v1", "https://notopenai.com/v1"]
)
def test_the_vendors_key_is_not_sent_to_another_server(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-env")
    assert OpenAILLM(base_url=address).api_key == ""
    for key in ("sk-own", "your-api-key", "sk_" + "0123" * 12):  # a server of ones own may take any
        assert OpenAILLM(key, base_url=address).api_key == key
        monkeypatch.setenv("OPENAI_API_KEY", key)
        monkeypatch.setenv("OPENAI_BASE_URL", address)
        assert OpenAILLM().api_key == key
        monkeypatch.delenv("OPENAI_BASE_URL")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"model": ""}, "model"),
        ({"api_key": "sk x"}, "api_key"),
        ({"base_url": "api.openai.com"}, "base_url"),
        ({"temperature": 2.5}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"instructions_role": "user"}, "instructions_role"),
        ({"connect_timeout": 0}, "connect_timeout"),
        ({"first_token_timeout": float("inf")}, "first_token_timeout"),
        ({"gap_timeout": -1}, "gap_timeout"),
        ({"extra_body": {"stream": False}}, "extra_body"),
        ({"extra_body": {"x": object()}}, "extra_body"),
        ({"extra_headers": {"x y": "z"}}, "extra_headers"),
        ({"extra_headers": {"x": "z\r\nHost: y"}}, "extra_headers"),
    ],
)
def test_a_wrong_option_is_found_before_any_call(options: Mapping[str, object], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        OpenAILLM(**{"api_key": "sk-x", **options})  # type: ignore[arg-type] # wrong on purpose


def test_no_secret_is_shown() -> None:
    part = OpenAILLM(
        "sk-secret",
        base_url="http://127.0.0.1:1/v1",
        extra_headers={"api-key": "secret"},
        extra_body={"token": "secret"},
    )
    assert "secret" not in f"{part!r} {part!s}"


@pytest.mark.anyio
async def test_options_are_sent_if_they_are_set_and_a_field_may_be_replaced() -> None:
    async with OpenAIChatEmulator(Manners(name="any"), models=("m",)) as emulator:
        await ask(OpenAILLM("sk-emulated", "m", base_url=emulator.base_url, include_usage=False))
        await ask(
            OpenAILLM(
                "sk-emulated",
                "m",
                base_url=emulator.base_url,
                max_tokens=9,
                extra_body={"max_completion_tokens": 7, "temperature": 0.5},
            )
        )
        plain, full = emulator.requests()
        assert (plain.stream_options, plain.temperature, plain.max_completion_tokens) == (None, None, None)
        assert plain.reasoning_effort is None
        assert plain.tools is not None
        assert plain.tools[0].function.name == "f"
        assert (full.temperature, full.max_completion_tokens) == (0.5, 7)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("model", "effort"),
    [("gpt-6-luna", "none"), ("gpt-5.6", "none"), ("gpt-6.1-terra", "none"), ("gpt-4.1-mini", None), ("gpt-5.4", None)],
)
async def test_a_model_that_refuses_tools_while_it_thinks_is_told_not_to(model: str, effort: str | None) -> None:
    async with OpenAIChatEmulator(OPENAI, models=(model,)) as emulator:
        await ask(emulator.part())
        assert emulator.requests()[0].reasoning_effort == effort


# --- checks ----------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize("manners", [OPENAI, AZURE], ids=lambda manners: manners.name)
async def test_the_key_and_the_model_are_checked(manners: Manners) -> None:
    async with OpenAIChatEmulator(manners) as emulator:
        (result,) = await emulator.part().check()
        assert result.level is Level.OK
        (result,) = await OpenAILLM("sk-wrong", base_url=emulator.base_url).check()
        assert (result.level, emulator.asked) == (Level.PROBLEM, [])


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "levels", "said"),
    [
        (ApiAnswer(body=b'{"data":[{"id":"m:latest"}]}'), ["ok"], "has the model m"),
        (ApiAnswer(body=b'{"data":[{"id":"m","shutdown_date":"2027-01-14"}]}'), ["ok", "warning"], "2027-01-14"),
        (ApiAnswer(body=b'{"data":[{"id":"m","shutdown_date":7}]}'), ["ok"], ""),
        (ApiAnswer(body=b'{"data":[{"id":"other\\u001b[31m"}]}'), ["warning"], "does not list the model m"),
        (ApiAnswer(status=404), ["warning"], "was not checked"),
        (ApiAnswer(status=500), ["problem"], "refused"),
        (ApiAnswer(body=b"<html>"), ["problem"], "without its models"),
        (ApiAnswer(body=b"[" * 100_000), ["problem"], "without its models"),
    ],
)
async def test_what_a_server_lists_decides(answer: ApiAnswer, levels: list[str], said: str) -> None:
    async with fake_api() as api:
        api.answers = [answer]
        results = await OpenAILLM(model="m", base_url=f"{api.url}/v1").check()
        assert [result.level.value for result in results] == levels
        assert said in " ".join(f"{result.what} {result.remedy}" for result in results)
        assert not any("\x1b" in f"{result.what}{result.remedy}" for result in results)
        assert "authorization" not in api.requests[0].headers


def test_a_model_that_calls_no_tools_is_told() -> None:
    server = Server.resolve("OpenAILLM", api_key="sk-x", base_url="https://api.openai.com/v1", extra_headers={})
    for name, levels in (("gpt-6.2-sol", ["ok", "warning"]), ("gpt-6-luna", ["ok"])):
        results = found(server, name, Model(name))
        assert [result.level.value for result in results] == levels
    elsewhere = Server.resolve("OpenAILLM", api_key="", base_url="http://127.0.0.1:1/v1", extra_headers={})
    assert len(found(elsewhere, "gpt-6.2-sol", Model("gpt-6.2-sol"))) == 1


# --- prices ----------------------------------------------------------------------------------------------------------


TOKENS = wire.Tokens(
    prompt_tokens=10_000,
    completion_tokens=1_000,
    prompt_tokens_details=wire.InputTokens(cached_tokens=4_000, cache_write_tokens=2_000),
)


@pytest.mark.parametrize(
    ("model", "tokens", "tier", "dollars"),
    [
        ("gpt-6-luna", TOKENS, "", "0.00119"),  # (4000·0.10 + 2000·0.125 + 4000·0.01 + 1000·0.50) / 10⁶
        ("gpt-4.1-mini-2025-04-14", TOKENS, "default", "0.0046"),
        ("gpt-6-luna", TOKENS, "priority", None),
        ("llama3.2", TOKENS, "", None),
        ("gpt-6-luna", wire.Tokens(prompt_tokens=300_000), "", None),
        ("gpt-6-luna", wire.Tokens(), "", "0"),
        ("gpt-6-luna", wire.Tokens(prompt_tokens=-5, completion_tokens=None), "", "0"),
    ],
)
def test_an_answer_costs_what_the_list_says(model: str, tokens: wire.Tokens, tier: str, dollars: str | None) -> None:
    usage = answer_usage("openai", model, tokens, tier)
    assert (usage.part, usage.vendor, usage.model) == ("llm", "openai", model)
    assert usage.amounts["input_text_tokens"] == max(0, tokens.prompt_tokens or 0)
    assert (usage.cost and usage.cost.amount) == (dollars and Decimal(dollars))
    assert AS_OF.year >= 2026
    assert SOURCE


# --- the plugin ------------------------------------------------------------------------------------------------------


def test_it_offers_the_part() -> None:
    assert plugin.patter_parts() == [OpenAILLM]
    assert OpenAILLM.emulator == f"patter_openai.testing.chat:{OpenAIChatEmulator.__name__}"
    assert "openai" in Registry.discover().names("llm")


def test_without_patter_pipeline_the_engines_are_there() -> None:
    code = """
import sys
from importlib.abc import MetaPathFinder

class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "patter_pipeline":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
from patter_core.registry import Registry
registry = Registry.discover()
print(*registry.names("engine"))
print(*[need for plugin in registry.plugins if plugin.name == "openai" for need in plugin.needs])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    engines, needs = run.stdout.splitlines()
    assert {"openai-realtime", "openai-live"} <= set(engines.split())
    assert "patter-pipeline" in needs
