"""One media socket of an emulated page, as strict as the page's script."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus, WebSocketException

from patter_browser.calls import Answer
from patter_browser.config import origin_of
from patter_browser.wire import LONGEST_MS, SUBPROTOCOL
from patter_core.testing.network import open_socket
from patter_core.testing.stream import CarrierStream

if TYPE_CHECKING:
    from patter_browser.testing.call import BrowserCall

__all__ = ["BUFFER_MS", "BrowserStream"]

BUFFER_MS = 90_000
"""What the page's loudspeaker keeps; what comes beyond is dropped."""

WRONG_LENGTH, FULL, UNKNOWN, WRONG_RATE = 1003, 1013, 1007, 1002


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", forbid_unknown_fields=True):
    """The base of what is said as text."""


class Mark(_Message, frozen=True, kw_only=True, tag="mark", forbid_unknown_fields=True):
    """To be returned when what came before it was played; and its return."""

    name: str


class Clear(_Message, frozen=True, kw_only=True, tag="clear", forbid_unknown_fields=True):
    """Drop what was not played."""


class HangUp(_Message, frozen=True, kw_only=True, tag="hangup", forbid_unknown_fields=True):
    """The call is over; from either side."""


class _Hello(_Message, frozen=True, kw_only=True, tag="hello"):
    call_id: str
    rate: int


class _Key(_Message, frozen=True, kw_only=True, tag="key"):
    digit: str


_FROM_APP: msgspec.json.Decoder[Mark | Clear | HangUp] = msgspec.json.Decoder(Mark | Clear | HangUp)


class BrowserStream(CarrierStream):
    """One media socket.

    Args:
        call: the call that it is of.
        answer: what the app said where it is.
        call_id: the carrier's.
    """

    def __init__(self, call: BrowserCall, answer: Answer, call_id: str) -> None:
        super().__init__(call, longest_buffer_ms=BUFFER_MS)
        self.hung_up = False
        """True if the app has ended the call here."""
        self.origin = origin_of(answer.media_url)
        """Of the page."""
        self._answer = answer
        self._call = call
        self._call_id = call_id
        self._format = call.recording.format

    async def connect(self) -> ClientConnection | None:
        if self._answer.rate != self._format.sample_rate:
            self.problem(WRONG_RATE, f"a call at {self._answer.rate} Hz")
            return None
        try:
            return await open_socket(
                self._answer.media_url,
                self._call.tunnels,
                headers={"Origin": self.origin},
                user_agent="Mozilla/5.0",
                subprotocols=(SUBPROTOCOL,),
            )
        except InvalidStatus as error:
            self.problem(error.response.status_code, "the upgrade was refused")
        except (OSError, WebSocketException) as error:
            self.problem(0, f"the socket cannot be opened: {type(error).__name__}")
        return None

    async def open(self) -> None:
        await self.send(_Hello(call_id=self._call_id, rate=self._format.sample_rate))

    async def send_frame(self, audio: bytes) -> None:
        await self.send_raw(audio)

    async def send_key(self, digit: str) -> None:
        await self.send(_Key(digit=digit))

    async def send_mark(self, name: str) -> None:
        await self.send(Mark(name=name))

    async def send_stop(self) -> None:
        await self.send(HangUp())

    async def take(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            self._hear(message)
            return
        try:
            read = _FROM_APP.decode(message)
        except msgspec.DecodeError:
            self.problem(UNKNOWN, "no message of the page's")
            return
        self.note(read)
        match read:
            case Mark(name=name):
                await self.mark(name)
            case Clear():
                await self.clear()
            case HangUp():
                self.hung_up = True

    def _hear(self, audio: bytes) -> None:
        if not audio or len(audio) % 2 or self._format.duration_ms(len(audio)) > LONGEST_MS:
            self.problem(WRONG_LENGTH, f"a message of {len(audio)} bytes")
        elif not self.play(audio):
            self.problem(FULL, "the buffer is full")
