"""What `patter doctor` checks beside the phone: the installation, this machine, and the public address."""

from __future__ import annotations

import email.utils
import importlib.metadata
import time
from collections.abc import AsyncIterator, Iterator

from patter_core.checks import CheckResult, Level
from patter_core.net.http import send_request
from patter_core.observe.terminal import counted
from patter_core.registry import Registry
from patter_core.server.descriptors import REMEDY, raise_limit, room_in

__all__ = ["check_clock", "check_descriptors", "check_foreign", "check_plugins", "check_public_address"]

_SKEW = 5.0
"""Seconds by which the clock may be off. Signatures hold a time, and carriers accept some minutes."""
_NOT_OURS = "getpatter"
"""The name of another project's distribution, on a package index. Its package and that of our bundle have one name."""


def check_plugins(registry: Registry) -> list[CheckResult]:
    """Finds plugins that are installed and could not be joined."""
    if not registry.plugins:
        return [CheckResult(Level.PROBLEM, "No plugin is installed.", "The README says how to install them.")]
    return [
        CheckResult(Level.WARNING, f"The plugin {plugin.name} of {plugin.distribution} is not joined: {plugin.problem}")
        for plugin in registry.plugins
        if not plugin.joined
    ] or [CheckResult(Level.OK, f"{counted(len(registry.plugins), 'plugin is', 'plugins are')} joined.")]


def check_descriptors(calls: int) -> CheckResult:
    """Compares the file descriptors of a process with what that many calls need."""
    room = room_in(raise_limit())
    what = f"{room.calls} calls at once fit into {room.descriptors} file descriptors."
    if room.calls < calls:
        return CheckResult(Level.WARNING, f"Only {what} Limits.calls is {calls}.", REMEDY)
    return CheckResult(Level.OK, f"At least {calls} calls at once fit into {room.descriptors} file descriptors.")


def check_foreign() -> Iterator[CheckResult]:
    """Finds another project's distribution in this environment, whose files replace those of our bundle."""
    try:
        version = importlib.metadata.version(_NOT_OURS)
    except importlib.metadata.PackageNotFoundError:
        return
    yield CheckResult(
        Level.PROBLEM,
        f"{_NOT_OURS} {version} is installed, which is another project: its package replaces that of patter-all.",
        f"Run `pip uninstall {_NOT_OURS}`, then install patter-all anew.",
    )


async def check_public_address(base: str, setting: str) -> AsyncIterator[CheckResult]:
    """Asks the public address whether Patter is there; "" if there is none. Compares the clocks.

    Args:
        base: the address.
        setting: what sets it.
    """
    if not base:
        yield CheckResult(
            Level.WARNING,
            "No public address is set, so neither it nor the clock could be checked.",
            f"Incoming calls work without one; for outgoing calls set {setting}.",
        )
        return
    if base.startswith("http:"):
        yield CheckResult(Level.WARNING, "The public address is not https.", "Carriers stream audio over TLS only.")
    began = time.time()
    try:
        answer = await send_request("GET", f"{base}/health/live", headers={})
    except OSError as error:
        yield CheckResult(
            Level.UNKNOWN,
            f"The public address does not answer from here ({error}).",
            "Start `patter serve`, and your tunnel or proxy, and run this again.",
        )
        return
    if answer.status == 200 and answer.body == b"live":
        yield CheckResult(Level.OK, "The public address leads to Patter.")
    else:
        yield CheckResult(
            Level.PROBLEM,
            f"Something other than Patter answers at the public address (status {answer.status}).",
            "Point your tunnel or proxy at the port that `patter serve` listens on, without changing the path.",
        )
    yield check_clock(answer.headers.get("date", ""), (began + time.time()) / 2)


def check_clock(date: str, now: float) -> CheckResult:
    """Compares this machine's clock with the Date header of an answer, whose resolution is a second."""
    try:
        skew = email.utils.parsedate_to_datetime(date).timestamp() + 0.5 - now
    except ValueError:
        return CheckResult(Level.WARNING, "The clock could not be checked: the public address sends no Date header.")
    if abs(skew) <= _SKEW:
        return CheckResult(Level.OK, "The clock agrees with the public address's.")
    return CheckResult(
        Level.PROBLEM,
        f"The clock is {abs(skew):.0f} s {'behind' if skew > 0 else 'ahead of'} the public address's.",
        "Synchronize it with NTP: signatures and stream tokens hold a time.",
    )
