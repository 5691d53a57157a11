"""Agents that are made of parts: which are refused, with what to do, and what the plugin that composes is asked."""

from __future__ import annotations

import abc
import asyncio
import dataclasses
import importlib.metadata
import inspect
import re
from collections.abc import Callable, Sequence
from typing import ClassVar

import pytest

from patter_core import Engine, Kind, Part, Patter, hookimpl
from patter_core.engine import ConversationSetup, EngineCapability
from patter_core.errors import ConfigurationError
from patter_core.kinds import Parts
from patter_core.observe.secrets import conceal_secrets
from patter_core.plugins.offers import TAKEN
from patter_core.registry import Registry
from patter_core.telephony.control import Capability
from patter_core.testing.fakes import FakeCarrier, FakeEngine


class Ear(Part, abc.ABC):
    api_version = 1


class Head(Part, abc.ABC):
    api_version = 1


class Guard(Part, abc.ABC):
    api_version = 1


@dataclasses.dataclass(frozen=True)
class BigEar(Ear):
    name = "big"
    key: str = dataclasses.field(default="", repr=False)


class CoolHead(Head):
    name = "cool"


class Watchman(Guard):
    name = "watchman"


class Plugin:
    """Defines three kinds and composes; what it is asked for is kept."""

    def __init__(self) -> None:
        self.asked: list[Parts] = []

    @hookimpl
    def patter_kinds(self) -> list[Kind]:
        return [Kind("stt", Ear, 1, required=True), Kind("llm", Head, 1, required=True), Kind("guardrail", Guard, 1)]

    @hookimpl
    def patter_parts(self) -> list[type[Part]]:
        return [BigEar, CoolHead, Watchman]

    @hookimpl
    def patter_compose_engine(self, parts: Parts) -> Engine | None:
        self.asked.append(parts)
        return self.composed()

    def composed(self) -> Engine | None:
        return FakeEngine()


class Point(importlib.metadata.EntryPoint):
    """An entry point of a plugin that is an object here."""

    plugin: object

    def load(self) -> object:
        return self.plugin


def phone(plugin: object) -> Patter:
    point = Point("toy", f"{__name__}:plugin", "patter")
    vars(point)["plugin"] = plugin
    registry = Registry.discover([point])
    assert [one.problem for one in registry.plugins] == [""]
    return Patter(carrier=FakeCarrier(), registry=registry)


def test_parts_are_told_apart_by_their_kind_and_composed_once_for_each_agent() -> None:
    plugin = Plugin()
    ear, head = BigEar(), CoolHead()
    guards: list[Part | Callable[..., object]] = [Watchman(), print]
    patter = phone(plugin)
    agent = patter.agent(stt=ear, llm=head, guardrails=guards, name="composed")
    assert isinstance(agent.engine, FakeEngine)
    assert plugin.asked == [{"stt": ear, "llm": head, "guardrail": tuple(guards)}]
    patter.agent(stt=ear, llm=head, tts=None, more=None)
    assert plugin.asked[1:] == [{"stt": ear, "llm": head}]


def test_an_agent_on_an_engine_asks_no_plugin() -> None:
    plugin = Plugin()
    phone(plugin).agent(engine=FakeEngine())
    assert plugin.asked == []


def test_no_kind_may_have_the_name_of_another_argument() -> None:
    assert set(inspect.signature(Patter.agent).parameters) - {"self", "stt", "llm", "tts"} == TAKEN


def test_secrets_of_parts_are_hidden() -> None:
    phone(Plugin()).agent(stt=BigEar(key="key-of-the-ear-0815"), llm=CoolHead())
    assert "0815" not in conceal_secrets("it was key-of-the-ear-0815")


