"""A live session of speech recognition: the caller's audio out, what was recognised in."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence

import anyio

from patter_core.audio import AudioChunk, AudioFormat
from patter_core.errors import EngineError, EngineTimeout, SocketClosed
from patter_core.events import Usage
from patter_core.net.inbox import Inbox
from patter_core.net.websocket import EngineSocket
from patter_deepgram.clock import AudioClock
from patter_deepgram.failures import closed
from patter_deepgram.flux import Flux
from patter_deepgram.recogniser import Recogniser
from patter_deepgram.wire.decoding import describe
from patter_deepgram.wire.nova import CLOSE_STREAM
from patter_pipeline.parts import EndOfTurn, Final, Interim, SttEvent, SttSession

__all__ = ["QUIET", "ListenSession", "wait_until_connected"]

_log = logging.getLogger("patter.deepgram")

QUIET = 4.0
"""Seconds without audio after which the session is kept alive. The service ends it after 10 s."""
_FILLED_MS = 100.0
"""Of silence, where only audio keeps a session alive."""
_BILLED_MS = 10_000.0
"""Of audio, after which its price is told; sooner where a text is final: a call may end at any time."""


async def wait_until_connected(socket: EngineSocket, flux: Flux, within: float) -> None:
    """Waits until Flux is ready.

    Raises:
        EngineError: it failed, or is not in time.
    """
    try:
        with anyio.fail_after(within):
            while not flux.is_connected:
                for step in flux.take(await socket.receive()):
                    if isinstance(step, EngineError):
                        raise step
    except TimeoutError:
        raise EngineTimeout(
            "Deepgram did not start the session.", retry=True, expected=f"Connected within {within:g} s"
        ) from None
    except SocketClosed as told:
        raise closed(told.code, told.reason) from None


class ListenSession(SttSession):
    """A session that is open.

    Args:
        socket: to the service.
        recogniser: its protocol.
        clock: of the audio, which the recogniser knows, too.
        format: of the audio.
        bill: returns what so many seconds of audio are billed.
        quiet: as `QUIET`; for tests.
    """

    def __init__(
        self,
        socket: EngineSocket,
        recogniser: Recogniser,
        clock: AudioClock,
        format: AudioFormat,
        bill: Callable[[float], Usage],
        *,
        quiet: float = QUIET,
    ) -> None:
        self._socket = socket
        self._recogniser = recogniser
        self._clock = clock
        self._format = format
        self._bill = bill
        self._quiet = quiet
        self._inbox: Inbox[SttEvent] = Inbox()
        self._over = False
        self._billed = 0
        """Bytes whose price was told."""
        self._bill_step = format.size(_BILLED_MS)
        self._bill_at = self._bill_step
        self._seen = 0
        """Bytes that were given at the last look for a gap."""
        self._loop = asyncio.get_running_loop()
        self._next_look = self._loop.call_later(quiet, self._look)
        socket.deliver(self._on_message, self._on_closed)

    @property
    def input_format(self) -> AudioFormat:
        return self._format

    @property
    def dropped(self) -> int:
        return self._socket.dropped

    def send_audio(self, chunk: AudioChunk) -> None:
        size = chunk.size
        if not size or self._over:  # an empty message would end the session
            return
        clock = self._clock
        clock.given += size
        self._socket.send_audio(chunk.data, binary=True)
        if clock.given >= self._bill_at:
            self._tell_usage()

    def finalize(self) -> None:
        if self._recogniser.finalize and self._clock.given:
            self._socket.send_audio(self._recogniser.finalize)  # behind the audio that it is about

    def events(self) -> AsyncIterator[SttEvent]:
        return self._inbox

    def unbilled(self) -> Sequence[Usage]:
        self._tell_usage()
        return self._inbox.remove(Usage)

    async def aclose(self) -> None:
        self._finish()
        self._socket.send(CLOSE_STREAM)
        await self._socket.aclose()

    # --- received messages -----------------------------------------------------------------------------------------

    def _on_message(self, message: bytes) -> None:
        try:
            for step in self._recogniser.take(message):
                if isinstance(step, bytes):
                    self._socket.send_audio(step)
                elif isinstance(step, EngineError):
                    self._finish(step)
                else:
                    self._inbox.put(step, size=_size(step), droppable=isinstance(step, Interim))
                    if isinstance(step, Final | EndOfTurn):
                        self._tell_usage()
        except Exception:  # noqa: BLE001 - the boundary of a call: a bug here ends one session, and is logged
            _log.exception("A message from Deepgram could not be handled.")
            self._finish(
                EngineError(
                    "A message from Deepgram could not be handled.",
                    remedy="This is a bug. Report it with the traceback in the log.",
                )
            )

    def _on_closed(self, told: SocketClosed) -> None:
        self._finish(closed(told.code, told.reason, self._recogniser.last_error))

    def _finish(self, error: EngineError | None = None) -> None:
        """Nothing follows: the user ended the session, or it failed. The first call counts."""
        if self._over:
            return
        self._over = True
        self._next_look.cancel()
        self._socket.deliver(_ignore, _ignore)
        self._tell_usage()
        self._inbox.close(error)
        if self._recogniser.anomalies:
            _log.warning("Anomalies of a Deepgram session: %s.", describe(self._recogniser.anomalies))

    # --- helpers ---------------------------------------------------------------------------------------------------

    def _tell_usage(self) -> None:
        sent = self._clock.sent
        self._bill_at = self._clock.given + self._bill_step
        if sent > self._billed:
            seconds = self._format.duration_ms(sent - self._billed) / 1000
            self._billed = sent
            self._inbox.put(self._bill(seconds))

    def _look(self) -> None:
        """Keeps the session alive, if no audio came since the last look."""
        self._next_look = self._loop.call_later(self._quiet, self._look)
        if self._clock.given != self._seen:
            self._seen = self._clock.given
        elif self._recogniser.keep_alive and self._clock.sent:
            self._socket.send(self._recogniser.keep_alive)
        else:  # the service wants audio, or has never had any
            size = self._format.size(_FILLED_MS)
            self._socket.send_audio(self._format.silence * (size // self._format.sample_width), binary=True)
            self._clock.fill(size)


def _size(event: SttEvent) -> int:
    return 0 if not hasattr(event, "text") else len(event.text)


def _ignore(_: object) -> None:
    """Called with what arrives after the end."""
