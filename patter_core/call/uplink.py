"""The caller's audio on its way to the engine.

This is half of the hot path, fifty frames a second for every call: `take` is called for each frame. It is the bound
method for what the call is doing now, so that no frame is tested for it: buffering while no engine is attached, passing
on, converting first, or dropping while the caller is on hold. There is no task, no queue and no hook here, and audio
that both sides encode alike passes as the base64 text it came as.

What is said to an engine that is not there yet is buffered in order: audio, keys and context. Beyond the bounds the
oldest of a kind is dropped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from patter_core.audio import AudioChunk, AudioFormat
from patter_core.audio.converter import make_converter
from patter_core.audio.gate import SpeechGate
from patter_core.call.meter import Meter
from patter_core.engine import EngineSession

__all__ = ["Uplink"]

_EARLY_AUDIO_MS = 2_000.0
"""How much caller audio is buffered while no engine is attached: older speech would be answered too late."""
_RECENT_MS = 1_000.0
_EARLY_MESSAGES = 100
"""How many keys and pieces of context are."""

_Message = Callable[[EngineSession], None]
"""A key or a piece of context, as a call of the session's method."""


class Uplink:
    """Carries the caller's audio and keys, and the user's context, to the engine's session.

    Attributes:
        take: takes one frame of the caller. Never waits.
        on_fault: called with what came out of the session, which is detached then.
    """

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self.take: Callable[[AudioChunk], None] = self._buffer
        self.on_fault: Callable[[BaseException], None] = _ignore
        self._session: EngineSession | None = None
        self._is_muted = False
        self._send_audio: Callable[[AudioChunk], None] = _ignore
        self._converted: Callable[[AudioChunk], AudioChunk | None] = _nothing
        self._early: list[AudioChunk | _Message] = []
        self._early_ms = 0.0
        self._early_messages = 0
        self._given: Callable[[AudioChunk], None] = _ignore
        """Takes a frame while `_recent` is kept."""
        self._recent: _Recent | None = None
        """The caller's last audio, for the session that takes over; None while none is about to."""
        self._caller_format: AudioFormat | None = None
        self._heard_by: EngineSession | None = None
        """The session that the figures below are of."""
        self._bytes_before = 0
        self._silence_bytes: dict[int, int] = {}
        """How much silence each session was given, by its `id()`: before it is attached, too."""
        self._rate = 1
        self._gap_after = -1
        """The number of frames that had been given when silence took their place."""

    @property
    def frames_given(self) -> int:
        """How many frames of the caller all sessions together were given."""
        return self._meter.frames_in

    @property
    def is_in_gap(self) -> bool:
        """True while silence is given in place of the caller's audio."""
        return self._gap_after == self._meter.frames_in

    def is_heard_by(self, session: EngineSession) -> bool:
        """True while that session is given what the caller says."""
        return self._session is session

    def ago_ms(self, at_ms: float) -> float:
        """Returns how far that position is before the newest audio that the present session was given, in ms."""
        given = self._meter.bytes_in - self._bytes_before + self._silence_bytes.get(id(self._heard_by), 0)
        return max(0.0, given * 1000 / self._rate - at_ms)

    def give_silence(self, session: EngineSession, silence: AudioChunk) -> None:
        """Gives a session silence in place of the caller's audio, which has a gap."""
        self._gap_after = self._meter.frames_in
        self.note_silence(session, silence)
        self.tell(session, lambda session: session.send_audio(silence))

    def note_silence(self, session: EngineSession, silence: AudioChunk) -> None:
        """Silence was given to a session: positions in its audio count it."""
        self._silence_bytes[id(session)] = self._silence_bytes.get(id(session), 0) + silence.size

    def attach_engine(self, session: EngineSession, caller_format: AudioFormat) -> None:
        """Sends what is buffered, then every frame, to that session."""
        if session is not self._heard_by:
            self._heard_by, self._rate = session, session.input_format.byte_rate
            self._bytes_before = self._meter.bytes_in
            self._silence_bytes = {id(session): self._silence_bytes.get(id(session), 0)}
        self._session = session
        self._send_audio = session.send_audio
        converter = make_converter(caller_format, session.input_format)
        if converter is not None:
            self._converted = converter.convert
        self.take = take = self._pass if converter is None else self._convert
        while self._early and self._session is session:  # until it fails
            early = self._early.pop(0)
            if isinstance(early, AudioChunk):
                self._early_ms -= early.duration_ms
                take(early)
            else:
                self._early_messages -= 1
                self.tell(session, early)
        self._caller_format = caller_format
        if self._recent is not None:
            self.keep_recent()
        if self._is_muted:
            self.take = _ignore

    def keep_recent(self) -> None:
        """Keeps the last second of the caller's audio, from here on, for the session that follows the present one."""
        if self._caller_format is None or self._session is None:
            return
        if self._recent is None or self._recent.gate.format != self._caller_format:
            self._recent = _Recent(self._caller_format)
        if self.take in (self._pass, self._convert):
            self._given, self.take = self.take, self._give_and_keep

    @property
    def hears_speech(self) -> bool:
        """True if the caller speaks, while the last second is kept: by loudness."""
        return self._recent is not None and self._recent.gate.speaking

    def detach_engine(self) -> None:
        """The session is over: buffers for the next one."""
        recent, self._recent = self._recent, None
        if recent is not None and not self._is_muted:
            self._early.extend(recent.chunks)
            self._early_ms += recent.kept_ms
        self._session = None
        self.take = _ignore if self._is_muted else self._buffer

    def mute_caller(self) -> None:
        """The caller is on hold: drops their audio and keys, those that are buffered too, until `unmute_caller`."""
        self._is_muted = True
        self._recent = None
        self.take = _ignore
        self._early = [early for early in self._early if not isinstance(early, AudioChunk)]
        self._early_ms = 0.0

    def unmute_caller(self) -> None:
        """The hold is over. `attach_engine` must follow if there is a session."""
        self._is_muted = False
        if self._session is None:
            self.take = self._buffer

    def send_dtmf(self, digit: str) -> None:
        """Tells the engine that the caller pressed a key."""
        if not self._is_muted:
            self._send(lambda session: session.send_dtmf(digit))

    def add_context(self, text: str) -> None:
        """Tells the engine something that is not for the caller."""
        self._send(lambda session: session.add_context(text))

    def tell(self, session: EngineSession, message: Callable[[EngineSession], None]) -> None:
        """Calls a method of a session, whether it is attached yet or not. What it raises is the session's failure."""
        try:
            message(session)
        except BaseException as error:  # noqa: BLE001 - the plugin boundary
            self._fail(error)

    def _send(self, message: _Message) -> None:
        if self._session is not None:
            self.tell(self._session, message)
            return
        if self._early_messages == _EARLY_MESSAGES:
            oldest = next(early for early in self._early if not isinstance(early, AudioChunk))
            self._early.remove(oldest)
            self._early_messages -= 1
            self._meter.messages_early += 1
        self._early.append(message)
        self._early_messages += 1

    def _buffer(self, chunk: AudioChunk) -> None:
        self._early.append(chunk)
        self._early_ms += chunk.duration_ms
        while self._early_ms > _EARLY_AUDIO_MS:
            oldest = next(early for early in self._early if isinstance(early, AudioChunk))
            self._early.remove(oldest)
            self._early_ms -= oldest.duration_ms
            self._meter.frames_early += 1

    def _give_and_keep(self, chunk: AudioChunk) -> None:
        if self._recent is not None:  # before it may be detached
            self._recent.push(chunk)
        self._given(chunk)

    def _pass(self, chunk: AudioChunk) -> None:
        meter = self._meter
        meter.frames_in += 1
        meter.bytes_in += chunk.size
        try:
            self._send_audio(chunk)
        except BaseException as error:  # noqa: BLE001 - the plugin boundary
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self.detach_engine()
        self.on_fault(error)

    def _convert(self, chunk: AudioChunk) -> None:
        converted = self._converted(chunk)
        if converted is not None:
            self._pass(converted)


class _Recent:
    """The last second of the caller's audio.

    Args:
        format: of the audio.
    """

    def __init__(self, format: AudioFormat) -> None:
        self.gate = SpeechGate(format)
        self.chunks: deque[AudioChunk] = deque()
        self.kept_ms = 0.0

    def push(self, chunk: AudioChunk) -> None:
        """Adds a frame."""
        self.gate.push(chunk)
        self.chunks.append(chunk)
        self.kept_ms += chunk.duration_ms
        while self.kept_ms > _RECENT_MS:
            self.kept_ms -= self.chunks.popleft().duration_ms


def _ignore(_: object) -> None:
    """Drops the frame."""


def _nothing(chunk: AudioChunk) -> AudioChunk | None:
    """There is no converter yet."""
