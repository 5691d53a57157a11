"""`check_engine`, of tools and of calls that go on: each engine with one mistake fails, for the reason that is its own.

They are Parley, of `tests/thirdparty`, with pieces of its text replaced.
"""

from __future__ import annotations

import importlib
import itertools
import shutil
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from patter_core.engine import Engine
from patter_core.testing import check_engine
from patter_core.testing.conformance.check import Check
from patter_core.testing.conformance.engine_commands import check_capabilities
from patter_core.testing.conformance.engine_resumed import check_resumed
from patter_core.testing.conformance.engine_tools import check_tools
from patter_core.testing.emulator import EngineEmulator
from patter_parley import testing as sound
from patter_parley.testing import ParleyEmulator
from tests.testing.conformance.continuous import FlowEmulator
from tests.testing.conformance.told import told

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

Part = Callable[[Check, Engine, EngineEmulator], Awaitable[None]]
Write = Callable[..., Callable[[], EngineEmulator]]
_numbers = itertools.count()

OUTPUT = "self._send(wire.CreateItem(output_of(result)))"
CALL = "return [ToolCall(call.call_id, call.name, call.arguments)]"
ITEMS = """            for item in items_of(setup.history):
                socket.send(wire.encode(wire.CreateItem(item)))
"""
BEGIN = """            if setup.first_message or not setup.resumed:
                socket.send(wire.encode(wire.CreateResponse(setup.first_message)))
"""

