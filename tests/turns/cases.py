"""The cases of turn taking: what the caller does, when, on which line, and what is right."""

from __future__ import annotations

import enum
import functools
import zlib
from collections.abc import Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from patter_core.audio import ULAW_8000, AudioChunk, AudioFormat, Encoding
from patter_core.audio.transcode import transcode
from tests.turns.clips import ClipWord, clip

__all__ = ["AGENT_TEXT", "CASES", "LINES", "Case", "Kind", "Line", "Piece"]

AGENT_TEXT = (
    "Our kitchen is open from noon until ten, and the terrace closes at nine. "
    "On Mondays we are closed, and on Sundays there is a brunch from ten on. "
    "You can also order by phone, and collect it at the door half an hour later."
)
"""What the agent is saying in some cases: 11 s of it."""
_LINEAR = AudioFormat(Encoding.PCM16, 8_000)
_FRAME_MS = 20
_BEFORE_MS = 1_000.0
_AFTER_MS = 4_000.0
_INTO_SPEECH_MS = 4_000.0


class Kind(enum.StrEnum):
    """What is right."""

    TURN = "turn"
    """The agent listens. The caller's turn ends with their last sound, and is to be answered."""
    NOTHING = "nothing"
    """The agent listens, and the caller says nothing: there is nothing to answer."""
    GO_ON = "go on"
    """The agent speaks, and is not interrupted: it says all that it has to say."""
    STOP = "stop"
    """The agent speaks, and is interrupted: it stops, and answers the caller."""


class Line(msgspec.Struct, frozen=True):
    """What the telephone adds."""

    name: str
    level_db: float = 0.0
    """Of the caller, whose recordings peak at -4 dB of full scale, and have some -18 dB on average."""
    noise: str = ""
    """A recording; "" for white noise."""
    noise_db: float | None = None
    """Its level, of full scale; None for digital silence."""


LINES = (
    Line("digital silence"),
    Line("quiet caller, hiss", level_db=-16.0, noise_db=-62.0),
    Line("street", noise="street", noise_db=-42.0),
    Line("people talking", noise="babble", noise_db=-44.0),
    Line("loud street", noise="street", noise_db=-32.0),
)


class Piece(msgspec.Struct, frozen=True):
    """A recording, and where in the case it is."""

    clip: str
    at_ms: float
    level_db: float = 0.0

    @property
    def until_ms(self) -> float:
        """Where it ends."""
        return self.at_ms + len(clip(self.clip).audio) / 8

    @property
    def words(self) -> tuple[ClipWord, ...]:
        """Its words, at their place in the case."""
        return tuple(
            ClipWord(text=word.text, start_ms=self.at_ms + word.start_ms, end_ms=self.at_ms + word.end_ms)
            for word in clip(self.clip).words
        )


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One call."""

    name: str
    group: str
    kind: Kind
    pieces: tuple[Piece, ...]
    noises: tuple[Piece, ...] = ()
    """Sounds beside the caller's speech."""
    line: Line = LINES[0]

    @property
    def agent_speaks(self) -> bool:
        """True if the agent is speaking when the caller makes a sound."""
        return self.kind in {Kind.GO_ON, Kind.STOP}

    @property
    def began_ms(self) -> float:
        """Where the caller's first sound begins."""
        return min(piece.at_ms for piece in (*self.pieces, *self.noises))

    @property
    def until_ms(self) -> float:
        """Where the caller's last speech ends."""
        return max((piece.until_ms for piece in self.pieces), default=0.0)

    @property
    def length_ms(self) -> float:
        """Of the whole."""
        return max(piece.until_ms for piece in (*self.pieces, *self.noises)) + _AFTER_MS

    def frames(self) -> Iterator[AudioChunk]:
        """The caller's audio, as a carrier sends it."""
        audio = _mix(self)
        size = ULAW_8000.size(_FRAME_MS)
        for at in range(0, len(audio) - size + 1, size):
            yield AudioChunk(audio[at : at + size], ULAW_8000)


def _mix(case: Case) -> bytes:
    made = np.zeros(int(case.length_ms * 8))
    line = case.line
    for piece in (*case.pieces, *case.noises):
        at = int(piece.at_ms * 8)
        audio = _samples(piece.clip) * 10 ** ((piece.level_db + line.level_db) / 20)
        made[at : at + len(audio)] += audio
    if line.noise_db is not None:
        made += _noise(line, len(made), zlib.crc32(case.name.encode())) * 10 ** (line.noise_db / 20)
    linear = (np.clip(made, -1, 1) * 32_767).astype("<i2")
    return transcode(linear.tobytes(), _LINEAR, ULAW_8000)


def _noise(line: Line, length: int, seed: int) -> NDArray[np.float64]:
    """Returns noise with an average level of 1, of another place for each case."""
    if not line.noise:
        return np.random.default_rng(seed).normal(0, 1, length)
    recorded = np.roll(_samples(line.noise), seed % 8_000)
    return np.resize(recorded / np.sqrt(np.mean(recorded**2)), length)


@functools.cache
def _samples(name: str) -> NDArray[np.float64]:
    return np.frombuffer(transcode(clip(name).audio, ULAW_8000, _LINEAR), "<i2").astype(np.float64) / 32_768


