"""A tunnel to a port of this machine: a program of a vendor's, and the public address that it gives."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence

import anyio
import anyio.abc
import msgspec

from patter_core.config import variables_of_dotenv
from patter_core.errors import ConfigurationError
from patter_core.net.http import HttpAnswer, send_request
from patter_core.observe.secrets import conceal_fields
from patter_core.observe.terminal import one_line
from patter_core.server.serving import bind
from patter_core.server.urls import public_base

__all__ = ["PROGRAMS", "Tunnel", "TunnelProgram", "find_program", "open_tunnel"]

PROGRAMS = ("cloudflared", "ngrok")
"""The first that is installed is taken."""
_OWN = ("NGROK_", "TUNNEL_")
"""Their variables begin so."""
_HERE = "127.0.0.1"
_UP_WITHIN = 30.0
"""Seconds until it has a public address."""
_LOOK_EVERY = 0.1
_END_WITHIN = 5.0
"""Seconds for the program to end: then it is killed."""
_LOG_WITHIN = 1.0
"""Seconds after its end in which its log is read."""
_LONGEST_LINE = 65_536
_LINES_KEPT = 3
_SHOWN = 300
"""Characters of a line of its log that are shown."""


class TunnelProgram(msgspec.Struct, frozen=True):
    """A program that is installed."""

    name: str
    path: str

    def command(self, port: int, metrics_port: int) -> Sequence[str]:
        """Returns what is run.

        Args:
            port: where the tunnel leads.
            metrics_port: at which cloudflared tells its address.
        """
        if self.name == "ngrok":
            return [self.path, "http", f"{_HERE}:{port}", "--log", "stdout", "--log-format", "json"]
        # The settings of another tunnel, in a user's config.yml, would hold for this one, too.
        own = ["--config", os.devnull, "--no-autoupdate", "--metrics", f"{_HERE}:{metrics_port}"]
        return [self.path, "tunnel", *own, "--url", f"http://{_HERE}:{port}"]


class _NgrokLine(msgspec.Struct, frozen=True):
    """A line of the log of ngrok."""

    msg: str = ""
    url: str = ""


class _QuickTunnel(msgspec.Struct, frozen=True):
    """The answer of cloudflared about its tunnel."""

    hostname: str = ""


def find_program(name: str = "") -> TunnelProgram:
    """Returns the program of that name, or the first that is installed.

    Raises:
        ConfigurationError: it is not.
    """
    for one in [name] if name else PROGRAMS:
        if path := shutil.which(one):
            return TunnelProgram(one, path)
    raise ConfigurationError(
        f"{name} is not installed." if name else "No program for a tunnel is installed.",
        expected=f"{name or ' or '.join(PROGRAMS)} on the PATH",
        remedy="Install cloudflared, which needs no account (developers.cloudflare.com/cloudflare-one, under "
        "“Downloads”), or ngrok, which needs one (ngrok.com/download).",
    )


class Tunnel:
    """A program that runs."""

    def __init__(self, program: TunnelProgram, process: anyio.abc.Process, metrics_port: int) -> None:
        self.name = program.name
        self._process = process
        self._metrics = f"http://{_HERE}:{metrics_port}"
        self._lines: deque[str] = deque(maxlen=_LINES_KEPT)
        self._announced = ""
        self._log_ended = anyio.Event()

    async def up(self, within: float = _UP_WITHIN) -> str:
        """Returns the public address once calls can come through it; "" if there will be none, or none in time."""
        ends = time.monotonic() + within
        while self._process.returncode is None:
            if time.monotonic() > ends:
                return ""
            found = self._announced if self.name == "ngrok" else await self._asked()
            with contextlib.suppress(ConfigurationError):  # what is no address
                if base := public_base(found):
                    return base
            await anyio.sleep(_LOOK_EVERY)
        await self.wait()
        return ""

    async def wait(self) -> None:
        """Waits until the program has ended, and its log was read."""
        await self._process.wait()
        with anyio.move_on_after(_LOG_WITHIN):  # a process that it started may still have it
            await self._log_ended.wait()

    def trouble(self, what: str) -> str:
        """Returns what is wrong, with the last lines of the program's log, for its user: without secrets."""
        status = self._process.returncode
        ended = "" if status is None else f" (it has ended, with status {status})"
        last = "".join(f"\n  {one_line(conceal_fields(line[:_SHOWN]))}" for line in self._lines)
        return f"{self.name} {what}{ended}." + (f" The end of its log:{last}" if last else " It wrote no log.")

    async def read_log(self) -> None:
        """Reads what the program writes, until its end."""
        assert self._process.stdout is not None
        rest = b""
        with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            async for data in self._process.stdout:
                *lines, rest = (rest + data).split(b"\n")
                rest = rest[-_LONGEST_LINE:]
                for line in lines:
                    self._read_line(line)
        self._read_line(rest)
        self._log_ended.set()

    def _read_line(self, line: bytes) -> None:
        if not line.strip():
            return
        self._lines.append(line.decode(errors="replace").rstrip())
        with contextlib.suppress(msgspec.DecodeError):
            read = msgspec.json.decode(line, type=_NgrokLine)
            if read.msg == "started tunnel":
                self._announced = read.url

    async def _asked(self) -> str:
        """Returns what cloudflared answers, once it is connected."""
        try:
            told = await self._fetch("/quicktunnel")
            hostname = msgspec.json.decode(told.body, type=_QuickTunnel).hostname if told.status == 200 else ""
            is_ready = hostname and (await self._fetch("/ready")).status == 200
        except (OSError, msgspec.DecodeError):  # it does not listen yet
            return ""
        return f"https://{hostname}" if is_ready else ""

    async def _fetch(self, path: str) -> HttpAnswer:
        return await send_request("GET", f"{self._metrics}{path}", headers={}, connect_timeout=2.0, answer_timeout=2.0)


@contextlib.asynccontextmanager
async def open_tunnel(program: TunnelProgram, port: int) -> AsyncIterator[Tunnel]:
    """Runs a program while the context lasts.

    Args:
        program: which one.
        port: of this machine.

    Raises:
        ConfigurationError: it cannot be run.
    """
    with bind(_HERE, 0) as free:
        metrics_port: int = free.getsockname()[1]
    try:
        process = await anyio.open_process(
            program.command(port, metrics_port),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_environment(),
        )
    except OSError as error:
        raise ConfigurationError(f"{program.name} cannot be run: {error.strerror}.", got=program.path) from None
    tunnel = Tunnel(program, process, metrics_port)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tunnel.read_log)
        try:
            yield tunnel
        finally:
            with anyio.CancelScope(shield=True):
                await _end(process)
            tasks.cancel_scope.cancel()


def _environment() -> dict[str, str]:
    """Returns the program's environment: without what is Patter's, and what is in `.env` for the user's program."""
    of_file = variables_of_dotenv()
    return {
        name: value
        for name, value in os.environ.items()
        if name.startswith(_OWN) or not (name.startswith("PATTER_") or name in of_file)
    }


async def _end(process: anyio.abc.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    with anyio.move_on_after(_END_WITHIN):
        await process.wait()
    await process.aclose()  # which kills it, if it is still there
