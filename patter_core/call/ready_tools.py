"""Tools that many agents need: to hang up, to transfer, to press and to collect keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from patter_core.call.handle import PhoneCall
from patter_core.errors import CallError, ConfigurationError
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.tools.tool import Tool

__all__ = ["collect_keys_tool", "hang_up_tool", "press_keys_tool", "transfer_tool"]

_HANG_UP = "End the call. Use it when the conversation is over, and say goodbye."
_TRANSFER = "Transfer the call. Tell the caller before to whom."
_PRESS_KEYS = "Press keys on the phone, such as to choose from a menu that a machine reads out."
_COLLECT_KEYS = "Wait until the caller has pressed keys on their phone. Ask them to before."
_MARGIN = 5.0
"""Seconds that a tool has beyond the time for the keys."""
_Keys = Annotated[
    str,
    msgspec.Meta(
        pattern="^[0-9*#w]{1,64}$", description="Keys in order: 0-9, *, #, and w for a pause of half a second."
    ),
]


def hang_up_tool(*, name: str = "hang_up", description: str = "") -> Tool:
    """Returns a tool that ends the call, once the caller has heard what the agent says last.

    Args:
        name: what the agent calls it.
        description: when to use it; by default when the conversation is over.
    """
    return Tool.of(_hang_up, name=name, description=description or _HANG_UP)


def transfer_tool(destinations: Mapping[str, str], *, name: str = "transfer_call", description: str = "") -> Tool:
    """Returns a tool that transfers the call, once the caller has heard what the agent says last.

    The agent chooses a name and never a number, so that no caller can talk it into one of theirs.

    Args:
        destinations: numbers in E.164 or SIP addresses, by names such as `sales`.
        name: what the agent calls the tool.
        description: when to use it.

    Raises:
        ConfigurationError: there is no destination, or one is no number.
    """
    if not destinations:
        raise ConfigurationError("transfer_tool() has no destination.", expected='transfer_tool({"sales": "+1…"})')
    transfers = {destination: Transfer(number) for destination, number in destinations.items()}

    def transfer(to: str) -> Transfer:
        """Returns what ends the call."""
        return transfers[to]

    transfer.__annotations__["to"] = Literal[tuple(transfers)]
    return Tool.of(transfer, name=name, description=description or _TRANSFER)


def press_keys_tool(*, name: str = "press_keys", description: str = "") -> Tool:
    """Returns a tool that presses keys on the call, for menus of a machine at the other end.

    Args:
        name: what the agent calls it.
        description: when to use it.
    """
    return Tool.of(_press_keys, name=name, description=description or _PRESS_KEYS)


def collect_keys_tool(
    count: int, *, timeout: float = 20.0, finish_on: str = "#", name: str = "collect_keys", description: str = ""
) -> Tool:
    """Returns a tool that takes keys from the caller, such as a number that is better typed than said.

    Args:
        count: how many keys at most.
        timeout: s for all of them.
        finish_on: keys that end it before.
        name: what the agent calls it.
        description: what is asked for.
    """

    async def collect_keys(call: PhoneCall) -> str:
        """Returns the keys in words."""
        keys = await call.collect_keys(count, timeout=timeout, finish_on=finish_on)
        return f"The caller pressed {keys}" if keys else "The caller pressed no keys."

    return Tool.of(collect_keys, name=name, description=description or _COLLECT_KEYS, timeout=timeout + _MARGIN)


def _hang_up() -> HangUp:
    """Returns what ends the call."""
    return HangUp()


async def _press_keys(keys: _Keys, call: PhoneCall) -> str:
    """Presses keys, while the caller presses none."""
    if call.is_collecting_keys:
        raise CallError("The caller is pressing keys at the moment, so none can be pressed.", remedy="Try again later.")
    await call.send_dtmf(keys)
    return "The keys were pressed."
