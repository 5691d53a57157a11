"""A carrier without a vendor, and the far end of its media socket: the test says what comes, and sees what went."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import ClassVar

import msgspec
from starlette.types import Message

from patter_core.aio import Changes
from patter_core.audio import ULAW_8000, AudioChunk, AudioFormat
from patter_core.carrier import Carrier
from patter_core.errors import AudioError, CarrierRequestFailed, WebhookRefused
from patter_core.media import (
    MediaCodec,
    MediaDtmf,
    MediaEvent,
    MediaFault,
    MediaMark,
    MediaOpened,
    MediaStopped,
    MediaUnusable,
)
from patter_core.telephony.control import Callbacks, Capability, DialRequest, LegFacts
from patter_core.telephony.leg import Leg, Progress
from patter_core.telephony.outcome import Transfer
from patter_core.webhook import (
    Accept,
    CallRouter,
    Reject,
    WebhookHandler,
    WebhookRequest,
    WebhookResponse,
)

__all__ = ["FakeCarrier", "FakeMessage", "FakeSocket"]


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

    async def transfer(self, leg: Leg, transfer: Transfer) -> None:
        self._take("transfer", leg.call_id, transfer.to, transfer.say)

    async def say_and_hang_up(self, leg: Leg, text: str) -> None:
        self._take("say", leg.call_id, text)

    async def hold(self, leg: Leg, audio_url: str) -> None:
        self._take("hold", leg.call_id, audio_url)

    async def resume(self, leg: Leg, accept: Accept) -> None:
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

    async def _voice(self, request: WebhookRequest, router: CallRouter) -> WebhookResponse:
        _verify(request)
        leg = Leg(carrier=self.name, call_id=request.body.decode())
        answer = await router.call(leg, request.candidate_urls[-1]).arrived()
        if isinstance(answer, Accept):
            return WebhookResponse(body=answer.media_url.encode())
        return WebhookResponse(status=503, body=(answer.reason if isinstance(answer, Reject) else "busy").encode())


def _verify(request: WebhookRequest) -> None:
    if request.headers.get("x-fake") != "yes":
        raise WebhookRefused("Not from the fake carrier.", expected="the header x-fake: yes")


class FakeSocket:
    """The far end of an accepted ASGI media socket: the test says what comes, and sees what went."""

    def __init__(self) -> None:
        self.sent: list[FakeMessage] = []
        self.closed = False
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._changes = Changes()

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
        self._changes.notify()

    async def wait_for(self, event: str, count: int = 1) -> list[FakeMessage]:
        """The messages of that kind, once there are so many."""
        await self._changes.wait_until(lambda: len(self.of(event)) >= count)
        return self.of(event)

    def of(self, event: str) -> list[FakeMessage]:
        """The messages of that kind."""
        return [message for message in self.sent if message.event == event]


def _text(message: FakeMessage) -> str:
    return msgspec.json.encode(message).decode()
