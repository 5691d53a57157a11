"""One socket of a client of the emulated text to speech."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import anyio
import anyio.abc
import msgspec
from starlette.websockets import WebSocket

from patter_core.aio import Changes
from patter_core.audio import AudioFormat
from patter_core.testing.speech import Line
from patter_elevenlabs.testing.speech import Refused
from patter_elevenlabs.testing.tts.context import Context
from patter_elevenlabs.testing.tts.protocol import FORMATS, Message, decode
from patter_elevenlabs.testing.tts.synthesis import CHARACTER_MS, Piece, synthesise

__all__ = ["Connection", "Voice"]

_TIMED_OUT = "Have not received a new text input within the timeout of {:g} seconds. Streaming input terminated."
_TOO_MANY = "Maximum simultaneous contexts per WebSocket connection exceeded ({})."


class Voice(Protocol):
    """The part of the emulator that a connection needs."""

    pace: float
    most_contexts: int
    text_timeout: float
    timings: bool
    lines: Sequence[Line]
    contexts: list[Context]
    changes: Changes

    async def receive(self, socket: WebSocket) -> str: ...

    async def send(self, socket: WebSocket, message: str | bytes) -> None: ...

    async def close(self, socket: WebSocket, code: int, reason: str) -> None: ...


class Connection:
    """What a client says on one socket, and what is spoken there."""

    def __init__(self, voice: Voice, socket: WebSocket, tasks: anyio.abc.TaskGroup) -> None:
        query = dict(socket.query_params)
        self._voice = voice
        self._socket = socket
        self._tasks = tasks
        self._format: AudioFormat = FORMATS[query.get("output_format", "pcm_24000")]
        self._at_once = query.get("auto_mode") == "true"
        self._timeout = voice.text_timeout or float(query.get("inactivity_timeout", 20))
        self._open: dict[str | None, Context] = {}
        self._heard_at = anyio.current_time()

    async def take_many(self) -> None:
        """Takes messages of many contexts, until the client ends."""
        while True:
            message = decode(await self._voice.receive(self._socket))
            self._heard_at = anyio.current_time()
            if message.try_trigger_generation is not None:
                raise Refused("invalid_message", "try_trigger_generation is not for contexts.")
            if message.close_socket:
                await self._voice.close(self._socket, 1000, "")
                return
            if message.context_id is not None:
                self._take(message)
            elif message.text != "" or message.has_settings:
                raise Refused("invalid_message", "A message needs a context_id.")
            self._voice.changes.notify()

    def _take(self, message: Message) -> None:
        context = self._open.get(message.context_id)
        if message.close_context:
            if context is not None:
                context.close()
            return
        if context is None or context.closing:
            context = self._begin(message)
        elif message.has_settings:
            raise Refused("invalid_message", "voice_settings can only be set in the first message of a context.")
        else:
            context.add(message.text or "")
        context.heard_at = anyio.current_time()
        if message.flush:
            context.flush()

    def _begin(self, message: Message) -> Context:
        """Opens a context, as any message of an unknown one does."""
        if len(self._open) >= self._voice.most_contexts:
            raise Refused("max_active_conversations", _TOO_MANY.format(self._voice.most_contexts))
        if message.text is not None and message.text.strip():
            raise Refused("invalid_message", "The first text of a context is a single space.")
        return self._start(message)

    def _start(self, message: Message) -> Context:
        context = Context(message.context_id, message, at_once=self._at_once, now=anyio.current_time())
        self._open[message.context_id] = context
        self._voice.contexts.append(context)
        self._tasks.start_soon(self._speak, context)
        return context

    async def take_single(self) -> None:
        """Takes messages of the one context that this socket has, until it is spoken to its end."""
        first = decode(await self._voice.receive(self._socket))
        if first.text != " " or first.context_id is not None:
            raise Refused("invalid_message", "The first text is a single space.")
        context = self._start(first)
        while not context.closing:
            message = decode(await self._voice.receive(self._socket))
            self._heard_at = context.heard_at = anyio.current_time()
            if message.has_settings or message.context_id is not None:
                raise Refused("invalid_message", "voice_settings can only be set in the first message.")
            if message.text == "":
                context.flush()
                context.close()
            else:
                context.add(message.text or "", soon=bool(message.try_trigger_generation))
                if message.flush:
                    context.flush()
            self._voice.changes.notify()
        await self._voice.changes.wait_until(lambda: not self._open)
        await self._voice.close(self._socket, 1000, "")

    async def _speak(self, context: Context) -> None:
        """Speaks what is to be spoken of a context, to its end."""
        voice = self._voice
        while not context.over:
            if not context.speech:
                await voice.changes.wait_until(lambda: bool(context.speech) or context.over)
                continue
            text = context.speech[0] if context.spoke else f" {context.speech[0]}"  # begins with its first text
            context.spoke = True
            for piece in self._pieces(text, context):
                await anyio.sleep(CHARACTER_MS * 10 / 1_000 / voice.pace)
                await voice.send(self._socket, msgspec.json.encode(piece).decode())
                if context.closing and not context.flushed:  # this was on its way
                    break
            context.speech.popleft()
        end = {"audio": None, "isFinal": True, "contextId": context.context_id}
        await voice.send(self._socket, msgspec.json.encode(end).decode())
        del self._open[context.context_id]
        voice.changes.notify()

    def _pieces(self, text: str, context: Context) -> Iterator[Piece]:
        voice = self._voice
        return synthesise(text, self._format, context.context_id, timings=voice.timings, lines=voice.lines)

    async def time_out(self) -> None:
        """Ends the socket once it, or a context that takes text, has had none for too long."""
        while True:
            waiting = [one.heard_at for one in self._open.values() if not (one.closing or one.flushed)]
            left = min([self._heard_at, *waiting]) + self._timeout - anyio.current_time()
            if left <= 0:
                raise Refused("input_timeout_exceeded", _TIMED_OUT.format(self._timeout))
            await anyio.sleep(left)
