"""Every program of docs/examples runs as a user runs it, in a process of its own; emulators play the vendors."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import anyio.abc
import httpx
import msgspec
import pytest

from patter_core.audio import ULAW_8000
from patter_core.events import Record
from patter_core.telephony.leg import AnsweredBy
from patter_core.testing.caller import Caller, EndCall, Pause, Say, Step, WaitForAgent, WaitForSilence
from patter_core.testing.network import free_port
from patter_core.testing.speech import line
from patter_elevenlabs.testing import Behaviour, ElevenLabsEmulator
from patter_elevenlabs.wire import ContextualUpdate
from patter_twilio.testing import TwilioEmulator

pytestmark = pytest.mark.anyio

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
NUMBER, OTHER_NUMBER, OFFICE = "+15550001234", "+15550005678", "+15550007777"
TIMEOUT = 60


def test_examples_import_from_packages_and_not_from_modules_inside_them() -> None:
    sources = [path.read_text() for path in EXAMPLES.glob("*.py")]
    assert sources
    assert not [
        name for source in sources for name in re.findall(r"^from (patter_\w+\.\w+\.\S+)", source, re.MULTILINE)
    ]


class Program:
    """An example that runs."""

    def __init__(self, process: anyio.abc.Process) -> None:
        self.process = process
        self.printed = ""
        """What it has printed so far, on both streams."""

    async def until(self, pattern: str) -> re.Match[str]:
        """Waits until it prints that."""
        while (found := re.search(pattern, self.printed)) is None:
            assert await self._read(), f"It ended without printing “{pattern}”, but this:\n{self.printed}"
        return found

    async def wait(self) -> int:
        """Waits until it ends; returns its exit code."""
        while await self._read():
            pass
        return await self.process.wait()

    async def _read(self) -> bool:
        assert self.process.stdout is not None
        try:
            self.printed += (await self.process.stdout.receive()).decode()
        except anyio.EndOfStream:
            return False
        return True


class World:
    """The vendors, as emulators, and programs that find them."""

    def __init__(self, twilio: TwilioEmulator, elevenlabs: ElevenLabsEmulator) -> None:
        self.twilio = twilio
        self.elevenlabs = elevenlabs

    @contextlib.asynccontextmanager
    async def running(
        self, *command: str, cwd: Path = EXAMPLES, variables: dict[str, str] | None = None
    ) -> AsyncIterator[Program]:
        """Runs Python with these arguments, and these environment variables beside the vendors'."""
        known = {
            **os.environ,
            **self.twilio.environment,
            "ELEVENLABS_API_KEY": self.elevenlabs.api_key,
            "ELEVENLABS_AGENT_ID": self.elevenlabs.agent_id,
            "ELEVENLABS_BASE_URL": self.elevenlabs.base_url,
            "PATTER_PHONE_NUMBER": NUMBER,
            "PATTER_PORT": "0",
            "PYTHONUNBUFFERED": "1",
            **(variables or {}),
        }
        async with await anyio.open_process([sys.executable, *command], env=known, cwd=cwd, stderr=-2) as process:
            try:
                yield Program(process)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()

    async def call(self, url: str, *steps: Step, to_number: str = NUMBER, from_number: str = "+15550009999") -> bytes:
        """Places a call to the app at that URL; returns what the caller heard of the agent."""
        caller = Caller(steps or (WaitForAgent(heard=0.3), Pause(0.1)), ULAW_8000)
        webhook = f"{url}/webhooks/twilio/voice"
        recording = await self.twilio.call(webhook, caller, from_number=from_number, to_number=to_number)
        return bytes(recording.played)

    @property
    def direction(self) -> str:
        """The last TwiML document of the latest call."""
        return self.twilio.calls[-1].documents[-1].decode()

    @property
    def first_messages(self) -> list[str]:
        """What the agent of each conversation was told to say first."""
        opened = b" ".join(conversation.initiation_json for conversation in self.elevenlabs.conversations)
        return re.findall(r'"first_message":"(.*?)"', opened.decode())


@contextlib.asynccontextmanager
async def world(behaviour: Behaviour | None = None) -> AsyncIterator[World]:
    with anyio.fail_after(TIMEOUT):
        async with TwilioEmulator() as twilio, ElevenLabsEmulator(behaviour) as elevenlabs:
            yield World(twilio, elevenlabs)


async def ready(program: Program) -> str:
    """The address at which it answers calls."""
    return (await program.until(r"Ready for calls at (http://\S+)\.\n"))[1]


def test_no_example_is_left_out() -> None:
    tried = set(re.findall(r"^async def test_(\w+?)_", Path(__file__).read_text(), re.MULTILINE))
    assert {path.stem for path in EXAMPLES.glob("*.py")} == tried


# --- answer.py -----------------------------------------------------------------------------------------------------


async def test_answer_lets_the_agent_take_a_call() -> None:
    async with world() as it, it.running("answer.py", variables={"OFFICE_NUMBER": OFFICE}) as program:
        assert await it.call(await ready(program))
        assert it.first_messages == ["Hello, this is the reception. How can I help you?"]


