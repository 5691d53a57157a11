"""What the pages tell users to type works: a command is run, or has a reason; one of ours exists, with its options."""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import re
import shlex
import signal
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import anyio
import anyio.abc
import click
import pytest

from patter_core.audio import ULAW_8000
from patter_core.cli.commands import COMMANDS
from patter_core.cli.plugin_commands import find_commands, load_command
from patter_core.events import CallAnnounced, CallEnded, CallEvent, CallMetrics, Record, TranscriptInput
from patter_core.sinks import SQLiteSink
from patter_core.telephony.leg import Leg
from patter_core.testing.call import Callee
from patter_core.testing.caller import Caller, EndCall, Pause, WaitForAgent
from patter_core.testing.network import free_port
from patter_core.testing.speech import AGENT_LINES, CALLER_LINES, REPLIES
from patter_deepgram.testing import DeepgramSTTEmulator
from patter_elevenlabs.testing import ElevenLabsEmulator
from patter_elevenlabs.testing.tts import ElevenLabsTTSEmulator
from patter_openai.testing import OpenAIRealtimeEmulator
from patter_openai.testing.behaviour import Behaviour
from patter_openai.testing.chat import OpenAIChatEmulator
from patter_openai.testing.parrot import Parrot
from patter_openai.testing.reply import Reply
from patter_openai.testing.told import quoted
from patter_twilio.testing import EmulatedNumber, TwilioEmulator
from tests.docs.consoles import FOLLOWED, NOT_RUN, ROOT, Command, commands, pages, reason, spans

pytestmark = pytest.mark.anyio

PAGES = {str(page.relative_to(ROOT)): page for page in pages()}
ALL = [command for page in PAGES.values() for command in commands(page)]
RUN = {command.text for command in ALL if command.page in FOLLOWED}
OURS_BEGIN = r"^(?:[A-Z_]+=\S+ )*patter "
OURS = [
    one for one in [*ALL, *(span for page in PAGES.values() for span in spans(page))] if re.match(OURS_BEGIN, one.text)
]
TIMEOUT = 60
PUBLIC = "https://voice.example.org"
"""The pages' public address, in whose place stands that of the server that is run."""


def test_a_command_on_a_page_is_run_or_has_a_reason_why_not() -> None:
    assert not [one for one in ALL if one.page not in FOLLOWED and one.text not in RUN and not reason(one)]


def test_no_reason_and_no_page_is_left_over() -> None:
    assert set(PAGES) >= FOLLOWED
    unused = [pattern for pattern in NOT_RUN if not any(re.fullmatch(pattern, one.text) for one in ALL)]
    assert not unused


def test_a_session_that_a_page_names_exists() -> None:
    sessions = set(re.findall(r"^@nox\.session.*\ndef (\w+)", (ROOT / "noxfile.py").read_text(), re.MULTILINE))
    named = {
        name.partition("-")[0] for page in PAGES.values() for name in re.findall(r"\bnox -s ([\w-]+)", page.read_text())
    }
    assert {"bench", "tests"} <= named
    assert named <= sessions


@functools.cache
def patter() -> click.Group:
    """`patter`, with the commands of all plugins."""
    group = click.Group("patter")
    for name in COMMANDS:
        command: object = getattr(importlib.import_module(f"patter_core.cli.{name}"), name)
        assert isinstance(command, click.Command)
        group.add_command(command, name)
    for name, of_plugin in find_commands(COMMANDS).items():
        group.add_command(load_command(of_plugin), name)
    return group


def unknown_in(words: list[str]) -> str:
    """The first name in a command of ours that does not exist; "" if there is none."""
    command: click.Command = patter()
    context = click.Context(command)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name = words.pop(0)
        found = command.get_command(context, name)
        if found is None:
            return name if name.islower() else ""  # NAME stands for any
        command, context = found, click.Context(found, parent=context)
    known = {option for one in command.get_params(context) for option in (*one.opts, *one.secondary_opts)}
    return next((word for word in words if re.match(r"--?[a-z]", word) and word.partition("=")[0] not in known), "")


def test_every_command_of_ours_on_a_page_exists_with_its_options() -> None:
    assert len(OURS) > 100
    told = [(one.page, re.sub(OURS_BEGIN, "", one.text, count=1).replace("…", "NAME")) for one in OURS]
    assert not [(page, text) for page, text in told if unknown_in(shlex.split(text))]


def test_a_command_that_does_not_exist_is_found_out() -> None:
    assert unknown_in(["simulat"]) == "simulat"
    assert unknown_in(["serve", "--worker", "4"]) == "--worker"
    assert unknown_in(["twilio", "aim", "+15550001234"]) == "aim"


async def books(reply: Reply) -> None:
    """Books a table once the caller has spoken, if it can; otherwise the agent that comes with the emulator."""
    talk = reply.talk
    used = any(kept.item.type == "function_call" for kept in talk.items.all)
    if quoted(reply.parameters) is None and not used and "book_table" in str(talk.config):
        await reply.call("book_table", '{"guests": 2, "name": "Ada"}')
    else:
        await Parrot()(reply)


