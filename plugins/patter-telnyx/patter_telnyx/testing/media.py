"""The audio of one emulated call: its streams, one after the other."""

from __future__ import annotations

from typing import Protocol

import anyio
import msgspec

from patter_core.testing.network import Tunnels
from patter_core.testing.stream import Line
from patter_telnyx.testing.requests import StreamBody
from patter_telnyx.testing.stream import StreamSettings, TelnyxStream
from patter_telnyx.testing.webhooks import WebhookSender

__all__ = ["LegMedia", "LegNeeds"]


class LegNeeds(msgspec.Struct, kw_only=True):
    """What all calls of an emulator share."""

    sender: WebhookSender
    tunnels: Tunnels
    connection_id: str
    leg_codec: str
    """What telephones speak: PCMU or PCMA."""
    announces: str = ""
    """A codec that `start` announces instead of the one that was asked for."""
    disorder: bool = False
    """Of media messages."""
    speak_seconds: float = 0.1
    """How long each text takes to be said."""


class _Leg(Line, Protocol):
    call_id: str
    session_id: str
    from_number: str
    to_number: str
    client_state: str
    streams: list[TelnyxStream]


class LegMedia:
    """One stream at a time. The caller goes on in the next where they were in the last."""

    def __init__(self, needs: LegNeeds, leg: _Leg) -> None:
        self.over = anyio.Event()
        """Set while there is none."""
        self.over.set()
        self._needs = needs
        self._leg = leg
        self._scope: anyio.CancelScope | None = None

    @property
    def is_streaming(self) -> bool:
        """True while there is a stream."""
        return self._scope is not None

    def open(self, body: StreamBody) -> TelnyxStream:
        """Makes a stream, as a command asks for it; to be run."""
        needs, leg = self._needs, self._leg
        asked = needs.leg_codec if body.stream_codec == "default" else body.stream_codec
        settings = StreamSettings(
            url=body.stream_url,
            call_control_id=leg.call_id,
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
        stream = TelnyxStream(leg, settings)
        leg.streams.append(stream)
        return stream

    async def run(self, stream: TelnyxStream) -> None:
        """Streams, until either side ends it."""
        assert self._scope is not None  # `open` made it
        try:
            with self._scope:
                await stream.run()
        finally:
            self._scope = None
            self.over.set()

    def stop(self) -> None:
        """Ends the stream, if there is one."""
        if self._scope is not None:
            self._scope.cancel()