async def test_answer_transfers_the_caller_if_the_agent_cannot_be_reached() -> None:
    async with (
        world(Behaviour(refuse_upgrade=503)) as it,
        it.running("answer.py", variables={"OFFICE_NUMBER": OFFICE}) as program,
    ):
        assert not await it.call(await ready(program), Pause(30))
        assert OFFICE in it.direction
        assert "I connect you with a colleague." in it.direction


# --- outbound.py ---------------------------------------------------------------------------------------------------


async def outbound(it: World) -> tuple[int, str]:
    """Runs the program; returns its exit code and all that it printed."""
    port = free_port()
    variables = {"PATTER_PORT": str(port), "PATTER_WEBHOOK_URL": f"http://127.0.0.1:{port}"}
    async with it.running("outbound.py", OTHER_NUMBER, variables=variables) as program:
        code = await program.wait()
    return code, program.printed


async def test_outbound_calls_and_tells_the_end() -> None:
    async with world() as it:
        it.twilio.callee = msgspec.structs.replace(it.twilio.callee, steps=(WaitForAgent(heard=0.3), EndCall()))
        code, printed = await outbound(it)
        assert it.twilio.calls[0].to_number == OTHER_NUMBER
        assert it.first_messages == ["Hello, this is the restaurant. Your table is ready."]
    assert code == 0
    assert "completed: caller_hung_up, after " in printed


async def test_outbound_leaves_a_message_to_a_machine() -> None:
    async with world() as it:
        it.twilio.callee = msgspec.structs.replace(it.twilio.callee, steps=(Pause(30),), answered_by=AnsweredBy.MACHINE)
        code, printed = await outbound(it)
        assert "Please call us back about your table." in it.direction
    assert code == 0
    assert "completed: voicemail, after " in printed


# --- routes.py -----------------------------------------------------------------------------------------------------


def routes(office_hours: str) -> dict[str, str]:
    numbers = {"SALES_NUMBER": NUMBER, "SERVICE_NUMBER": OTHER_NUMBER, "OFFICE_NUMBER": OFFICE}
    return {**numbers, "OFFICE_HOURS": office_hours}


async def test_routes_has_an_agent_for_each_number() -> None:
    async with world() as it, it.running("routes.py", variables=routes("24-24")) as program:
        url = await ready(program)
        assert await it.call(url, to_number=NUMBER)
        assert await it.call(url, to_number=OTHER_NUMBER)
        assert it.first_messages == ["This is sales.", "Our office is closed. I can help you."]


async def test_routes_transfers_in_office_hours_and_rejects_callers_without_a_number() -> None:
    async with world() as it, it.running("routes.py", variables=routes("0-24")) as program:
        url = await ready(program)
        assert not await it.call(url, to_number=OTHER_NUMBER)
        assert OFFICE in it.direction
        assert not await it.call(url, from_number="anonymous")
        assert "<Reject" in it.direction
        assert not it.elevenlabs.conversations


# --- observe.py ----------------------------------------------------------------------------------------------------


async def test_observe_shows_keeps_and_counts_calls_and_tells_the_agent_something(tmp_path: Path) -> None:
    asks = (WaitForSilence(), Say(line("booking").audio(ULAW_8000)), WaitForAgent(heard=0.1))
    async with world() as it, it.running(str(EXAMPLES / "observe.py"), cwd=tmp_path) as program:
        assert await it.call(await ready(program), *asks)
        await program.until(r"caller: Hi, I would like to book a table")
        await program.until(r"1 calls, 0\.\d\d minutes")
        (conversation,) = it.elevenlabs.conversations
        told = [message.text for message in conversation.messages if isinstance(message, ContextualUpdate)]
        assert told == ["There are free tables from half past seven on."]
        program.process.send_signal(signal.SIGTERM)
        assert await program.wait() == 0
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    records = [msgspec.json.decode(text, type=Record) for text in lines]
    assert [record.sequence for record in records] == list(range(1, len(records) + 1))
    assert [records[0].event.kind, records[-1].event.kind] == ["call_announced", "call_ended"]


# --- mount.py ------------------------------------------------------------------------------------------------------


async def test_mount_takes_calls_below_its_path_and_lists_them() -> None:
    served = ("-m", "uvicorn", "mount:app", "--ws", "websockets-sansio", "--no-access-log", "--port", "0")
    async with world() as it, it.running(*served) as program, httpx.AsyncClient(trust_env=False) as browser:
        url = (await program.until(r"running on (http://\S+) "))[1]
        assert (await browser.get(f"{url}/calls")).json() == {}
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(it.call, f"{url}/phone", Pause(30))
            await it.elevenlabs.conversation()
            (status,) = (await browser.get(f"{url}/calls")).json().values()
            tasks.cancel_scope.cancel()
        assert status in {"ringing", "answered"}
