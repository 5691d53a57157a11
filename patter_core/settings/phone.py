"""From settings to a phone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from patter_core.carrier import Carrier
from patter_core.errors import ConfigurationError
from patter_core.patter import Patter
from patter_core.registry import Registry
from patter_core.settings.model import PluginConfig, Settings
from patter_core.settings.objects import function_at
from patter_core.settings.plugins import make_apps, make_carrier, make_sinks, make_store
from patter_core.sink import EventSink

__all__ = ["make_carriers", "make_phone"]


def make_phone(
    registry: Registry,
    settings: Settings,
    *,
    carrier: Carrier | None = None,
    more_sinks: Sequence[EventSink] = (),
) -> Patter:
    """Returns the phone.

    Args:
        registry: the plugins.
        settings: of the phone.
        carrier: in place of those of the settings, whose numbers and public address it then does not have.
        more_sinks: beside those of the settings.

    Raises:
        ConfigurationError: a setting is wrong.
        PluginError: a carrier, sink or store is not installed.
    """
    callbacks = settings.callbacks
    return Patter(
        carrier=make_carriers(registry, settings) if carrier is None else carrier,
        phone_number=settings.phone_number if carrier is None else "",
        webhook_url=settings.webhook_url if carrier is None else "",
        notice=settings.notice,
        sinks=[*make_sinks(registry, settings.sinks), *more_sinks],
        store=make_store(registry, settings.store),
        apps=make_apps(registry, settings.apps) if carrier is None else [],
        apps_port=settings.apps_port,
        apps_access=settings.apps_access,
        redaction=settings.redaction,
        limits=settings.limits,
        deadlines=settings.deadlines,
        trust_forwarded=settings.trust_forwarded,
        several_workers=settings.several_workers,
        transport=settings.transport,
        registry=registry,
        on_call_start=_callback(callbacks.on_call_start),
        on_call_end=_callback(callbacks.on_call_end),
        on_transcript=_callback(callbacks.on_transcript),
        on_event=_callback(callbacks.on_event),
    )


def make_carriers(registry: Registry, settings: Settings) -> list[Carrier]:
    """Returns the carriers; raises as `make_phone`."""
    if settings.carriers and settings.carrier != PluginConfig():
        raise ConfigurationError("There is [carrier], and [[carriers]].", expected="one of the two")
    if settings.carriers:
        return [make_carrier(registry, config, "[[carriers]]") for config in settings.carriers]
    return [make_carrier(registry, settings.carrier)]


def _callback(path: str) -> Callable[..., object] | None:
    return function_at(path, where="[callbacks]") if path else None