BOTH = {"stt": BigEar(), "llm": CoolHead()}
ARGUMENTS: dict[str, tuple[dict[str, object], str]] = {
    "a part is missing": (
        {"stt": BigEar()},
        r"needs llm=\. Expected an instance of an installed class: cool\. Got stt=",
    ),
    "there are none of several that are required": ({"stt": BigEar(), "llms": []}, "needs llm="),
    "a part of another kind": ({**BOTH, "stt": CoolHead()}, "stt= .* class: big. Got CoolHead, of the kind llm"),
    "a class": ({**BOTH, "stt": BigEar}, "Got the class BigEar"),
    "no part": ({**BOTH, "stt": "big"}, "stt= .* Got str"),
    "no part of a kind that plugins define": ({**BOTH, "guardrail": "strict"}, "guardrail= .* Got str"),
    "a function that is one": ({**BOTH, "stt": print}, "stt= .* Got builtin_function_or_method"),
    "a list where one is": ({**BOTH, "stt": [BigEar()]}, "stt= .* Got list"),
    "one where a list is": ({**BOTH, "guardrails": Watchman()}, "guardrails= takes a list. Got Watchman"),
    "another kind in a list": ({**BOTH, "guardrails": [BigEar()]}, "guardrail= .* Got BigEar, of the kind stt"),
    "a class in a list": ({**BOTH, "guardrails": [Watchman]}, "Got the class Watchman"),
    "one kind twice": ({**BOTH, "stts": [BigEar()]}, "one kind"),
    "a kind that is not installed": ({**BOTH, "nose": BigEar()}, "a kind for nose=.* Expected stt=, llm=, guardrail="),
    "a misspelt kind": ({**BOTH, "guardrial": BigEar()}, "a kind for guardrial=.* Did you mean guardrail?"),
    "a known kind that is not installed": ({**BOTH, "tts": BigEar()}, "a kind for tts="),
    "an engine, too": (
        {"engine": FakeEngine(), "stt": BigEar(), "guardrails": [print]},
        "takes no stt= or guardrails=",
    ),
}


@pytest.mark.parametrize(("arguments", "said"), ARGUMENTS.values(), ids=ARGUMENTS.keys())
def test_wrong_parts_are_refused_before_the_plugin_is_asked(arguments: dict[str, object], said: str) -> None:
    plugin = Plugin()
    with pytest.raises(ConfigurationError, match=said):
        phone(plugin).agent(**arguments)  # type: ignore[arg-type] # mistakes under test
    assert plugin.asked == []


UNKNOWN = {
    "system_promt": "Did you mean system_prompt?",
    "lmm": "Did you mean llm?",
    "guardrail_s": "Did you mean guardrail?",
    "promt": "Did you mean system_prompt?",
    "tool": "Did you mean tools?",
    "parts": "Its arguments are engine, fallback, first_message, ",
}


@pytest.mark.parametrize("engine", [FakeEngine(), None])
@pytest.mark.parametrize(("argument", "meant"), UNKNOWN.items())
def test_an_argument_that_does_not_exist_is_an_error_as_ever(engine: Engine | None, argument: str, meant: str) -> None:
    said = re.escape(f"unexpected keyword argument {argument!r}. {meant}")
    with pytest.raises(TypeError, match=said):
        phone(Plugin()).agent(engine=engine, **{argument: {"sst": 1}})  # type: ignore[arg-type] # the mistake


def test_where_no_kinds_are_an_unknown_argument_is_told_what_brings_them() -> None:
    patter = Patter(carrier=FakeCarrier(), registry=Registry())
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'vad'.*pip install patter-pipeline"):
        patter.agent(vad="silero")  # type: ignore[arg-type] # the mistake


def test_without_a_plugin_that_composes_the_error_names_it() -> None:
    patter = Patter(carrier=FakeCarrier(), registry=Registry())
    with pytest.raises(
        ConfigurationError, match=r"pipeline mode, for stt= and guardrails=.*pip install patter-pipeline"
    ):
        patter.agent(stt=BigEar(), guardrails=[print])


FAILURES = [ValueError("secret-of-a-part"), SystemExit(3), asyncio.CancelledError()]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_what_the_plugin_raises_is_an_error_of_the_configuration(failure: BaseException) -> None:
    class Broken(Plugin):
        def composed(self) -> Engine | None:
            raise failure

    patter = phone(Broken())
    with pytest.raises(
        ConfigurationError, match=f"The plugin toy of .* failed .* Got {type(failure).__name__}"
    ) as caught:
        patter.agent(stt=BigEar(), llm=CoolHead())
    assert "secret-of-a-part" not in str(caught.value)
    assert failure in {caught.value.__cause__, getattr(caught.value.__cause__, "__cause__", None)}
    assert patter.agent(engine=FakeEngine()).name == "agent"  # no name was taken by the failed one


