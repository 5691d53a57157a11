"""A leg: one call as its carrier knows it."""

from __future__ import annotations

import enum

import msgspec

__all__ = ["Direction", "Leg"]


class Direction(enum.StrEnum):
    """Who called whom."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class Leg(msgspec.Struct, frozen=True, kw_only=True):
    """One call as its carrier knows it. Numbers are kept out of its `repr`, and so out of logs."""

    carrier: str
    """The carrier's name in the registry."""
    call_id: str
    """The carrier's own id of the call."""
    direction: Direction = Direction.INBOUND
    from_number: str = ""
    """The caller, as the carrier writes it: E.164, a SIP address, or "anonymous"."""
    to_number: str = ""
    """The called number, as the carrier writes it."""
    parameters: dict[str, str] = {}
    """What else was said of the call: custom parameters, by name."""

    def __repr__(self) -> str:
        return f"<Leg {self.carrier} {self.direction.value} {self.call_id}>"
