"""A carrier without a vendor, and the far end of its media socket: the test says what comes, and sees what went."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import ClassVar

import msgspec

from patter_core.aio import Changes
from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.carrier import Carrier
from patter_core.errors import AudioError, CarrierRequestFailed, WebhookRefused
from patter_core.media import (
    MediaCodec,
    MediaDtmf,
    MediaEvent,
    MediaFault,
    MediaMark,
    MediaOpened,
    MediaOutput,
    MediaReply,
    MediaStopped,
    MediaUnusable,
)
from patter_core.telephony.control import Callbacks, Capability, DialRequest, LegFacts
from patter_core.telephony.leg import Leg, Progress
from patter_core.telephony.numbers import VoiceTarget
from patter_core.telephony.outcome import Transfer
from patter_core.transport import Message, SocketHandler
from patter_core.webhook import (
    Accept,
    CallRouter,
    Reject,
    Webhook,
    WebhookRequest,
    WebhookResponse,
)

__all__ = ["FakeCarrier", "FakeMessage", "FakeSocket"]


class FakeMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """A message of the fake carrier's media socket, in both directions."""

    event: str
    """`start`, `audio`, `mark`, `dtmf`, `ping`, `pong`, `stop`, `unusable` or `clear`."""
    value: str = ""
    """The call's id, base64, the mark's name, or the digit."""


class _FakeCodec(MediaCodec):
    def __init__(self, output: MediaOutput, *, has_marks: bool, is_binary: bool) -> None:
        self._output = output
        self._has_marks = has_marks
        self._is_binary = is_binary

    @property
    def output(self) -> MediaOutput:
        return self._output

    def decode(self, message: Message) -> Sequence[MediaEvent]:
        try:
            read = msgspec.json.decode(message, type=FakeMessage)
            return (self._event(read),)
        except (msgspec.DecodeError, AudioError, UnicodeDecodeError):
            return (MediaFault("malformed message"),)

    def _event(self, message: FakeMessage) -> MediaEvent:
        match message.event:
            case "start":
                return MediaOpened(call_id=message.value, format=self._output.format)
            case "audio":
                return AudioChunk.from_base64(message.value, self._output.format)
            case "mark":
                return MediaMark(message.value)
            case "dtmf":
                return MediaDtmf(message.value)
            case "ping":
                return MediaReply((self._written(FakeMessage("pong", message.value)),))
            case "stop":
                return MediaStopped()
            case "unusable":
                return MediaUnusable("unusable stream")
            case _:
                return MediaFault("unknown event")

    def encode_audio(self, chunk: AudioChunk) -> Message:
        return self._written(FakeMessage("audio", chunk.base64))

    def encode_mark(self, name: str) -> Sequence[Message]:
        return (self._written(FakeMessage("mark", name)),) if self._has_marks else ()

    def encode_clear(self) -> Sequence[Message]:
        return (self._written(FakeMessage("clear")),)

    def _written(self, message: FakeMessage) -> Message:
        written = msgspec.json.encode(message)
        return written if self._is_binary else written.decode()


