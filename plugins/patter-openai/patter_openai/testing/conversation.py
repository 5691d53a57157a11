"""One session of the emulated service: its record, for tests, and what it does by itself."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Awaitable, Callable
from typing import NoReturn

import anyio
import anyio.abc
import msgspec
from msgspec import UNSET

from patter_core.aio import Changes
from patter_core.audio import AudioFormat
from patter_core.testing.hearing import recognise
from patter_core.testing.speech import CALLER_LINES
from patter_openai import wire
from patter_openai.formats import PCM16_24000, audio_format
from patter_openai.testing.behaviour import AgentScript, Behaviour
from patter_openai.testing.configuring import DEFAULT_CONFIG
from patter_openai.testing.ears import Ears, Heard
from patter_openai.testing.items import Items, KeptItem
from patter_openai.testing.reply import Reply, ResponseFailed
from patter_openai.testing.told import ToldRecord

__all__ = ["Conversation", "ConversationOver", "ConversationSocket"]

_CLOSE_TIMEOUT = 5.0
"""Seconds for the close frame to follow what was sent before it."""


class ConversationOver(Exception):
    """The session is closed, by either side. The emulator catches this."""


class ConversationSocket(msgspec.Struct, frozen=True):
    """The functions of the socket that a conversation needs."""

    send: Callable[[str | bytes], Awaitable[None]]
    """As a text or a binary message."""
    close: Callable[[int, str], Awaitable[None]]


class Conversation:
    """The record of a session, and what the service does in it."""

    def __init__(self, socket: ConversationSocket, behaviour: Behaviour, model: str, number: int) -> None:
        self.behaviour = behaviour
        self.model = model
        self.session_id = f"sess_{number}"
        self.conversation_id = f"conv_{number}"
        self.config = DEFAULT_CONFIG
        self.items = Items()
        """What the service remembers."""
        self.heard = bytearray()
        """All caller audio that was appended."""
        self.spoken: dict[str, bytes] = {}
        """All agent audio that was sent, by item."""
        self.messages: list[wire.ClientMessage] = []
        """All messages of the client but audio."""
        self.sent: list[bytes] = []
        """All messages to the client, as JSON, but audio."""
        self.errors: list[wire.ServiceError] = []
        """All errors that the client was told."""
        self.told = ToldRecord()
        """What the client told by the capabilities of its engine."""
        self.replies: list[Reply] = []
        """All responses."""
        self.active: Reply | None = None
        """The response that is being made."""
        self.close_code: int | None = None
        """None while it is open; 1006 if there was no close frame."""
        self.closed_by = ""
        """`client` or `service`."""
        self._socket = socket
        self._ids = itertools.count(1)
        self._tasks: anyio.abc.TaskGroup | None = None
        self._ears: Ears | None = None
        self._speaking: str = ""
        """The id of the user's message that is being said."""
        self._turns = 0
        self._committed = 0
        """Bytes of `heard` that were committed or cleared, where the client does that."""
        self._changes = Changes()
        self._expires_at = time.time() + behaviour.session_seconds

    # --- state -----------------------------------------------------------------------------------------------------

    @property
    def input(self) -> wire.InputConfig:
        audio = self.config.audio
        return audio.input if isinstance(audio, wire.AudioConfig) and audio.input is not UNSET else wire.InputConfig()

    @property
    def output(self) -> wire.OutputConfig:
        audio = self.config.audio
        return (
            audio.output if isinstance(audio, wire.AudioConfig) and audio.output is not UNSET else wire.OutputConfig()
        )

    @property
    def input_format(self) -> AudioFormat:
        return PCM16_24000 if self.input.format is UNSET else audio_format(self.input.format)

    @property
    def output_format(self) -> AudioFormat:
        return PCM16_24000 if self.output.format is UNSET else audio_format(self.output.format)

    @property
    def turn_detection(self) -> wire.TurnDetection | None:
        """How the user's turns are found; None: the client commits them."""
        found = self.input.turn_detection
        return None if found is UNSET else found

    def kept(self, item_id: str) -> KeptItem | None:
        """Returns what the service remembers of an item."""
        return self.items.get(item_id)

    def previous_of(self, kept: KeptItem) -> str | None:
        """Returns the id of the item before."""
        ids = [other.id for other in self.items.all]
        place = ids.index(kept.id) if kept.id in ids else 0
        return ids[place - 1] if place else None

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until the record makes `condition` true."""
        await self._changes.wait_until(condition)

    def notify(self) -> None:
        """Wakes the tasks that wait in `until`."""
        self._changes.notify()

    def new_id(self, kind: str) -> str:
        """Returns the next id: `item_7`."""
        return f"{kind}_{next(self._ids)}"

    # --- messages ----------------------------------------------------------------------------------------------------

    async def send(self, message: wire.ServerMessage | str | bytes) -> None:
        """Sends a message with an event id of its own, any text, or a binary frame.

        Raises:
            ConversationOver: the session is closed.
        """
        if self.close_code is not None:
            raise ConversationOver
        if isinstance(message, str | bytes):
            await self._socket.send(message)
            return
        encoded = msgspec.json.encode(msgspec.structs.replace(message, event_id=self.new_id("event")))
        if not isinstance(message, wire.AudioDelta):
            self.sent.append(encoded)
        await self._socket.send(encoded.decode())
        self.notify()

    async def refuse(
        self, message: str, *, code: str | None = None, param: str | None = None, event_id: object = None
    ) -> None:
        """Tells the client an error of its own; the session goes on."""
        named = event_id if isinstance(event_id, str) else None
        await self.fail(
            wire.ServiceError(type="invalid_request_error", code=code, message=message, param=param, event_id=named)
        )

    async def fail(self, error: wire.ServiceError) -> None:
        """Tells the client an error; the session goes on."""
        self.errors.append(error)
        await self.send(wire.Error(error=error))

    def session_info(self) -> wire.SessionInfo:
        """Returns the session as it is told to the client."""
        config = self.config
        return wire.SessionInfo(
            id=self.session_id,
            object="realtime.session",
            type="realtime",
            model=self.model,
            expires_at=round(self._expires_at),
            instructions=config.instructions,
            audio=msgspec.Raw(msgspec.json.encode(config.audio)),
            tools=msgspec.Raw(msgspec.json.encode(config.tools)),
        )

    # --- items -------------------------------------------------------------------------------------------------------

    async def add_item(self, kept: KeptItem, *, after: str | None = None, shown: wire.Item | None = None) -> None:
        """Adds an item to the conversation, and tells the client.

        Raises:
            KeyError: there is no item `after`.
        """
        self.items.add(kept, after)
        await self.send(wire.ItemAdded(item=shown or kept.item, previous_item_id=self.previous_of(kept)))

    # --- responses ---------------------------------------------------------------------------------------------------

    def start_response(self, parameters: wire.ResponseParameters, agent: AgentScript | None = None) -> None:
        """Begins a response, by default that of the agent. There must be no active one."""
        self.active = reply = Reply(self, self.new_id("resp"), parameters)
        self.replies.append(reply)
        if self._tasks is not None:
            self._tasks.start_soon(self._respond, reply, agent or self.behaviour.agent)

    async def _respond(self, reply: Reply, agent: AgentScript) -> None:
        failed: ResponseFailed | None = None
        if self.behaviour.announces:
            await self.send(reply.announced())
        await self.send(_limits(self.behaviour.requests_left))
        with reply.scope:
            try:
                await agent(reply)
            except ResponseFailed as error:
                failed = error
        with anyio.CancelScope(shield=True), contextlib.suppress(ConversationOver):
            await reply.finish(failed)
        self.active = None
        self.notify()

    # --- the user ----------------------------------------------------------------------------------------------------

    async def hear(self, audio: bytes) -> None:
        """Takes caller audio."""
        config = self.turn_detection
        if self._ears is None and config is not None:
            self._ears = Ears(self.input_format, config, len(self.heard))
        self.heard += audio
        self.notify()
        if self._ears is not None and config is not None:
            for told in self._ears.feed(audio):
                await self._user_speaks(told, config)

    async def _user_speaks(self, told: Heard, config: wire.TurnDetection) -> None:
        if told.audio is None:
            self._speaking = self.new_id("item")
            if self.active is not None and config.interrupt_response is not False:
                self.active.cancel("turn_detected")
            await self.send(wire.SpeechStarted(item_id=self._speaking, audio_start_ms=told.at_ms))
            return
        item_id, self._speaking = self._speaking, ""
        await self.send(wire.SpeechStopped(item_id=item_id, audio_end_ms=told.at_ms))
        await self.commit(told.audio, item_id)
        if config.create_response is not False and self._tasks is not None:
            self._tasks.start_soon(self._answer)

    async def _answer(self) -> None:
        """Responds to the user, once the response is over that they did not interrupt."""
        await self.until(lambda: self.active is None)
        self.told.response(wire.ResponseParameters())
        self.start_response(wire.ResponseParameters())

    async def commit(self, audio: bytes, item_id: str) -> None:
        """A turn of the user is over."""
        await self.send(wire.Committed(item_id=item_id, previous_item_id=self.items.last_id))
        content = (wire.Content(type="input_audio", transcript=None),)
        item = wire.Item(
            type="message", role="user", id=item_id, object="realtime.item", status="completed", content=content
        )
        kept = KeptItem(item, bytearray(audio), _text(audio, self.input_format))
        await self.add_item(kept)
        await self.send(wire.ItemDone(item=kept.item, previous_item_id=self.previous_of(kept)))
        transcription = self.input.transcription
        if isinstance(transcription, wire.Transcription) and self._tasks is not None:
            delays = self.behaviour.transcription_delays
            delay = delays[min(self._turns, len(delays) - 1)]
            self._turns += 1
            self._tasks.start_soon(self._transcribe, kept, delay)

    async def _transcribe(self, kept: KeptItem, delay: float) -> None:
        await anyio.sleep(delay)
        seconds = kept.ms(self.input_format) / 1000
        with contextlib.suppress(ConversationOver):
            await self.send(
                wire.TranscriptionCompleted(
                    item_id=kept.id,
                    transcript=kept.text,
                    usage=wire.TranscriptionUsage(type="duration", seconds=seconds),
                )
            )

    def clear_buffer(self) -> bytes:
        """Returns the audio that was appended and not committed; it is gone."""
        audio = bytes(self.heard[self._committed :])
        self._committed = len(self.heard)
        return audio

    def forget_ears(self) -> None:
        """The configuration has changed: voice detection begins again."""
        self._ears = None

    # --- the end -----------------------------------------------------------------------------------------------------

    def run_in(self, tasks: anyio.abc.TaskGroup) -> None:
        """Has its tasks run there."""
        self._tasks = tasks

    async def expire(self) -> NoReturn:
        """Waits until the session is as old as it may be, and ends it.

        Raises:
            ConversationOver: always.
        """
        await anyio.sleep(self.behaviour.session_seconds)
        message = "Your session hit the maximum duration."
        await self.fail(wire.ServiceError(type="invalid_request_error", code="session_expired", message=message))
        await self.close(1001)

    def abort(self) -> NoReturn:
        """Drops the connection without a close frame (code 1006 at the client).

        Raises:
            ConversationOver: always.
        """
        self.over(1006, by="service")
        raise ConversationOver

    async def close(self, code: int, reason: str = "") -> NoReturn:
        """Closes the session.

        Raises:
            ConversationOver: always, which ends the agent's script.
        """
        if self.close_code is None:
            self.over(code, by="service")
            with anyio.move_on_after(_CLOSE_TIMEOUT, shield=True):  # its tasks may be cancelled meanwhile
                await self._socket.close(code, reason)
        raise ConversationOver

    def over(self, code: int, *, by: str) -> None:
        """Records the end. Only the first call counts."""
        if self.close_code is None:
            self.close_code, self.closed_by = code, by
            self.notify()


def _text(audio: bytes, format: AudioFormat) -> str:
    return recognise(audio, format, CALLER_LINES) or f"[{format.duration_ms(len(audio)) / 1000:.1f} s of speech]"


def _limits(left: int) -> wire.RateLimits:
    return wire.RateLimits(
        rate_limits=(wire.RateLimit(name="requests", limit=1_000, remaining=left, reset_seconds=60.0),)
    )
