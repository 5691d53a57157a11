"""`patter serve --workers`: calls go to any of them, a dead one is replaced, and a signal ends all in good order."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import anyio
import anyio.abc
import httpx
import pytest

from patter_core.audio import ULAW_8000
from patter_core.testing.caller import Caller, Pause, WaitForAgent
from patter_core.testing.network import free_port
from patter_elevenlabs.testing import ElevenLabsEmulator
from patter_twilio.testing import TwilioEmulator
from tests.polling import until

pytestmark = pytest.mark.anyio

PATTER = "from patter_core.cli import main; main()"


class Scene:
    def __init__(self, process: anyio.abc.Process, port: int, twilio: TwilioEmulator) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"
        self.twilio = twilio
        self.said = ""

    async def until_said(self, text: str) -> None:
        assert self.process.stderr is not None
        while text not in self.said:
            self.said += (await self.process.stderr.receive()).decode()

    async def until_all_is_said(self) -> None:
        assert self.process.stderr is not None
        async for piece in self.process.stderr:
            self.said += piece.decode()

    def workers(self) -> list[int]:
        listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, check=False)
        return [int(pid) for pid in listed.stdout.split()]

    async def ready(self, count: int) -> None:
        async with httpx.AsyncClient() as client:
            await until(lambda: len(self.workers()) >= count, within=90, every=0.05)
            assert (await client.get(f"{self.url}/health/ready")).status_code == 200

    async def without(self, worker: int) -> None:
        await until(lambda: worker not in self.workers(), within=30, every=0.02)

    async def health(self, **expected: int) -> None:
        """Waits until `/health`, of any worker that answers, tells this of both."""
        expected |= {"ready": True, "workers": 2, "draining": 0}
        async with httpx.AsyncClient(timeout=0.5) as client:
            while True:
                with contextlib.suppress(httpx.TimeoutException):  # the one that is stopped
                    if (await client.get(f"{self.url}/health")).json() == expected:
                        return
                await anyio.sleep(0.2)

    async def call(self) -> bytes:
        caller = Caller([WaitForAgent(heard=0.2), Pause(0.05)], ULAW_8000)
        return bytes((await self.twilio.call(f"{self.url}/webhooks/twilio/voice", caller)).played)


@contextlib.asynccontextmanager
async def serving(
    tmp_path: Path, *arguments: str, target: Sequence[str] = ("--carrier", "twilio"), **more: str
) -> AsyncIterator[Scene]:
    port = free_port()
    async with TwilioEmulator() as twilio, ElevenLabsEmulator() as engine:
        environment = {
            **os.environ,
            **twilio.environment,
            "PATTER_ENGINE": "elevenlabs",
            "ELEVENLABS_API_KEY": engine.api_key,
            "ELEVENLABS_AGENT_ID": engine.agent_id,
            "ELEVENLABS_BASE_URL": engine.base_url,
            **more,
        }
        command = [sys.executable, "-P", "-c", PATTER, "serve", *target, "--port", str(port), *arguments]
        async with await anyio.open_process(command, env=environment, cwd=tmp_path) as process:
            yield Scene(process, port, twilio)


async def test_several_answer_a_dead_one_is_replaced_and_a_signal_ends_all(tmp_path: Path) -> None:
    with anyio.fail_after(90):
        await anyio.Path(tmp_path, "patter.toml").write_text(
            '[[sinks]]\nname = "jsonl"\noptions = { path = "calls-{worker}.jsonl" }'
        )
        async with serving(tmp_path, "--workers", "2") as scene:
            await scene.until_said("Point your number's voice webhook at")
            await scene.ready(2)
            for _ in range(4):
                assert await scene.call()
            await scene.health(alive=2, taking_calls=2, calls=0)
            victim = scene.workers()[0]
            os.kill(victim, signal.SIGSTOP)  # its event loop is blocked
            await scene.health(alive=1, taking_calls=1, calls=0)
            os.kill(victim, signal.SIGKILL)
            await scene.until_said("Worker 0 died (killed by SIGKILL) and is replaced.")
            await scene.ready(2)
            await scene.health(alive=2, taking_calls=2, calls=0)
            assert victim not in scene.workers()
            assert await scene.call()
            scene.process.send_signal(signal.SIGTERM)
            await scene.until_all_is_said()
            assert await scene.process.wait() == 0
    assert scene.said.count("Ready for calls at") == 1  # and not again with the one that replaces
    assert "INFO patter.calls (worker " in scene.said
    written = logs_in(tmp_path)
    assert written
    assert written <= {"calls-0.jsonl", "calls-1.jsonl"}


PROGRAM = """
from getpatter import ElevenLabsConvAI, Patter, Twilio