class FakeCarrier(Carrier):
    """A carrier that takes any webhook with the header `x-fake: yes`, and whose body is the call's id."""

    name: ClassVar[str] = "fake"
    capabilities: ClassVar[frozenset[Capability]] = frozenset(Capability) - {Capability.SEND_DTMF}

    def __init__(self, *, output: MediaOutput | None = None, has_marks: bool = True, is_binary: bool = False) -> None:
        self.hung_up: list[str] = []
        self.dialled: list[DialRequest] = []
        """The calls it was asked for; their ids are `out-1` and so on."""
        self.commands: list[str] = []
        """The other commands it took, each as a line."""
        self.pointed: dict[str, str] = {}
        """Where each number points."""
        self.refusals = 0
        """How many of the next commands it refuses, hang-ups aside."""
        self.facts = LegFacts(progress=Progress.COMPLETED)
        """What it says of a call. One on hold is asked about every 30 s: `Progress.ANSWERED` lets it go on."""
        self.on_dial: Callable[[DialRequest, str], Awaitable[None]] | None = None
        """Called within `dial`: what webhooks say may come first."""
        self._output = output or MediaOutput(format=ULAW_8000)
        self._has_marks = has_marks
        self._is_binary = is_binary

    def token_secret(self) -> bytes:
        return b"a secret of no value"

    def webhooks(self) -> Mapping[str, Webhook]:
        return {"voice": Webhook(self._voice)}

    def verify_upgrade(self, request: WebhookRequest) -> None:
        _verify(request)

    def media_codec(self, leg: Leg) -> MediaCodec:
        return _FakeCodec(self._output, has_marks=self._has_marks, is_binary=self._is_binary)

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

    async def connect(self, leg: Leg, other: Leg) -> None:
        self._take("connect", leg.call_id, other.call_id)

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
        self.pointed[number] = url

    async def voice_target(self, number: str) -> VoiceTarget:
        url = self.pointed.get(number, "")
        return VoiceTarget(shown=url, settings={"url": url})

    async def put_back(self, number: str, target: VoiceTarget) -> None:
        self._take("put back", number)
        self.pointed[number] = target.settings["url"]

    def _take(self, *command: str) -> None:
        if self.refusals:
            self.refusals -= 1
            raise CarrierRequestFailed("The fake carrier would not.", taken=False, status=400)
        self.commands.append(" ".join(command))

    async def _voice(self, request: WebhookRequest, router: CallRouter) -> WebhookResponse:
        _verify(request)
        leg = Leg(carrier=self.name, call_id=request.body.decode())
        answer = await router.call(leg, request.candidate_urls[-1]).arrived()
        if isinstance(answer, Accept):
            if answer.notice:
                self.commands.append(f"notice {leg.call_id} {answer.notice}")
            return WebhookResponse(body=answer.media_url.encode())
        return WebhookResponse(status=503, body=(answer.reason if isinstance(answer, Reject) else "busy").encode())


def _verify(request: WebhookRequest) -> None:
    if request.headers.get("x-fake") != "yes":
        raise WebhookRefused("Not from the fake carrier.", expected="the header x-fake: yes")


class FakeSocket:
    """An accepted media socket without a network: the test says what comes, and sees what went.

    Implements `Connection` and `Socket` of `patter_core.transport`.
    """

    subprotocol = ""

    def __init__(self) -> None:
        self.sent: list[FakeMessage] = []
        self.closed = False
        self.is_full = False
        """While it is, a message is taken once it is not any more: `make_room`."""
        self._to_app: asyncio.Queue[Message | None] = asyncio.Queue()
        self._changes = Changes()
        self._may_read = asyncio.Event()
        self._may_read.set()

    # --- for tests -------------------------------------------------------------------------------------------------

    def say(self, event: str, value: str = "") -> None:
        """A message from the carrier."""
        self.say_raw(_text(FakeMessage(event, value)))

    def say_raw(self, message: Message) -> None:
        """Any message from the carrier."""
        self._to_app.put_nowait(message)

    def break_off(self) -> None:
        """The connection is gone."""
        self._to_app.put_nowait(None)

    def make_room(self) -> None:
        """The carrier takes what was sent."""
        self.is_full = False
        self._changes.notify()

    async def wait_for(self, event: str, count: int = 1) -> list[FakeMessage]:
        """The messages of that kind, once there are so many."""
        await self._changes.wait_until(lambda: len(self.of(event)) >= count)
        return self.of(event)

    def of(self, event: str) -> list[FakeMessage]:
        """The messages of that kind."""
        return [message for message in self.sent if message.event == event]

    # --- for the call ----------------------------------------------------------------------------------------------

    async def serve(self, handler: SocketHandler) -> None:
        """As in `Connection`."""
        try:
            handler.opened(self)
            while not self.closed and (message := await self._to_app.get()) is not None:
                handler.message(message)
                await self._may_read.wait()
        finally:
            self.closed = True
            handler.closed()

    def send(self, message: Message) -> Awaitable[None] | None:
        """As in `Socket`."""
        if self.closed:
            raise OSError("the socket is closed")
        self.sent.append(msgspec.json.decode(message, type=FakeMessage))
        self._changes.notify()
        return self._changes.wait_until(lambda: not self.is_full) if self.is_full else None

    def pause_reading(self) -> None:
        """As in `Socket`."""
        self._may_read.clear()

    def resume_reading(self) -> None:
        """As in `Socket`."""
        self._may_read.set()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """As in `Socket`."""
        self.closed = True
        self._may_read.set()
        self.break_off()


def _text(message: FakeMessage) -> str:
    return msgspec.json.encode(message).decode()
