"""The module behind the entry point `browser` of the group `patter`."""

from __future__ import annotations

from patter_browser.app import BrowserPhone
from patter_browser.carrier import Browser
from patter_core.app import WebApp
from patter_core.carrier import Carrier
from patter_core.hookspecs import hookimpl

__all__ = ["patter_apps", "patter_carriers", "patter_variables"]


@hookimpl
def patter_carriers() -> list[type[Carrier]]:
    """Returns the carrier."""
    return [Browser]


@hookimpl
def patter_apps() -> list[type[WebApp]]:
    """Returns the app that serves the page."""
    return [BrowserPhone]


@hookimpl
def patter_variables() -> list[str]:
    """Returns that of the secret."""
    return ["BROWSER_SECRET"]
