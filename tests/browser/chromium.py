"""Real Chromium for tests of pages: how it is started, what it may complain of, and what a page is checked for."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, BrowserContext, Page, Response, async_playwright

__all__ = ["CHROMIUM", "Scheme", "Watched", "axe_problems", "chromium", "needs_chromium"]

Scheme = Literal["light", "dark"]
"""Of colours."""
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or ""
AXE = os.environ.get("AXE_CORE", "")
"""The file axe.min.js of axe-core, which the session `browser` of nox brings; without it, pages are not audited."""

needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="there is no chromium; nox -s browser installs it")

FAKE_MICROPHONE = "--use-fake-device-for-media-stream"
"""One that plays a file, or beeps."""
_ALWAYS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking")
_RUN_AXE = """
    async () => (await axe.run(document, {resultTypes: ['violations']})).violations.map(
        (one) => `${one.id}: ${one.help}: ${one.nodes.map((node) => node.html.slice(0, 120)).join(' ')}`)
"""


class Watched:
    """A browser whose pages are watched: what one of them complains of is kept.

    Args:
        browser: the browser.
    """

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.complaints: list[str] = []
        """Errors and warnings of the console, exceptions, requests to another host than the page's, and pages without
        a strict policy for their content."""
        self.asked: list[str] = []
        """The addresses of all requests."""
        self._contexts: list[BrowserContext] = []

    @contextlib.asynccontextmanager
    async def closing(self) -> AsyncIterator[Watched]:
        """Closes the pages at the end, and leaves the browser open."""
        try:
            yield self
        finally:
            for context in self._contexts:
                await context.close()

    async def page(
        self,
        url: str,
        *,
        script: str = "",
        scheme: Scheme = "light",
        size: tuple[int, int] = (1100, 760),
        context: BrowserContext | None = None,
        reduced_motion: bool = False,
        microphone: bool = True,
    ) -> Page:
        """Opens a page.

        Args:
            url: its address.
            script: run before its own scripts.
            scheme: of its colours.
            size: of the window, in px.
            context: with the cookies and the storage of other pages; by default a new one.
            reduced_motion: the person at it wants no motion.
            microphone: the person allows it.
        """
        if context is None:
            context = await self.browser.new_context(
                color_scheme=scheme,
                viewport={"width": size[0], "height": size[1]},
                reduced_motion="reduce" if reduced_motion else "no-preference",
                permissions=["microphone"] if microphone else [],
            )
            self._contexts.append(context)
        page = await context.new_page()
        if script:
            await page.add_init_script(script)
        page.on("console", lambda message: self._complain(message.type, message.text))
        page.on("pageerror", lambda error: self._complain("error", str(error)))
        page.on("request", lambda request: self._asked(url, request.url))
        page.on("websocket", lambda socket: self._asked(url, socket.url))
        page.on("response", self._answered)
        await page.goto(url)
        return page

    def _asked(self, page: str, url: str) -> None:
        self.asked.append(url)
        asked = urlsplit(url)
        if asked.scheme in {"http", "https", "ws", "wss"} and asked.netloc != urlsplit(page).netloc:
            self.complaints.append(f"The page asks another host: {url}")

    def _answered(self, answer: Response) -> None:
        policy = answer.headers.get("content-security-policy", "")
        if answer.request.is_navigation_request() and ("default-src 'none'" not in policy or "unsafe" in policy):
            self.complaints.append(f"A page has no strict policy: {answer.url}: {policy!r}")

    def _complain(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"}:
            self.complaints.append(text)


@contextlib.asynccontextmanager
async def chromium(*flags: str, microphone: Path | None = None) -> AsyncIterator[Watched]:
    """A Chromium, for as long as the context lasts.

    Args:
        flags: more of them.
        microphone: what its microphone plays, again and again: a WAV file of 16 bits. By default there is none.
    """
    device = () if microphone is None else (FAKE_MICROPHONE, f"--use-file-for-fake-audio-capture={microphone}")
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=[*_ALWAYS, *device, *flags])
        try:
            yield Watched(browser)
        finally:
            await browser.close()


@functools.cache
def _axe() -> str:
    return Path(AXE).read_text(encoding="utf-8")


async def axe_problems(page: Page) -> list[str]:
    """Returns what axe-core finds wrong with a page as it is now; nothing where axe-core is not here."""
    if not AXE:
        return []
    await page.evaluate(_axe())
    found: list[str] = await page.evaluate(_RUN_AXE)
    return found
