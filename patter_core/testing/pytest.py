"""Fixtures of pytest for tests of your own app: emulators of the vendors, and calls on your phone.

In `conftest.py`:

    pytest_plugins = ["patter_core.testing.pytest"]

The fixtures are synchronous, and run what they start on event loops of threads of their own. So they work in plain
tests, and in asynchronous ones under anyio and pytest-asyncio alike.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import anyio
import anyio.from_thread
import msgspec
import pytest

from patter_core.events import CallEnded, CallEvent, Record, ToolCall, TranscriptInput, TranscriptOutput
from patter_core.patter import Patter
from patter_core.registry import Registry
from patter_core.server.routing import Routing
from patter_core.server.serving import serve_app
from patter_core.sinks.memory import MemorySink
from patter_core.telephony.numbers import voice_path
from patter_core.testing.caller import Caller, EndCall, Pause, Say, Step, WaitForSilence
from patter_core.testing.emulator import CALLED, CALLER, Emulator
from patter_core.testing.finding import carrier_emulator, engine_emulator
from patter_core.testing.speech import CALLER_LINES
from patter_core.testing.stream import CallRecording
from patter_core.testing.voice import spoken

__all__ = ["Emulators", "SimulatedCall", "Simulator", "emulators", "simulate_call"]

_Event = TypeVar("_Event", bound=CallEvent)
_LINES = {line.name: line.text for line in CALLER_LINES}


class SimulatedCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call that is over."""

    records: list[Record]
    """What the phone's sinks got, in order."""
    recording: CallRecording
    """What the caller said and heard."""
    transferred_to: list[str]
    """Numbers and SIP addresses that the carrier was told to transfer it to."""

    def of(self, kind: type[_Event]) -> list[_Event]:
        """Returns the events of a class, in order."""
        return [record.event for record in self.records if isinstance(record.event, kind)]

    @property
    def agent_said(self) -> str:
        """All that the agent said, in one text."""
        return " ".join(event.text for event in self.of(TranscriptOutput))

    @property
    def caller_said(self) -> str:
        """All that the engine heard the caller say, in one text."""
        return " ".join(event.text for event in self.of(TranscriptInput))

    @property
    def tools(self) -> list[str]:
        """The names of the tools that the agent used, in order."""
        return [event.name for event in self.of(ToolCall)]

    @property
    def ended(self) -> CallEnded | None:
        """How it ended; None if it was not taken."""
        return next(iter(self.of(CallEnded)), None)


class Simulator:
    """Calls phones from an emulated carrier. The fixture `simulate_call` is one."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def __call__(
        self,
        phone: Patter,
        *says: str | Step,
        routing: Routing | None = None,
        carrier: str = "",
        silence: float = 0.8,
        greeting_within: float = 3.0,
        longest: float = 60.0,
        from_number: str = CALLER,
        to_number: str = CALLED,
    ) -> SimulatedCall:
        """Calls a copy of the phone, with an emulated carrier in place of its own. Returns when the call is over.

        Args:
            phone: of your app: its agents, engines, tools and callbacks are used as they are.
            says: what the caller does, in order, each after the agent has fallen silent: names of the lines that come
                with Patter (`booking`, `correction`, `time`, `goodbye`), other sentences (`spoken`), or steps.
            routing: who answers, where neither `Patter.route` nor a single agent says so.
            carrier: the name of the emulated one; by default the phone's own, if it has an emulator.
            silence: s that end the agent's turn.
            greeting_within: s for the agent to begin; then the caller speaks.
            longest: s until the caller hangs up.
            from_number: as the carrier writes it.
            to_number: as the carrier writes it.

        Raises:
            PluginError: no carrier with an emulator is installed.
        """
        own = [one.name for one in phone.parts.carriers if one.emulator]
        emulator = carrier_emulator(self._registry, carrier or next(iter(own), ""))
        sink = MemorySink()
        answers = routing if routing is not None else phone.routing or phone.agents[0]

        async def call() -> SimulatedCall:
            steps: list[Step] = [WaitForSilence(silence, greeting_within)]
            for one in says:
                said = Say(await spoken(_LINES.get(one, one), emulator.format)) if isinstance(one, str) else one
                steps += [said, *([WaitForSilence(silence, longest)] if isinstance(one, str) else [])]
            caller = Caller([*steps, Pause(0.1), EndCall()], emulator.format)
            async with emulator:
                played = phone.copy(carrier=emulator.carrier(), more_sinks=[sink])
                async with serve_app(played.asgi(answers)) as url:
                    address = url + voice_path(emulator.carrier().name)
                    placed = emulator.place(address, caller, from_number=from_number, to_number=to_number)
                    with anyio.move_on_after(longest):
                        await placed.run()
                    placed.end()
            return SimulatedCall(
                records=list(sink.records), recording=placed.recording, transferred_to=list(placed.transferred_to)
            )

        return _in_a_thread(lambda: anyio.run(call))


class Emulators:
    """Runs emulators for the length of a test. The fixture `emulators` is one."""

    def __init__(self, registry: Registry, portal: anyio.from_thread.BlockingPortal, patch: pytest.MonkeyPatch) -> None:
        self._registry = registry
        self._portal = portal
        self._patch = patch
        self._open = contextlib.ExitStack()

    def carrier(self, name: str = "") -> Emulator:
        """Runs the emulator of a carrier; without a name, of the one that `patter demo` plays.

        The environment names it until the end of the test: a carrier that is made without arguments finds it.

        Raises:
            PluginError: it is not installed, or has no emulator.
        """
        return self.run(carrier_emulator(self._registry, name))

    def engine(self, name: str = "") -> Emulator:
        """Runs the emulator of an engine, as `carrier`."""
        return self.run(engine_emulator(self._registry, name))

    def run(self, emulator: Emulator) -> Emulator:
        """Runs an emulator that you have made, such as one whose agent you have written."""
        self._open.enter_context(self._portal.wrap_async_context_manager(emulator))
        for variable, value in emulator.environment.items():
            self._patch.setenv(variable, value)
        return emulator

    def close(self) -> None:
        """Stops them, the last one first."""
        self._open.close()


@pytest.fixture
def simulate_call() -> Simulator:
    """Calls a phone of yours, and returns when the call is over: see `Simulator`."""
    return Simulator(Registry.discover())


@pytest.fixture
def emulators(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulators]:
    """Runs emulators, which the environment names: `emulators.engine("acme")`."""
    with anyio.from_thread.start_blocking_portal() as portal:
        running = Emulators(Registry.discover(), portal, monkeypatch)
        try:
            yield running
        finally:
            running.close()


_Result = TypeVar("_Result")


def _in_a_thread(function: Callable[[], _Result]) -> _Result:
    """Returns what a function returns or raises in a thread: an event loop may run in this one."""
    results: list[_Result] = []
    errors: Sequence[BaseException] = []

    def run() -> None:
        nonlocal errors
        try:
            results.append(function())
        except BaseException as error:  # noqa: BLE001 - raised in the thread of the test
            errors = [error]

    thread = threading.Thread(target=run, name="simulated-call")
    thread.start()
    thread.join()
    for error in errors:
        raise error
    return results[0]
