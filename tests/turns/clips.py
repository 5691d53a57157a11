"""The recordings: what is in each file, and where its words are. `recordings/README.md` tells how they were made."""

from __future__ import annotations

import functools
from pathlib import Path

import msgspec

__all__ = ["Clip", "ClipWord", "clip"]

_FOLDER = Path(__file__).parent / "recordings"


class ClipWord(msgspec.Struct, frozen=True, kw_only=True):
    """A word, and where in the recording it is."""

    text: str
    start_ms: float
    end_ms: float


class Clip(msgspec.Struct, frozen=True, kw_only=True):
    """A recording: μ-law at 8 kHz, from its first sound to its last."""

    name: str
    voice: str = ""
    """Of espeak-ng; "" for what is no speech."""
    pace: int = 0
    """Words a minute."""
    words: tuple[ClipWord, ...] = ()
    """What recognition finds in it."""

    @property
    def audio(self) -> bytes:
        """Its samples."""
        return (_FOLDER / f"{self.name}.ulaw").read_bytes()

    @property
    def text(self) -> str:
        """What is said, as far as recognition finds it."""
        return " ".join(word.text for word in self.words)


@functools.cache
def _clips() -> dict[str, Clip]:
    listed = msgspec.json.decode((_FOLDER / "clips.json").read_bytes(), type=list[Clip])
    return {clip.name: clip for clip in listed}


def clip(name: str) -> Clip:
    """Returns a recording.

    Raises:
        KeyError: there is none of that name.
    """
    return _clips()[name]
