"""The phone of a user's program: which it is, and who answers it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from patter_core import Agent, Registry
from patter_core.errors import ConfigurationError
from patter_core.server.importing import refuse_while_imported
from patter_core.settings.model import Settings
from patter_core.settings.target import caller_of, open_phone
from patter_core.sinks.memory import MemorySink
from patter_core.testing.fakes import FakeCarrier

PROGRAM = """
from patter_core import Patter
from patter_core.testing.fakes import FakeCarrier, FakeEngine

phone = Patter(carrier=FakeCarrier(), phone_number="+15550001234")
agent = phone.agent(engine=FakeEngine(), name="day")
"""


def opened(path: str = "shop:phone") -> tuple[object, object]:
    return open_phone(Registry(), Settings(), path)


def test_its_only_agent_answers(program: Path) -> None:
    program.write_text(PROGRAM)
    phone, routing = open_phone(Registry(), Settings(), "shop:phone")
    assert isinstance(routing, Agent)
    assert routing.name == "day"
    assert caller_of(phone, routing) is caller_of(phone, routing, "day") is routing


@pytest.mark.parametrize(
    "rule", ["@phone.route\ndef decide(leg):\n    return agent\n", "phone.route({'+15550001234': agent})\n"]
)
def test_what_route_was_given_answers(program: Path, rule: str) -> None:
    program.write_text(PROGRAM + "second = phone.agent(engine=FakeEngine(), name='second')\n" + rule)
    phone, routing = open_phone(Registry(), Settings(), "shop:phone")
    assert routing is phone.routing
    assert not isinstance(routing, Agent)
    with pytest.raises(ConfigurationError, match=r"agent makes the call\. Expected --agent with “day” or “second”"):
        caller_of(phone, routing)
    with pytest.raises(ConfigurationError, match="no agent “third”"):
        caller_of(phone, routing, "third")


def test_a_function_may_make_it(program: Path) -> None:
    program.write_text(PROGRAM + "def make():\n    return phone\n")
    assert repr(opened("shop:make")[0]) == repr(opened()[0])


def test_a_function_that_ends_the_program_makes_none(program: Path) -> None:
    program.write_text("def make():\n    raise SystemExit(0)\n")
    with pytest.raises(
        ConfigurationError, match=r"ended itself while it was loaded, with exit code 0: .*shop.py, line 2"
    ):
        opened("shop:make")


def test_it_may_be_called_by_another_carrier_and_have_more_sinks(program: Path) -> None:
    program.write_text(PROGRAM)
    phone, routing = open_phone(Registry(), Settings(), "shop:phone", carrier=FakeCarrier(), more_sinks=[MemorySink()])
    phone.asgi(routing)
    again, _ = open_phone(Registry(), Settings(), "shop:phone")
    again.asgi(routing)  # the user's own phone is not the one that was served


WRONG = {
    "no phone": (
        "shop:agent",
        r"“shop:agent” is no phone\. Expected a Patter, or a function that returns one\. Got Agent",
    ),
    "a class": ("shop:Patter", "is no phone"),
    "no such name": ("shop:fone", r"^“shop” has no “fone”\. Did you mean phone"),
}


@pytest.mark.parametrize(("path", "said"), WRONG.values(), ids=WRONG.keys())
def test_what_is_no_phone_is_told(program: Path, path: str, said: str) -> None:
    program.write_text(PROGRAM)
    with pytest.raises(ConfigurationError, match=said):
        opened(path)


@pytest.mark.parametrize("text", ["", "line = 1\n"])
def test_a_file_without_a_phone_is_told_with_how_to_write_or_name_one(program: Path, text: str) -> None:
    program.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        opened("shop.py")
    assert str(caught.value) == (
        "“shop.py” has no “phone”. Write there: phone = Patter(…). Or name its variable: shop.py:NAME."
    )


@pytest.mark.parametrize(("more", "got"), [("phone.agent(engine=FakeEngine())\n", "agents “day”, “agent-2”"), ("", "")])
def test_without_a_rule_several_agents_or_none_are_an_error(program: Path, more: str, got: str) -> None:
    program.write_text(PROGRAM + more if more else PROGRAM.replace("agent = phone", "agent = lambda: phone"))
    with pytest.raises(ConfigurationError, match=f"which agent answers the phone.* Got {got or 'no agent'}"):
        opened()


def test_it_may_be_named_by_its_file(program: Path) -> None:
    program.write_text(PROGRAM)
    for path in (str(program), f"{program}:phone", program.name):
        assert repr(opened(path)[0]) == repr(opened()[0])


def test_a_file_is_imported_with_the_package_that_it_is_in(program: Path) -> None:
    package = program.parent / "market"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "stall.py").write_text(PROGRAM)
    (package / "main.py").write_text("from market.stall import phone\n")
    assert repr(opened("market/main.py")[0]) == repr(opened("market.stall:phone")[0])


@pytest.mark.parametrize("line", ["asyncio.run(phone.serve(agent))", "phone.run(agent)"])
def test_one_that_serves_when_it_is_imported_is_refused(program: Path, line: str) -> None:
    program.write_text(f"import asyncio\n{PROGRAM}{line}\n")
    with pytest.raises(ConfigurationError, match=r"“shop” serves its phone when it is imported.*__main__"):
        opened()


SERVED = {
    "its lifespan": """
