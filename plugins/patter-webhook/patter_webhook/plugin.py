"""The plugin: what the registry loads from the entry point."""

from __future__ import annotations

from patter_core.hookspecs import hookimpl
from patter_core.sink import EventSink
from patter_webhook.sink import WebhookSink

__all__ = ["patter_sinks", "patter_variables"]


@hookimpl
def patter_sinks() -> list[type[EventSink]]:
    """Offers webhooks."""
    return [WebhookSink]


@hookimpl
def patter_variables() -> list[str]:
    """Returns those of the receiver."""
    return ["PATTER_WEBHOOK_SINK_URL", "PATTER_WEBHOOK_SINK_SECRET"]
