"""Secrets in texts: as they are, line by line, escaped, and encoded. Sans-IO."""

from __future__ import annotations

import base64
import binascii
import json
import re
import urllib.parse
from collections.abc import Iterable

__all__ = ["Secrets"]

_SHORTEST = 4
"""Characters of a secret: what is shorter stands in many texts."""
_SHORTEST_LINE = 8
"""Characters of a line of one."""
_ENCODED = re.compile(r"[A-Za-z0-9+/_-]{8,}")
_TO_STANDARD = str.maketrans("-_", "+/")


class Secrets:
    """Texts that must be shown nowhere."""

    def __init__(self) -> None:
        self._pieces: set[str] = set()
        """The secrets, and the lines of those that have several."""
        self._forms: list[str] = []
        """All that a piece may look like in a text, the longest first."""

    def add(self, values: Iterable[str]) -> None:
        """Adds secrets. What is too short to be told from other text is left out."""
        new = {piece for value in values if len(value) >= _SHORTEST for piece in _pieces(value)} - self._pieces
        if new:
            self._pieces |= new
            forms = {form for piece in self._pieces for form in _forms(piece)}
            self._forms = sorted(forms, key=len, reverse=True)

    def find(self, text: str) -> str:
        """Returns what of the text shows a secret; "" if nothing does."""
        for form in self._forms:
            if form in text:
                return form
        for token in _ENCODED.findall(text):
            decoded = _decoded(token)
            if any(piece.encode() in decoded for piece in self._pieces):
                return str(token)
        return ""

    def redacted(self, text: str) -> str:
        """Returns the text without secrets."""
        while found := self.find(text):
            text = text.replace(found, "[…]")
        return text


def _pieces(value: str) -> set[str]:
    """Returns the secret, its lines, and all of them in one: the first and the last line of a PEM key are no secret."""
    lines = [line.strip() for line in value.splitlines()]
    kept = [line for line in lines if len(line) >= _SHORTEST_LINE and not line.startswith("-----")]
    return {value} if len(lines) == 1 else {value, *kept, "".join(kept)} - {""}


def _forms(piece: str) -> set[str]:
    data = piece.encode()
    encoded = base64.b64encode(data).decode().rstrip("=")
    return {
        piece,
        repr(piece)[1:-1],
        repr(data)[2:-1],
        json.dumps(piece)[1:-1],
        urllib.parse.quote(piece),
        urllib.parse.quote(piece, safe=""),
        urllib.parse.quote_plus(piece),
        encoded,
        encoded.replace("+", "-").replace("/", "_"),
        data.hex(),
    }


def _decoded(token: str) -> bytes:
    """Returns what is encoded by base64 in it."""
    token = token.translate(_TO_STANDARD)
    whole = token[:-1] if len(token) % 4 == 1 else token
    try:
        return base64.b64decode(whole + "=" * (-len(whole) % 4))
    except binascii.Error:
        return b""
