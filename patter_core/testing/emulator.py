"""What an emulator is: a real peer that plays a vendor on a real port, for tests and the demo.

A plugin names its emulator in `Carrier.emulator` or `Engine.emulator`. Both kinds are asynchronous context managers:
the port is open inside, and nothing is left of them outside.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import msgspec

from patter_core.audio import AudioFormat
from patter_core.carrier import Carrier
from patter_core.engine import Engine
from patter_core.errors import EngineError
from patter_core.testing.caller import Caller

__all__ = ["CallRecording", "CarrierEmulator", "EngineEmulator"]


class CallRecording(msgspec.Struct, kw_only=True):
    """What an emulated caller said and heard, sample by sample on one clock, from the start of the media stream."""

    format: AudioFormat
    caller: bytearray = msgspec.field(default_factory=bytearray)
    """Every frame that was sent, silence included."""
    agent: bytearray = msgspec.field(default_factory=bytearray)
    """What was played at the same time; silence where nothing was."""
    played: bytearray = msgspec.field(default_factory=bytearray)
    """Only what was played, without the silence between."""


class _Emulator(abc.ABC):
    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def secrets(self) -> Sequence[str]:
        """The credentials that its carrier or engine is configured with: what no log, error or `repr` may show."""
        return ()

    @abc.abstractmethod
    async def start(self) -> None:
        """Open the port."""

    @abc.abstractmethod
    async def stop(self) -> None:
        """Close it, and whatever came through it."""


class CarrierEmulator(_Emulator):
    """Plays a carrier."""

    format: AudioFormat
    """Of the calls it places."""

    @abc.abstractmethod
    def carrier(self) -> Carrier:
        """A carrier that is configured for this emulator and for nobody else."""

    @abc.abstractmethod
    async def call(self, voice_url: str, caller: Caller) -> CallRecording:
        """Place an incoming call: announce it to the voice webhook, stream the caller, and return when it is over."""


class EngineEmulator(_Emulator):
    """Plays an engine's service, with a built-in agent that greets and then repeats what the caller said."""

    @abc.abstractmethod
    def engine(self) -> Engine:
        """An engine that is configured for this emulator and for nobody else."""

    async def inject(self, message: str | bytes) -> None:
        """Send this in every conversation that is open, as the service never would: for `check_engine`.

        Raises:
            EngineError: this emulator cannot misbehave.
        """
        raise EngineError(f"{type(self).__name__} cannot misbehave.", remedy="Let it define `inject`.")