phone = Patter(carrier=Twilio())
day = phone.agent(engine=ElevenLabsConvAI(), name="day", first_message="Hello!")
night = phone.agent(engine=ElevenLabsConvAI(), name="night", first_message="Good night!")

@phone.route
def decide(leg):
    print("several workers" if phone.several_workers else "one worker", flush=True)
    return night
"""


@pytest.mark.parametrize("workers", [1, 2])
async def test_the_phone_of_a_program_is_served(tmp_path: Path, workers: int) -> None:
    """From the current folder, whose files are no modules of Python's before that."""
    await anyio.Path(tmp_path, "shop.py").write_text(PROGRAM)
    await anyio.Path(tmp_path, "calendar.py").write_text("raise SystemExit('not the calendar of Python')")
    with anyio.fail_after(90):
        async with serving(tmp_path, "--workers", str(workers), target=["shop:phone"], PATTER_NOTICE="Hi.") as scene:
            await scene.until_said("Point your number's voice webhook at")
            assert await scene.call()
            scene.process.send_signal(signal.SIGTERM)
            assert await scene.process.wait() == 0
            assert scene.process.stdout is not None
            said = (await scene.process.stdout.receive()).decode()
    assert scene.said.count("PATTER_NOTICE is set, but the phone of a program has its own settings") == 1
    assert said == ("one worker\n" if workers == 1 else "several workers\n")


@pytest.mark.parametrize(
    ("target", "told"),
    [
        (["shop:fone"], "patter: “shop” has no “fone”. Did you mean phone?"),
        (["shop:phone", "--engine", "elevenlabs"], "The phone of a program has its own settings."),
        (["shop"], "patter: “shop” names no object. Expected FILE.py or MODULE:NAME. Did you mean shop.py?"),
    ],
)
async def test_a_program_that_cannot_be_served_is_told(tmp_path: Path, target: list[str], told: str) -> None:
    await anyio.Path(tmp_path, "shop.py").write_text(PROGRAM)
    with anyio.fail_after(60):
        async with serving(tmp_path, target=target) as scene:
            await scene.until_said(told)
            assert await scene.process.wait() == 1


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
async def test_a_second_signal_is_passed_on_and_ends_the_calls_of_all(number: signal.Signals, tmp_path: Path) -> None:
    with anyio.fail_after(90):
        async with serving(tmp_path, "--workers", "2") as scene, anyio.create_task_group() as tasks:
            await scene.until_said("Point your number's voice webhook at")
            await scene.ready(2)
            callers = [
                scene.twilio.place(f"{scene.url}/webhooks/twilio/voice", Caller([Pause(600)], ULAW_8000))
                for _ in range(4)
            ]
            for caller in callers:
                tasks.start_soon(caller.run)
            await until(lambda: all(caller.recording.played for caller in callers))
            scene.process.send_signal(number)
            await anyio.sleep(1)
            assert not any(caller.is_over for caller in callers)
            began = anyio.current_time()
            scene.process.send_signal(number)
            assert await scene.process.wait() == 0
            assert anyio.current_time() - began < 15  # while a drain takes 30 s
            await scene.until_said(f"Stopping on {number.name}: ")
            for caller in callers:
                await caller.over.wait()


async def test_the_service_manager_is_told_of_the_stop_of_all_workers_and_not_of_one(
    tmp_path: Path, socket_folder: Path
) -> None:
    await anyio.Path(tmp_path, "patter.toml").write_text("[limits]\nlinger = 0\n")
    path = str(socket_folder / "notify")

    def told(manager: socket.socket) -> list[bytes]:
        found = list[bytes]()
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(manager.recv(100))
        return found

    with anyio.fail_after(90), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.setblocking(False)
        async with serving(tmp_path, "--workers", "2", NOTIFY_SOCKET=path) as scene:
            await scene.until_said("Point your number's voice webhook at")
            await scene.ready(2)
            await scene.health(alive=2, taking_calls=2, calls=0)
            os.kill(scene.workers()[0], signal.SIGTERM)
            await scene.until_said("Worker 0 stopped and is replaced.")
            await scene.ready(2)
            await scene.health(alive=2, taking_calls=2, calls=0)
            assert set(told(manager)) == {b"READY=1"}
            scene.process.send_signal(signal.SIGTERM)
            assert await scene.process.wait() == 0
            assert told(manager)[-1:] == [b"STOPPING=1"]


