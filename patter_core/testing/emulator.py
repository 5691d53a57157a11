"""What an emulator is: a real peer that plays a vendor on a real port, for tests and the demo.

A plugin names its emulator in `Carrier.emulator` or `Engine.emulator`. Both kinds are asynchronous context managers:
the port is open inside, and nothing is left of them outside.
"""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import ClassVar, Self

import anyio
import anyio.abc
import httpx
import msgspec
from starlette.types import ASGIApp

from patter_core.audio import ULAW_8000, AudioFormat
from patter_core.carrier import Carrier
from patter_core.engine import Engine, EngineCapability
from patter_core.errors import CarrierError, EngineError
from patter_core.kinds import Part
from patter_core.server.serving import serve_app
from patter_core.testing.call import Callee, EmulatedCall
from patter_core.testing.caller import Caller
from patter_core.testing.network import Tunnels
from patter_core.testing.stream import CallRecording

__all__ = ["CALLED", "CALLER", "CarrierEmulator", "Emulator", "EngineEmulator", "PartEmulator", "Told"]

CALLER, CALLED = "+15005550006", "+15550001234"
"""The numbers of an incoming call, if a test names no others. Calls may be made from each."""


class Emulator(abc.ABC):
    """Plays a service on a real port while its context lasts. Kinds that plugins define have emulators of it, too."""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def secrets(self) -> Sequence[str]:
        """The credentials that what it plays to is configured with: what no log, error or `repr` may show."""
        return ()

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment variables by which what it plays to finds it without arguments, once it runs."""
        return {}

    @abc.abstractmethod
    async def start(self) -> None:
        """Opens the port."""

    @abc.abstractmethod
    async def stop(self) -> None:
        """Closes it, and every connection that came through it."""


class CarrierEmulator(Emulator):
    """Plays a carrier: places calls, and serves the vendor's API, through which the app directs them.

    Args:
        tunnels: see `Tunnels`: for an app that says a public address.
    """

    format: AudioFormat = ULAW_8000
    """Of its telephones."""
    withheld: str = "anonymous"
    """What the vendor writes in place of a number that the caller withholds."""

    def __init__(self, *, tunnels: Mapping[str, str] | None = None) -> None:
        self.base_url = ""
        """Of the API, once it runs."""
        self.tunnels = Tunnels(tunnels or {})
        self.callee = Callee()
        """Who answers the calls that the app makes."""
        self.callees: dict[str, Callee] = {}
        """Who answers instead, by number."""
        self.call_ids: list[str] = []
        """The ids of the next calls, in the form of the vendor; made up once there are none."""
        self._open = contextlib.AsyncExitStack()
        self._client: httpx.AsyncClient | None = None
        self._tasks: anyio.abc.TaskGroup | None = None

    # --- what a vendor adds ----------------------------------------------------------------------------------------

    @property
    @abc.abstractmethod
    def app(self) -> ASGIApp:
        """The vendor's API."""

    @abc.abstractmethod
    def carrier(self) -> Carrier:
        """A carrier that is configured for this emulator and for nothing else."""

    @property
    @abc.abstractmethod
    def calls(self) -> Sequence[EmulatedCall]:
        """All calls, incoming and outgoing, the latest last."""

    @abc.abstractmethod
    def place(
        self, voice_url: str, caller: Caller, *, from_number: str = CALLER, to_number: str = CALLED
    ) -> EmulatedCall:
        """Makes an incoming call, announced to the voice webhook once it is `run`: a test can watch and disturb it."""

    def add_number(self, number: str) -> None:
        """Gives the account a number, for carriers with the capability `CONFIGURE_NUMBER`."""
        raise self._lacks("add_number")

    def voice_url(self, number: str) -> str:
        """Where that number's calls are announced; "" if it is not configured."""
        raise self._lacks("voice_url")

    # --- what it does ----------------------------------------------------------------------------------------------

    async def call(
        self, voice_url: str, caller: Caller, *, from_number: str = CALLER, to_number: str = CALLED
    ) -> CallRecording:
        """Places an incoming call and returns when it is over; it is the last of `calls`, with all that happened.

        Args:
            voice_url: where the called number's calls are announced.
            caller: who says and hears it all.
            from_number: as the vendor writes it.
            to_number: as above.
        """
        return await self.place(voice_url, caller, from_number=from_number, to_number=to_number).run()

    async def start(self) -> None:
        fresh = httpx.Limits(max_keepalive_connections=0)  # a kept connection may be one to a worker that is gone
        self._client = await self._open.enter_async_context(httpx.AsyncClient(trust_env=False, limits=fresh))
        self._tasks = await self._open.enter_async_context(anyio.create_task_group())
        self._open.callback(self._tasks.cancel_scope.cancel)
        self.base_url = await self._open.enter_async_context(serve_app(self.app))

    async def stop(self) -> None:
        for call in self.calls:
            call.end()
        await self._open.aclose()

    # --- what it is made of ----------------------------------------------------------------------------------------

    @property
    def client(self) -> httpx.AsyncClient:
        """For webhooks.

        Raises:
            CarrierError: the emulator does not run.
        """
        if self._client is None:
            raise self._does_not_run()
        return self._client

    @property
    def tasks(self) -> anyio.abc.TaskGroup:
        """For calls that the app makes: they run until they are over, or the emulator stops.

        Raises:
            CarrierError: the emulator does not run.
        """
        if self._tasks is None:
            raise self._does_not_run()
        return self._tasks

    def next_call_id(self, made_up: str) -> str:
        """Returns the id of a new call."""
        return self.call_ids.pop(0) if self.call_ids else made_up

    def callee_at(self, number: str) -> Callee:
        """Who answers that number."""
        return self.callees.get(number, self.callee)

    def _does_not_run(self) -> CarrierError:
        return CarrierError("The emulator does not run.", remedy="Use it as an asynchronous context manager.")

    def _lacks(self, method: str) -> CarrierError:
        return CarrierError(f"{type(self).__name__} has no `{method}`.", remedy="Define it, to try that capability.")


