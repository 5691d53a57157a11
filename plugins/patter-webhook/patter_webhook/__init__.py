"""Patter's call events as signed webhooks."""

from __future__ import annotations

from patter_webhook.signing import Secret, WebhookForged, verify
from patter_webhook.sink import WebhookSink

__all__ = ["Secret", "WebhookForged", "WebhookSink", "__version__", "verify"]

__version__ = "0.1.0"
