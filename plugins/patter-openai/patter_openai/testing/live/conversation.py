"""One Live session of the emulated service: its record, for tests, and what the service does in it.

Its clock is the caller's audio: for each piece that is appended, as much audio is sent, silence included.
"""

from __future__ import annotations

import binascii
import dataclasses
import itertools
import math
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import NoReturn

import anyio
import msgspec

from patter_core.aio import Changes
from patter_core.audio import AudioFormat
from patter_core.audio.transcode import transcode
from patter_core.testing.hearing import EndOfTurn, SpeechEnded, SpeechStarted, recognise
from patter_core.testing.speech import CALLER_LINES, GREETING
from patter_openai.live import wire
from patter_openai.testing.conversation import ConversationOver, ConversationSocket
from patter_openai.wire import Item, ServiceError

__all__ = ["LiveBehaviour", "LiveConversation", "LiveScript"]

_WORDS = re.compile(r"\s*\S+")


class _Speech(msgspec.Struct):
    """Speech that waits to be sent, or is being sent."""

    words: list[str]
    audio: bytes
    at: int = 0
    told: int = 0
    """How many words were told."""


class LiveConversation:
    """The record of a session, and what the service does in it."""

    def __init__(self, socket: ConversationSocket, behaviour: LiveBehaviour, number: int) -> None:
        self.behaviour = behaviour
        self.session_id = f"live_{number}"
        self.config: wire.LiveConfig | None = None
        self.heard = bytearray()
        """All caller audio that was appended."""
        self.messages: list[wire.LiveClient] = []
        """All messages of the client but audio."""
        self.sent: list[bytes] = []
        """All messages to the client, as JSON, but audio."""
        self.errors: list[ServiceError] = []
        self.outputs: dict[str, str] = {}
        """What came of each function call."""
        self.close_code: int | None = None
        self.closed_by = ""
        self._socket = socket
        self._ids = itertools.count(1)
        self._changes = Changes()
        self._speech: list[_Speech] = []
        self._turns: EndOfTurn | None = None
        self._billed = 0
        self._expires_at = time.time() + behaviour.session_seconds

    # --- state -------------------------------------------------------------------------------------------------------

    @property
    def started(self) -> wire.LiveConfig:
        """The configuration of a session that has started."""
        assert self.config is not None
        return self.config

    @property
    def format(self) -> AudioFormat:
        return wire.audio_format(self.started.audio.format)

    @property
    def now_ms(self) -> int:
        """The session's clock: how much audio was appended."""
        return round(self.format.duration_ms(len(self.heard)))

    @property
    def speaking(self) -> bool:
        """True while there is speech that was not sent."""
        return bool(self._speech)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until the record makes `condition` true."""
        await self._changes.wait_until(condition)

    def notify(self) -> None:
        """Wakes the tasks that wait in `until`."""
        self._changes.notify()

    def info(self) -> wire.SessionInfo:
        """Returns the session as it is told to the client."""
        return wire.SessionInfo(
            id=self.session_id, expires_at=round(self._expires_at), model=self.started.model, status="active"
        )

    # --- messages ----------------------------------------------------------------------------------------------------

    async def send(self, message: wire.LiveServer | str | bytes) -> None:
        """Sends a message, any text, or a binary frame.

        Raises:
            ConversationOver: the session is closed.
        """
        if self.close_code is not None:
            raise ConversationOver
        if isinstance(message, str | bytes):
            await self._socket.send(message)
            return
        if isinstance(message, wire.OutputAudio):
            await self._socket.send(msgspec.json.encode(message).decode())
            return
        await self.tell(msgspec.json.encode(msgspec.structs.replace(message, event_id=self._new_id("event"))))

    async def tell(self, message: bytes) -> None:
        """Sends a message as it is."""
        self.sent.append(message)
        await self._socket.send(message.decode())
        self.notify()

    async def acknowledge(self, kind: str) -> None:
        """Tells that something was placed in the session's timeline."""
        now, event_id = self.now_ms, self._new_id("event")
        fields = {"type": f"session.{kind}.appended", "event_id": event_id, "start_ms": now, "end_ms": now}
        await self.tell(msgspec.json.encode(fields))

    async def refuse(self, message: str, *, code: str, param: str | None = None) -> None:
        """Tells the client an error; the session goes on."""
        error = ServiceError(type="invalid_request_error", code=code, message=message, param=param)
        self.errors.append(error)
        await self.send(wire.Error(error=error))

    # --- the user, and time ------------------------------------------------------------------------------------------

    async def hear(self, audio: bytes) -> None:
        """Takes caller audio; as much of the agent's follows."""
        if self._turns is None:
            self._turns = EndOfTurn(self.format)
        before = self.now_ms
        self.heard += audio
        self.notify()
        for event in self._turns.feed(audio):
            match event:
                case SpeechStarted():
                    self._speech.clear()  # the model stops by itself
                case SpeechEnded(audio=said):
                    text = recognise(said, self.format, CALLER_LINES) or f"[{len(said)} bytes of speech]"
                    await self._transcribe(wire.InputTranscript, text, before, before)
                    await self.behaviour.agent(self, text, said)
        await self._send_audio(len(audio), before)
        if self.format.duration_ms(len(self.heard) - self._billed) >= self.behaviour.usage_every * 1000:
            self._billed = len(self.heard)
            await self.send(wire.Usage(usage=wire.Seconds(seconds=self.now_ms / 1000)))

    async def _send_audio(self, size: int, now_ms: int) -> None:
        piece = b""
        while self._speech and len(piece) < size:
            speech = self._speech[0]
            part = speech.audio[speech.at : speech.at + size - len(piece)]
            speech.at += len(part)
            piece += part
            due = math.ceil(len(speech.words) * speech.at / max(1, len(speech.audio)))
            if due > speech.told:
                words, speech.told = "".join(speech.words[speech.told : due]), due
                await self._transcribe(wire.OutputTranscript, words, now_ms, self.now_ms)
            if speech.at >= len(speech.audio):
                self._speech.pop(0)
        silence = self.format.silence
        piece += silence * ((size - len(piece)) // len(silence))
        await self.send(wire.OutputAudio(delta=binascii.b2a_base64(piece, newline=False).decode()))

    async def _transcribe(
        self, kind: type[wire.InputTranscript | wire.OutputTranscript], text: str, start: int, end: int
    ) -> None:
        await self.send(kind(delta=text, start_ms=start, end_ms=end))

    # --- actions of the agent ----------------------------------------------------------------------------------------

    def say(self, text: str, audio: bytes = b"") -> None:
        """Speaks, at the pace of the caller's audio; without audio with that of the greeting."""
        self._speech.append(_Speech(_WORDS.findall(text), audio or GREETING.audio(self.format)))

    async def fall_silent(self) -> None:
        """Says no more of what it was about to say."""
        self._speech.clear()

    async def call_tool(self, name: str, arguments: Mapping[str, object]) -> None:
        """Has the other model call a function, if it knows it."""
        delegation = self.started.delegation
        if delegation is not None and name in {tool.name for tool in delegation.responses.tools}:
            await self.delegate((name, msgspec.json.encode(arguments).decode()))

    async def delegate(self, *calls: tuple[str, str], fails: bool = False) -> list[str]:
        """Has the other model call functions, by name and arguments. Returns the calls' ids."""
        delegation, response = self._new_id("delegation"), self._new_id("resp")
        target = {"id": delegation, "target": "responses", "type": "delegation", "response_id": response}
        created = {"type": "session.delegation.created", "event_id": self._new_id("event"), "offset_ms": self.now_ms}
        await self.tell(msgspec.json.encode({**created, "delegation": target}))
        ids: list[str] = []
        for name, arguments in calls:
            call_id = self._new_id("call")
            ids.append(call_id)
            item = Item(type="function_call", id=self._new_id("fc"), call_id=call_id, name=name, arguments=arguments,
                        status="completed")  # fmt: skip
            await self._stream(delegation, wire.StreamEvent(type="response.output_item.done", item=item))
        end = "failed" if fails else "completed"
        await self._stream(delegation, wire.StreamEvent(type=f"response.{end}"))
        return ids

    async def delegate_to_client(self) -> str:
        """Hands a task to the client. Returns the delegation's id."""
        delegation = wire.DelegationInfo(id=self._new_id("delegation"), target="client")
        fields = {"type": "session.delegation.created", "event_id": self._new_id("event"), "offset_ms": self.now_ms}
        target = {"id": delegation.id, "target": delegation.target, "type": "delegation"}
        await self.tell(msgspec.json.encode({**fields, "delegation": target}))
        return delegation.id

    async def _stream(self, delegation: str, event: wire.StreamEvent) -> None:
        await self.send(wire.ResponseEvent(event=event, delegation_id=delegation))

    def _new_id(self, kind: str) -> str:
        return f"{kind}_{next(self._ids)}"

    # --- the end -----------------------------------------------------------------------------------------------------

    async def expire(self) -> NoReturn:
        """Waits until the session is as old as it may be, and ends it.

        Raises:
            ConversationOver: always.
        """
        await anyio.sleep(self.behaviour.session_seconds)
        await self.finish("expired")

    async def finish(self, reason: str) -> NoReturn:
        """Ends the session, with what is billed.

        Raises:
            ConversationOver: always.
        """
        seconds = wire.Seconds(seconds=self.now_ms / 1000)
        await self.send(wire.Closed(reason=reason, usage=seconds, session=self.info()))
        await self.close(1000)

    async def close(self, code: int, reason: str = "") -> NoReturn:
        """Closes the socket.

        Raises:
            ConversationOver: always.
        """
        if self.close_code is None:
            self.over(code, by="service")
            with anyio.move_on_after(5.0, shield=True):
                await self._socket.close(code, reason)
        raise ConversationOver

    def over(self, code: int, *, by: str) -> None:
        """Records the end. Only the first call counts."""
        if self.close_code is None:
            self.close_code, self.closed_by = code, by
            self.notify()


LiveScript = Callable[[LiveConversation, str, bytes], Awaitable[None]]
"""What the agent does when the caller has said something: its text, and its audio in the session's format."""


async def _parrot(talk: LiveConversation, text: str, audio: bytes) -> None:
    """Repeats what the caller said."""
    talk.say(text, transcode(audio, talk.format, talk.format))


@dataclasses.dataclass(frozen=True, kw_only=True)
class LiveBehaviour:
    """The behaviour of the emulated service."""

    agent: LiveScript = _parrot
    models: tuple[str, ...] = ("gpt-live-1.1", "gpt-live-1")
    """Those that the key may use."""
    session_seconds: float = 3_600.0
    """How long a session lives."""
    usage_every: float = 15.0
    """Seconds of audio between two reports of what is billed."""
    refuse_upgrade: int = 0
    """An HTTP status to refuse the upgrade with; 0 accepts it."""
    mute: int = 0
    """How many texts that are to be said are lost."""
