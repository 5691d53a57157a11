"""W3C Trace Context for a call: https://www.w3.org/TR/trace-context/, version 00."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Self

import msgspec

__all__ = ["TraceContext"]

_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")
_TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")


class TraceContext(msgspec.Struct, frozen=True):
    """A trace, and the span in it that stands for the call on this worker."""

    trace_id: str
    """32 hexadecimal digits."""
    span_id: str
    """16 hexadecimal digits."""

    @classmethod
    def of_call(cls, call_id: str) -> Self:
        """A new span. The trace is the call's: whichever worker takes the call writes into the same one."""
        known = _TRACE_ID.fullmatch(call_id)
        trace_id = call_id if known else hashlib.sha256(call_id.encode()).hexdigest()[:32]
        return cls(trace_id, secrets.token_bytes(8).hex())

    @classmethod
    def parse(cls, traceparent: str) -> Self | None:
        """What a `traceparent` says; None if it says nothing valid."""
        match = _TRACEPARENT.fullmatch(traceparent)
        return cls(match[1], match[2]) if match else None

    @property
    def traceparent(self) -> str:
        """The header's value; the call is sampled."""
        return f"00-{self.trace_id}-{self.span_id}-01"
