"""Plugins that turn hostile in the middle of a call: an engine's session, a carrier's codec, and a sink.

`tests.chaos.foreign` has parts that never work. These work for half a second, until the call is live.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from typing import ClassVar

import anyio

from patter_core.audio import AudioChunk, AudioFormat
from patter_core.carrier import Carrier
from patter_core.engine import ConversationSetup, Engine, EngineSession, Heard
from patter_core.events import CallAnnounced, EngineEvent, Record, ToolResult
from patter_core.media import MediaCodec, MediaEvent, MediaOutput
from patter_core.sink import EventSink
from patter_core.telephony.leg import Leg
from patter_core.transport import Message
from patter_elevenlabs import ElevenLabsConvAI

__all__ = ["BLOCKS", "LATE_WAYS", "LateSink", "hold_the_loop", "late_carrier", "late_engine"]

LATE_WAYS = {
    "events": ("exit", "cancel", "block", "aclose", "flood"),
    "send_audio": ("exit", "cancel", "block"),
    "decode": ("exit", "cancel", "block", "flood"),
    "encode_audio": ("exit", "cancel", "block"),
    "late sink": ("exit", "cancel", "block", "aclose"),
}
"""By part, what it does: `aclose` is one that never ends, `flood` is output of ten times real time."""
BLOCKS = "A plugin blocks now."
"""On standard error."""

_LIVE = 0.5
"""Seconds for which a part is sound."""
_FLOOD = 3.0
"""Seconds of a flood."""
_BLOCK = 0.3


def hold_the_loop() -> None:
    """Blocks the event loop, and says so."""
    sys.stderr.write(f"{BLOCKS}\n")
    sys.stderr.flush()
    time.sleep(_BLOCK)


async def never_end() -> None:
    """Waits for ever, whatever cancels it."""
    while True:
        try:
            await anyio.sleep_forever()
        except asyncio.CancelledError:
            continue


class _Late:
    """One part of one call."""

    def __init__(self, how: str) -> None:
        self.how = how
        self._begins = time.monotonic() + _LIVE
        self._has_blocked = False

    @property
    def is_due(self) -> bool:
        return time.monotonic() >= self._begins

    def harm(self) -> None:
        """Raises each time, or blocks once."""
        if not self.is_due:
            return
        match self.how:
            case "exit":
                sys.exit("the plugin's own fault")
            case "cancel":
                raise asyncio.CancelledError
            case "aclose":
                raise LookupError("the plugin's own fault")
            case "block" if not self._has_blocked:
                self._has_blocked = True
                hold_the_loop()


class LateSession(EngineSession):
    """A conversation of the service's, which is harmed."""

    def __init__(self, session: EngineSession, part: str, how: str) -> None:
        self._session = session
        self._in_events = _Late(how if part == "events" else "")
        self._in_send = _Late(how if part == "send_audio" else "")
        self._how = how

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
        self._in_send.harm()
        self._session.send_audio(chunk)

    def heard(self, heard: Heard) -> None:
        self._session.heard(heard)

    def send_tool_result(self, result: ToolResult) -> None:
        self._session.send_tool_result(result)

    async def events(self) -> AsyncIterator[AudioChunk | EngineEvent]:
        async for event in self._session.events():
            self._in_events.harm()
            yield event
            if self._in_events.how == "flood" and self._in_events.is_due:
                self._in_events = _Late("")
                chunk = AudioChunk(self.output_format.silence * 1_600, self.output_format)
                for _ in range(round(_FLOOD / 0.02)):
                    yield chunk
                    await anyio.sleep(0.02)

    async def aclose(self) -> None:
        await self._session.aclose()
        if self._how == "aclose":
            await never_end()


def late_engine(part: str, how: str, base_url: str) -> Engine:
    """One whose conversations begin well."""

    class LateEngine(ElevenLabsConvAI):
        async def open(self, setup: ConversationSetup) -> EngineSession:
            return LateSession(await super().open(setup), part, how)

    return LateEngine(agent_id="agent_emulated", base_url=base_url)


class LateCodec(MediaCodec):
    """A sound codec, which is harmed."""

    def __init__(self, codec: MediaCodec, part: str, how: str) -> None:
        self._codec = codec
        self._in_decode = _Late(how if part == "decode" else "")
        self._in_encode = _Late(how if part == "encode_audio" else "")

    @property
    def output(self) -> MediaOutput:
        return self._codec.output

    def decode(self, message: Message) -> Sequence[MediaEvent]:
        self._in_decode.harm()
        events = self._codec.decode(message)
        many = self._in_decode.how == "flood" and self._in_decode.is_due
        return [event for event in events for _ in range(10 if many else 1)]

    def encode_audio(self, chunk: AudioChunk) -> Message:
        self._in_encode.harm()
        return self._codec.encode_audio(chunk)

    def encode_mark(self, name: str) -> Sequence[Message]:
        return self._codec.encode_mark(name)

    def encode_clear(self) -> Sequence[Message]:
        return self._codec.encode_clear()


def late_carrier(kind: type[Carrier], part: str, how: str, number: str) -> Carrier:
    """One whose codecs of that number's calls begin well."""

    class LateCarrier(kind):  # type: ignore[misc,valid-type] # made for each carrier
        def media_codec(self, leg: Leg) -> MediaCodec:
            codec: MediaCodec = super().media_codec(leg)
            return LateCodec(codec, part, how) if leg.to_number == number else codec

    carrier: Carrier = LateCarrier()
    return carrier


class LateSink(EventSink):
    """Takes what it gets, but for the beginning of that agent's calls."""

    name: ClassVar[str] = "late"

    def __init__(self, how: str, agent: str) -> None:
        self._late = _Late("" if how == "aclose" else how)
        self._how = how
        self._agent = agent

    async def write(self, records: Sequence[Record]) -> None:
        if any(isinstance(record.event, CallAnnounced) and record.event.agent == self._agent for record in records):
            self._late.harm()

    async def aclose(self) -> None:
        if self._how == "aclose":
            await never_end()
