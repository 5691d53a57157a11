"""`patter dev --tunnel`, as processes: a call through a tunnel, and numbers that are put back however it ends."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import anyio
import anyio.abc
import httpx
import pytest

from patter_core.audio import ULAW_8000
from patter_core.testing.caller import Caller, EndCall, Pause, WaitForAgent
from patter_telnyx.testing import TelnyxEmulator
from patter_twilio.testing import TwilioEmulator
from tests.cli.fake_tunnel import TOKEN
from tests.cli.tunnel_programs import install
from tests.polling import until

pytestmark = pytest.mark.anyio

PATTER = "from patter_core.cli import main; main()"
OWN_TERMINAL = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
NUMBER = "+15005550001"
OLD = "https://old.example/voice"


PROGRAM = f"""
import asyncio, pathlib, signal, time
from patter_core import Patter
from patter_core.testing.fakes import FakeEngine
from patter_twilio import Twilio

phone = Patter(carrier=Twilio(), phone_number="{NUMBER}")
agent = phone.agent(engine=FakeEngine())
"""
HANGS_LATER = """
if pathlib.Path("seen").exists():
    pathlib.Path("hangs").touch()
    time.sleep(1_000)
pathlib.Path("seen").touch()
"""


class Scene:
    """A running command, at a terminal if it has one."""

    def __init__(self, process: anyio.abc.Process, terminal: int) -> None:
        self.process = process
        self.terminal = terminal
        self.said = ""

    async def until_said(self, text: str) -> None:
        assert self.process.stderr is not None
        while text not in self.said:
            self.said += (await self.process.stderr.receive()).decode()

    async def ended(self) -> int:
        """Waits for the end, and returns the exit status."""
        with contextlib.suppress(anyio.EndOfStream):
            await self.until_said("\0")
        return await self.process.wait()

    @property
    def public(self) -> str:
        found = re.search(r"Public address, by ngrok: (http://127\.0\.0\.1:\d+)\n", self.said)
        assert found is not None, self.said
        return found[1]


@contextlib.asynccontextmanager
async def tunnelled(folder: Path, environment: Mapping[str, str], *options: str) -> AsyncIterator[Scene]:
    """With `--yes` among the options, it has no terminal."""
    is_alone = "--yes" in options
    program = PATTER if is_alone else OWN_TERMINAL + PATTER
    command = [sys.executable, "-c", program, "dev", "--tunnel", "--no-open", "--port", "0", "--apps-port", "0"]
    inherited = {name: value for name, value in os.environ.items() if not name.endswith(("_KEY", "_TOKEN"))}
    variables = {**inherited, "PATH": install(folder / "bin", "ngrok"), "PATTER_PHONE_NUMBER": NUMBER, **environment}
    ours, theirs = os.openpty()
    stdin = subprocess.DEVNULL if is_alone else theirs
    with anyio.fail_after(120):
        process = await anyio.open_process(
            [*command, *options], env=variables, cwd=folder, stdin=stdin, start_new_session=True
        )
        async with process:
            os.close(theirs)
            try:
                yield Scene(process, ours)
            finally:
                os.close(ours)
                with contextlib.suppress(ProcessLookupError):
                    process.kill()


async def is_closed(url: str) -> bool:
    try:
        async with httpx.AsyncClient() as client:
            await client.get(url)
    except httpx.HTTPError:
        return True
    return False


async def test_a_call_comes_through_the_tunnel_and_the_number_is_back_after_ctrl_c(tmp_path: Path) -> None:
    async with TwilioEmulator() as twilio:
        twilio.add_number(NUMBER)
        twilio.api.numbers[0].voice_url, twilio.api.numbers[0].voice_method = OLD, "GET"
        environment = {**twilio.environment, "PATTER_WEBHOOK_URL": "https://elsewhere.example"}
        async with tunnelled(tmp_path, environment, "--yes") as scene:
            await scene.until_said(f"{NUMBER} points here now")
            (tmp_path / "changed.py").touch()
            await scene.until_said("Reloaded")
            assert twilio.voice_url(NUMBER) == f"{scene.public}/webhooks/twilio/voice"
            assert f"Point your number's voice webhook at {scene.public}/webhooks/twilio/voice" in scene.said
            caller = Caller([WaitForAgent(heard=0.1), Pause(0.1), EndCall()], ULAW_8000)
            recording = await twilio.call(twilio.voice_url(NUMBER), caller, to_number=NUMBER)
            assert any(recording.played)
            async with httpx.AsyncClient() as browser:
                for path in ("/browser/", "/dashboard/", "/-/session", "/browser/call", "/webhooks/browser/voice"):
                    assert (await browser.get(f"{scene.public}{path}")).status_code == 404
            scene.process.send_signal(signal.SIGINT)
            assert await scene.ended() == 0
        assert f"{NUMBER} points at {OLD} again." in scene.said
        assert (twilio.voice_url(NUMBER), twilio.api.numbers[0].voice_method) == (OLD, "GET")
        assert await is_closed(scene.public)


async def test_the_terminal_is_asked_and_a_kill_of_the_command_puts_the_number_back(tmp_path: Path) -> None:
    async with TelnyxEmulator() as telnyx:
        telnyx.add_number(NUMBER)
        telnyx.api.application.webhook_event_url = OLD
        async with tunnelled(tmp_path, telnyx.environment) as scene:
            await scene.until_said("[y/N]")
            os.write(scene.terminal, b"y\n")
            await scene.until_said("points here now")
            scene.process.kill()
            await until(lambda: telnyx.api.application.webhook_event_url == OLD)
            await scene.ended()
        assert telnyx.api.numbers[0].connection_id == ""
        assert await is_closed(scene.public)


@pytest.mark.slow
async def test_a_tunnel_that_ends_ends_the_command_and_a_changed_number_is_left_alone(tmp_path: Path) -> None:
    async with TwilioEmulator() as twilio:
        twilio.add_number(NUMBER)
        async with tunnelled(tmp_path, twilio.environment, "--yes") as scene:
            await scene.until_said("points here now")
            twilio.api.numbers[0].voice_url = "https://colleague.example"
            os.kill(_program_below(tmp_path), signal.SIGTERM)
            assert await scene.ended() == 1
        assert "patter: ngrok is gone (it has ended, with status -15)." in scene.said
        assert f"{NUMBER} was changed meanwhile" in scene.said
        assert twilio.voice_url(NUMBER) == "https://colleague.example"


@pytest.mark.parametrize("lines", ["asyncio.run(asyncio.sleep(0))", "signal.signal(signal.SIGUSR1, print)"])
async def test_a_program_is_imported_in_the_main_thread_outside_of_the_loop(tmp_path: Path, lines: str) -> None:
    (tmp_path / "app.py").write_text(PROGRAM + lines)
    async with TwilioEmulator() as twilio:
        twilio.add_number(NUMBER)
        async with tunnelled(tmp_path, twilio.environment, "--yes", "app.py") as scene:
            await scene.until_said(f"{NUMBER} points here now")
            scene.process.send_signal(signal.SIGINT)
            assert await scene.ended() == 0


async def test_ctrl_c_ends_it_while_the_program_hangs_at_its_import_for_the_numbers(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(PROGRAM + HANGS_LATER)
    async with TwilioEmulator() as twilio, tunnelled(tmp_path, twilio.environment, "--yes", "app.py") as scene:
        await scene.until_said("Waiting until the public address answers")
        await until((tmp_path / "hangs").exists)
        scene.process.send_signal(signal.SIGINT)
        with anyio.fail_after(20):
            assert await scene.ended() in {0, 130}  # as the program was served just then, or not yet


async def test_ctrl_c_where_nothing_is_served_has_the_exit_code_of_an_interruption(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("phone = nothing\n")
    async with TwilioEmulator() as twilio, tunnelled(tmp_path, twilio.environment, "--yes", "app.py") as scene:
        await scene.until_said("Nothing is served. Save a change to try again.\n")
        scene.process.send_signal(signal.SIGINT)
        assert await scene.ended() == 130


async def test_one_that_gives_no_address_ends_the_command_before_anything_is_served(tmp_path: Path) -> None:
    async with tunnelled(tmp_path, {"FAKE_TUNNEL": "dies"}, "--yes") as scene:
        assert await scene.ended() == 1
    assert "patter: ngrok gave no public address (it has ended, with status 1)." in scene.said
    assert "Ready for calls" not in scene.said
    assert not {"\x1b", TOKEN} & set(scene.said.split())


def _program_below(folder: Path) -> int:
    """Returns the id of the process that runs a program in a folder."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.fsencode(folder) in (process / "cmdline").read_bytes():
                return int(process.name)
    raise AssertionError(folder)