import uvicorn

uvicorn.run(phone.asgi(), port=0, log_config=None)
""",
    "the lifespan of another app": """
import uvicorn
from starlette.applications import Starlette

app = phone.asgi()
uvicorn.run(Starlette(lifespan=lambda _app: app.lifespan_context(app)), port=0, log_config=None)
""",
    "a webhook": """
import asyncio, httpx

async def ask():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(phone.asgi()), base_url="http://x") as client:
        await client.post("/webhooks/fake/voice")

asyncio.run(ask())
""",
    "a media socket": """
import asyncio

scope = {"type": "websocket", "path": "/media/fake", "headers": [], "query_string": b""}
asyncio.run(phone.asgi()(scope, None, None))
""",
}


@pytest.mark.parametrize("lines", SERVED.values(), ids=SERVED.keys())
def test_one_that_is_served_by_another_server_when_it_is_imported_is_refused(program: Path, lines: str) -> None:
    program.write_text(PROGRAM + lines)
    with pytest.raises(ConfigurationError, match=r"“shop” serves its phone when it is imported.*__main__"):
        opened()


CAUGHT = {
    "raised from it": (
        "try:\n    {}\nexcept Exception as error:\n    raise KeyError('x') from error\n",
        "serves its phone",
    ),
    "raised while it was handled": ("try:\n    {}\nexcept Exception:\n    1 / 0\n", "serves its phone"),
    "in a group": (
        "try:\n    {}\nexcept Exception as error:\n    group = ExceptionGroup('several', [error])\nraise group\n",
        "serves its phone",
    ),
    "another one later": ("try:\n    {}\nexcept Exception:\n    pass\n1 / 0\n", "shop.py, line 11: ZeroDivisionError"),
    "an exit": ("try:\n    {}\nexcept Exception:\n    pass\nraise SystemExit(3)\n", "serves its phone"),
}


@pytest.mark.parametrize(("lines", "told"), CAUGHT.values(), ids=CAUGHT.keys())
def test_of_one_that_catches_the_refusal_only_what_comes_of_it_is_told_as_that(
    program: Path, lines: str, told: str
) -> None:
    program.write_text(PROGRAM + lines.format("phone.run(agent)"))
    with pytest.raises(ConfigurationError, match=told):
        opened()


def test_what_began_at_the_import_may_serve_after_it(program: Path) -> None:
    program.write_text(f"import contextvars\n{PROGRAM}context = contextvars.copy_context()\n")
    opened()
    sys.modules["shop"].context.run(refuse_while_imported)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Twillio", r"cannot import name 'Twillio' from .*\. Did you mean Twilio\? PATTER_TRACEBACK=1"),
        ("OpenAIRealtme", r"Did you mean OpenAIRealtime\?"),
        ("nothing_like_it", r"cannot import name 'nothing_like_it' from [^?]*\. PATTER_TRACEBACK=1"),
    ],
)
def test_a_misspelt_name_of_a_module_is_told_with_the_one_that_may_be_meant(
    program: Path, name: str, told: str
) -> None:
    program.write_text(f"from getpatter import {name}")
    with pytest.raises(ConfigurationError, match=told):
        opened()


def test_a_question_is_told_as_it_stands(program: Path) -> None:
    program.write_text("raise TypeError('Unknown: first_mesage. Did you mean first_message?')")
    with pytest.raises(ConfigurationError, match=r"TypeError: Unknown: .*\bfirst_message\? PATTER_TRACEBACK=1"):
        opened()
