"""Workers in processes of their own, behind a balancer, with a carrier and an engine to serve."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import anyio
import anyio.abc
import httpx
import msgspec

from patter_core.testing.network import free_port
from patter_elevenlabs.testing import ElevenLabsEmulator
from patter_plivo.testing import PlivoCall, PlivoEmulator
from patter_telnyx.testing import TelnyxCall, TelnyxEmulator
from patter_twilio.testing import TwilioCall, TwilioEmulator
from patter_vonage.testing import VonageCall, VonageEmulator
from tests.chaos.balancer import Balancer
from tests.chaos.worker import Holdings, Settings

__all__ = ["CARRIERS", "EMULATORS", "AnyCall", "AnyCarrier", "Fleet", "Worker", "running_fleet"]

ROOT = Path(__file__).parents[2]

AnyCarrier = TwilioEmulator | TelnyxEmulator | VonageEmulator | PlivoEmulator
AnyCall = TwilioCall | TelnyxCall | VonageCall | PlivoCall
EMULATORS: list[type[AnyCarrier]] = [TwilioEmulator, TelnyxEmulator]
"""For scenarios that are about the worker or the engine: of the two ways in which a call begins."""
CARRIERS: list[type[AnyCarrier]] = [*EMULATORS, VonageEmulator, PlivoEmulator]
"""For those that are about the carrier's webhooks and sockets."""


class Worker:
    """One process."""

    def __init__(self, process: anyio.abc.Process, port: int) -> None:
        self.process = process
        self.port = port
        self.said = ""
        """What it wrote to standard error."""
        self.listened = anyio.Event()
        self._lines = self._read_lines()

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ready(self) -> None:
        assert await anext(self._lines, "") == "ready", self.said

    async def holdings(self) -> Holdings:
        """What it holds now."""
        self.send(signal.SIGUSR1)
        return msgspec.json.decode(await anext(self._lines), type=Holdings)

    async def _read_lines(self) -> AsyncIterator[str]:
        assert self.process.stdout is not None
        text = ""
        async for data in self.process.stdout:
            text += data.decode()
            *lines, text = text.split("\n")
            for line in lines:
                yield line

    async def listen(self) -> None:
        """Keep what it says, until it is over."""
        assert self.process.stderr is not None
        async for data in self.process.stderr:
            self.said += data.decode()
        self.listened.set()


async def answers(worker: Worker) -> None:
    """Wait until its server is up."""
    async with httpx.AsyncClient(trust_env=False) as client:
        while True:
            with contextlib.suppress(httpx.TransportError):
                if (await client.get(f"http://127.0.0.1:{worker.port}/health/live")).status_code == 200:
                    return
            await anyio.sleep(0.05)


class Fleet:
    """Workers that can be started and killed while calls come in at `voice_url`."""

    def __init__(
        self,
        carrier: AnyCarrier,
        engine: ElevenLabsEmulator,
        balancer: Balancer,
        tasks: anyio.abc.TaskGroup,
        folder: Path,
    ) -> None:
        self.carrier = carrier
        self.engine = engine
        self.balancer = balancer
        self.workers: list[Worker] = []
        """Those that get calls."""
        self.everybody: list[Worker] = []
        """Those that are over, too."""
        self.folder = folder
        """Where the processes run, and the only place where they could leave something."""
        self.engine_url = engine.base_url
        """Where the workers find the engine."""
        self.api_url = ""
        """Where they find the carrier's API, if it is elsewhere."""
        self.variables: dict[str, str] = {}
        """More of the workers' environment."""
        self._tasks = tasks

    @property
    def name(self) -> str:
        return self.carrier.carrier().name

    @property
    def voice_url(self) -> str:
        return self.url_of(self.balancer.port)

    def url_of(self, port: int) -> str:
        """For webhooks, at that worker alone or at the balancer."""
        return f"http://127.0.0.1:{port}/webhooks/{self.name}/voice"

    @property
    def calls(self) -> list[AnyCall]:
        """At the carrier; the far legs of transfers too."""
        return list(self.carrier.calls)

    async def start(self, settings: Settings | None = None, server: Sequence[str] = ()) -> Worker:
        """One more worker, once it is ready.

        Args:
            settings: what it is to be.
            server: the command of another server, for the app of `tests.chaos.mounted`; its port is written `PORT`.
        """
        settings = settings or Settings()
        settings = msgspec.structs.replace(settings, carrier=self.name, port=free_port())
        own = [sys.executable, "-m", "tests.chaos.worker"]
        process = await anyio.open_process(
            [part.replace("PORT", str(settings.port)) for part in server] or own,
            env=self._environment(settings),
            cwd=self.folder,
            start_new_session=bool(server),  # with processes of its own, which are ended with it
        )
        worker = Worker(process, settings.port)
        self.everybody.append(worker)
        self._tasks.start_soon(worker.listen)  # ends with the process
        with anyio.fail_after(20):
            await (answers(worker) if server else worker.ready())
        self.workers.append(worker)
        self._route()
        return worker

    async def kill(self, worker: Worker) -> None:
        """SIGKILL: no word, no cleaning up. The balancer finds out by itself."""
        worker.send(signal.SIGKILL)
        await worker.process.wait()
        self.workers.remove(worker)

    def forget(self, worker: Worker) -> None:
        """Its readiness is gone: the balancer sends nothing more there."""
        self.workers.remove(worker)
        self._route()

    def _route(self) -> None:
        self.balancer.workers = [worker.port for worker in self.workers]

    def _environment(self, settings: Settings) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        api = {f"{self.name.upper()}_BASE_URL": self.api_url} if self.api_url else {}
        return {
            **inherited,
            **self.carrier.environment,
            **api,
            **self.variables,
            "ELEVENLABS_API_KEY": self.engine.api_key,
            "ELEVENLABS_BASE_URL": self.engine_url,
            "CHAOS_SETTINGS": msgspec.json.encode(settings).decode(),
            "CHAOS_WATCH": "1",
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
        }


@contextlib.asynccontextmanager
async def running_fleet(emulator: type[AnyCarrier], engine: ElevenLabsEmulator, folder: Path) -> AsyncIterator[Fleet]:
    """A carrier, an engine and a balancer; workers are started by the test, and killed at the end."""
    async with emulator() as carrier, engine, Balancer().running() as balancer, anyio.create_task_group() as tasks:
        fleet = Fleet(carrier, engine, balancer, tasks, folder)
        try:
            yield fleet
        finally:
            for worker in fleet.everybody:
                with contextlib.suppress(ProcessLookupError):
                    worker.process.kill()
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(worker.process.pid, signal.SIGKILL)
                with anyio.CancelScope(shield=True):
                    await worker.listened.wait()
                    await worker.process.aclose()
