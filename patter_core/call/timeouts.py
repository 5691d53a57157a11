"""How long a call may stay in each state. `CallState` says when the time is up, and `Call` acts on it."""

from __future__ import annotations

from patter_core.config import ConfiguredStruct, check_fields, check_ranges

__all__ = ["Deadlines"]


class Deadlines(ConfiguredStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long a call may stay in each state, in s."""

    route: float = 2.5
    """For a plugin's `patter_route_call`, or a function that `Patter.serve` was given, to decide who takes a call. The
    caller hears it ring meanwhile."""
    answer: float = 30.0
    """For the carrier to report that an outbound call was not answered, beyond its ring timeout."""
    media_start: float = 10.0
    """From the arrival of the call to the carrier's audio, beside the time that the carrier takes for a notice."""
    media_return: float = 8.0
    """From the loss of the carrier's audio to its return."""
    engine_connect: float = 2.5
    """From the carrier's audio, or from the loss of the conversation, to a ready engine, all attempts together. The
    caller hears nothing meanwhile."""
    reply: float = 12.0
    """From what the caller said to the agent's first audio or tool: a session that gives neither is opened anew. 0: no
    limit. An engine whose audio never stops may answer nothing: one that gives no audio for so long is opened anew."""
    carrier_silence: float = 10.0
    """Without a message from the carrier while the call is live. Frames come every 20 ms; a carrier that sends none
    while the caller is silent is asked for a sign of life at half of that."""
    last_word: float = 15.0
    """For the last word to be played, when the agent or the host ends the call."""
    transfer: float = 30.0
    """For the carrier to carry out a transfer, once the last word was heard."""
    longest_call: float = 4 * 3600.0
    """From the carrier's first audio to the last word."""

    def __post_init__(self) -> None:
        check_fields(self)
        check_ranges(
            self,
            above_zero=("route", "media_start", "engine_connect", "carrier_silence", "transfer", "longest_call"),
        )
