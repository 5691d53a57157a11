"""How much one worker takes on."""

from __future__ import annotations

import re

from patter_core.config import ConfiguredStruct, check_fields, check_ranges
from patter_core.errors import ConfigurationError
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.telephony.premium import PREMIUM_PREFIXES

__all__ = ["MAX_MESSAGE_BYTES", "Limits"]

MAX_MESSAGE_BYTES = 64 * 1024
"""The longest message taken from a carrier: 20 ms of audio are some 300 bytes."""
_PREFIX = re.compile(r"\+[0-9]{1,15}")


class Limits(ConfiguredStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much one worker takes on. None of it depends on a peer's address."""

    calls: int = 500
    """Concurrent calls; the next one is rejected as busy. A call that another worker lost, or accepted, is taken beyond
    it if its audio comes here."""
    calls_per_second: float = 50.0
    """New calls, on average; as many may come at once after a quiet time."""
    outbound_per_minute: int = 60
    """Calls that are made, by `Patter.call`."""
    destinations_per_hour: int = 500
    """Different numbers that are called, or that live calls are transferred to (`PhoneCall.transfer`, and tools)."""
    refused_prefixes: tuple[str, ...] = PREMIUM_PREFIXES
    """Beginnings of numbers to which no such call is made. By default the premium ranges of some countries; it is a net
    with holes: `patter_core.telephony.premium` says which."""
    prewarm: int = 50
    """Conversations that may be open before the caller's audio is here, so that the agent's first word is ready. Where
    there are several workers, none is."""
    message: int = MAX_MESSAGE_BYTES
    """Bytes of the longest message on a media socket; a longer one closes it. Enforced by `Patter.serve`; a server of
    your own has a setting for it."""
    drain: float = 30.0
    """Seconds that live calls may go on when the worker stops."""
    linger: float = 5.0
    """Seconds that the worker goes on answering after that: what carriers report of the last calls, and new calls,
    which come until the balancer knows that it stops."""
    flush: float = 5.0
    """Seconds that sinks then have for the records that wait."""
    after_drain: HangUp | Transfer = HangUp()
    """What is done with a call that is still live then, once the agent's last word was heard."""
    reconnects: int = 3
    """How often the carrier may bring a call's media again after it was lost. One comes back with each minute that the
    media lasts."""
    engine_minutes: float = 60.0
    """Minutes of conversation in one call: two machines can talk to each other for hours. `inf` for no limit."""
    after_minutes: HangUp | Transfer = HangUp("This call has reached its longest time. Goodbye.")
    """What is done with the caller then, once the agent's last word was heard."""
    price_after: tuple[float, ...] = (30.0, 120.0, 600.0)
    """Seconds after a call's end at which its carrier is asked for the price, until it knows it."""
    callback: float = 10.0
    """Seconds that a callback of the user may take, without what it waits in methods of the call."""

    def __post_init__(self) -> None:
        check_fields(self)
        check_ranges(self, above_zero=("calls", "calls_per_second", "message", "engine_minutes", "callback"))
        for prefix in self.refused_prefixes:
            if not _PREFIX.fullmatch(prefix):
                raise ConfigurationError(
                    "Limits(refused_prefixes=…) has an entry that begins no number.",
                    expected="a plus sign and digits, such as +1900",
                )