# What it does wrong: the file, the sound text, what stands there instead, and what the check must say of it.
DECLARED = {
    "declares tools and takes no results": (
        "session.py",
        "def send_tool_result(",
        "def send_result(",
        "The capability tools is declared, and send_tool_result() is not written.",
    ),
    "takes results and declares no tools": (
        "engine.py",
        "            EngineCapability.TOOLS,\n",
        "",
        "send_tool_result() takes a result, and OWN_TOOLS or TOOLS is not declared",
    ),
}
TOOLS = {
    "does not tell the service of its tools": (
        "engine.py",
        "setup.system_prompt, tools)",
        "setup.system_prompt)",
        "The agent calls a tool, and no ToolCall comes.",
    ),
    "reads no calls": ("session.py", CALL, "return []", "The agent calls a tool, and no ToolCall comes."),
    "tells a call twice": ("session.py", CALL, f"{CALL} * 2", "A tool that is called is told more than once."),
    "tells no id": ("session.py", "[ToolCall(call.call_id,", '[ToolCall("",', "A ToolCall has no id of its own."),
    "tells one id for all calls": (
        "session.py",
        "[ToolCall(call.call_id,",
        '[ToolCall("call",',
        "The result of a tool does not reach the service.",
    ),
    "tells another name": (
        "session.py",
        "call.name, call.arguments)]",
        "call.name.title(), call.arguments)]",
        "A ToolCall is not of the tool that the agent calls.",
    ),
    "takes its tools for the vendor's": (
        "session.py",
        "call.name, call.arguments)]",
        "call.name, call.arguments, True)]",
        "A ToolCall is not of the tool that the agent calls.",
    ),
    "tells arguments as Python writes them": (
        "session.py",
        "call.name, call.arguments)]",
        "call.name, repr(__import__('json').loads(call.arguments)))]",
        "A ToolCall has other arguments than the agent's.",
    ),
    "tells arguments as an object": (
        "session.py",
        "call.name, call.arguments)]",
        "call.name, __import__('json').loads(call.arguments))]",
        "A ToolCall has other arguments than the agent's.",
    ),
    "tells no arguments": (
        "session.py",
        "call.name, call.arguments)]",
        "call.name)]",
        "A ToolCall has other arguments than the agent's.",
    ),
    "ends over a call": (
        "session.py",
        CALL,
        'raise SocketClosed(1011, "what was that?")',
        "A tool that is called ends the conversation.",
    ),
    "sends no result": ("session.py", OUTPUT, "pass", "The result of a tool does not reach the service."),
    "sends a result twice": (
        "session.py",
        OUTPUT,
        f"{OUTPUT}\n        {OUTPUT}",
        "The result of a tool is sent more than once.",
    ),
    "cuts a result": (
        "items.py",
        "else result.result)",
        "else result.result.splitlines()[0])",
        "The service gets another result than the one of that call.",
    ),
    "sends a failure as a result": (
        "items.py",
        "failure if result.failed else result.result",
        "result.result",
        "The service is told of a failed tool as of one that succeeded",
    ),
    "sends every result as a failure": (
        "items.py",
        "failure if result.failed else result.result",
        "failure",
        "The service is told of a failed tool as of one that succeeded",
    ),
    "answers the oldest call": (
        "session.py",
        "self._calls.add(call.call_id)",
        'self.__dict__.setdefault("order", []).append(call.call_id)',
        "The service gets another result than the one of that call.|does not reach the service",
        "output_of(result)))",
        "output_of(ToolResult(self.__dict__['order'].pop(0), result.name, result.result, result.failed))))",
    ),
    "keeps results until the last one is there": (
        "session.py",
        OUTPUT,
        "self.__dict__.setdefault('kept', []).append(result)",
        "The result of a tool does not reach the service.",
        "            self._send(wire.CreateResponse())",
        "            while self.kept:\n                self._send(wire.CreateItem(output_of(self.kept.pop())))",
    ),
    "raises after the end": (
        "session.py",
        OUTPUT,
        f"if self._socket._connection.lost:\n            raise KeyError(result.id)\n        {OUTPUT}",
        "send_tool_result() raises.",
    ),
    "raises what ends a process": ("session.py", OUTPUT, "raise SystemExit(3)", "send_tool_result() raises."),
    "returns something": (
        "session.py",
        OUTPUT,
        f"{OUTPUT}\n        return self._socket",
        "send_tool_result() is not synchronous.",
    ),
    "stands still with a result": (
        "session.py",
        OUTPUT,
        f"__import__('time').sleep(0.5)\n        {OUTPUT}",
        "send_tool_result() holds the event loop, and with it every call.",
    ),
    "is hung by its emulator, which waits for the result": (
        "testing.py",
        "            await talk.call_tool(name, arguments)",
        "            await talk.call_tool(name, arguments)\n            await __import__('anyio').sleep_forever()",
        "call_tool() of the emulator does not return.",
    ),
    "has an emulator that calls none": ("testing.py", "async def call_tool(", "async def calls_tool(", "`call_tool`"),
    "has tools of its own that it does not declare": (
        "engine.py",
        "    async def open(",
        (
            "    @property\n"
            "    def own_tools(self):\n"
            "        from patter_core.tools.tool import as_tools\n"
            "        return as_tools({'find': lambda: ''}, '')\n\n"
            "    async def open("
        ),
        "The engine has tools of its own, and OWN_TOOLS is not declared",
    ),
    "has functions in place of its own tools": (
        "engine.py",
        "    async def open(",
        "    @property\n    def own_tools(self):\n        return (len,)\n\n    async def open(",
        "`own_tools` is not a tuple of Tool.",
    ),
    "has a list of its own tools": (
        "engine.py",
        "    async def open(",
        "    @property\n    def own_tools(self):\n        return []\n\n    async def open(",
        "`own_tools` is not a tuple of Tool.",
    ),
    "declares tools of its own and has none": (
        "engine.py",
        "EngineCapability.TOOLS",
        "EngineCapability.OWN_TOOLS",
        "The capability own_tools is declared, and the emulator's engine has no tool of its own.",
    ),
}
RESUMED = {
    "greets on every call": (
        "engine.py",
        "if setup.first_message or not setup.resumed:",
        "if True:",
        "The agent greets on a call that goes on.",
    ),
    "says its prompt in place of nothing": (
        "engine.py",
        BEGIN,
        "            socket.send(wire.encode(wire.CreateResponse(setup.first_message or setup.system_prompt)))\n",
        "The agent greets on a call that goes on.",
    ),
    "tells no history": (
        "engine.py",
        ITEMS,
        "",
        "The capability history is declared, and no history arrives before the agent's first word.",
    ),
    "tells the history after the agent has begun": (
        "engine.py",
        ITEMS + BEGIN,
        BEGIN + ITEMS,
        "The capability history is declared, and no history arrives before the agent's first word.",
    ),
    "tells the history where nothing is to be said, and not else": (
        "engine.py",
        "items_of(setup.history)",
        "items_of(() if setup.first_message else setup.history)",
        "The capability history is declared, and no history arrives before the agent's first word.",
    ),
    "leaves out what was interrupted": (
        "items.py",
        "case AgentSaid(text=text):",
        "case AgentSaid(text=text) if not item.interrupted:",
        "The history that arrives is not whole, or not in order.",
    ),
    "leaves out what the user said": (
        "items.py",
        "case UserSaid(text=text):",
        'case UserSaid(text="" as text):',
        "The history that arrives is not whole, or not in order.",
    ),
    "leaves out what runs": (
        "items.py",
        "arguments=arguments, state=state):",
        "arguments=arguments, state=state) if state is not ToolState.RUNNING:",
        "The history that arrives is not whole, or not in order.",
    ),
    "leaves out what failed": (
        "items.py",
        "is_over = state is not ToolState.RUNNING",
        "is_over = state is ToolState.DONE",
        "The history that arrives is not whole, or not in order.",
    ),
    "tells the latest first": (
        "items.py",
        "for item in history:",
        "for item in reversed(history):",
        "The history that arrives is not whole, or not in order.",
    ),
    "ends where the history begins": (
        "engine.py",
        "            for item in items_of(setup.history):\n",
        "            for item in items_of(setup.history):\n                socket.send(b'{}')\n",
        "A conversation that continues a call ends.",
    ),
}