class PartEmulator(Emulator):
    """Plays the service of one part of an engine, of a kind that a plugin defines.

    A part names its emulator in `Part.emulator`.
    """

    @classmethod
    def for_demo(cls) -> Self | None:
        """Returns one that does its part of the demo's call by itself; None if it does only what a test tells it to.

        The caller says some of `CALLER_LINES` of `patter_core.testing.speech`, and the agent answers by `REPLIES`.
        """
        return None

    @abc.abstractmethod
    def part(self) -> Part:
        """A part that is configured for this emulator and for nothing else."""


class Told(msgspec.Struct, frozen=True):
    """What one of an engine's capabilities brought to the service."""

    capability: EngineCapability
    """`SAY`, `PROMPT`, `USER_MESSAGE`, `ACTIVITY`, `HOLD`, `TOOLS`, `OWN_TOOLS` or `HISTORY`."""
    text: str = ""
    """What was to be said, what the user wrote, the result of a tool, or what the service had of the history before the
    agent's first word: all of it, or one item."""
    on: bool = True
    """Of `HOLD`."""
    id: str = ""
    """Of `TOOLS` and `OWN_TOOLS`: as in the `ToolCall` that is answered."""
    failed: bool = False
    """Of `TOOLS` and `OWN_TOOLS`: the service was told that the tool failed, in whichever way it takes that."""


class EngineEmulator(Emulator):
    """Plays an engine's service, with a built-in agent that greets and then repeats what the caller said.

    `end`, `fail`, `interrupt`, `call_tool` and `inject` make something happen in every conversation that is open; they
    return once it is sent. Where the service can be told what to say first, or to say nothing, its agent obeys.
    """

    agent_ends: ClassVar[bool] = True
    """False for a service whose agent has no means to end a conversation: each end that the app does not cause is a
    failure, and there is no `end`."""
    remembers: ClassVar[bool] = True
    """False for a service that is asked anew for each answer, with all that was said. Then it has the history with the
    caller's first question, the results of tools that were called at once with the last of them, and it is not told of
    a hold: on one, nothing is said and nothing is answered."""

    @abc.abstractmethod
    def engine(self) -> Engine:
        """An engine that is configured for this emulator and for nothing else."""

    def prefer(self, format: AudioFormat) -> None:
        """Has the agents of conversations that follow hear and speak that format.

        It is for a service whose account has a format, and not the engine; one that lacks this format ignores it.
        """

    async def end(self) -> None:
        """Ends the conversations in the way of an agent that has hung up.

        Raises:
            EngineError: its agent has no means to do that (`agent_ends`).
        """
        raise EngineError(
            f"{type(self).__name__} has no `end`.",
            remedy="Define it; or set `agent_ends = False`, if the service's agent cannot end a conversation.",
        )

    @abc.abstractmethod
    async def fail(self) -> None:
        """Ends the conversations by a failure of the service: its error, or a close code that no agent causes."""

    @abc.abstractmethod
    async def interrupt(self) -> None:
        """Interrupts the agents, who are speaking, as if the callers talked over them.

        After that it sends audio of the turns that are void, as a service does whose audio was on its way. A service
        that never sends such audio has none to send.
        """

    @property
    def told(self) -> Sequence[Told]:
        """What all conversations were told by the capabilities of the engine, in order.

        Raises:
            EngineError: this emulator does not keep it.
        """
        raise EngineError(f"{type(self).__name__} has no `told`.", remedy="Define it, to try the capabilities.")

    async def call_tool(self, name: str, arguments: Mapping[str, object]) -> None:
        """Has the agents call a tool, and does not wait for the result: that is in `told`.

        An agent that is told of its tools as the conversation begins calls only those.

        Raises:
            EngineError: its agent calls no tools.
        """
        raise EngineError(f"{type(self).__name__} has no `call_tool`.", remedy="Define it, to try the tools.")

    async def inject(self, message: str | bytes) -> None:
        """Sends this in every conversation that is open, as the service never would: for `check_engine`.

        Raises:
            EngineError: this emulator cannot misbehave.
        """
        raise EngineError(f"{type(self).__name__} has no `inject`.", remedy="Define it, to try malformed messages.")