@contextlib.asynccontextmanager
async def vendors(*, in_parts: bool) -> AsyncIterator[tuple[TwilioEmulator, dict[str, str]]]:
    """The emulators, and the environment that leads to them."""
    async with contextlib.AsyncExitStack() as stack:
        twilio = await stack.enter_async_context(TwilioEmulator())
        twilio.callees["+15550009876"] = Callee(steps=[WaitForAgent(heard=0.3), Pause(0.1), EndCall()])
        twilio.api.numbers = [EmulatedNumber(phone_number="+15550001234", voice_url="https://demo.twilio.com/welcome")]
        accounts: dict[str, str] = dict(twilio.environment)
        if in_parts:
            stt, llm, tts = DeepgramSTTEmulator(lines=CALLER_LINES), OpenAIChatEmulator(), ElevenLabsTTSEmulator()
            llm.replies, tts.lines = REPLIES, AGENT_LINES
            for part in (stt, llm, tts):
                await stack.enter_async_context(part)
            accounts |= {"DEEPGRAM_API_KEY": stt.api_key, "DEEPGRAM_BASE_URL": stt.base_url}
            accounts |= {"OPENAI_API_KEY": llm.api_key, "OPENAI_BASE_URL": llm.base_url}
            accounts |= {"ELEVENLABS_API_KEY": tts.api_key, "ELEVENLABS_BASE_URL": tts.base_url}
        else:
            for engine in (OpenAIRealtimeEmulator(Behaviour(agent=books)), ElevenLabsEmulator(agent_id="agent_abc123")):
                await stack.enter_async_context(engine)
                accounts |= engine.environment
        yield twilio, accounts


async def write_calls(path: Path) -> None:
    """The call that the page about sinks looks at."""
    sink = SQLiteSink(path)
    now = time.time()
    leg = Leg(carrier="twilio", call_id="CA1", from_number="+*******11", to_number="+*******22")
    events: list[CallEvent] = [
        CallAnnounced(leg=leg, agent="concierge"),
        TranscriptInput(text="A table, please."),
        CallEnded(reason="caller_hung_up", by="caller", duration_ms=61_000, metrics=CallMetrics(turns=7)),
    ]
    await sink.write(
        [
            Record(call_id="5f0c7a31", sequence=number, time=now, elapsed_ms=0.0, event=event)
            for number, event in enumerate(events, 1)
        ]
    )
    await sink.aclose()


class Reader:
    """Follows the commands of one page."""

    def __init__(self, folder: Path, twilio: TwilioEmulator, environment: Mapping[str, str], url: str) -> None:
        self._folder = folder
        self._twilio = twilio
        self._environment = dict(environment)
        self._url = url
        self._servers: list[anyio.abc.Process] = []

    async def follow(self, command: Command) -> None:
        text = command.text.replace("python app.py", f"{sys.executable} app.py")
        if text.startswith("export "):
            name, _, value = text.removeprefix("export ").partition("=")
            self._environment[name] = value.replace(PUBLIC, self._url)
        elif re.match(r"patter serve|\S+python\S* app\.py", text):
            await self._serve(shlex.split(text))
        else:
            await self._run(shlex.split(text))

    async def _run(self, words: list[str]) -> None:
        done = await anyio.run_process(
            words, input=b"y\n", check=False, env=self._environment, cwd=self._folder, stderr=-2
        )
        printed = done.stdout.decode()
        assert printed.strip(), words
        assert "Traceback" not in printed, printed
        assert done.returncode in ({0, 1} if words[1] == "doctor" else {0}), f"{words}: {printed}"

    async def _serve(self, words: list[str]) -> None:
        """It goes on: has it answer a call, and leaves it running for the commands that follow."""
        process = await anyio.open_process(words, env=self._environment, cwd=self._folder, stderr=-2)
        self._servers.append(process)
        assert process.stdout is not None
        printed = ""
        while "Ready for calls" not in printed:
            printed += (await process.stdout.receive()).decode()
        caller = Caller([WaitForAgent(heard=0.3), Pause(0.1)], ULAW_8000)
        recording = await self._twilio.call(f"{self._url}/webhooks/twilio/voice", caller, to_number="+15550001234")
        assert recording.played, words

    async def stop(self) -> None:
        for process in self._servers:
            process.send_signal(signal.SIGINT)
            assert await process.wait() == 0
            await process.aclose()


@pytest.mark.slow  # calls follow real time
@pytest.mark.parametrize("name", sorted(FOLLOWED))
async def test_what_a_page_has_users_type_works(name: str, tmp_path: Path) -> None:
    page = PAGES[name]
    url = f"http://127.0.0.1:{free_port()}"
    programs = re.findall(r'^ *```python title="app\.py"\n(.*?)^ *```', page.read_text(), re.DOTALL | re.MULTILINE)
    program = textwrap.dedent(programs[0]) if programs else ""
    (tmp_path / "app.py").write_text(program.replace(PUBLIC, url))
    await write_calls(tmp_path / "patter.db")
    async with vendors(in_parts="stt=" in program) as (twilio, accounts):
        environment = {
            **os.environ,
            **accounts,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PATTER_PORT": url.rpartition(":")[2],
            "PATTER_ENGINE": "elevenlabs",
            "ELEVENLABS_VOICE_ID": "voice_emulated",
            "PYTHONUNBUFFERED": "1",
        }
        reader = Reader(tmp_path, twilio, environment, url)
        with anyio.fail_after(TIMEOUT):
            for command in commands(page):
                if not reason(command) or command.text.startswith("export "):
                    await reader.follow(command)
            await reader.stop()
