"""Removes from records what sinks must not see: phone numbers always, what was said if configured."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from patter_core.events import (
    CallAnnounced,
    CallEnded,
    CallEvent,
    DtmfReceived,
    Error,
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
from patter_core.observe.masking import mask_number, mask_numbers

__all__ = ["REDACTED", "Redaction"]

REDACTED = "[redacted]"

# Which fields hold what a person said or a tool got, and which hold texts of other programs.
_SAID: Mapping[type[CallEvent], tuple[str, ...]] = {
    TranscriptInput: ("text",),
    TranscriptOutput: ("text",),
    TranscriptCorrection: ("text", "original"),
    ResponseStart: ("text",),
    ToolCall: ("arguments",),
    ToolResult: ("result",),
    DtmfReceived: ("digit",),
}
_SENTENCES: Mapping[type[CallEvent], tuple[str, ...]] = {
    Error: ("message",),
    MediaTrouble: ("problem",),
    CallEnded: ("detail",),
    TransferDone: ("detail",),
}
_NUMBERS: Mapping[type[CallEvent], tuple[str, ...]] = {TransferStarted: ("to",), TransferDone: ("to",)}


class Redaction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What sinks must not see. Phone numbers are always masked, in every field."""

    transcripts: bool = False
    """Also remove what was said, what tools got and returned, and which keys were pressed."""

    def apply(self, record: Record) -> Record:
        """Returns the record as sinks may have it."""
        event = self._event(record.event)
        return record if event is record.event else msgspec.structs.replace(record, event=event)

    def _event(self, event: CallEvent) -> CallEvent:
        kind = type(event)
        if isinstance(event, CallAnnounced):
            return _announced(event)
        event = _changed(event, _SAID.get(kind, ()), _hide_text if self.transcripts else mask_numbers)
        event = _changed(event, _SENTENCES.get(kind, ()), mask_numbers)
        return _changed(event, _NUMBERS.get(kind, ()), mask_number)


def _changed(event: CallEvent, fields: tuple[str, ...], change: Callable[[str], str]) -> CallEvent:
    changes: dict[str, str] = {}
    for field in fields:
        text: str = getattr(event, field)
        changed = change(text)
        if changed != text:
            changes[field] = changed
    return msgspec.structs.replace(event, **changes) if changes else event


def _announced(event: CallAnnounced) -> CallAnnounced:
    leg = event.leg
    masked = msgspec.structs.replace(
        leg,
        from_number=mask_number(leg.from_number),
        to_number=mask_number(leg.to_number),
        parameters={name: mask_numbers(value) for name, value in leg.parameters.items()},
    )
    return msgspec.structs.replace(event, leg=masked)


def _hide_text(text: str) -> str:
    return REDACTED if text else text
