"""Plugins as the check uses them: they do what they do, and are timed. Of codecs, the audio is counted, too."""

from __future__ import annotations

import functools
import inspect
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence

from patter_core.audio import AudioChunk, AudioFormat
from patter_core.carrier import Carrier
from patter_core.engine import EngineSession, Heard
from patter_core.events import EngineEvent, ToolResult, Usage
from patter_core.media import MediaCodec, MediaEvent, MediaOpened, MediaOutput
from patter_core.telephony.leg import Leg
from patter_core.telephony.prices import CarrierRates
from patter_core.testing.conformance.pace import Pace
from patter_core.transport import Message
from patter_core.webhook import (
    CallRouter,
    MediaIdentity,
    Webhook,
    WebhookHandler,
    WebhookRequest,
    WebhookResponse,
)

__all__ = ["WatchedCarrier", "WatchedCodec", "WatchedSession"]


class WatchedCodec(MediaCodec):
    """A codec whose methods are timed.

    Args:
        codec: the plugin's.
        pace: times it.
        written: takes the bytes of each chunk of agent audio.
    """

    def __init__(self, codec: MediaCodec, pace: Pace, written: list[int]) -> None:
        self.codec = codec
        self.opened = 0
        """How often its stream has started."""
        self._pace = pace
        self._written = written

    @property
    def output(self) -> MediaOutput:
        return self.codec.output

    def decode(self, message: Message) -> Sequence[MediaEvent]:
        events = self._pace.timed("decode()", self.codec.decode, message)
        if isinstance(events, Sequence):
            self.opened += sum(isinstance(event, MediaOpened) for event in events)
        return events

    def encode_audio(self, chunk: AudioChunk) -> Message:
        self._written.append(chunk.size)
        return self._pace.timed("encode_audio()", self.codec.encode_audio, chunk)

    def encode_mark(self, name: str) -> Sequence[Message]:
        return self._pace.timed("encode_mark()", self.codec.encode_mark, name)

    def encode_clear(self) -> Sequence[Message]:
        return self._pace.timed("encode_clear()", self.codec.encode_clear)

    def encode_dtmf(self, digits: str) -> Sequence[Message]:
        return self._pace.timed("encode_dtmf()", self.codec.encode_dtmf, digits)

    def encode_hang_up(self) -> Sequence[Message]:
        return self._pace.timed("encode_hang_up()", self.codec.encode_hang_up)


class WatchedCarrier(Carrier):
    """A carrier that does what another one does. Its attributes are the other one's; what it is asked is timed.

    Args:
        carrier: the plugin's.
        pace: times it.
    """

    def __init__(self, carrier: Carrier, pace: Pace) -> None:
        self.written: defaultdict[str, list[int]] = defaultdict(list)
        """By the carrier's id of the call, the bytes of each message of agent audio."""
        self.codecs: defaultdict[str, list[WatchedCodec]] = defaultdict(list)
        """By the carrier's id of the call."""
        self.left_up: set[str] = set()
        """Calls that `hang_up` leaves as they are: they end in another way."""
        self._carrier = carrier
        self._pace = pace
        for attribute in Carrier.__annotations__:
            setattr(self, attribute, getattr(carrier, attribute))
        for name, _ in inspect.getmembers(Carrier, inspect.iscoroutinefunction):
            if name != "hang_up":
                setattr(self, name, functools.partial(self._command, name))

    @property
    def rates(self) -> CarrierRates | None:
        return self._carrier.rates

    def token_secret(self) -> bytes:
        return self._carrier.token_secret()

    def webhooks(self) -> Mapping[str, Webhook]:
        return {
            name: Webhook(functools.partial(self._handle, name, webhook.handler), webhook.methods)
            for name, webhook in self._carrier.webhooks().items()
        }

    async def settle(self) -> None:
        await self._carrier.settle()

    def stopping_response(self) -> WebhookResponse:
        return self._carrier.stopping_response()

    def verify_upgrade(self, request: WebhookRequest) -> None:
        return self._pace.timed("verify_upgrade()", self._carrier.verify_upgrade, request)

    def identify(self, request: WebhookRequest, hello: Message | None) -> MediaIdentity:
        return self._pace.timed("identify()", self._carrier.identify, request, hello)

    def media_codec(self, leg: Leg) -> WatchedCodec:
        codec = self._pace.timed("media_codec()", self._carrier.media_codec, leg)
        watched = WatchedCodec(codec, self._pace, self.written[leg.call_id])
        self.codecs[leg.call_id].append(watched)
        return watched

    async def hang_up(self, leg: Leg) -> None:
        if leg.call_id not in self.left_up:
            await self._pace.stepwise("hang_up()", self._carrier.hang_up(leg))

    async def _command(self, name: str, *args: object, **kwargs: object) -> object:
        return await self._pace.stepwise(f"{name}()", getattr(self._carrier, name)(*args, **kwargs))

    async def _handle(
        self, name: str, handler: WebhookHandler, request: WebhookRequest, router: CallRouter
    ) -> WebhookResponse:
        return await self._pace.stepwise(f"The handler “{name}”", handler(request, router))


class WatchedSession(EngineSession):
    """A conversation whose methods are timed.

    Args:
        session: the plugin's.
        pace: times it.
    """

    def __init__(self, session: EngineSession, pace: Pace) -> None:
        self._session = session
        self._pace = pace

    @property
    def conversation_id(self) -> str:
        return self._session.conversation_id

    @property
    def input_format(self) -> AudioFormat:
        return self._session.input_format

    @property
    def output_format(self) -> AudioFormat:
        return self._session.output_format

    @property
    def dropped(self) -> int:
        return self._session.dropped

    def send_audio(self, chunk: AudioChunk) -> None:
        return self._pace.timed("send_audio()", self._session.send_audio, chunk)

    async def events(self) -> AsyncIterator[AudioChunk | EngineEvent]:
        events = self._session.events()
        while True:
            try:
                event = await self._pace.stepwise("events()", anext(events))
            except StopAsyncIteration:
                return
            yield event

    def send_dtmf(self, digit: str) -> None:
        return self._pace.timed("send_dtmf()", self._session.send_dtmf, digit)

    def add_context(self, text: str) -> None:
        return self._pace.timed("add_context()", self._session.add_context, text)

    def heard(self, heard: Heard) -> None:
        return self._pace.timed("heard()", self._session.heard, heard)

    def say(self, text: str) -> None:
        return self._pace.timed("say()", self._session.say, text)

    def send_tool_result(self, result: ToolResult) -> None:
        return self._pace.timed("send_tool_result()", self._session.send_tool_result, result)

    def send_user_message(self, text: str) -> None:
        return self._pace.timed("send_user_message()", self._session.send_user_message, text)

    def hold(self, on: bool) -> None:
        return self._pace.timed("hold()", self._session.hold, on)

    def speaking(self, turn: str) -> None:
        return self._pace.timed("speaking()", self._session.speaking, turn)

    def user_activity(self) -> None:
        return self._pace.timed("user_activity()", self._session.user_activity)

    def unbilled(self) -> Sequence[Usage]:
        return self._pace.timed("unbilled()", self._session.unbilled)

    async def aclose(self) -> None:
        await self._pace.stepwise("aclose()", self._session.aclose())
