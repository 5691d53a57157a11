"""`python -m tests.bench.pair TARGET ENGINE PAIRS`: one call, so many frames from the caller, and one back for each.

For counting instructions, which other work on the machine does not change: the whole target and both its peers are one
process, and the peers' part is the same for every target. Under `valgrind --tool=callgrind --instr-atstart=no`, the
frames alone are counted. `--tls` has TLS to the engine; `--python` prints where Python's own time goes, by function.
"""

from __future__ import annotations

import asyncio
import contextlib
import cProfile
import os
import pstats
import subprocess
from collections.abc import Iterator, Sequence

import click
import httpx
import msgspec

from patter_core.server.serving import serve_app
from tests.bench.certificates import server_context, trusted_certificate
from tests.bench.lean import LeanSocket, listen
from tests.bench.relay_app import Peers
from tests.bench.service import Service
from tests.bench.services import SERVICES
from tests.bench.target import TARGETS, Target
from tests.bench.twilio_side import TwilioVendor
from tests.bench.vendor import Placed, Said
from tests.bench.voice import Voice

__all__ = ["cross"]

_LINES = 40
"""Functions in a profile."""


class _Call:
    """Both ends of the call. Each frame is sent when the one before has crossed. No mark is due before the end."""

    def __init__(self, service: Service) -> None:
        self.opened = asyncio.Event()
        self.done = asyncio.Event()
        self._talk = service.talk(TwilioVendor.format)
        self._voice = Voice(TwilioVendor.format)
        self._engine: LeanSocket | None = None
        self._placed: Placed | None = None
        self._sent = self._pairs = 0

    def accept(self, socket: LeanSocket) -> None:
        """The target opens a session."""
        self._engine = socket
        socket.on_text = self._initiated
        asyncio.get_running_loop().call_soon(self._tell, self._talk.greeting())

    def begin(self, placed: Placed) -> None:
        """The carrier's stream is open."""
        self._placed = placed
        placed.socket.on_text = self._to_carrier
        for message in placed.stream.opening():
            placed.socket.send(msgspec.json.encode(message))

    async def cross(self, pairs: int) -> None:
        """Sends so many frames each way."""
        self._pairs += pairs
        self.done.clear()
        self._say_caller()
        await self.done.wait()

    def _tell(self, messages: Sequence[bytes]) -> None:
        assert self._engine is not None
        for message in messages:
            self._engine.send(message)

    def _initiated(self, message: bytes) -> None:
        assert self._engine is not None
        self._engine.on_text = self._to_engine
        self._tell(self._talk.initiated(message))
        self.opened.set()

    def _say_caller(self) -> None:
        assert self._placed is not None
        self._sent += 1
        self._placed.socket.send(self._placed.stream.media(self._sent, self._voice.frame(self._sent)))

    def _to_engine(self, message: bytes) -> None:
        if self._talk.heard(message) == self._voice.frame(self._sent):
            self._tell((self._talk.audio(self._voice.frame(self._sent)),))

    def _to_carrier(self, message: bytes) -> None:
        assert self._placed is not None
        said, what = self._placed.stream.read(message)
        if said is Said.AUDIO and what == self._voice.frame(self._sent):
            if self._sent < self._pairs:
                self._say_caller()
            else:
                self.done.set()


async def cross(target: Target, service: Service, pairs: int, *, pem: str = "", profile: bool = False) -> None:
    """Has that many pairs of frames cross one call; `pem` is the engine's certificate, "" for no TLS."""
    vendor, call = TwilioVendor(), _Call(service)
    tls = server_context(pem)
    server, port = await listen(call.accept, tls)
    async with server, vendor.api() as api_url, httpx.AsyncClient(trust_env=False) as client:
        peers = Peers(vendor=vendor, engine_url=f"http{'s' if tls else ''}://127.0.0.1:{port}", api_url=api_url)
        async with serve_app(target.make(peers, service)) as url:
            placed = await vendor.place(client, f"{url}/webhooks/{vendor.name}/voice")
            call.begin(placed)
            await call.opened.wait()
            await call.cross(100)
            with _profiled() if profile else _counted():
                await call.cross(pairs)
            placed.socket.close()
            await placed.socket.closed.wait()


@contextlib.contextmanager
def _counted() -> Iterator[None]:
    """Has valgrind count what is done inside; without it, nothing happens."""
    if "valgrind" not in os.environ.get("LD_LIBRARY_PATH", "") + os.environ.get("LD_PRELOAD", ""):
        yield
        return
    for switch in ("on", "off"):
        told = subprocess.Popen(["callgrind_control", "-i", switch, str(os.getpid())], stdout=subprocess.DEVNULL)
        while told.poll() is None:  # valgrind takes commands while the process works
            pass
        if switch == "on":
            yield


@contextlib.contextmanager
def _profiled() -> Iterator[None]:
    with cProfile.Profile(builtins=False) as profiler:
        yield
    pstats.Stats(profiler).sort_stats("tottime").print_stats(_LINES)


@click.command()
@click.argument("target", type=click.Choice(list(TARGETS)))
@click.argument("engine", type=click.Choice(list(SERVICES)))
@click.argument("pairs", type=int)
@click.option("--tls", is_flag=True, help="To the engine.")
@click.option("--python", is_flag=True, help="Print Python's own profile.")
def main(*, target: str, engine: str, pairs: int, tls: bool, python: bool) -> None:
    chosen, service = TARGETS[target], SERVICES[engine]()
    if not tls:
        chosen.run(cross(chosen, service, pairs, profile=python))
        return
    with trusted_certificate() as pem:
        chosen.run(cross(chosen, service, pairs, pem=pem, profile=python))


if __name__ == "__main__":
    main()
