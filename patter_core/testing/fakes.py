"""A carrier and an engine with nothing behind them, to test what lies between: every move is the test's own.

For a real peer on a real port, take a plugin's emulator.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import ClassVar

import anyio
import msgspec
from starlette.types import Message

from patter_core.audio import ULAW_8000, AudioChunk, AudioFormat
from patter_core.carrier import (
    Admission,
    CallDesk,
    Carrier,
    MediaCodec,
    MediaDtmf,
    MediaEvent,
    MediaFault,
    MediaMark,
    MediaOpened,
    MediaStopped,
    MediaUnusable,
    Rejection,
    WebhookHandler,
    WebhookRequest,
    WebhookResponse,
)
from patter_core.control import Callbacks, Capability, DialRequest, Handover, LegFacts
from patter_core.engine import ConversationSetup, Engine, EngineSession
from patter_core.errors import AudioError, CarrierRequestFailed, WebhookRefused
from patter_core.events import EngineEvent
from patter_core.leg import Leg, Progress
from patter_core.sinks.memory import MemorySink

__all__ = ["FakeCarrier", "FakeEngine", "FakeMessage", "FakeSession", "FakeSocket", "MemorySink"]


class FakeMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """A message of the fake carrier's media socket, in both directions."""

    event: str
    """`start`, `audio`, `mark`, `dtmf`, `stop`, `unusable` or `clear`."""
    value: str = ""
    """The call's id, base64, the mark's name, or the digit."""


class _FakeCodec(MediaCodec):
    def __init__(self, format: AudioFormat) -> None:
        self._format = format

    @property
    def output_format(self) -> AudioFormat:
        return self._format

    def decode(self, message: str | bytes) -> Sequence[MediaEvent]:
        try:
            read = msgspec.json.decode(message, type=FakeMessage)
            return (self._event(read),)
        except (msgspec.DecodeError, AudioError, UnicodeDecodeError):
            return (MediaFault("malformed message"),)

    def _event(self, message: FakeMessage) -> MediaEvent:
        match message.event:
            case "start":
                return MediaOpened(call_id=message.value, format=self._format)
            case "audio":
                return AudioChunk.from_base64(message.value, self._format)
            case "mark":
                return MediaMark(message.value)
            case "dtmf":
                return MediaDtmf(message.value)
            case "stop":
                return MediaStopped()
            case "unusable":
                return MediaUnusable("unusable stream")
            case _:
                return MediaFault("unknown event")

    def encode_audio(self, chunk: AudioChunk) -> str:
        return _text(FakeMessage("audio", chunk.base64))

    def encode_mark(self, name: str) -> Sequence[str]:
        return (_text(FakeMessage("mark", name)),)

    def encode_clear(self) -> Sequence[str]:
        return (_text(FakeMessage("clear")),)


class FakeCarrier(Carrier):
    """A carrier that takes any webhook with the header `x-fake: yes`, and whose body is the call's id."""

    name: ClassVar[str] = "fake"
    capabilities: ClassVar[frozenset[Capability]] = frozenset(Capability) - {Capability.SEND_DTMF}

    def __init__(self, *, format: AudioFormat = ULAW_8000) -> None:
        self.hung_up: list[str] = []
        self.dialled: list[DialRequest] = []
        """The calls it was asked for; their ids are `out-1` and so on."""
        self.commands: list[str] = []
        """The other commands it took, each as a line."""
        self.refusals = 0
        """How many of the next commands it refuses, hang-ups aside."""
        self.facts = LegFacts(progress=Progress.COMPLETED)
        """What it says when it is asked about a call."""
        self.on_dial: Callable[[DialRequest, str], Awaitable[None]] | None = None
        """Called within `dial`: what webhooks say may come first."""
        self._format = format

    def token_secret(self) -> bytes:
        return b"a secret of no value"

    def webhooks(self) -> Mapping[str, WebhookHandler]:
        return {"voice": self._voice}

    def verify_upgrade(self, request: WebhookRequest) -> None:
        _verify(request)

    def media_codec(self, leg: Leg) -> MediaCodec:
        return _FakeCodec(self._format)

    async def hang_up(self, leg: Leg) -> None:
        self.hung_up.append(leg.call_id)

    async def dial(self, request: DialRequest) -> str:
        self.dialled.append(request)
        call_id = f"out-{len(self.dialled)}"
        if self.on_dial is not None:
            await self.on_dial(request, call_id)
        self._take("dial", call_id)
        return call_id

    async def transfer(self, leg: Leg, handover: Handover) -> None:
        self._take("transfer", leg.call_id, handover.to, handover.announcement)

    async def say_and_hang_up(self, leg: Leg, text: str) -> None:
        self._take("say", leg.call_id, text)

    async def hold(self, leg: Leg, audio_url: str) -> None:
        self._take("hold", leg.call_id, audio_url)

    async def resume(self, leg: Leg, admission: Admission) -> None:
        self._take("resume", leg.call_id)

    async def start_recording(self, leg: Leg, callbacks: Callbacks) -> str:
        self._take("record", leg.call_id)
        return "recording-1"

    async def pause_recording(self, leg: Leg, recording_id: str, *, paused: bool) -> None:
        self._take("pause" if paused else "unpause", leg.call_id, recording_id)

    async def stop_recording(self, leg: Leg, recording_id: str) -> None:
        self._take("stop", leg.call_id, recording_id)

    async def look_up(self, leg: Leg) -> LegFacts:
        self._take("look up", leg.call_id)
        return self.facts

    async def set_voice_url(self, number: str, url: str) -> None:
        self._take("point", number, url)

    def _take(self, *command: str) -> None:
        if self.refusals:
            self.refusals -= 1
            raise CarrierRequestFailed("The fake carrier would not.", status=400)
        self.commands.append(" ".join(command))

    async def _voice(self, request: WebhookRequest, desk: CallDesk) -> WebhookResponse:
        _verify(request)
        leg = Leg(carrier=self.name, call_id=request.body.decode())
        answer = await desk.announce(leg, request.candidate_urls[-1])
        if isinstance(answer, Admission):
            return WebhookResponse(body=answer.media_url.encode())
        return WebhookResponse(status=503, body=(answer.reason if isinstance(answer, Rejection) else "busy").encode())


