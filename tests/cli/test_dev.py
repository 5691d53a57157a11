"""`patter dev`, as a process: an agent to talk to without an account, and the next version once a file has changed."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import anyio.abc
import httpx
import msgspec
import pytest
from click.testing import CliRunner
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from patter_core import Registry
from patter_core.cli import dev_worker
from patter_core.cli.dev import dev
from patter_core.cli.dev_phone import opened
from patter_core.errors import ConfigurationError
from patter_core.observe.log_setup import LogSettings
from patter_core.settings.load import load
from patter_core.testing.network import free_port
from tests.polling import until

pytestmark = pytest.mark.anyio

PATTER = "from patter_core.cli import main; main()"
PROGRAM = """
from patter_core import Patter
from patter_core.testing.fakes import FakeCarrier, FakeEngine

phone = Patter(carrier=FakeCarrier())
agent = phone.agent(engine=FakeEngine(), name="{name}")
"""

HANGS = """
import os, signal, time

signal.signal(signal.SIGTERM, lambda *_: open("asked", "w").close())
open("pid", "w").write(str(os.getpid()))
time.sleep(1_000)
"""


class Scene:
    """A running `patter dev`, and a browser."""

    def __init__(self, process: anyio.abc.Process) -> None:
        self.process = process
        self.said = ""
        self.browser = httpx.AsyncClient()
        self.pages = ""

    async def until_said(self, text: str) -> None:
        assert self.process.stderr is not None
        while text not in self.said:
            self.said += (await self.process.stderr.receive()).decode()

    async def enter(self) -> str:
        """Opens the printed link; returns its token."""
        await self.until_said("Ctrl-C ends it.")
        found = re.search(r"Talk to the agent: (http://127\.0\.0\.1:\d+)/browser/#token=(\S+)", self.said)
        assert found is not None, self.said
        self.pages = found[1]
        self.browser.headers["origin"] = self.pages
        assert (await self.browser.post(f"{self.pages}/-/session", json={"token": found[2]})).status_code == 204
        return found[2]

    @contextlib.asynccontextmanager
    async def call(self) -> AsyncIterator[ClientConnection]:
        """A call from the page."""
        answer = (await self.browser.post(f"{self.pages}/browser/call", json={})).json()
        cookie = "; ".join(f"{name}={value}" for name, value in self.browser.cookies.items())
        async with connect(
            answer["media_url"],
            origin=Origin(self.pages),
            subprotocols=[Subprotocol("patter-phone-1")],
            additional_headers={"cookie": cookie},
            proxy=None,
        ) as media:
            hello = {"type": "hello", "call_id": answer["call_id"], "rate": answer["rate"]}
            await media.send(msgspec.json.encode(hello).decode())
            yield media


@contextlib.asynccontextmanager
async def developing(folder: Path, *arguments: str, **variables: str) -> AsyncIterator[Scene]:
    command = [sys.executable, "-c", PATTER, "dev", *arguments, "--port", "0", "--apps-port", "0"]
    environment = {name: value for name, value in os.environ.items() if not name.endswith(("_KEY", "_TOKEN"))}
    with anyio.fail_after(90):
        async with await anyio.open_process(command, env={**environment, **variables}, cwd=folder) as process:
            scene = Scene(process)
            try:
                async with scene.browser:
                    yield scene
            except BaseException:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                raise


async def test_the_port_of_calls_is_refused_for_the_pages(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PATTER, "dev", "--port", (port := str(free_port())), "--apps-port", port]
    ended = await anyio.run_process(command, cwd=tmp_path, check=False)
    assert ended.returncode == 1
    assert f"port {port}: this server listens there itself, for calls. Choose another with --apps-port." in str(ended)


async def test_without_anything_the_echo_agent_is_heard_in_the_page(tmp_path: Path) -> None:
    opener = tmp_path / "open"
    opener.write_text('#!/bin/sh\nprintf %s "$1" > opened\n')
    opener.chmod(0o755)
    async with developing(tmp_path, BROWSER=str(opener)) as scene:
        token = await scene.enter()
        assert "the echo agent answers" in scene.said
        async with scene.call() as media:
            while not isinstance(await media.recv(), bytes):
                pass
            await scene.until_said("agent:  Hello, this is Patter.")
        await scene.until_said("ended after")
        assert "audio is converted" not in scene.said
        assert (await scene.browser.get(f"{scene.pages}/dashboard/api/calls")).json()["calls"]
        opened = tmp_path / "opened"
        await until(lambda: opened.exists() and opened.read_text() == f"{scene.pages}/browser/#token={token}")
        carriers = re.search(r"Ready for calls at (\S+)\.\n", scene.said)
        assert carriers is not None
        for path in ("/browser/", "/dashboard/", "/-/session", "/webhooks/browser/voice", "/browser/call"):
            assert (await scene.browser.get(f"{carriers[1]}{path}")).status_code == 404
        scene.process.send_signal(signal.SIGTERM)
        assert await scene.process.wait() == 0


LACKING = {
    "an agent": ("[agent]\nfirst_message = 'Hi'\n", {}, "  openai-realtime: OPENAI_API_KEY is missing"),
    "half of the credentials": ("", {"ELEVENLABS_API_KEY": "key"}, "is set; ELEVENLABS_AGENT_ID is missing"),
    "neither": ("", {}, "There is no agent of yours here"),
}


@pytest.mark.parametrize(("text", "variables", "said"), LACKING.values(), ids=LACKING.keys())
async def test_why_the_echo_agent_answers_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, variables: dict[str, str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("PATTER_ENGINE", "OPENAI_API_KEY", "ELEVENLABS_API_KEY", "ELEVENLABS_AGENT_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    Path("patter.toml").write_text(text)  # noqa: ASYNC240 - a few bytes
    async with opened(Registry.discover(), load(None), "", apps_port=0) as dev:
        assert said in dev.notes[0]


TWILIO = {"TWILIO_ACCOUNT_SID": "AC" + 4 * "01234567", "TWILIO_AUTH_TOKEN": 4 * "01234567"}
LEFT_OUT = {
    "beside the page": ("", {"PLIVO_AUTH_TOKEN": "t0ken"}, True),
    "beside a carrier that is complete": ("", {**TWILIO, "PLIVO_AUTH_TOKEN": "t0ken"}, True),
    "beside one that is named": ("[carrier]\nname = 'browser'\n", {"PLIVO_AUTH_TOKEN": "t0ken"}, False),
    "none of its variables is set": ("", {}, False),
}


@pytest.mark.parametrize(("text", "variables", "is_told"), LEFT_OUT.values(), ids=LEFT_OUT.keys())
async def test_a_carrier_of_which_some_credentials_are_missing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, variables: dict[str, str], is_told: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    Path("patter.toml").write_text(text)  # noqa: ASYNC240 - a few bytes
    async with opened(Registry.discover(), load(None), "", apps_port=0) as dev:
        told = [note for note in dev.notes if note.startswith("A carrier is left out: ")]
    line = "A carrier is left out: plivo: PLIVO_AUTH_TOKEN is set; PLIVO_AUTH_ID is missing. You find it "
    assert [note[: len(line)] for note in told] == ([line] if is_told else [])


async def test_settings_that_the_phone_of_a_program_does_not_read_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("PATTER_REDACT_TRANSCRIPTS", "1")
    Path("app_of_dev.py").write_text(PROGRAM.format(name="one"))  # noqa: ASYNC240 - a few bytes
    async with opened(Registry.discover(), load(None), "app_of_dev:phone", apps_port=0) as dev:
        assert dev.notes[0].startswith("PATTER_REDACT_TRANSCRIPTS is set, but the phone of a program has its own")


@pytest.mark.parametrize("app", ["serving_in_dev.py", "serving_in_dev:phone"])
def test_a_program_that_serves_when_it_is_imported_is_told_so_outside_of_a_loop(
    app: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = PROGRAM.format(name="one")
    Path("serving_in_dev.py").write_text(f"import asyncio\n{text}asyncio.run(phone.serve(agent))\n")
    spec = dev_worker.DevSpec(
        listener=-1,
        app=app,
        config="",
        carrier="",
        engine="",
        sinks=(),
        store="",
        apps_port=0,
        apps_key=b"",
        logs=LogSettings(),
    )
    for name, value in (
        ("read_spec", spec),
        ("end_with_parent", None),
        ("start_log", None),
        ("read_environment", None),
    ):
        monkeypatch.setattr(dev_worker, name, lambda *_arguments, value=value: value)
    with pytest.raises(SystemExit):
        dev_worker._main()
    assert "patter: “serving_in_dev” serves its phone when it is imported." in capsys.readouterr().err


@pytest.mark.parametrize("app", [".", "call.wav", "app", "app:"])
def test_what_no_change_of_a_file_makes_a_phone_ends_the_command(
    app: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("app.py").touch()
    result = CliRunner().invoke(dev, [app], obj=Registry())
    assert isinstance(result.exception, ConfigurationError)
    assert str(result.exception).startswith(f"“{app}” names no object. Expected FILE.py or MODULE:NAME.")


async def test_a_program_that_has_uvicorn_serve_it_when_it_is_imported_is_told_so(tmp_path: Path) -> None:
    text = PROGRAM.format(name="one")
    (tmp_path / "app.py").write_text(f"import uvicorn\n{text}uvicorn.run(phone.asgi(), port=0)\n")
    async with developing(tmp_path, "app.py") as scene:
        await scene.until_said("Nothing is served. Save a change to try again.")
        assert "patter: “app” serves its phone when it is imported." in scene.said
        assert 'below: if __name__ == "__main__":' in scene.said
        (tmp_path / "app.py").write_text(text)
        await scene.enter()
        scene.process.send_signal(signal.SIGINT)
        assert await scene.process.wait() == 0


def test_an_interrupt_after_it_has_served_is_told_by_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    for name in ("read_spec", "end_with_parent"):
        monkeypatch.setattr(dev_worker, name, lambda _argument: None)
    monkeypatch.setattr(dev_worker, "read_environment", interrupt)
    with pytest.raises(SystemExit) as caught:
        dev_worker._main()
    assert caught.value.code == 130
    assert capsys.readouterr().err == ""


@pytest.mark.slow
async def test_a_changed_file_takes_over_and_a_broken_one_is_told(tmp_path: Path) -> None:
    program = tmp_path / "app.py"
    program.write_text("phone = nothing\n")
    async with developing(tmp_path, "app.py", "--no-open") as scene:
        await scene.until_said("patter: app.py, line 1: NameError: name 'nothing' is not defined. ")
        await scene.until_said("Nothing is served.")
        program.write_text(PROGRAM.format(name="day"))
        await scene.enter()
        async with scene.call() as media:
            await scene.until_said("day answers")
            program.write_text("phone = (\n")
            await scene.until_said("patter: app.py, line 1: SyntaxError: '(' was never closed. ")
            await scene.until_said("The version from before")
            await media.ping()
            program.write_text(PROGRAM.format(name="night"))
            await media.wait_closed()  # it had some seconds to end
            await scene.until_said("Stopping on a change of the program: 1 live call has 5 s to finish.")
        await scene.until_said("Reloaded")
        async with scene.call():  # the browser is still let in
            await scene.until_said("night answers")
            scene.process.send_signal(signal.SIGINT)
            assert await scene.process.wait() == 0


@pytest.mark.slow
async def test_the_service_manager_is_told_of_the_stop_of_the_command_and_not_of_a_version(
    tmp_path: Path, socket_folder: Path
) -> None:
    path = str(socket_folder / "notify")
    program = tmp_path / "app.py"
    program.write_text(PROGRAM.format(name="one"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.setblocking(False)
        async with developing(tmp_path, "--no-open", "app.py", NOTIFY_SOCKET=path) as scene:
            await scene.until_said("Ctrl-C ends it.")
            program.write_text(PROGRAM.format(name="another"))
            for _ in range(2):
                await anyio.wait_readable(manager)
                assert manager.recv(100) == b"READY=1"
            scene.process.send_signal(signal.SIGTERM)
            assert await scene.process.wait() == 0
        assert manager.recv(100) == b"STOPPING=1"
        with pytest.raises(BlockingIOError):
            manager.recv(100)


@pytest.mark.slow
async def test_a_variable_of_the_dotenv_file_is_read_anew(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("NAME_OF_AGENT=day\nPATTER_PORTT=1\n")
    (tmp_path / "app.py").write_text("import os\n" + PROGRAM.replace('"{name}"', 'os.environ["NAME_OF_AGENT"]'))
    async with developing(tmp_path, "app:phone", "--no-open") as scene:
        await scene.enter()
        (tmp_path / ".env").write_text("NAME_OF_AGENT=night\nPATTER_PROT=1\nPATTER_PORTT=1\n")
        await scene.until_said("Reloaded")
        useless = re.findall("patter: The environment variable (.*) is not read by anything.", scene.said)
        assert useless == ["PATTER_PORTT", "PATTER_PROT"]  # each once, when it was set
        async with scene.call():
            await scene.until_said("night answers")
        scene.process.send_signal(signal.SIGTERM)
        assert await scene.process.wait() == 0


@pytest.mark.slow
async def test_a_program_that_hangs_is_loaded_anew_once_it_is_changed_and_ends_with_its_parent(tmp_path: Path) -> None:
    program = tmp_path / "app.py"
    program.write_text(HANGS)
    async with developing(tmp_path, "app.py", "--no-open") as scene:
        await scene.until_said("The program is still being loaded after 5 s: it is at app.py, line ")
        first = int((tmp_path / "pid").read_text())
        program.write_text("input()\n")
        await scene.until_said("patter: app.py, line 1: EOFError")
        assert scene.said.count("still being loaded") == 1
        await until(lambda: not Path(f"/proc/{first}").exists())
        program.write_text(HANGS)
        await until(lambda: (tmp_path / "pid").read_text() not in {"", str(first)})
        last = int((tmp_path / "pid").read_text())
        scene.process.kill()
        await until(lambda: not Path(f"/proc/{last}").exists())


ENDS = {
    "a code": ("import os; os._exit(3)", "exit code 3"),
    "that of an error": ("import os; os._exit(1)", "exit code 1"),
    "a signal": ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV"),
}


@pytest.mark.parametrize(("text", "how"), ENDS.values(), ids=ENDS.keys())
async def test_a_program_that_ends_the_process_at_its_import_is_told(tmp_path: Path, text: str, how: str) -> None:
    (tmp_path / "app.py").write_text(text)
    async with developing(tmp_path, "app.py", "--no-open") as scene:
        await scene.until_said(f"The process ended while it loaded the program ({how}).\nNothing is served. ")
        (tmp_path / "app.py").write_text("phone = nothing\n")
        await scene.until_said("NameError")
        await scene.until_said("Nothing is served.")
        assert scene.said.count("The process ended") == 1
        scene.process.send_signal(signal.SIGINT)
        assert await scene.process.wait() == 130


async def test_a_second_ctrl_c_while_it_ends_changes_neither_exit_code_nor_output(tmp_path: Path) -> None:
    """Wherever it comes: the signals are sent until the process is gone."""
    (tmp_path / "app.py").write_text("phone = nothing\n")
    async with developing(tmp_path, "app.py", "--no-open") as scene:
        await scene.until_said("Nothing is served. Save a change to try again.\n")
        with contextlib.suppress(ProcessLookupError):
            while scene.process.returncode is None:
                os.kill(scene.process.pid, signal.SIGINT)  # `send_signal` would take its exit code away from asyncio
                await anyio.sleep(0.002)
        assert await scene.process.wait() == 130
        assert scene.process.stderr is not None
        assert [said async for said in scene.process.stderr] == []


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in {"Z", "X"}  # nobody may wait for one that lost its parent


async def test_one_that_hangs_is_killed_at_once_with_its_children_where_a_change_is_saved(tmp_path: Path) -> None:
    program = tmp_path / "app.py"
    child = "import subprocess\nopen('child', 'w').write(str(subprocess.Popen(['sleep', '60']).pid))\n"
    program.write_text(child + HANGS)
    async with developing(tmp_path, "app.py", "--no-open") as scene:
        await until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "")
        first = int((tmp_path / "pid").read_text())
        program.write_text(PROGRAM.format(name="day"))
        await scene.until_said("Ctrl-C ends it.")
        await until(lambda: not Path(f"/proc/{first}").exists())
        await until(lambda: not _is_alive(int((tmp_path / "child").read_text())))
        assert not (tmp_path / "asked").exists()
        assert "Nothing is served" not in scene.said
        scene.process.send_signal(signal.SIGINT)
        assert await scene.process.wait() == 0


async def test_a_program_that_ends_the_process_while_it_serves_is_told(tmp_path: Path) -> None:
    program = tmp_path / "app.py"
    program.write_text(PROGRAM.format(name="day") + "open('pid', 'w').write(str(__import__('os').getpid()))\n")
    async with developing(tmp_path, "app.py", "--no-open") as scene:
        await scene.until_said("Ctrl-C ends it.")
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
        await scene.until_said("The program has ended by itself (killed by SIGKILL). Save a change to start it again.")
        scene.process.send_signal(signal.SIGINT)
        assert await scene.process.wait() == 130


@pytest.mark.slow
async def test_the_folder_may_vanish(tmp_path: Path) -> None:
    folder = tmp_path / "of a user\n"
    folder.mkdir()
    program = folder / "app.py"
    program.write_text(PROGRAM.format(name="day"))
    async with developing(folder, "app.py", "--no-open") as scene:
        await scene.enter()
        shutil.rmtree(folder)  # with what Python has compiled
        await scene.until_said("The version from before goes on.")
        async with scene.call():
            await scene.until_said("day answers")
        scene.process.send_signal(signal.SIGTERM)
        assert await scene.process.wait() == 0
