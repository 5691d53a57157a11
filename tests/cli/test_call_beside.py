"""`patter call` where a server runs: a worker of it makes the call, and the command follows it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import anyio
import anyio.abc
import httpx
import msgspec
import pytest

from patter_core.audio import ULAW_8000
from patter_core.events import Record
from patter_core.telephony.leg import AnsweredBy, Progress
from patter_core.testing.call import Callee
from patter_core.testing.caller import EndCall, Pause, Say, WaitForAgent, WaitForSilence
from patter_core.testing.network import free_port
from patter_core.testing.speech import CALLER_LINES
from patter_elevenlabs.testing import ElevenLabsEmulator
from patter_twilio.testing import TwilioEmulator
from tests.polling import until

pytestmark = pytest.mark.anyio

PATTER = "from patter_core.cli import main; main()"
TO = "+15550009876"
TALK = (WaitForAgent(heard=0.3), WaitForSilence(0.3), Say(CALLER_LINES[0].audio(ULAW_8000)), Pause(0.1), EndCall())
WAIT = (Pause(60),)
JSON_LINES = '[[sinks]]\nname = "jsonl"\noptions = { path = "events-{worker}.jsonl" }\n'


class Scene:
    def __init__(self, folder: Path, port: int, environment: Mapping[str, str], twilio: TwilioEmulator) -> None:
        self.folder = folder
        self.port = port
        self.environment = environment
        self.twilio = twilio

    @property
    def sockets(self) -> list[Path]:
        return sorted(self.folder.glob(".patter-*.sock"))

    @contextlib.asynccontextmanager
    async def patter(self, *arguments: str) -> AsyncIterator[anyio.abc.Process]:
        command = [sys.executable, "-c", PATTER, *arguments]
        process = await anyio.open_process(command, env=self.environment, cwd=self.folder, stderr=-2)
        async with process:
            try:
                yield process
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()

    @contextlib.asynccontextmanager
    async def server(self, *arguments: str, workers: int = 1) -> AsyncIterator[anyio.abc.Process]:
        async with self.patter("serve", "--workers", str(workers), *arguments) as process:
            while len(self.sockets) < workers:  # noqa: ASYNC110 - another process makes them
                await anyio.sleep(0.05)
            yield process

    async def call(self, *arguments: str, code: int = 0) -> str:
        async with self.patter("call", TO, *arguments) as process:
            said = await read(process)
            assert await process.wait() == code, said
        return said


async def read(process: anyio.abc.Process, until: str = "\0") -> str:
    assert process.stdout is not None
    said = ""
    while until not in said:
        try:
            said += (await process.stdout.receive()).decode()
        except anyio.EndOfStream:
            break
    return said


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    port = free_port()
    async with TwilioEmulator() as twilio, ElevenLabsEmulator() as engine:
        environment = {
            **os.environ,
            **twilio.environment,
            "COLUMNS": "200",
            "PATTER_CARRIER": "twilio",
            "PATTER_ENGINE": "elevenlabs",
            "ELEVENLABS_API_KEY": engine.api_key,
            "ELEVENLABS_AGENT_ID": engine.agent_id,
            "ELEVENLABS_BASE_URL": engine.base_url,
            "PATTER_PHONE_NUMBER": "+15550001234",
            "PATTER_WEBHOOK_URL": f"http://127.0.0.1:{port}",
            "PATTER_PORT": str(port),
        }
        with anyio.fail_after(90):
            yield Scene(tmp_path, port, environment, twilio)


@pytest.mark.slow
async def test_a_worker_makes_the_call_and_it_is_followed_to_whichever_has_it(scene: Scene) -> None:
    scene.twilio.callees[TO] = Callee(steps=TALK)
    async with scene.server("--sink", "sqlite", workers=2):
        said = await scene.call("--first-message", "Hello Ada.")
        assert "The server that runs here makes the call." in said
        assert "agent:  Hello Ada." in said
        assert "caller hung up" in said
        assert "duration" in said
        assert TO not in said
        async with scene.patter("calls", "--direction", "outbound", "--json") as calls:
            assert '"reason":"caller_hung_up"' in await read(calls)


@pytest.mark.slow
async def test_calls_whose_audio_comes_to_other_workers_count_once_and_end_once(scene: Scene) -> None:
    scene.twilio.callees[TO] = Callee(steps=WAIT)
    (scene.folder / "patter.toml").write_text(JSON_LINES)
    async with scene.server(workers=2) as server, httpx.AsyncClient() as client:
        for _ in range(6):
            async with scene.patter("call", TO) as call:
                await read(call, until="is ready after")  # the call goes on without the command

        async def live() -> int:
            return int((await client.get(f"http://127.0.0.1:{scene.port}/health")).json()["calls"])

        await anyio.sleep(2.5)  # a worker tells the others each second
        while await live() != 6:  # noqa: ASYNC110 - of both workers, which tell no one
            await anyio.sleep(0.2)
        server.send_signal(signal.SIGINT)
        await anyio.sleep(0.5)  # two at once would be one
        server.send_signal(signal.SIGINT)
        await server.wait()
    lines = [line for path in scene.folder.glob("events-*.jsonl") for line in path.read_bytes().splitlines()]
    records = [msgspec.json.decode(line, type=Record) for line in lines]
    ended = [record.call_id for record in records if record.event.kind == "call_ended"]
    assert len(ended) == len(set(ended)) == 6
    dialled = [record.call_id for record in records if record.event.kind == "call_announced"]
    moved = [record.call_id for record in records if record.event.kind == "call_moved"]
    assert sorted(moved) == sorted(one for one in set(dialled) if dialled.count(one) == 2)


@pytest.mark.slow
async def test_a_message_is_left_whichever_worker_the_machine_is_reported_to(scene: Scene) -> None:
    async with scene.server(workers=2):
        for number in range(6):
            after = 1.0 if number % 2 else 0.1  # its stream may not be here yet
            scene.twilio.callees[TO] = Callee(answered_by=AnsweredBy.MACHINE, detected_after=after, steps=WAIT)
            said = await scene.call("--voicemail", "Please call back.")
            assert "voicemail (by the host)" in said
            assert "caller hung up" not in said
        await until(lambda: all(call.spoken for call in scene.twilio.calls))
    assert [call.spoken for call in scene.twilio.calls] == [["Please call back."]] * 6


async def test_ctrl_c_hangs_up_and_a_server_that_goes_away_is_told(scene: Scene) -> None:
    scene.twilio.callees[TO] = Callee(steps=WAIT)
    async with scene.server() as server:
        refused = await scene.call("--agent", "night", code=1)
        assert "patter: There is no agent “night”." in refused
        assert "own settings" in await scene.call("--sink", "jsonl", code=1)
        async with scene.patter("call", TO) as call:
            assert "is ready after" in await read(call, until="is ready after")
            call.send_signal(signal.SIGINT)
            said = await read(call)
            assert await call.wait() == 0
        assert "Hanging up. Ctrl-C again leaves that to the server." in said
        assert "host hung up" in said
        assert scene.twilio.calls[0].status == "completed"
        async with scene.patter("call", TO) as call:
            await read(call, until="is ready after")
            call.send_signal(signal.SIGINT)
            await read(call, until="Hanging up.")
            call.send_signal(signal.SIGINT)
            said = await read(call)
            await call.wait()
        assert "goes on" not in said
        await until(lambda: scene.twilio.calls[1].status == "completed")
        async with scene.patter("call", TO) as call:
            await read(call, until="is ready after")
            server.kill()
            said = await read(call)
            assert await call.wait() == 1
        assert "patter: The server went away during the call." in said
    assert scene.sockets  # of the server that was killed: nobody answers there
    scene.twilio.callees[TO] = Callee(outcome=Progress.BUSY)
    said = await scene.call(code=1)
    assert "busy" in said
    assert "The server that runs here" not in said
