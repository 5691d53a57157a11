"""Do what the tutorial says, as a new user would, and see what it shows: emulators play the vendors.

Each block of console lines is commands, after `$ `, with what they print below: in this order, other lines between,
`…` for anything. A command that goes on gets SIGINT once it has said all that is shown; `patter serve` a call before.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
from pathlib import Path

import anyio
from anyio.abc import Process
from anyio.streams.text import TextReceiveStream

from patter_core.audio import ULAW_8000
from patter_core.testing.caller import Caller, Pause, WaitForAgent
from patter_elevenlabs.testing import ElevenLabsEmulator
from patter_twilio.testing import EmulatedNumber, TwilioEmulator

PAGE = Path(sys.argv[1]).read_text()
COMMANDS = re.compile(r"^\$ (.*)\n((?:(?!\$ ).+\n)*)", re.MULTILINE)


async def main() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe, socket.create_server(("127.0.0.1", 0)) as other:
        port, apps_port = probe.getsockname()[1], other.getsockname()[1]
    async with TwilioEmulator() as twilio, ElevenLabsEmulator() as elevenlabs:
        twilio.api.numbers = [EmulatedNumber(phone_number="+15005550001", voice_url="https://demo.twilio.com/welcome")]
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": "200",
            "PATTER_PORT": str(port),
            "PATTER_APPS_PORT": str(apps_port),
        }
        values = {
            **twilio.environment,
            "PATTER_CARRIER": "twilio",
            "PATTER_ENGINE": "elevenlabs",
            "ELEVENLABS_API_KEY": elevenlabs.api_key,
            "ELEVENLABS_AGENT_ID": elevenlabs.agent_id,
        }
        for block in re.findall(r"^```console\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE):
            for command, shown in COMMANDS.findall(block):
                if command.startswith("pip install"):  # done, from wheels
                    continue
                if command.startswith("export "):
                    name = command.split()[1].partition("=")[0]
                    environment[name] = values[name]
                    environment["ELEVENLABS_BASE_URL"], environment["TWILIO_BASE_URL"] = (
                        elevenlabs.base_url,
                        twilio.base_url,
                    )
                    continue
                print(f"$ {command}", flush=True)  # noqa: T201 - what the session shows
                with anyio.fail_after(60):
                    await follow(command, shown.splitlines(), environment, twilio, port)


async def follow(
    command: str, shown: list[str], environment: dict[str, str], twilio: TwilioEmulator, port: int
) -> None:
    process = await anyio.open_process(command.split(), env=environment, stderr=-2)
    async with process:
        left = await read(process, [pattern(line) for line in shown])
        assert not left, f"{command} has not shown: {left}"
        if command == "patter serve":
            caller = Caller([WaitForAgent(heard=0.3), Pause(0.1)], ULAW_8000)
            recording = await twilio.call(f"http://127.0.0.1:{port}/webhooks/twilio/voice", caller)
            assert recording.played
            process.send_signal(signal.SIGINT)
        elif command == "patter dev":
            process.send_signal(signal.SIGINT)
        else:
            await read(process, ["nothing more is shown than the page has room for"])
        assert await process.wait() == (1 if command == "patter doctor" else 0), command


async def read(process: Process, expected: list[str]) -> list[str]:
    """Read until all is seen, or the end; gives what was not."""
    assert process.stdout is not None
    text = ""
    async for piece in TextReceiveStream(process.stdout):
        text += piece
        *lines, text = text.split("\n")
        for line in lines:
            print(f"  {line}", flush=True)  # noqa: T201 - as above
            if expected and re.fullmatch(expected[0], line.rstrip()):
                del expected[0]
        if not expected:
            break
    return expected


def pattern(line: str) -> str:
    return ".*".join(re.escape(part) for part in line.split("…"))


anyio.run(main)
