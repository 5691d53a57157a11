"""Removes from records what sinks must not see: secrets always, phone numbers and what was said as configured."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Literal, get_args

import msgspec

from patter_core.config import ConfiguredStruct
from patter_core.errors import ConfigurationError
from patter_core.events import (
    CallAnnounced,
    CallEnded,
    CallEvent,
    DtmfReceived,
    Error,
    FallbackUsed,
    MediaTrouble,
    Record,
    ResponseStart,
    ToolCall,
    ToolResult,
    TranscriptCorrection,
    TranscriptInput,
    TranscriptOutput,
    TransferDone,
    TransferStarted,
)
from patter_core.observe.masking import OwnNumbers, mask_address, mask_international, mask_numbers, mask_sip_users
from patter_core.observe.secrets import conceal_fields, conceal_secrets
from patter_core.observe.text import text_fields
from patter_core.telephony.leg import Leg

__all__ = ["REDACTED", "NumberMasking", "Redaction", "Redactor"]

REDACTED = "[redacted]"

NumberMasking = Literal["call", "all", "none"]

_Change = Callable[[str], str]

# Which fields hold what a person said or a tool got, texts of other programs, and numbers. Others hold names and ids.
_SAID: Mapping[type[CallEvent], frozenset[str]] = {
    TranscriptInput: frozenset({"text"}),
    TranscriptOutput: frozenset({"text"}),
    TranscriptCorrection: frozenset({"text", "original"}),
    ResponseStart: frozenset({"text"}),
    ToolCall: frozenset({"arguments"}),
    ToolResult: frozenset({"result"}),
    DtmfReceived: frozenset({"digit"}),
    FallbackUsed: frozenset({"say"}),
}
_SENTENCES: Mapping[type[CallEvent], frozenset[str]] = {
    Error: frozenset({"message", "code"}),
    MediaTrouble: frozenset({"problem"}),
    CallEnded: frozenset({"detail"}),
    TransferDone: frozenset({"detail"}),
    FallbackUsed: frozenset({"detail"}),
}
_NUMBERS: Mapping[type[CallEvent], frozenset[str]] = {
    TransferStarted: frozenset({"to"}),
    TransferDone: frozenset({"to"}),
    FallbackUsed: frozenset({"to"}),
}
_NONE: frozenset[str] = frozenset()

_JSON_TOKEN = re.compile(r'("[^"\\]*(?:\\.[^"\\]*)*"|-?[0-9][0-9.eE+-]*)(\s*:)?')
"""A string or a number of a valid document, and the colon after a key."""
_CALLS_KNOWN = 10_000
"""Calls whose numbers are remembered: more than are live, in case that an end is missing."""


class Redaction(ConfiguredStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What sinks must not see.

    Raises:
        ConfigurationError: `numbers` is none of its values.
    """

    transcripts: bool = False
    """Also remove what was said, what tools got and returned, and which keys were pressed."""
    numbers: NumberMasking = "call"
    """Which phone numbers are masked but for two digits. `call`: those of the call, in every field and every spelling,
    and in texts those that begin with `+`. `all`: also whatever looks like one, which dates and orders may, and
    longer numbers, as those of payment cards and accounts (IBAN). `none`: no number."""

    def __post_init__(self) -> None:
        if self.numbers not in get_args(NumberMasking):
            raise ConfigurationError(
                "Redaction(numbers=…) has an unknown value.", expected="call, all or none", got=repr(self.numbers)
            )


class Redactor:
    """Redacts the records of all calls of a worker, whose numbers it learns from the records."""

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction
        self._calls: dict[str, OwnNumbers] = {}

    def apply(self, record: Record) -> Record:
        """Returns the record as sinks may have it."""
        event = record.event
        mask = self._mask(record)
        if isinstance(event, CallAnnounced):
            event = msgspec.structs.replace(event, leg=self._leg(event.leg, mask))
        event = self._texts(event, mask)
        if isinstance(event, CallEnded):
            self._calls.pop(record.call_id, None)
        return record if event is record.event else msgspec.structs.replace(record, event=event)

    def _mask(self, record: Record) -> _Change:
        """Returns what masks the numbers in a sentence of that call."""
        mode = self._redaction.numbers
        if mode == "none":
            return str
        own = self._own(record)

        def mask(text: str) -> str:
            if own is not None:
                text = own.mask(text)
            text = mask_sip_users(mask_international(text))
            return mask_numbers(text) if mode == "all" else text

        return mask

    def _own(self, record: Record) -> OwnNumbers | None:
        match record.event:
            case CallAnnounced(leg=leg):
                addresses = [leg.from_number, leg.to_number]
            case TransferStarted(to=to):
                addresses = [to]
            case _:
                return self._calls.get(record.call_id)
        own = self._calls.get(record.call_id)
        if own is None:
            own = self._calls[record.call_id] = OwnNumbers()
            if len(self._calls) > _CALLS_KNOWN:
                del self._calls[next(iter(self._calls))]
        own.add(addresses)
        return own

    def _texts(self, event: CallEvent, mask: _Change) -> CallEvent:
        kind = type(event)
        said, sentences, numbers = (table.get(kind, _NONE) for table in (_SAID, _SENTENCES, _NUMBERS))
        changes: dict[str, str] = {}
        for field in text_fields(kind):
            text: str = getattr(event, field)
            if not text:
                continue
            if field in said:
                changed = REDACTED if self._redaction.transcripts else _by_value(text, mask)
            elif field in sentences:
                changed = mask(conceal_fields(text))
            elif field in numbers:
                changed = self._address(text)
            else:
                changed = conceal_secrets(text)
            if changed != text:
                changes[field] = changed
        return msgspec.structs.replace(event, **changes) if changes else event

    def _leg(self, leg: Leg, mask: _Change) -> Leg:
        return msgspec.structs.replace(
            leg,
            from_number=self._address(leg.from_number),
            to_number=self._address(leg.to_number),
            parameters={name: _by_value(value, mask) for name, value in leg.parameters.items()},
        )

    def _address(self, address: str) -> str:
        return address if self._redaction.numbers == "none" else conceal_secrets(mask_address(address))


def _by_value(text: str, mask: _Change) -> str:
    """Returns a text with secrets hidden and numbers masked; of JSON the strings and numbers, so that it stays JSON."""
    if not _is_json(text):
        return mask(conceal_secrets(text))
    keys: dict[str, str] = {}
    """What each key was before, since keys of one object must stay different."""

    def token(match: re.Match[str]) -> str:
        written, colon = match[1], match[2] or ""
        value = msgspec.json.decode(written, type=str) if written.startswith('"') else written
        changed = mask(conceal_secrets(value))
        if colon and keys.setdefault(changed, value) != value:
            changed = f"{changed} ({len(keys)})"
            keys[changed] = value
        return match[0] if changed == value else msgspec.json.encode(changed).decode() + colon

    return _JSON_TOKEN.sub(token, text)


def _is_json(text: str) -> bool:
    if not text.lstrip().startswith(("{", "[", '"')):
        return False
    try:
        msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return False
    return True
