"""Plays the page and its web server for tests and the demo: signed requests, and media sockets in real time."""

from __future__ import annotations

from patter_browser.testing.call import BrowserCall
from patter_browser.testing.emulator import BrowserEmulator
from patter_browser.testing.stream import BrowserStream

__all__ = ["BrowserCall", "BrowserEmulator", "BrowserStream"]