def _verify(request: WebhookRequest) -> None:
    if request.headers.get("x-fake") != "yes":
        raise WebhookRefused("Not from the fake carrier.", expected="the header x-fake: yes")


class FakeSocket:
    """The far end of an accepted ASGI media socket: the test says what comes, and sees what went."""

    def __init__(self) -> None:
        self.sent: list[FakeMessage] = []
        self.closed = False
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._sent = anyio.Event()

    def say(self, event: str, value: str = "") -> None:
        """A message from the carrier."""
        self.say_raw(_text(FakeMessage(event, value)))

    def say_raw(self, text: str) -> None:
        """Any text from the carrier."""
        self._to_app.put_nowait({"type": "websocket.receive", "text": text})

    def break_off(self) -> None:
        """The connection is gone."""
        self._to_app.put_nowait({"type": "websocket.disconnect", "code": 1006})

    async def receive(self) -> Message:
        """What the app awaits."""
        return await self._to_app.get()

    async def send(self, message: Message) -> None:
        """What the app sends."""
        if self.closed:
            raise OSError("the socket is closed")
        if message["type"] == "websocket.close":
            self.closed = True
        else:
            self.sent.append(msgspec.json.decode(message["text"], type=FakeMessage))
        self._sent.set()
        self._sent = anyio.Event()

    async def wait_for(self, event: str, count: int = 1) -> list[FakeMessage]:
        """The messages of that kind, once there are so many."""
        while len(found := [message for message in self.sent if message.event == event]) < count:
            await self._sent.wait()
        return found


class FakeSession(EngineSession):
    """A conversation in which the test speaks for the agent: `say`, `end`, `fail`."""

    def __init__(self, setup: ConversationSetup, input_format: AudioFormat, output_format: AudioFormat) -> None:
        self.setup = setup
        self.heard: list[AudioChunk] = []
        self.digits: list[str] = []
        self.context: list[str] = []
        self.closed = False
        self._input_format = input_format
        self._output_format = output_format
        self._said: asyncio.Queue[AudioChunk | EngineEvent | Exception | None] = asyncio.Queue()
        self._changed = anyio.Event()

    @property
    def conversation_id(self) -> str:
        return "fake-conversation"

    @property
    def input_format(self) -> AudioFormat:
        return self._input_format

    @property
    def output_format(self) -> AudioFormat:
        return self._output_format

    @property
    def dropped(self) -> int:
        return 0

    def send_audio(self, chunk: AudioChunk) -> None:
        self.heard.append(chunk)
        self._note_change()

    def send_dtmf(self, digit: str) -> None:
        self.digits.append(digit)
        self._note_change()

    def add_context(self, text: str) -> None:
        self.context.append(text)

    async def events(self) -> AsyncIterator[AudioChunk | EngineEvent]:
        while (event := await self._said.get()) is not None:
            if isinstance(event, Exception):
                raise event
            yield event

    def say(self, event: AudioChunk | EngineEvent) -> None:
        """The agent speaks, or something happens."""
        self._said.put_nowait(event)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until what was heard, or pressed, makes it true."""
        while not condition():
            await self._changed.wait()

    def _note_change(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    def end(self) -> None:
        """The agent ends the conversation."""
        self._said.put_nowait(None)

    def fail(self, error: Exception) -> None:
        """The conversation is lost, or the plugin is broken."""
        self._said.put_nowait(error)

    async def aclose(self) -> None:
        self.closed = True
        self._said.put_nowait(None)


class FakeEngine(Engine):
    """An engine whose sessions the test holds in its hands."""

    name: ClassVar[str] = "fake"

    def __init__(
        self,
        *,
        input_format: AudioFormat = ULAW_8000,
        output_format: AudioFormat = ULAW_8000,
        before_open: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.sessions: list[FakeSession] = []
        self._formats = (input_format, output_format)
        self._before_open = before_open
        self._opened = anyio.Event()

    async def open(self, setup: ConversationSetup) -> EngineSession:
        if self._before_open is not None:
            await self._before_open()
        session = FakeSession(setup, *self._formats)
        self.sessions.append(session)
        self._opened.set()
        self._opened = anyio.Event()
        return session

    async def session(self, number: int = 0) -> FakeSession:
        """The session of that number, from 0 on, once there is one."""
        while len(self.sessions) <= number:
            await self._opened.wait()
        return self.sessions[number]


def _text(message: FakeMessage) -> str:
    return msgspec.json.encode(message).decode()
