"""What is a carrier's own in the benchmark: its webhooks, its words on a media socket, and how a relay answers it."""

from __future__ import annotations

import abc
import contextlib
import enum
from collections.abc import Sequence
from typing import ClassVar

import httpx
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from patter_core.audio import ULAW_8000, AudioFormat
from patter_core.carrier import Carrier
from tests.bench.carrier_words import CarrierWords, Plain, Typed
from tests.bench.lean import LeanSocket

__all__ = ["CALLED", "CALLER", "NOWHERE", "Placed", "Said", "Stream", "Vendor"]

CALLER, CALLED = "+15550000001", "+15550000002"
NOWHERE = "http://127.0.0.1:9"
"""In place of an API that is not used: calls here are ended by their callers."""


class Said(enum.Enum):
    """What the target says on a media socket."""

    AUDIO = enum.auto()
    MARK = enum.auto()
    CLEAR = enum.auto()


class Stream(abc.ABC):
    """One media stream, in the vendor's words."""

    is_binary: ClassVar[bool] = False
    """True if audio goes as it is, and not as base64 in JSON."""

    @abc.abstractmethod
    def opening(self) -> Sequence[msgspec.Struct]:
        """What is said first."""

    @abc.abstractmethod
    def media(self, frame: int, payload: str) -> bytes:
        """The caller's frame of that number, from 1 on. Fifty times a second."""

    @abc.abstractmethod
    def mark(self, name: str) -> msgspec.Struct:
        """What was before that mark has been played, or cleared."""

    def cleared(self) -> msgspec.Struct | None:
        """What was not played is void. None if the marks are returned then, one by one."""
        return None

    @abc.abstractmethod
    def stop(self) -> msgspec.Struct | None:
        """The stream is over; None if the socket's end says that."""

    @abc.abstractmethod
    def read(self, message: bytes) -> tuple[Said, str]:
        """What the target says, with the audio's base64 or the mark's name.

        Raises:
            msgspec.DecodeError: the vendor would not take it.
        """


class Placed(msgspec.Struct, frozen=True):
    """A call whose media socket is open."""

    socket: LeanSocket
    stream: Stream


class Vendor(abc.ABC):
    """One carrier, played by the load and known to the target."""

    name: ClassVar[str]
    format: ClassVar[AudioFormat] = ULAW_8000
    """Of the telephones, and of the media sockets."""
    frame_ms: ClassVar[int] = 0
    """What each message of the agent's audio holds; 0 for any length."""
    typed: ClassVar[type[CarrierWords]] = Typed
    """How the bare relay talks with it."""
    plain: ClassVar[type[CarrierWords]] = Plain
    """How the naive bridge does."""

    @abc.abstractmethod
    def carrier(self, api_url: str) -> Carrier:
        """What Patter is given, to take this vendor's calls."""

    @abc.abstractmethod
    async def relay(self, request: Request, media_url: str, api_url: str) -> Response:
        """What a relay does with the vendor's webhook, to have a call's audio brought to `media_url`."""

    @abc.abstractmethod
    def api(self) -> contextlib.AbstractAsyncContextManager[str]:
        """Serve what the target needs of the vendor's API; gives its URL."""

    @abc.abstractmethod
    async def place(self, client: httpx.AsyncClient, voice_url: str, stream_after: float = 0.0) -> Placed:
        """Announce a call, and bring its audio to where the target wants it, so many seconds later."""

    @abc.abstractmethod
    async def hung_up(self, client: httpx.AsyncClient, voice_url: str, stream: Stream) -> None:
        """Tell that the caller has hung up, where the end of the stream does not say so."""
