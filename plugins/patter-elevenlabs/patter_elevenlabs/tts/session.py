"""A voice for one call: utterances over one socket, each in a context of its own.

One utterance is at the service at a time; the text of the next ones waits here. So audio needs no order but the
service's, a call takes one of the account's concurrent generations, and contexts do not pile up: the service bears
five, and closes the socket at the sixth.

A finished utterance is flushed and its context closed at once: the service speaks what it has and then tells the end. A
cancelled one is closed without a flush, and what comes of it all the same is known by its context. One that was
finished before is closed already, and would be spoken to its end: its socket is left, and another one opened at once,
since the caller is speaking.

The socket is kept alive. One that is lost while nothing is said is opened again for the next utterance, and so is one
that turns out to be lost as an utterance begins. A loss in the middle of an utterance ends the session.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from patter_core.aio.foreign import run_behind
from patter_core.audio import AudioChunk, AudioFormat
from patter_core.errors import AudioError, EngineError, SocketClosed
from patter_core.events import Usage
from patter_core.net.inbox import Inbox
from patter_core.net.websocket import EngineSocket
from patter_core.observe.terminal import counted
from patter_elevenlabs import speech_failures
from patter_elevenlabs.prices import tts_usage
from patter_elevenlabs.tts import wire
from patter_elevenlabs.tts.utterance import Utterance
from patter_pipeline.parts import Spoken, TtsEvent, TtsSession, UtteranceDone

__all__ = ["KEEP_ALIVE", "PERMISSION", "VoiceSession"]

_log = logging.getLogger("patter.elevenlabs")

PERMISSION = "text_to_speech"
"""What the key needs."""
KEEP_ALIVE = 15.0
"""Seconds between signs of life: the service ends what has had no text for 20 s."""
_CONTEXTS = 5
"""How many contexts the service bears at once, closed ones that it has not ended among them."""


class VoiceSession(TtsSession):
    """A session whose socket is open. Made by `ElevenLabsTTS.open`.

    Args:
        socket: the open one.
        connect: opens another one; raises `EngineError`.
        output_format: what the socket was asked for.
        opening: what each context begins with, but for its id.
        model: for usage.
        keep_alive: seconds between signs of life.
    """

    def __init__(
        self,
        socket: EngineSocket,
        connect: Callable[[], Awaitable[EngineSocket]],
        output_format: AudioFormat,
        opening: Callable[[str], wire.Open],
        model: str,
        *,
        keep_alive: float = KEEP_ALIVE,
    ) -> None:
        self._connect = connect
        self._output_format = output_format
        self._opening = opening
        self._model = model
        self._keep_alive = keep_alive
        self._inbox: Inbox[TtsEvent] = Inbox()
        self._utterances: deque[Utterance] = deque()
        """The first one is being said; the others wait."""
        self._closing: set[str] = set()
        """Contexts of cancelled utterances that the service has not ended."""
        self._number = 0
        self._anomalies = 0
        self._over = False
        self._socket: EngineSocket | None = None
        self._opener: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(keep_alive, self._stay_alive)
        self._use(socket)

    @property
    def output_format(self) -> AudioFormat:
        return self._output_format

    def events(self) -> AsyncIterator[TtsEvent]:
        return self._inbox

    # --- what is to be said ----------------------------------------------------------------------------------------

    def speak(self, utterance: str, text: str) -> None:
        if self._over:
            return
        found = self._open_one(utterance)
        if found is None:
            found = Utterance(utterance)
            self._utterances.append(found)
        piece = found.add(text)
        if piece and found.context:
            self._give(found, piece)
        else:
            self._advance()

    def finish(self, utterance: str) -> None:
        found = self._open_one(utterance)
        if found is None or self._over:
            return
        found.finished = True
        if found.context:
            self._end(found)
        else:
            self._advance()

    def cancel(self, utterance: str) -> None:
        for found in [one for one in self._utterances if one.name == utterance]:
            self._utterances.remove(found)
            self._tell_usage(found)
            if found.context and found.finished:
                self._leave()
                self._open_again()
            elif found.context:
                self._closing.add(found.context)
                self._send(wire.CloseContext(context_id=found.context))
        self._inbox.discard(lambda event: isinstance(event, Spoken | UtteranceDone) and event.utterance == utterance)
        self._advance()

    def unbilled(self) -> Sequence[Usage]:
        for utterance in self._utterances:
            self._tell_usage(utterance)
        return self._inbox.remove(Usage)

    async def aclose(self) -> None:
        self._stop()
        if self._opener is not None:
            self._opener.cancel()
            await asyncio.wait({self._opener})
        if self._socket is not None:
            self._send(wire.CloseSocket())
            await self._socket.aclose()

    def _open_one(self, name: str) -> Utterance | None:
        """Returns the utterance of that id that takes more text."""
        return next((one for one in reversed(self._utterances) if one.name == name and not one.finished), None)

    def _advance(self) -> None:
        """Begins the first utterance that has something to say, where the socket is there for it."""
        while self._utterances and not self._over:
            head = self._utterances[0]
            if head.context or (head.empty and not head.finished):
                return
            if head.empty:
                self._utterances.popleft()
                self._tell_usage(head)
                self._inbox.put(UtteranceDone(head.name))
                continue
            if len(self._closing) >= _CONTEXTS - 1:  # the service takes its time: the next one would be one too many
                self._leave()
            if self._socket is None:
                self._open_again()
                return
            self._begin(head)

    def _begin(self, head: Utterance) -> None:
        self._number += 1
        head.context = f"c{self._number}"
        head.answered = False
        self._send(self._opening(head.context))
        for piece in head.pieces:
            self._give(head, piece)
        if head.finished:
            self._end(head)

    def _give(self, head: Utterance, piece: str) -> None:
        head.characters += len(piece)
        self._send(wire.Text(text=piece, context_id=head.context))

    def _end(self, head: Utterance) -> None:
        self._send(wire.Flush(context_id=head.context))
        self._send(wire.CloseContext(context_id=head.context))

    def _send(self, message: wire.Outgoing) -> None:
        if self._socket is not None:
            self._socket.send(wire.encode(message))

    def _stay_alive(self) -> None:
        self._timer = self._loop.call_later(self._keep_alive, self._stay_alive)
        head = self._utterances[0] if self._utterances else None
        if head is None or not head.context:
            self._send(wire.Text(text=""))
        elif not head.finished:
            self._send(wire.Text(text="", context_id=head.context))

    # --- what the service says -------------------------------------------------------------------------------------

    def _on_message(self, text: bytes) -> None:
        try:
            self._take(text)
        except Exception:  # noqa: BLE001 - the boundary of a call: a bug here ends one session, and is logged
            _log.exception("A message of ElevenLabs' text to speech could not be handled.")
            self._leave()
            remedy = "This is a bug. Report it with the traceback in the log."
            self._stop(EngineError("A message from ElevenLabs could not be handled.", remedy=remedy))

    def _take(self, text: bytes) -> None:
        message = wire.decode(text)
        if message is None:
            self._anomalies += 1
            return
        if message.error:
            code = message.code if isinstance(message.code, int) else 0
            self._lose(speech_failures.named(message.error, message.message or "", PERMISSION, code))
            return
        head = self._utterances[0] if self._utterances else None
        context = message.context_id
        if head is None or not head.context or (context and context != head.context):
            if message.is_final:
                self._closing.discard(context)
            return
        if message.audio or message.alignment is not None:
            self._on_audio(head, message)
        if message.is_final:
            self._on_final(head)

    def _on_audio(self, head: Utterance, message: wire.Incoming) -> None:
        if message.alignment is not None:
            head.unsaid += head.words.said(message.alignment, head.audio_ms)
        try:
            chunk = AudioChunk.from_base64(message.audio or "", self._output_format)
        except AudioError:
            self._anomalies += 1
            return
        if chunk.size:
            head.answered = True
            head.audio_ms += chunk.duration_ms
            words, head.unsaid = tuple(head.unsaid), []
            self._inbox.put(Spoken(head.name, chunk, words), size=chunk.size, droppable=True)

    def _on_final(self, head: Utterance) -> None:
        head.answered = True
        head.context = ""
        head.pieces.clear()  # a context that ends by itself has said them; more may come
        if not head.finished:
            self._tell_usage(head)
        self._advance()

    def _on_closed(self, closed: SocketClosed) -> None:
        self._lose(speech_failures.closed(closed.code, closed.reason, PERMISSION))

    def _lose(self, error: EngineError) -> None:
        """The socket is of no more use."""
        self._leave()
        head = self._utterances[0] if self._utterances else None
        begun = head is not None and bool(head.context)
        if not error.retry or (head is not None and begun and (head.answered or head.again)):
            self._stop(error)
            return
        if head is not None and begun:  # it was lost before the utterance began, and that was not known
            head.again = True
            head.context = ""
            head.characters = 0
        self._advance()

    # --- the socket, and the end -----------------------------------------------------------------------------------

    def _use(self, socket: EngineSocket) -> None:
        self._socket = socket
        socket.deliver(self._on_message, self._on_closed)

    def _leave(self) -> None:
        if self._socket is not None:
            self._socket.deliver(_ignore, _ignore)
            run_behind(self._socket.aclose)
        self._socket = None
        self._closing.clear()

    def _open_again(self) -> None:
        if self._opener is None or self._opener.done():
            self._opener = self._loop.create_task(self._reopen())

    async def _reopen(self) -> None:
        try:
            socket = await self._connect()
        except EngineError as error:
            self._opener = None
            if self._utterances or not error.retry:  # else the next utterance tries again
                self._stop(error)
            return
        if self._over:
            await socket.aclose()
            return
        self._use(socket)
        self._opener = None
        self._advance()

    def _tell_usage(self, of: Utterance) -> None:
        if of.characters:
            self._inbox.put(tts_usage(self._model, of.characters))
            of.characters = 0

    def _stop(self, error: EngineError | None = None) -> None:
        """Nothing follows. The first call counts."""
        if self._over:
            return
        self._over = True
        self._timer.cancel()
        for utterance in self._utterances:
            self._tell_usage(utterance)
        self._utterances.clear()
        self._inbox.close(error)
        if self._anomalies:
            _log.warning("ElevenLabs' text to speech sent %s that cannot be used.", counted(self._anomalies, "message"))


def _ignore(_: object) -> None:
    """Called with what arrives on a socket that is no longer used."""
