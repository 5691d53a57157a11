"""What the caller hears of the agent: each speech as a turn of the engine, with its audio, its text and its end.

All audio of a speech is kept until it is known how much of it was heard: a speech that was paused goes on from there.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from patter_core.audio import AudioChunk, AudioFormat
from patter_core.events import (
    Interruption,
    PausePlayback,
    ResponseDone,
    ResponseStart,
    SpeechItem,
    TranscriptCorrection,
    TranscriptOutput,
    Word,
)
from patter_core.net.inbox import EngineInbox

__all__ = ["Speeches"]


class _Speech(msgspec.Struct):
    text: str = ""
    words: list[Word] = []
    audio: list[AudioChunk] = []
    has_begun: bool = False
    """Its `ResponseStart` was told."""
    is_paused: bool = False
    is_complete: bool = False
    """The voice has said all of it."""
    is_void: bool = False
    is_told: bool = False
    """Its text was told."""
    is_corrected: bool = False


class Speeches:
    """Puts the speeches of the agent into the inbox of the session.

    Args:
        inbox: what the core takes; the origin of audio is the number of its speech.
        format: of the audio.
    """

    def __init__(self, inbox: EngineInbox[int], format: AudioFormat) -> None:
        self._inbox = inbox
        self._format = format
        self._speeches: dict[int, _Speech] = {}

    def said(self, n: int, text: str) -> None:
        """The voice was given more text of a speech."""
        speech = self._speeches.get(n)
        if speech is None:
            speech = self._speeches[n] = _Speech()
        speech.text += text

    def audio(self, n: int, chunk: AudioChunk, words: Sequence[Word]) -> None:
        """Audio of a speech came from the voice."""
        speech = self._speeches.get(n)
        if speech is None or speech.is_void:
            return
        speech.words.extend(words)
        speech.audio.append(chunk)
        if not speech.is_paused:
            self._begin(n, speech)
            self._inbox.put_audio(chunk, n)

    def complete(self, n: int) -> bool:
        """The voice has said all of it. False if that was not a sound: then there is nothing to be heard."""
        speech = self._speeches.get(n)
        if speech is None or speech.is_void:
            return True
        speech.is_complete = True
        if speech.has_begun and not speech.is_paused:
            self._end(n, speech)
        return bool(speech.audio)

    def pause(self, n: int) -> None:
        """The agent falls silent, and may go on."""
        speech = self._speeches.get(n)
        if speech is None or speech.is_void or speech.is_paused:
            return
        speech.is_paused = True
        if speech.has_begun:
            self._inbox.discard_audio(lambda origin: origin == n)
            self._inbox.put(PausePlayback())

    def replay(self, n: int, from_ms: float) -> None:
        """It goes on from there."""
        speech = self._speeches.get(n)
        if speech is None or speech.is_void or not speech.is_paused:
            return
        speech.is_paused = False
        whole = b"".join(chunk.data for chunk in speech.audio)
        at = min(self._format.size(from_ms), len(whole))
        if speech.has_begun:
            self._inbox.put(SpeechItem(item=str(n), turn=str(n), offset_ms=self._format.duration_ms(at)))
        elif whole:
            self._begin(n, speech)
        if whole[at:]:
            self._inbox.put_audio(AudioChunk(whole[at:], self._format), n)
        if speech.is_complete and speech.has_begun:
            self._end(n, speech)

    def interrupt(self, n: int) -> bool:
        """What was not heard of it is void. False if the core has nothing of it, and so tells nothing of it."""
        speech = self._speeches.get(n)
        if speech is None or speech.is_void:
            return True
        speech.is_void = True
        speech.audio.clear()
        self._inbox.discard_audio(lambda origin: origin == n)
        if speech.has_begun:
            self._tell(n, speech)
            self._inbox.put(Interruption(str(n)))
        return speech.has_begun

    def corrected(self, n: int, heard: str) -> None:
        """Less of it was heard than was said. Where the call itself cut it, as on hold, the call has told it."""
        speech = self._speeches.get(n)
        if speech is not None and speech.is_void and speech.is_told and not speech.is_corrected:
            speech.is_corrected = True
            if heard != speech.text:
                self._inbox.put(TranscriptCorrection(heard, speech.text, str(n)))

    def forget(self, n: int) -> None:
        """It is known how much of it was heard, and nothing more comes of it."""
        self._speeches.pop(n, None)

    def _begin(self, n: int, speech: _Speech) -> None:
        if not speech.has_begun:
            speech.has_begun = True
            self._inbox.put(ResponseStart(turn=str(n)))
            self._inbox.put(SpeechItem(item=str(n), turn=str(n)))

    def _end(self, n: int, speech: _Speech) -> None:
        self._tell(n, speech)
        self._inbox.put(ResponseDone(str(n)))

    def _tell(self, n: int, speech: _Speech) -> None:
        if not speech.is_told:
            speech.is_told = True
            words = tuple(speech.words)
            is_text = "".join(word.text for word in words) == speech.text
            self._inbox.put(TranscriptOutput(speech.text, str(n), words=words if is_text else ()))
