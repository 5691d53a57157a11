"""The carrier's media socket of a call: opened, read, closed, and followed by another one if it breaks."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable

import msgspec

from patter_core.aio.foreign import as_exception
from patter_core.audio import AudioChunk
from patter_core.call.capture import capturing_decode
from patter_core.call.context import CallContext
from patter_core.call.downlink import Downlink
from patter_core.call.keys import Keys
from patter_core.call.state import Signal, State
from patter_core.call.uplink import Uplink
from patter_core.carrier import Carrier
from patter_core.errors import CallError
from patter_core.events import MediaPaused, MediaTrouble
from patter_core.media import (
    MediaCodec,
    MediaDtmf,
    MediaEvent,
    MediaFault,
    MediaMark,
    MediaOpened,
    MediaReply,
    MediaStopped,
    MediaUnusable,
)
from patter_core.net.budget import Budget
from patter_core.telephony.control import Capability
from patter_core.transport import Message, Socket

__all__ = ["MediaConnection", "MediaLeg"]

_log = logging.getLogger("patter.call")

_COUNTED = 64
"""Messages after which they are counted against the socket's budget."""
_ASK_AFTER = 1.0
"""Seconds for the carrier's webhook to say why a stream ended, before the carrier is asked."""
_ASK_ON_HOLD = 30.0
"""Seconds between two such questions during a hold: a carrier may tell by no webhook that an incoming call is over."""
_MOST_FAILURES = 10
"""Messages of a socket at which its codec may raise."""


class MediaConnection:
    """One media socket of a call. Implements `SocketHandler`: `message` is called for each frame of the caller.

    Args:
        leg: reads it.
        codec: of this socket.
    """

    def __init__(self, leg: MediaLeg, codec: MediaCodec) -> None:
        self.is_open = False
        """True once its stream has started."""
        self.codec = codec
        self.socket: Socket | None = None
        self._leg = leg
        self._call = leg.call
        self._uplink = leg.uplink
        records = leg.call.records
        self._decode = capturing_decode(codec.decode, records.capture) if records.captures_audio else codec.decode
        self._budget = Budget()
        self._count = self._size = 0
        self._failures = 0
        """How often in a row the codec raised."""

    def opened(self, socket: Socket) -> None:
        """As in `SocketHandler`."""
        self.socket = socket
        self._leg.downlink.attach_media(self.codec, socket)

    def message(self, message: Message) -> None:
        """As in `SocketHandler`."""
        self._count += 1
        self._size += len(message)
        if self._count == _COUNTED:
            self._spend()
        try:
            events = self._decode(message)
        except BaseException as error:  # noqa: BLE001 - the plugin boundary
            self._codec_failed(as_exception(error))
            return
        if self._failures:
            self._failures = 0
        for event in events:
            if type(event) is AudioChunk:
                self._call.state.heard_at = self._call.clock()
                self._uplink.take(event)
            else:
                self._leg.handle(event, self)

    def closed(self) -> None:
        """As in `SocketHandler`."""
        self._leg.lost(self)

    def close(self) -> None:
        """Closes it."""
        if self.socket is not None:
            self.socket.close()

    def _spend(self) -> None:
        """Counts what came. A carrier that sends more than a call can need is read more slowly, then given up."""
        socket = self.socket
        pause = self._budget.spend(self._count, self._size, self._call.clock())
        self._count = self._size = 0
        if not pause or socket is None:
            return
        if pause == math.inf:
            self._leg.fault("far too many messages; the socket was closed")
            socket.close(1008, "more than a call can need")
            return
        self._leg.fault("too many messages; they are read more slowly")
        socket.pause_reading()
        asyncio.get_running_loop().call_later(pause, socket.resume_reading)

    def _codec_failed(self, error: Exception) -> None:
        self._failures += 1
        if self._failures == 1:
            _log.error("Call %s: the carrier's codec failed.", self._call.call_id, exc_info=error)
        self._leg.fault("the carrier's plugin failed to read a message")
        if self._failures == _MOST_FAILURES:
            self._call.signal(Signal.MEDIA_UNUSABLE, "the carrier's plugin failed to read the stream")


