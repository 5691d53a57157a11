"""The agents of a file: their engines, tools and fallbacks, and which of them answers which number."""

from __future__ import annotations

from pathlib import Path

import pytest

from patter_core import Agent, HangUp, Patter, Retry
from patter_core.errors import ConfigurationError
from patter_core.registry import Registry
from patter_core.server.routing import Routing
from patter_core.settings.agents import make_agents
from patter_core.settings.file import read_file
from patter_core.testing.fakes import FakeCarrier

ENGINE = "[engine]\nname = 'openai-realtime'\noptions = { api_key = 'key' }\n"


def agents_of(folder: Path, text: str, *, engine: str = ENGINE) -> tuple[Patter, Routing]:
    path = folder / "patter.toml"
    path.write_text(engine + text)
    registry = Registry.discover()
    phone = Patter(carrier=FakeCarrier(), registry=registry)
    return phone, make_agents(phone, registry, read_file(path))


SHOP = """
from patter_core.tools.tool import Tool

def book(day: str) -> str:
    '''Books a table.'''
    return "done"

late = Tool.of(book, name="book_late", timeout=3)

def caller(leg):
    return {"number": leg.from_number}
"""


def test_one_agent_has_all_that_an_agent_may_have(program: Path) -> None:
    program.write_text(SHOP)
    phone, agent = agents_of(
        program.parent,
        "[agent]\ntools = ['shop:book', 'shop:late']\nvariables = 'shop:caller'\nlanguage = 'it'\nvoice = 'marin'\n"
        "idle_after = 5\nidle_message = 'Hello?'\nnotice = 'Kept.'\nfallback = { type = 'retry', times = 2 }\n",
    )
    assert isinstance(agent, Agent)
    assert phone.agents == (agent,)
    assert [(tool.spec.name, tool.timeout) for tool in agent.tools] == [("book", 15.0), ("book_late", 3.0)]
    assert callable(agent.variables)
    assert (agent.language, agent.voice, agent.idle_after, agent.idle_message) == ("it", "marin", 5.0, "Hello?")
    assert agent.fallback == Retry(times=2, then=HangUp())
    assert agent.notice == "Kept."


def test_agents_answer_by_number_and_follow_each_other(tmp_path: Path) -> None:
    _, routing = agents_of(
        tmp_path,
        "[numbers]\n'+15550001234' = 'sales'\n'+15550005678' = 'service'\n"
        "[agents.sales]\nfallback = { type = 'agent', name = 'service' }\n"
        "[agents.service]\nengine = { name = 'openai-live', options = { api_key = 'key' } }\n",
    )
    assert isinstance(routing, dict)
    sales, service = routing["+15550001234"], routing["+15550005678"]
    assert (sales.name, sales.engine.name, sales.fallback) == ("sales", "openai-realtime", service)
    assert (service.name, service.engine.name) == ("service", "openai-live")


WRONG = {
    "who answers": ("[agents.a]\n[agents.b]\n", r"which of them answers\. Expected \[numbers\].* Got agents “a”, “b”"),
    "a number's agent": ("[agents.sales]\n[numbers]\n'+15550001234' = 'sale'\n", "Got “sale”. Did you mean sales"),
    "a fallback's agent": (
        "[agents.a]\nfallback = {type = 'agent', name = 'c'}\n",
        r"^fallback in \[agents\.a\] names an agent.* Got “c”",
    ),
    "the only one's": ("[agent]\nfallback = {type = 'agent', name = 'c'}\n", r"each written as \[agents.NAME\]"),
    "a number's form": (
        "[agents.a]\n[numbers]\n15550001234 = 'a'\n",
        r"Got no plus sign, and 11 characters with 11 digits\..*\n  It is a key of \[numbers\] in the TOML file\.$",
    ),
    "a circle": (
        """
        [agents.a]
        fallback = {type = 'agent', name = 'b'}
        [agents.b]
        fallback = {type = 'retry', then = {type = 'agent', name = 'a'}}
        """,
        "go round in a circle. Got “a” -> “b”",
    ),
    "engine and parts": (
        "[agent]\nparts = {stt = 'shop:ear'}\nengine = {name = 'openai-live'}\n",
        "an engine, and parts",
    ),
    "a part is missing, in the words of the file": (
        "[agent]\nparts = {stt = {name = 'deepgram', options = {api_key = 'key'}}}\n",
        r'needs parts\.llm\. Expected the table of an installed part: \{name = "openai"\}\. Got parts\.stt\.',
    ),
    "a part without a name": (
        "[agent]\nparts = {stt = {options = {api_key = 'key'}}}\n",
        r"^parts\.stt in \[agent\] in the TOML file lacks the setting “name”\. Expected deepgram or elevenlabs\.",
    ),
    "a list where one part is": (
        "[agent]\nparts = {stt = [{name = 'deepgram', options = {api_key = 'key'}}]}\n",
        r"What parts\.stt was given .* Got list",
    ),
    "a tool that is not there": ("[agent]\ntools = ['nowhere:book']\n", r"tools in \[agent\]: “nowhere” is no module"),
}


@pytest.mark.parametrize(("text", "said"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_is_told(program: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        agents_of(program.parent, text)


def test_the_tools_of_an_engine_with_tools_of_its_own_are_its_options(program: Path) -> None:
    program.write_text(SHOP)
    options = "api_key = 'key', agent_id = 'agent_1', client_tools = ['shop:book', 'shop:late']"
    engine = f"[engine]\nname = 'elevenlabs'\noptions = {{ {options} }}\n"
    _, agent = agents_of(program.parent, "", engine=engine)
    assert isinstance(agent, Agent)
    assert [tool.spec.name for tool in agent.engine.own_tools] == ["book", "book_late"]
    said = r"^ElevenLabsConvAI\(client_tools=…\): “shop” has no “bok”.*\n  “elevenlabs” is named by \[engine\] in the"
    with pytest.raises(ConfigurationError, match=said):
        agents_of(program.parent, "", engine=engine.replace("shop:book", "shop:bok"))
