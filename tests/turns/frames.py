"""What voice activity finds, frame by frame: of the caller's speech, and of noise that it takes for speech."""

from __future__ import annotations

from collections.abc import Sequence

from patter_pipeline.parts import VoiceActivity
from tests.turns.cases import Case, Piece

__all__ = ["shares"]

_FRAME_MS = 20.0
_SPEECH = 0.5
_AROUND_MS = 150.0
"""Beside a sound, where either answer is right."""


def shares(vad: VoiceActivity, cases: Sequence[Case]) -> tuple[float, float]:
    """Returns which share of the frames in speech, and of those in a line's noise alone, are taken for speech."""
    found: dict[bool, list[bool]] = {True: [], False: []}
    for case in cases:
        frames = list(case.frames())
        hear = vad.start(frames[0].format)
        for place, frame in enumerate(frames):
            at_ms = (place + 0.5) * _FRAME_MS
            is_found = hear(frame) >= _SPEECH
            if _is_in(case.noises, at_ms, _AROUND_MS):
                continue
            if _is_in(case.pieces, at_ms, 0.0):
                found[True].append(is_found)
            elif not _is_in(case.pieces, at_ms, _AROUND_MS):
                found[False].append(is_found)
    speech, other = (sum(found[kind]) / max(1, len(found[kind])) for kind in (True, False))
    return speech, other


def _is_in(pieces: Sequence[Piece], at_ms: float, around_ms: float) -> bool:
    return any(piece.at_ms - around_ms < at_ms < piece.until_ms + around_ms for piece in pieces)
