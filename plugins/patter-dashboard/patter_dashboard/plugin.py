"""The plugin: what the registry loads from the entry point."""

from __future__ import annotations

from patter_core.app import WebApp
from patter_core.hookspecs import hookimpl
from patter_dashboard.app import Dashboard

__all__ = ["patter_apps"]


@hookimpl
def patter_apps() -> list[type[WebApp]]:
    """Returns the dashboard."""
    return [Dashboard]
