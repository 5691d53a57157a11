"""Where carriers reach a phone that is served: told to its user, or to the carriers themselves."""

from __future__ import annotations

from collections.abc import Mapping

from patter_core.carrier import Carrier
from patter_core.config import ways_to_set
from patter_core.errors import ConfigurationError
from patter_core.observe.terminal import print_whole
from patter_core.telephony.control import Capability
from patter_core.telephony.numbers import voice_path

__all__ = ["check_configurable", "configure_numbers", "print_ready", "ready_text"]


def check_configurable(carriers: Mapping[str, Carrier], numbers: Mapping[str, str], base: str) -> None:
    """Checks that numbers can be pointed here.

    Raises:
        CallError: a carrier cannot do it.
        ConfigurationError: there is no number, or no public address.
    """
    for name in numbers or carriers:
        carriers[name].require(Capability.CONFIGURE_NUMBER)
    for is_set, name in ((bool(numbers), "phone_number"), (bool(base), "webhook_url")):
        if not is_set:
            raise ConfigurationError(f"configure_number needs {name}.", expected=ways_to_set(name))


async def configure_numbers(carriers: Mapping[str, Carrier], numbers: Mapping[str, str], base: str) -> None:
    """Has each carrier point its number at the public address.

    Raises:
        CarrierRequestFailed: one refused.
    """
    for name, number in numbers.items():
        await carriers[name].set_voice_url(number, base + voice_path(name))


def ready_text(carriers: Mapping[str, Carrier], url: str, base: str) -> str:
    """Returns where the server listens, and what is to be pointed there at the carriers: one line, or more.

    Args:
        carriers: of the phone, by their names.
        url: where it listens.
        base: the public address; "" if it is not configured.
    """
    seen = "" if base else " (as seen from outside)"
    webhooks: dict[str, list[str]] = {}
    for name, one in carriers.items():
        if not one.own_page:
            webhooks.setdefault(one.voice_setting, []).append(f"{(base or url) + voice_path(name)}{seen}")
    pointed = ", and ".join(f"{setting} at {' and '.join(urls)}" for setting, urls in webhooks.items())
    point = f"\nPoint {pointed}." if pointed else ""
    plain = f"\n{base} is not https: carriers of telephone calls do not reach it." if base.startswith("http:") else ""
    return f"Ready for calls at {url}.{point}{plain}"


def print_ready(carriers: Mapping[str, Carrier], url: str, base: str) -> None:
    """Prints that, on standard error."""
    print_whole(ready_text(carriers, url, base))