def logs_in(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*.jsonl")}


async def test_workers_end_with_a_parent_that_is_killed_and_the_next_one_removes_what_is_left(tmp_path: Path) -> None:
    def folders() -> set[Path]:
        return set(tmp_path.glob("patter-workers-*"))

    with anyio.fail_after(90):
        await anyio.Path(tmp_path, "patter.toml").write_text("[limits]\nlinger = 0\n")
        async with serving(tmp_path, "--workers", "2", TMPDIR=str(tmp_path)) as scene:
            await scene.until_said("Point your number's voice webhook at")
            await scene.ready(2)
            left, (folder,) = scene.workers(), folders()
            scene.process.kill()
            await scene.until_said("The process that started this one is gone, so this one stops.")
            await until(lambda: not any(map(is_running, left)), within=60, every=0.05)
        assert folders() == {folder}
        async with serving(tmp_path, "--workers", "2", TMPDIR=str(tmp_path)) as scene:
            await scene.until_said("Point your number's voice webhook at")
            assert len(folders() - {folder}) == len(folders()) == 1
            scene.process.send_signal(signal.SIGTERM)
            assert await scene.process.wait() == 0
        assert not folders()


def is_running(pid: int) -> bool:
    listed = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, check=False).stdout
    return bool(listed.strip()) and not listed.startswith(b"Z")


async def test_what_no_worker_can_start_with_is_told_and_ends_all(tmp_path: Path) -> None:
    with anyio.fail_after(60):
        async with serving(tmp_path, "--workers", "2", TWILIO_AUTH_TOKEN="") as scene:
            assert await scene.process.wait() == 1
            await scene.until_said("patter: Twilio(auth_token=…) is missing.")
            assert "ended while it loaded" not in scene.said


WITH_CHILD = """
import os, time
if os.fork():
    os._exit(1)
while os.path.exists("shop.py"):
    time.sleep(0.05)
"""
ENDS = {
    "a code": ("import os; os._exit(3)", "exit code 3"),
    "that of an error": ("import os; os._exit(1)", "exit code 1"),
    "killed": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "killed by SIGKILL"),
    "with a child": (
        "import os, time\nif os.fork(): os._exit(1)\nwhile os.path.exists('shop.py'): time.sleep(0.05)",
        "exit code 1",
    ),
}


@pytest.mark.parametrize(("text", "how"), ENDS.values(), ids=ENDS.keys())
async def test_a_program_that_ends_its_process_while_it_is_loaded_is_told(tmp_path: Path, text: str, how: str) -> None:
    program = tmp_path / "shop.py"
    program.write_text(text)
    try:
        with anyio.fail_after(60):
            async with serving(tmp_path, "--workers", "2", target=["shop:phone"]) as scene:
                await scene.until_said(f" ended while it loaded the program ({how}).")
                assert await scene.process.wait() == 1
    finally:
        program.unlink()  # ends its child


async def test_an_error_of_the_worker_itself_is_told_once(tmp_path: Path) -> None:
    await anyio.Path(tmp_path, "shop.py").write_text("raise RuntimeError('the shop is closed')\n")
    with anyio.fail_after(60):
        async with serving(tmp_path, "--workers", "2", target=["shop:phone"], PATTER_TRACEBACK="1") as scene:
            assert await scene.process.wait() == 1
            await scene.until_said("the shop is closed")
            assert "ended while it loaded" not in scene.said


@contextlib.asynccontextmanager
async def dashboard_of(scene: Scene, apps: str) -> AsyncIterator[httpx.AsyncClient]:
    await scene.until_said("#token=")
    await scene.until_said("\n")
    token = scene.said.partition("#token=")[2].split()[0]
    async with httpx.AsyncClient(headers={"origin": apps}, base_url=f"{apps}/dashboard/api/") as browser:
        assert (await browser.post(f"{apps}/-/session", json={"token": token})).status_code == 204
        yield browser


def worker_at(scene: Scene, port: int) -> int:
    """The one that listens at a port."""
    listening = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    (inode,) = (line[9] for line in listening if line[1].endswith(f":{port:04X}") and line[3] == "0A")

    def has_it(pid: int) -> bool:
        return any(str(file.readlink()) == f"socket:[{inode}]" for file in Path(f"/proc/{pid}/fd").iterdir())

    (found,) = filter(has_it, scene.workers())
    return found


