"""The audio of one emulated call: its streams, one after the other, and what was said and heard over all of them."""

from __future__ import annotations

from typing import Protocol

import anyio
import anyio.abc
import msgspec

from patter_core.testing.caller import Caller
from patter_core.testing.emulator import CallRecording
from patter_core.testing.network import Tunnels
from patter_telnyx.testing.requests import StreamBody
from patter_telnyx.testing.stream import FORMATS, EmulatedStream, StreamSettings
from patter_telnyx.testing.webhooks import WebhookSender

__all__ = ["LegMedia", "LegNeeds"]


class LegNeeds(msgspec.Struct, kw_only=True):
    """What all calls of an emulator share."""

    sender: WebhookSender
    tunnels: Tunnels
    connection_id: str
    leg_codec: str
    """What the telephone's leg speaks: PCMU or PCMA."""
    announces: str = ""
    """A codec that `start` announces instead of the one that was asked for."""
    disorder: bool = False
    """Of media messages."""
    speak_seconds: float = 0.1
    """How long each text takes to be said."""
    total_cost: str = ""
    """Told by `call.cost` after each call; "" if nobody subscribed to it."""
    tasks: anyio.abc.TaskGroup | None = None


class _Leg(Protocol):
    control_id: str
    session_id: str
    from_number: str
    to_number: str
    client_state: str


class LegMedia:
    """One stream at a time. The caller goes on in the next where he was in the last."""

    def __init__(self, needs: LegNeeds, caller: Caller | None) -> None:
        self.recording = CallRecording(format=FORMATS[needs.leg_codec])
        self.streams: list[EmulatedStream] = []
        self.streaming = anyio.Event()
        """Set once there is a first stream."""
        self.over = anyio.Event()
        """Set while there is none."""
        self.over.set()
        self._needs = needs
        self._caller = caller or Caller([], self.recording.format)
        self._scope: anyio.CancelScope | None = None

    @property
    def is_streaming(self) -> bool:
        """Is there a stream?"""
        return self._scope is not None

    def open(self, leg: _Leg, body: StreamBody) -> EmulatedStream:
        """Make a stream, as a command asks for it; to be run."""
        needs = self._needs
        asked = needs.leg_codec if body.stream_codec == "default" else body.stream_codec
        settings = StreamSettings(
            url=body.stream_url,
            call_control_id=leg.control_id,
            call_session_id=leg.session_id,
            from_number=leg.from_number,
            to_number=leg.to_number,
            client_state=leg.client_state,
            announced=needs.announces or asked,
            expected=body.stream_bidirectional_codec,
            takes_audio=body.stream_bidirectional_mode == "rtp",
            disorder=needs.disorder,
            tunnels=needs.tunnels,
        )
        self._scope = anyio.CancelScope()
        self.over = anyio.Event()
        stream = EmulatedStream(settings, self._caller, self.recording)
        self.streams.append(stream)
        self.streaming.set()
        return stream

    async def run(self, stream: EmulatedStream) -> None:
        """Stream, until somebody ends it."""
        assert self._scope is not None  # `open` made it
        try:
            with self._scope:
                await stream.run()
        finally:
            self._scope = None
            self.over.set()

    def stop(self) -> None:
        """End the stream, if there is one."""
        if self._scope is not None:
            self._scope.cancel()
