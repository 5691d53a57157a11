"""The carrier's end of a call under load: streams the caller, hears the agent, returns marks as they are played."""

from __future__ import annotations

import asyncio
import time
from collections import deque

import msgspec

from patter_twilio.testing import messages
from tests.bench.flow import Flow
from tests.bench.lean import LeanSocket
from tests.bench.voice import FRAME_MS, Voice

__all__ = ["CarrierSide"]

_S_A_CHARACTER = 3 / 4 / 8_000
"""Seconds that a character of base64 plays: three bytes in four characters, 8000 bytes a second."""

_from_app = msgspec.json.Decoder(messages.AppMessage)


class CarrierSide:
    """One media stream.

    Args:
        caller: what is said here.
        agent: what is heard here.
    """

    def __init__(
        self, socket: LeanSocket, *, account_sid: str, call_sid: str, caller: Flow, agent: Flow, voice: Voice
    ) -> None:
        self.marks = 0
        self.closed = socket.closed
        self._socket = socket
        self._account_sid, self._call_sid = account_sid, call_sid
        self._stream_sid = f"MZ{call_sid[2:]}"
        self._after_payload = f'"}},"streamSid":"{self._stream_sid}"}}'
        self._caller, self._agent = caller, agent
        self._voice = voice
        self._sequence = 1
        self._frames = 0
        self._played_until = 0.0
        self._pending: deque[tuple[str, asyncio.TimerHandle]] = deque()
        self._cleared: asyncio.Future[float] | None = None
        self._void_before = 0
        socket.on_text = self._take
        body = messages.StartBody(account_sid=account_sid, stream_sid=self._stream_sid, call_sid=call_sid)
        self._say(messages.Connected())
        self._say(messages.Start(sequence_number="1", stream_sid=self._stream_sid, start=body))

    def tick(self) -> None:
        """Say the caller's next 20 ms."""
        text = self._voice.frame(self._caller.place + self._frames)
        self._frames += 1
        self._sequence += 1
        self._caller.send(text, FRAME_MS)
        self._socket.send(
            f'{{"event":"media","sequenceNumber":"{self._sequence}","media":{{"track":"inbound","chunk":'
            f'"{self._frames}","timestamp":"{self._frames * FRAME_MS}","payload":"{text}{self._after_payload}'.encode()
        )

    async def clear(self, *, void_before: int) -> float:
        """When the next `clear` comes. What the agent said before that number, and is not here by then, is void."""
        self._void_before = void_before
        self._cleared = asyncio.get_running_loop().create_future()
        return await asyncio.wait_for(self._cleared, 5)

    def stop(self) -> None:
        """The caller hangs up, and hears no more."""
        self._socket.on_text = _ignore
        for _, timer in self._pending:
            timer.cancel()
        self._pending.clear()
        body = messages.StopBody(account_sid=self._account_sid, call_sid=self._call_sid)
        self._say(messages.Stop(**self._next(), stop=body))
        self._socket.close()

    def _take(self, message: bytes) -> None:
        read = _from_app.decode(message)
        if isinstance(read, messages.PeerMedia):
            payload = read.media.payload
            self._played_until = max(self._played_until, time.perf_counter()) + len(payload) * _S_A_CHARACTER
            self._agent.arrive(payload)
        elif isinstance(read, messages.PeerMark):
            wait = max(0.0, self._played_until - time.perf_counter())
            self._pending.append((read.mark.name, asyncio.get_running_loop().call_later(wait, self._return_mark)))
        else:
            self._take_clear()

    def _take_clear(self) -> None:
        self._played_until = now = time.perf_counter()
        self._agent.overtaken(self._void_before)
        if self._cleared is not None and not self._cleared.done():
            self._cleared.set_result(now)
        while self._pending:
            self._pending[0][1].cancel()
            self._return_mark()

    def _return_mark(self) -> None:
        name, _ = self._pending.popleft()
        self.marks += 1
        self._say(messages.Mark(**self._next(), mark=messages.MarkBody(name)))

    def _next(self) -> messages.Numbering:
        self._sequence += 1
        return {"sequence_number": str(self._sequence), "stream_sid": self._stream_sid}

    def _say(self, message: msgspec.Struct) -> None:
        self._socket.send(msgspec.json.encode(message))


def _ignore(_message: bytes) -> None:
    """What was on its way when the caller hung up."""