def test_the_plugin_s_own_error_of_the_configuration_is_raised_as_it_is() -> None:
    class Strict(Plugin):
        def composed(self) -> Engine | None:
            raise ConfigurationError("This voice speaks no Welsh.")

    with pytest.raises(ConfigurationError, match=r"^This voice speaks no Welsh\.$"):
        phone(Strict()).agent(stt=BigEar(), llm=CoolHead())


@pytest.mark.parametrize(
    ("engine", "said"), [(None, "does not know them"), ("engine", "Got str"), (FakeEngine, "Got ABC")]
)
def test_what_is_no_engine_is_refused(engine: object, said: str) -> None:
    class Wrong(Plugin):
        def composed(self) -> Engine | None:
            return engine  # type: ignore[return-value] # the mistake under test

    with pytest.raises(ConfigurationError, match=said):
        phone(Wrong()).agent(stt=BigEar(), llm=CoolHead())


class Surprising(FakeEngine):
    """Has something to say about an agent, or fails to."""

    fault: ClassVar[BaseException | None] = None

    def hints(self, setup: ConversationSetup) -> Sequence[str]:
        if self.fault is not None:
            raise self.fault
        return [f"The prompt {setup.system_prompt!r} is said."] if setup.system_prompt else []


def test_what_may_surprise_about_an_agent_is_a_warning_when_it_is_made(caplog: pytest.LogCaptureFixture) -> None:
    phone = Patter(carrier=FakeCarrier(), registry=Registry())
    phone.agent(engine=Surprising(), name="one")
    phone.agent(engine=Surprising(), name="two", system_prompt="Be kind.")
    assert [record.getMessage() for record in caplog.records] == ["Agent two: The prompt 'Be kind.' is said."]


@pytest.mark.parametrize("fault", [ValueError("a bug"), SystemExit(3), asyncio.CancelledError()])
def test_an_engine_that_fails_to_say_it_makes_an_agent_all_the_same(
    fault: BaseException, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Surprising, "fault", fault)
    phone = Patter(carrier=FakeCarrier(), registry=Registry())
    assert phone.agent(engine=Surprising(), name="one") in phone.agents
    assert "The engine fake failed to give its hints." in caplog.text


class Mute(FakeCarrier):
    name = "mute"
    capabilities = FakeCarrier.capabilities - {Capability.NOTICE}


class Reader(FakeEngine):
    capabilities = frozenset({EngineCapability.SAY})


def test_an_agents_own_notice_wins_over_the_phones_and_an_empty_one_is_none() -> None:
    phone = Patter(carrier=FakeCarrier(), registry=Registry(), notice="Recorded.")
    made = [phone.agent(engine=FakeEngine(), notice=notice) for notice in (None, "Kept.", "")]
    assert [agent.notice for agent in made] == ["Recorded.", "Kept.", ""]


def test_a_notice_that_neither_carrier_nor_engine_says_is_refused_with_the_way_out() -> None:
    phone = Patter(carrier=[FakeCarrier(), Mute()], registry=Registry(), notice="Recorded.")
    with pytest.raises(ConfigurationError, match=r"carrier mute\. Expected .* capability say, .* notice=\"\""):
        phone.agent(engine=FakeEngine())
    assert phone.agent(engine=Reader()).notice == "Recorded."
    assert phone.agent(engine=FakeEngine(), notice="").notice == ""


@pytest.mark.parametrize(
    ("notice", "told"),
    [
        ("a" * 10_000, "too long. Expected at most 1500 bytes.* Got 10000"),
        ("録" * 501, "Got 1503"),
        (" …\n\x00 ", "nothing to be said"),
        ("a\ud800", "cannot be written as JSON"),
    ],
)
def test_a_notice_is_a_text_that_each_carrier_says_whole(notice: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        Patter(carrier=FakeCarrier(), registry=Registry(), notice=notice)
    with pytest.raises(ConfigurationError, match=told):
        Patter(carrier=FakeCarrier(), registry=Registry()).agent(engine=FakeEngine(), notice=notice)
