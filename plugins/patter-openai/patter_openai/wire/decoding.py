"""Decoding of the service's messages: it never raises, and counts what it cannot read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from patter_openai.wire.anomaly import Anomaly

__all__ = ["Ignored", "MessageDecoder"]

_Message = TypeVar("_Message")

_QUOTED = 500
"""Characters that are quoted of an error in an unknown shape."""


class Ignored(msgspec.Struct, frozen=True):
    """A message that is not used."""

    type: str
    """The type; "" if there was none."""


class _Probe(msgspec.Struct):
    type: str = ""


_probe = msgspec.json.Decoder(_Probe).decode
_UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)


class MessageDecoder(Generic[_Message]):
    """Decodes messages, and counts their anomalies.

    Args:
        decoder: of the union of all messages that are used.
        types: their types.
        ignored: types that are known and not used.
        error: makes an error message of a text.
    """

    def __init__(
        self,
        decoder: msgspec.json.Decoder[_Message],
        types: frozenset[str],
        ignored: frozenset[str],
        error: Callable[[str], _Message],
    ) -> None:
        self.anomalies: Counter[Anomaly] = Counter()
        self._decode = decoder.decode
        self._types = types
        self._ignored_types = ignored
        self._error = error

    def decode(self, message: bytes | str) -> _Message | Ignored:
        """Decodes one message. Never raises: an unknown or malformed one is `Ignored`, and counted.

        An error in an unknown shape is still an error, with the message as its text.
        """
        try:
            return self._decode(message)
        except _UNREADABLE:
            ignored = self._ignored(message)
        if ignored.type != "error":
            return ignored
        text = message if isinstance(message, str) else message.decode(errors="replace")
        return self._error(text[:_QUOTED])

    def _ignored(self, message: bytes | str) -> Ignored:
        try:
            found = _probe(message).type
        except _UNREADABLE:
            self.anomalies[Anomaly.MALFORMED] += 1
            return Ignored("")
        if found in self._types:
            self.anomalies[Anomaly.MALFORMED] += 1  # a known type in an unknown shape
        elif found not in self._ignored_types:
            self.anomalies[Anomaly.UNKNOWN_TYPE] += 1
        return Ignored(found)