class MediaLeg:
    """Reads the carrier's media sockets of one call, one at a time: audio goes to the uplink, marks to the downlink.

    Args:
        call: what the parts of the call share.
        on_opened: called when the stream of a socket has started.
    """

    def __init__(self, call: CallContext, *, on_opened: Callable[[MediaOpened], None]) -> None:
        self.call = call
        self._on_opened = on_opened
        self._connection: MediaConnection | None = None
        self.was_stopped = False
        """True if the carrier said that the last stream is over."""
        self._reported_faults: set[str] = set()
        self._opened_at: float | None = None
        """When the last stream was opened, until its end was counted."""
        self._probed_after = -math.inf
        """The last sign of life before the last probe."""
        self._lost_at = math.inf
        """When the stream was lost without a word about the call, until the carrier was asked or another one came."""
        self._pause_is_untold = False
        """True while it is not known whether the call goes on without that stream."""
        self._asked_at = -math.inf
        self.uplink = Uplink(call.meter)
        self.keys = Keys(call, self.uplink)
        self.downlink = Downlink(call, self._new_codec(), on_fault=self.fault)

    @property
    def is_open(self) -> bool:
        """True while the stream of a media socket is open."""
        return self._connection is not None and self._connection.is_open

    @property
    def was_here(self) -> bool:
        """True once a stream has started."""
        return self.call.state.media_at is not None

    def connection(self) -> MediaConnection:
        """Returns what reads the media socket that is here.

        Raises:
            CallError: the call has a socket, or is over.
        """
        if self._connection is not None or self.call.is_over:
            raise CallError("This call takes no media socket.", expected="one socket at a time, while the call lasts")
        self._connection = MediaConnection(self, self._new_codec())
        return self._connection

    @property
    def probe_at(self) -> float:
        """When the carrier is asked for a sign of life: some send no frames while the caller is silent."""
        call = self.call
        if call.state.state is not State.LIVE or call.state.heard_at == self._probed_after:
            return math.inf
        return call.state.heard_at + call.config.deadlines.carrier_silence / 2

    def probe_if_due(self) -> None:
        """Asks the carrier for a sign of life, once a silence."""
        if self.call.clock() >= self.probe_at:
            self._probed_after = self.call.state.heard_at
            self.downlink.probe()

    @property
    def look_up_at(self) -> float:
        """When it is due to find out whether the call is over: its stream was lost, which does not say so."""
        if self.call.state.state is State.HELD:
            return max(self.call.state.entered_at, self._asked_at) + _ASK_ON_HOLD
        waits = self.call.state.state in {State.ACCEPTED, State.ENGINE_READY}
        return self._lost_at + _ASK_AFTER if waits else math.inf

    def look_up_if_due(self) -> bool:
        """True when it is time to find out: once for each stream that was lost, and again and again on hold."""
        is_due = self.call.clock() >= self.look_up_at
        if is_due:
            self._lost_at, self._asked_at = math.inf, self.call.clock()
        return is_due

    def give_up(self) -> None:
        """The carrier gives nothing, or takes nothing: its stream is lost. It may open another one."""
        silence = self.call.config.deadlines.carrier_silence
        self.fault(f"nothing came from the carrier, or it took nothing, for {silence:g} s")
        self.drop()

    def drop(self) -> None:
        """The stream is over, which may not be noticed on its socket yet: another one may follow."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        self._media_lost()

    def lost(self, connection: MediaConnection) -> None:
        """A socket is gone."""
        if self._connection is connection:
            self._connection = None
            if not self.call.is_over:
                self._media_lost()

    def _media_lost(self) -> None:
        self.downlink.detach_media()
        self.note_loss()

    def note_loss(self) -> None:
        """There is no stream. The caller may have hung up, or the call may go on without it."""
        if self.call.signal(Signal.MEDIA_LOST):
            self._lost_at, self._pause_is_untold = self.call.clock(), True

    def tell_pause(self) -> None:
        """The call goes on without its stream. Told once for each loss, unless the call is over."""
        is_untold, self._pause_is_untold = self._pause_is_untold, False
        if is_untold and not self.call.is_over and self.call.state.state is not State.HELD:
            self.call.emit(MediaPaused())

    def close(self) -> None:
        """Closes the socket, if there is one: the call is over."""
        self.downlink.close()
        if self._connection is not None:
            self._connection.close()

    def _new_codec(self) -> MediaCodec:
        return self.call.carrier.media_codec(self.call.leg)

    def handle(self, event: MediaEvent, connection: MediaConnection) -> None:
        """Does what an event of the socket, other than audio, asks for."""
        call = self.call
        if not isinstance(event, MediaFault):  # garbage is no sign of life
            call.state.heard_at = call.clock()
        match event:
            case MediaMark(name=name):
                self.downlink.mark_returned(name)
            case MediaDtmf(digit=digit):
                self.keys.pressed(digit)
            case MediaReply(messages=messages):
                self.downlink.reply(messages)
            case MediaFault(problem=problem):
                self.fault(problem)
            case MediaUnusable(problem=problem):
                self.fault(problem)
                call.signal(Signal.MEDIA_UNUSABLE, problem)
            case MediaOpened():
                self._opened(event, connection)
            case MediaStopped():
                if _ends_without_a_word(call.carrier):
                    self.drop()
                else:
                    self.was_stopped = True
                    call.signal(Signal.MEDIA_STOPPED)

    def _opened(self, opened: MediaOpened, connection: MediaConnection) -> None:
        call = self.call
        if connection is not self._connection or connection.is_open or call.is_over:
            return
        if opened.call_id != call.leg.call_id:
            _log.warning("Call %s: the media socket is of another call; it is closed.", call.call_id)
            connection.close()
            return
        connection.is_open = True
        self.was_stopped = False
        self.tell_pause()
        self._lost_at = math.inf
        self._opened_at = call.clock()
        call.meter.carrier_format = opened.format
        if not call.leg.parameters:  # the webhook with the parameters went to another worker
            call.leg = msgspec.structs.replace(call.leg, parameters=opened.parameters)
        self._on_opened(opened)

    def count_end(self) -> float:
        """Returns how long ago the last stream was opened, in s; 0 if none was opened since the last count."""
        opened_at, self._opened_at = self._opened_at, None
        return 0.0 if opened_at is None else self.call.clock() - opened_at

    def play(self) -> None:
        """The stream is open, or is used again: the caller hears the agent."""
        self.downlink.open()

    def fault(self, problem: str) -> None:
        """Something is wrong at the carrier; reported once a call for each `problem`."""
        self.call.meter.faults += 1
        if problem not in self._reported_faults and not self.call.is_over:
            self._reported_faults.add(problem)
            self.call.emit(MediaTrouble(problem=problem))


def _ends_without_a_word(carrier: Carrier) -> bool:
    """True if neither the end of a stream nor a webhook after it tells whether the call is over."""
    tells = carrier.stream_end_is_call_end or carrier.asks_at_stream_end
    return not tells and Capability.LOOK_UP in carrier.capabilities