async def kinds_told(browser: httpx.AsyncClient, call_id: str, after: str, until_kind: str) -> list[str]:
    """The kinds of the call's records that the feed tells, up to one."""
    kinds = list[str]()
    async with browser.stream("GET", "feed", params={"call": call_id, "after": after}) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("data: {"):
                kinds.append(json.loads(line.removeprefix("data: "))["event"]["type"])
                if kinds[-1] == until_kind:
                    break
    return kinds


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs Linux: who listens is read from /proc")
async def test_the_dashboard_follows_the_calls_of_every_worker_and_of_one_that_is_killed(tmp_path: Path) -> None:
    apps = f"http://127.0.0.1:{(port := free_port())}"
    arguments = ["--workers", "2", "--sink", "sqlite", "--apps", "dashboard", "--apps-port", str(port)]
    with anyio.fail_after(90):
        async with (
            serving(tmp_path, *arguments) as scene,
            dashboard_of(scene, apps) as browser,
            anyio.create_task_group() as tasks,
        ):
            await scene.ready(2)

            async def live() -> dict[str, bool]:
                """Whether each live call is at the worker with the dashboard."""
                calls = (await browser.get("live")).json()["calls"]
                return {call["call_id"]: call["here"] for call in calls}

            start = (await browser.get("live")).json()["position"]
            while set((found := await live()).values()) != {True, False}:  # which worker takes one is by chance
                caller = scene.twilio.place(f"{scene.url}/webhooks/twilio/voice", Caller([Pause(600)], ULAW_8000))
                tasks.start_soon(caller.run)
                await until(lambda caller=caller: bool(caller.recording.played))  # type: ignore[misc] # the default binds it
                while len(await live()) == len(found):  # noqa: ASYNC110 - it is told by the file
                    await anyio.sleep(0.05)
            there = next(call_id for call_id, is_here in found.items() if not is_here)
            before = (await browser.get(f"calls/{there}")).json()
            assert (before["is_live"], before["is_here"]) == (True, False)
            assert (await kinds_told(browser, there, start, "media_started"))[0] == "call_announced"
            with_dashboard = worker_at(scene, port)
            (other,) = set(scene.workers()) - {with_dashboard}
            os.kill(other, signal.SIGKILL)
            assert await kinds_told(browser, there, before["position"], "media_started")  # at either worker
            assert set(await live()) == set(found)
            os.kill(with_dashboard, signal.SIGKILL)
            await scene.until_said("dashboard): http")
            tasks.cancel_scope.cancel()
            scene.process.send_signal(signal.SIGTERM)
            assert await scene.process.wait() == 0


WITH_APPS = """
from getpatter import ElevenLabsConvAI, Patter, Twilio
from patter_dashboard import Dashboard
phone = Patter(carrier=Twilio(), apps=[Dashboard()], apps_port=1)
phone.agent(engine=ElevenLabsConvAI())
"""


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_the_apps_of_a_program_are_at_the_port_of_the_option(tmp_path: Path, workers: str) -> None:
    (tmp_path / "phone_of_test.py").write_text(WITH_APPS)
    options = ["--workers", workers, "--apps-port", str(port := free_port())]
    with anyio.fail_after(60):
        async with serving(tmp_path, *options, target=["phone_of_test:phone"]) as scene:
            await scene.until_said(f"Apps (dashboard): http://127.0.0.1:{port}/")
            scene.process.send_signal(signal.SIGTERM)
            assert await scene.process.wait() == 0


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_the_port_of_calls_is_refused_for_the_apps_once_and_for_all(tmp_path: Path, workers: str) -> None:
    port = str(free_port())
    options = ["--workers", workers, "--port", port, "--apps", "dashboard", "--apps-port", port]
    with anyio.fail_after(60):
        async with serving(tmp_path, *options) as scene:
            assert await scene.process.wait() == 1
            await scene.until_said("this server listens there itself, for calls.")
            assert "is replaced" not in scene.said


async def test_one_worker_serves_the_apps_and_the_one_that_replaces_it_takes_its_cookies(tmp_path: Path) -> None:
    apps = f"http://127.0.0.1:{(port := free_port())}"
    arguments = ["--workers", "2", "--sink", "sqlite", "--apps", "dashboard", "--apps-port", str(port)]
    with anyio.fail_after(90):
        async with serving(tmp_path, *arguments) as scene, dashboard_of(scene, apps) as browser:
            token = scene.said.partition("#token=")[2].split()[0]
            await scene.ready(2)
            await scene.call()
            await scene.call()

            async def calls() -> int:
                with contextlib.suppress(httpx.TransportError):
                    answer = await browser.get("calls")
                    return len(answer.json().get("calls", ())) if answer.status_code == 200 else -answer.status_code
                return -1

            while await calls() != 2:  # noqa: ASYNC110 - of both workers, which tell no one
                await anyio.sleep(0.05)
            for worker in scene.workers():
                os.kill(worker, signal.SIGKILL)
            while (found := await calls()) != 2:
                assert found in {-1, 0}
                await anyio.sleep(0.05)
            await scene.until_said("dashboard): http")
            assert (await browser.post(f"{apps}/-/session", json={"token": token})).status_code == 403
            scene.process.send_signal(signal.SIGTERM)
            assert await scene.process.wait() == 0
