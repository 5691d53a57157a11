"""Plays Framed for tests and `patter demo`. A media socket that breaks the protocol is closed at once."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

import anyio
import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp
from websockets.asyncio.client import ClientConnection

from patter_core.media import Message
from patter_core.net.json import UNREADABLE
from patter_core.testing.call import EmulatedCall
from patter_core.testing.caller import Caller
from patter_core.testing.emulator import CALLED, CALLER, CarrierEmulator
from patter_core.testing.http import WebhookSender
from patter_core.testing.network import open_socket
from patter_core.testing.stream import CarrierStream, Clearing, StreamEnd
from patter_framed.carrier import Framed
from patter_framed.signing import HEADER, signature
from patter_framed.wire import FORMAT, FRAME_BYTES, SUBPROTOCOL, Answer, Command, Report, Ring

__all__ = ["FramedEmulator"]

_BUFFER_MS = 60_000
_PONG_WITHIN = 50
"""Frames of the caller's audio."""
_UNREADABLE, _POLICY = 1007, 1008
"""Close codes."""


class FramedEmulator(CarrierEmulator):
    """Plays Framed for one account.

    Args:
        has_notify: False for an account whose media sockets have no marks.
    """

    format = FORMAT

    def __init__(self, *, has_notify: bool = True) -> None:
        super().__init__()
        self.secret = secrets.token_hex(16)
        self.has_notify = has_notify
        self._calls: dict[str, FramedCall] = {}

    @property
    def secrets(self) -> Sequence[str]:
        return (self.secret,)

    @property
    def environment(self) -> Mapping[str, str]:
        return {"FRAMED_SECRET": self.secret, "FRAMED_URL": self.base_url}

    @property
    def app(self) -> ASGIApp:
        return Starlette(routes=[Route("/calls/{call_id}", self._hang_up, methods=["DELETE"])])

    @property
    def calls(self) -> Sequence[EmulatedCall]:
        return list(self._calls.values())

    def carrier(self) -> Framed:
        return Framed(self.secret, self.base_url, self.has_notify)

    def place(
        self, voice_url: str, caller: Caller, *, from_number: str = CALLER, to_number: str = CALLED
    ) -> EmulatedCall:
        call = FramedCall(self, voice_url, caller, from_number=from_number, to_number=to_number)
        self._calls[call.call_id] = call
        return call

    async def _hang_up(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {self.secret}":
            return Response(status_code=401)
        call = self._calls.get(request.path_params["call_id"])
        if call is None or call.over.is_set():
            return Response(status_code=404)
        call.end()
        return Response(status_code=204)


class FramedCall(EmulatedCall):
    """A call: it rings, is answered with its audio, and is up until the caller or the app hangs up."""

    def __init__(
        self, emulator: FramedEmulator, voice_url: str, caller: Caller, *, from_number: str, to_number: str
    ) -> None:
        super().__init__(secrets.token_hex(8), caller, from_number=from_number, to_number=to_number)
        self.emulator = emulator
        self._voice_url = voice_url
        self._life = anyio.CancelScope()

    async def live(self) -> None:
        with self._life:
            ring = Ring(call_id=self.call_id, from_number=self.from_number, to_number=self.to_number)
            body = msgspec.json.encode(ring)
            sender = WebhookSender(self.emulator.client, self.emulator.tunnels)
            headers = {HEADER: signature(self.emulator.secret, body), "content-type": "application/json"}
            exchange = await sender.request("POST", self._voice_url, headers=headers, content=body)
            answer = msgspec.json.decode(exchange.answer, type=Answer) if exchange.status == 200 else Answer()
            if answer.socket:
                self.streams = [_Stream(self, answer.socket)]
                if await self.stream.run() is not StreamEnd.CALLER_HUNG_UP:
                    await anyio.sleep_forever()  # the call is up without audio, until it is hung up

    def end(self) -> None:
        self._life.cancel()


class _Stream(CarrierStream):
    """A media socket."""

    def __init__(self, call: FramedCall, url: str) -> None:
        super().__init__(call, longest_buffer_ms=_BUFFER_MS)
        self._call = call
        self._url = url
        self._has_ponged = False

    async def connect(self) -> ClientConnection | None:
        emulator = self._call.emulator
        socket = await open_socket(
            self._url,
            emulator.tunnels,
            headers={HEADER: signature(emulator.secret, b"")},
            user_agent="Framed",
            subprotocols=("v3.audio.framed.example", SUBPROTOCOL),
        )
        if socket.subprotocol == SUBPROTOCOL:
            return socket
        self.problem(_POLICY, "no subprotocol was agreed")
        await socket.close(_POLICY)
        return None

    async def open(self) -> None:
        await self.send(Report("start", self._call.call_id))
        await self.send(Report("ping", "1"))

    async def send_frame(self, audio: bytes) -> None:
        if self.frames_sent == _PONG_WITHIN and not self._has_ponged:
            self._refuse(_POLICY, "a ping was not answered")
        await self.send_raw(audio)

    async def send_key(self, digit: str) -> None:
        await self.send(Report("dtmf", digit))

    async def send_mark(self, name: str) -> None:
        await self.send(Report("notify", name))

    async def send_stop(self) -> None:
        await self.send(Report("stop"))

    async def take(self, message: Message) -> None:
        if self.problems:
            return
        if isinstance(message, str):
            try:
                command = msgspec.json.decode(message, type=Command)
            except UNREADABLE:
                self._refuse(_UNREADABLE, "a text that is no command")
            else:
                await self._obey(command)
        elif len(message) != FRAME_BYTES:
            self._refuse(_UNREADABLE, f"audio of {len(message)} bytes instead of {FRAME_BYTES}")
        elif not self.play(message):
            self._refuse(_POLICY, "more audio than the buffer takes")

    async def _obey(self, command: Command) -> None:
        self.note(command)
        match command.action:
            case "clear":
                await self.clear()
                await self.send(Report("cleared"))
            case "notify" if self._call.emulator.has_notify:
                await self.mark(command.value)
            case "pong" if command.value == "1":
                self._has_ponged = True
            case "dtmf":
                self._call.digits += command.value
                self._call.changes.notify()
            case "hangup":
                self._call.end()
            case _:
                self._refuse(_POLICY, f"the unknown command {command.action}")

    async def clear(self) -> None:
        """Empties the buffer. Marks that were in it never go back."""
        dropped_ms = self._buffer.duration_ms
        self.clears.append(Clearing(self.elapsed, dropped_ms, tuple(self._buffer.clear())))

    def _refuse(self, code: int, text: str) -> None:
        """Closes the socket. What was sent before it is known at the other side is not read any more."""
        if not self.problems:
            self.problem(code, text)
            self._call.emulator.tasks.start_soon(self._connected.close, code, text)