def _spoken(*parts: str | float, at_ms: float = _BEFORE_MS) -> tuple[Piece, ...]:
    """Returns recordings, and pauses in s between them."""
    pieces = list[Piece]()
    for part in parts:
        if isinstance(part, str):
            pieces.append(Piece(part, at_ms))
            at_ms = pieces[-1].until_ms
        else:
            at_ms += part * 1000
    return tuple(pieces)


def _turn(group: str, *parts: str | float, noises: tuple[Piece, ...] = ()) -> Case:
    name = " ".join(part if isinstance(part, str) else f"({part:g} s)" for part in parts)
    name = " with ".join([name, *(noise.clip for noise in noises)])
    return Case(name=name, group=group, kind=Kind.TURN, pieces=_spoken(*parts), noises=noises)


def _over(kind: Kind, group: str, *parts: str | float, at_ms: float = _INTO_SPEECH_MS, loud: float = 0.0) -> Case:
    """The agent is speaking; a recording without words is a noise."""
    pieces = _spoken(*parts, at_ms=at_ms)
    pieces = tuple(msgspec.structs.replace(piece, level_db=loud) for piece in pieces)
    name = f"{' '.join(part if isinstance(part, str) else f'({part:g} s)' for part in parts)} at {at_ms / 1000:g} s"
    voiced = tuple(piece for piece in pieces if clip(piece.clip).voice)
    return Case(name=name, group=group, kind=kind, pieces=voiced, noises=tuple(p for p in pieces if p not in voiced))


def _noise_only(*noises: Piece) -> Case:
    name = " ".join(noise.clip for noise in noises)
    return Case(name=f"{name} alone", group="noise alone", kind=Kind.NOTHING, pieces=(), noises=noises)


_WHOLE = ("book", "hours", "cancel", "fast", "slow", "italian", "german")
_SHORT = ("yes", "no", "two", "seven", "thanks")
_HALVES = (
    ("start_table", "rest_friday"),
    ("start_um", "rest_change"),
    ("start_because", "rest_parcel"),
    ("start_it", "rest_it"),
)

_BASE = (
    *(_turn("a sentence", name) for name in _WHOLE),
    *(_turn("a short answer", name) for name in _SHORT),
    *(
        _turn(f"a pause of {pause:g} s", start, pause, rest)
        for pause in (0.3, 0.5, 0.7, 1.0)
        for start, rest in _HALVES
    ),
    _turn("dictation", "my_number", 0.3, "digits_a", 0.6, "digits_b", 0.5, "digits_c"),
    _turn("dictation", "card_a", 1.0, "card_b", 0.9, "card_c"),
    _turn("dictation", "digits_a", 1.3, "digits_b", 1.2, "digits_c"),
    _turn("dictation", "name_is", 0.4, "spell_a", 0.7, "spell_b", 0.8, "spell_c"),
    _turn("a noise after it", "cancel", noises=(Piece("cough", 1_000 + 1_857 + 450),)),
    _turn("a noise after it", "hours", noises=(Piece("keyboard", 1_000 + 1_913 + 300, -14),)),
    _turn("a noise after it", "book", noises=(Piece("slam", 1_000 + 3_114 + 400),)),
    _turn("a noise before it", "seven", noises=(Piece("cough", 150),)),
    _turn("music behind", "question", noises=(Piece("music", 0, -24),)),
    _noise_only(Piece("cough", 1_000)),
    _noise_only(Piece("click", 1_000), Piece("slam", 2_000)),
    _noise_only(Piece("keyboard", 1_000, -10)),
    _noise_only(Piece("music", 1_000, -12)),
    _over(Kind.GO_ON, "a cough or a noise", "cough"),
    _over(Kind.GO_ON, "a cough or a noise", "slam"),
    _over(Kind.GO_ON, "a cough or a noise", "click", 0.3, "click"),
    _over(Kind.GO_ON, "a cough or a noise", "keyboard", loud=-10),
    _over(Kind.GO_ON, "a cough or a noise", "music", loud=-12),
    _over(Kind.GO_ON, "a murmur", "mhm"),
    _over(Kind.GO_ON, "a murmur", "uh_huh"),
    _over(Kind.GO_ON, "a murmur", "yeah"),
    _over(Kind.GO_ON, "a murmur", "okay"),
    _over(Kind.GO_ON, "a murmur", "yeah", 1.2, "okay", 1.5, "mhm"),
    _over(Kind.GO_ON, "a murmur", "okay", at_ms=900),
    _over(Kind.GO_ON, "an echo of the agent", "agent", at_ms=700, loud=-24),
    _over(Kind.STOP, "an interruption", "wait"),
    _over(Kind.STOP, "an interruption", "stop"),
    _over(Kind.STOP, "an interruption", "sorry"),
    _over(Kind.STOP, "an interruption", "question"),
    _over(Kind.STOP, "an interruption", "fast"),
    _over(Kind.STOP, "an interruption", "italian"),
    _over(Kind.STOP, "an interruption", "wait", at_ms=900),
    _over(Kind.STOP, "an interruption", "cough", 0.5, "question"),
    _over(Kind.STOP, "an interruption", "mhm", 0.4, "stop"),
)


def _on(case: Case, line: Line) -> Case:
    return msgspec.structs.replace(case, line=line, name=f"{case.name} [{line.name}]")


CASES = tuple(_on(case, line) for line in LINES for case in _BASE)
"""All of them, on each line."""
