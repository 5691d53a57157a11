"""A live session of a voice: text out, audio in. A connection that is closed between utterances is replaced."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

from patter_core.audio import AudioChunk, AudioFormat
from patter_core.errors import EngineError, SocketClosed
from patter_core.events import Usage
from patter_core.net.inbox import Inbox
from patter_core.net.websocket import EngineSocket
from patter_core.observe.terminal import one_line
from patter_deepgram.failures import Told, closed
from patter_deepgram.utterances import Step, Utterances
from patter_deepgram.wire import speak as wire
from patter_deepgram.wire.decoding import Decoder, describe
from patter_pipeline.parts import Spoken, TtsEvent, TtsSession, UtteranceDone

__all__ = ["SpeakSession"]

_log = logging.getLogger("patter.deepgram")

_WARNED = 16
"""Kinds of warnings that are logged of one session."""
_BUG = "This is a bug. Report it with the traceback in the log."
_IN_ORDER = {1000, 1005}
"""Codes of a close that a `Close` asked for."""


class SpeakSession(TtsSession):
    """A session that is open.

    Args:
        connect: opens another connection to the service.
        socket: the first one.
        format: of the audio.
        bill: returns what so many characters are billed.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[EngineSocket]],
        socket: EngineSocket,
        format: AudioFormat,
        bill: Callable[[int], Usage],
    ) -> None:
        self._connect = connect
        self._format = format
        self._loop = asyncio.get_running_loop()
        self._decoder = Decoder(wire.speak_decoder, wire.IGNORED_TYPES)
        self._inbox: Inbox[TtsEvent] = Inbox()
        self._utterances = Utterances(bill, self._loop.time)
        self._socket: EngineSocket | None = None
        self._left: list[EngineSocket] = []
        """Connections that are of no use, and not closed yet."""
        self._connecting: asyncio.Task[None] | None = None
        self._speaking = ""
        """The utterance whose audio came last."""
        self._half = b""
        """Half a sample of it, whose other half has not come."""
        self._last_error: Told | None = None
        self._warned: set[str] = set()
        self._over = False
        self._use(socket)

    @property
    def output_format(self) -> AudioFormat:
        return self._format

    @property
    def output_dropped(self) -> int:
        """Chunks of audio that were dropped because the consumer did not take them."""
        return self._inbox.dropped

    def speak(self, utterance: str, text: str) -> None:
        if not self._over:
            self._do(self._utterances.speak(utterance, text))

    def finish(self, utterance: str) -> None:
        if not self._over:
            self._do(self._utterances.finish(utterance))

    def cancel(self, utterance: str) -> None:
        if self._over:
            return
        self._inbox.discard(lambda event: isinstance(event, Spoken | UtteranceDone) and event.utterance == utterance)
        steps, is_useless = self._utterances.cancel(utterance)
        if is_useless:
            self._leave()
        self._do(steps)

    def events(self) -> AsyncIterator[TtsEvent]:
        return self._inbox

    def unbilled(self) -> Sequence[Usage]:
        self._do(self._utterances.unbilled())
        return self._inbox.remove(Usage)

    async def aclose(self) -> None:
        self._finish()
        connecting, self._connecting = self._connecting, None
        try:
            if connecting is not None:
                connecting.cancel()
                await asyncio.wait({connecting})
        finally:
            await self._close_left()

    # --- received messages -----------------------------------------------------------------------------------------

    def _on_message(self, message: bytes) -> None:
        match self._decoder.decode(message):
            case wire.Flushed():
                self._do(self._utterances.flushed())
            case wire.Cleared():
                self._utterances.cleared()
            case wire.Warning_(code=code, description=description):
                self._warn(code or "", description or "")
            case wire.Error(code=code, description=description):
                self._last_error = Told(code or "", description or "")
            case _:
                pass

    def _on_audio(self, data: bytes) -> None:
        utterance = self._utterances.audio()
        if utterance is None:  # on its way when it became void
            return
        if utterance != self._speaking:
            self._speaking, self._half = utterance, b""
        if self._format.sample_width == 2:
            data = self._half + data
            whole = len(data) - len(data) % 2
            data, self._half = data[:whole], data[whole:]
        if data:
            self._inbox.put(Spoken(utterance, AudioChunk(data, self._format)), size=len(data), droppable=True)

    def _on_closed(self, told: SocketClosed) -> None:
        self._socket = None
        steps, is_saved = self._utterances.lost(in_order=told.code in _IN_ORDER)
        if is_saved:
            self._do(steps)
        else:
            self._finish(closed(told.code, told.reason, self._last_error))

    def _warn(self, code: str, description: str) -> None:
        if "flush" in f"{code} {description}".lower():
            self._do(self._utterances.flush_refused())
        if code not in self._warned and len(self._warned) < _WARNED:
            self._warned.add(code)
            _log.warning("Deepgram warns: %s: %s", one_line(code[:100]), one_line(description[:300]))

    # --- connections -----------------------------------------------------------------------------------------------

    def _use(self, socket: EngineSocket) -> None:
        self._socket = socket
        self._last_error = None
        self._do(self._utterances.connected())
        socket.deliver(self._guarded(self._on_message), self._on_closed, on_binary=self._guarded(self._on_audio))

    def _leave(self) -> None:
        """Gives the connection up; it is closed by what opens the next one, or by `aclose`."""
        socket, self._socket = self._socket, None
        if socket is not None:
            socket.deliver(_ignore, _ignore)
            self._left.append(socket)

    async def _close_left(self) -> None:
        while self._left:
            await self._left.pop().aclose()

    async def _reconnect(self) -> None:
        try:
            await self._close_left()
            socket = await self._connect()
        except EngineError as error:
            self._finish(error)
            return
        except Exception:  # noqa: BLE001 - as in `_guarded`
            _log.exception("No connection to Deepgram could be opened.")
            self._finish(EngineError("No connection to Deepgram could be opened.", remedy=_BUG))
            return
        self._connecting = None
        if self._over:
            await socket.aclose()
        else:
            self._use(socket)

    # --- helpers ---------------------------------------------------------------------------------------------------

    def _do(self, steps: Iterable[Step]) -> None:
        for step in steps:
            if not isinstance(step, bytes):
                self._inbox.put(step)
            elif self._socket is not None:
                self._socket.send(step)
        if self._utterances.wants_connection and self._connecting is None and not self._over:
            self._connecting = self._loop.create_task(self._reconnect())

    def _guarded(self, take: Callable[[bytes], None]) -> Callable[[bytes], None]:
        """A bug in our own code ends one session, and is logged: nothing is raised into the event loop."""

        def guarded(message: bytes) -> None:
            try:
                take(message)
            except Exception:  # noqa: BLE001 - as above
                _log.exception("A message from Deepgram could not be handled.")
                self._finish(EngineError("A message from Deepgram could not be handled.", remedy=_BUG))

        return guarded

    def _finish(self, error: EngineError | None = None) -> None:
        """Nothing follows: the user ended the session, or it failed. The first call counts."""
        if self._over:
            return
        self._over = True
        self._leave()
        self._do(self._utterances.over())
        self._inbox.close(error)
        if self._decoder.anomalies:
            _log.warning("Anomalies of a Deepgram session: %s.", describe(self._decoder.anomalies))


def _ignore(_: object) -> None:
    """Called with what arrives after the end."""