@pytest.fixture
def parley(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes Parley with pieces of a file replaced, under a name of its own; gives the class of its emulator."""

    def write(file: str, *pieces: str) -> Callable[[], EngineEmulator]:
        name = f"patter_parley{next(_numbers)}"
        folder = tmp_path / name
        shutil.copytree(Path(sound.__file__).parent, folder)
        path = folder / file
        text = path.read_text()
        for right, wrong in zip(pieces[::2], pieces[1::2], strict=True):
            assert text.count(right) == 1, f"{file} has {text.count(right)} times {right}"
            text = text.replace(right, wrong)
        path.write_text(text)
        for module in folder.glob("*.py"):
            module.write_text(module.read_text().replace("patter_parley", name))
        monkeypatch.syspath_prepend(tmp_path)
        emulator: Callable[[], EngineEmulator] = importlib.import_module(f"{name}.testing").ParleyEmulator
        return emulator

    yield write
    for module in [module for module in sys.modules if module.startswith("patter_parley") and module[13:14].isdigit()]:
        del sys.modules[module]


@pytest.mark.parametrize("emulator", [ParleyEmulator, FlowEmulator])
@pytest.mark.parametrize("part", [check_capabilities, check_tools, check_resumed])
async def test_sound_ones_pass(part: Part, emulator: Callable[[], EngineEmulator]) -> None:
    await tried(part, emulator)


async def test_what_patter_new_writes_passes(write: Write) -> None:
    await tried(check_resumed, write("engine"))


@pytest.mark.parametrize("mistake", DECLARED.values(), ids=DECLARED.keys())
async def test_a_wrong_declaration_is_told(parley: Write, mistake: tuple[str, ...]) -> None:
    await is_told(check_capabilities, parley, mistake)


@pytest.mark.parametrize("mistake", TOOLS.values(), ids=TOOLS.keys())
async def test_one_with_a_mistake_in_its_tools_is_told_which(parley: Write, mistake: tuple[str, ...]) -> None:
    await is_told(check_tools, parley, mistake)


@pytest.mark.parametrize("mistake", RESUMED.values(), ids=RESUMED.keys())
async def test_one_with_a_mistake_on_a_call_that_goes_on_is_told_which(parley: Write, mistake: tuple[str, ...]) -> None:
    await is_told(check_resumed, parley, mistake)


@pytest.mark.parametrize("mistake", [TOOLS["cuts a result"], RESUMED["greets on every call"]])
async def test_they_are_parts_of_the_whole_check(parley: Write, mistake: tuple[str, ...]) -> None:
    file, right, wrong, said = mistake
    emulator = parley(file, right, wrong)
    await told(lambda patience: check_engine(emulator, patience=patience), said)


async def tried(part: Part, make_emulator: Callable[[], EngineEmulator], patience: float = 1.0) -> None:
    check = Check("engine", patience)
    with check.raises_only_failures():
        async with make_emulator() as emulator:
            await part(check, emulator.engine(), emulator)


async def is_told(part: Part, parley: Write, mistake: tuple[str, ...]) -> None:
    file, right, wrong, said, *more = mistake
    emulator = parley(file, right, wrong, *more)
    await told(lambda patience: tried(part, emulator, patience), *said.split("|"))
