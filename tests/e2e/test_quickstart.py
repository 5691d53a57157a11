"""The quickstart as a user runs it: the README's own code in a process of its own, configured from the environment."""

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
import pytest

from patter_core.audio import ULAW_8000
from patter_core.settings.target import phone_at
from patter_core.testing.caller import Caller, Pause, WaitForAgent
from patter_core.testing.network import free_port
from patter_elevenlabs.testing import ElevenLabsEmulator
from patter_twilio.testing import TwilioEmulator

pytestmark = pytest.mark.anyio

README = Path(__file__).parents[2] / "README.md"


def quickstart() -> str:
    found = re.search(r"<!-- quickstart -->\n```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert found is not None
    return found.group(1)


@contextlib.asynccontextmanager
async def running(
    twilio: TwilioEmulator, elevenlabs: ElevenLabsEmulator, port: int, path: Path | None = None
) -> AsyncIterator[anyio.abc.Process]:
    """The quickstart's process, once it says that it is ready."""
    environment = {
        **os.environ,
        **twilio.environment,
        "ELEVENLABS_API_KEY": elevenlabs.api_key,
        "ELEVENLABS_BASE_URL": elevenlabs.base_url,
        "PATTER_PORT": str(port),
        "PYTHONPATH": "" if path is None else str(path),
    }
    async with await anyio.open_process([sys.executable, "-c", quickstart()], env=environment) as process:
        assert process.stderr is not None
        said = ""
        while "Point your number's voice webhook at" not in said:
            said += (await process.stderr.receive()).decode()
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()


async def call(twilio: TwilioEmulator, port: int) -> bytes:
    """A short call: hear the agent's first words, then hang up. Gives what was heard."""
    caller = Caller([WaitForAgent(heard=0.5), Pause(0.1)], ULAW_8000)
    recording = await twilio.call(f"http://127.0.0.1:{port}/webhooks/twilio/voice", caller)
    return bytes(recording.played)


def test_the_commands_find_its_phone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {**TwilioEmulator().environment, "ELEVENLABS_API_KEY": "key-of-the-test"}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    program = tmp_path / "program_of_readme.py"
    program.write_text(quickstart())
    assert len(phone_at(str(program)).agents) == 1


async def test_the_quickstart_answers_a_call_without_a_webhook_url_and_stops_on_a_signal() -> None:
    port = free_port()
    with anyio.fail_after(40):
        async with TwilioEmulator() as twilio, ElevenLabsEmulator(agent_id="agent_abc123") as elevenlabs:
            async with running(twilio, elevenlabs, port) as process:
                heard = await call(twilio, port)
                process.send_signal(signal.SIGTERM)
                assert await process.wait() == 0
            (conversation,) = elevenlabs.conversations
            assert heard
            assert conversation.agent_audio.startswith(heard)
            override = conversation.initiation.conversation_config_override
            assert override is not None
            assert override.agent is not None
            assert override.agent.first_message == "You are a warm and friendly concierge."


PRETENDER = """
from patter_core import hookimpl
from patter_core.testing.fakes import FakeCarrier

class Pretender(FakeCarrier):
    name = "twilio"

@hookimpl
def patter_carriers():
    return [Pretender]
"""
BROKEN = {
    "broken-import": ("aaa", "import nothing_of_that_name"),
    "broken-hook": ("bbb", "from patter_core import hookimpl\n@hookimpl\ndef patter_engines(wrong): return []"),
    "broken-name": ("ccc", PRETENDER),
}


@pytest.fixture
def broken_site(tmp_path: Path) -> Path:
    """A folder with three broken distributions in it, as pip would leave them."""
    for distribution, (name, source) in BROKEN.items():
        module = distribution.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[patter]\n{name} = {module}\n")
    return tmp_path


async def test_broken_plugins_of_third_parties_leave_calls_working(broken_site: Path) -> None:
    port = free_port()
    with anyio.fail_after(40):
        async with (
            TwilioEmulator() as twilio,
            ElevenLabsEmulator(agent_id="agent_abc123") as elevenlabs,
            running(twilio, elevenlabs, port, broken_site),
        ):
            assert await call(twilio, port)


async def test_broken_plugins_show_in_the_list_with_their_causes(broken_site: Path) -> None:
    result = await anyio.run_process(
        [sys.executable, "-c", "from patter_core.cli import main; main()", "plugins"],
        env={**os.environ, "PYTHONPATH": str(broken_site), "COLUMNS": "200"},
        check=False,
    )
    shown = result.stdout.decode()
    assert result.returncode == 1
    for distribution in BROKEN:
        assert distribution in shown
    for cause in ("nothing_of_that_name", "wrong", "belongs to patter-twilio"):
        assert cause in shown
    assert shown.count("not joined") == 3
