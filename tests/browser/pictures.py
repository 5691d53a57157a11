"""Takes pictures of all pages as they are used: `python -m tests.browser.pictures FOLDER DOCS`.

FOLDER gets each page in light and dark, wide and on a phone, to be looked at. DOCS gets the few that the
documentation shows.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import anyio
import msgspec
from playwright.async_api import FloatRect, Page, expect

from patter_core.apps.access import AppAccess
from patter_core.apps.front import Front
from patter_core.audio import AudioChunk, AudioFormat, Encoding
from patter_core.audio.transcode import transcode
from patter_core.events import ResponseDone, TranscriptCorrection, TranscriptInput, TranscriptOutput
from patter_core.server.serving import serve_app
from patter_core.testing.fakes import FakeSession
from patter_core.testing.speech import CALLER_LINES, WELCOME, line
from patter_dashboard import Dashboard
from tests.browser.chromium import Scheme, Watched, chromium
from tests.browser.phone import FORMAT, BrowserPhone, serving, write_wav
from tests.browser.scenery import restaurant

__all__ = ["take_pictures"]

_FILE_RATE = 48_000
_FADES = 400
"""ms, after which a button has its new colour."""


class View(msgspec.Struct, frozen=True):
    """How somebody sees the page."""

    name: str
    scheme: Scheme
    size: tuple[int, int]


VIEWS = (
    View("light", "light", (1100, 780)),
    View("dark", "dark", (1100, 780)),
    View("phone-light", "light", (390, 844)),
    View("phone-dark", "dark", (390, 844)),
)
DASHBOARD = {"calls": "#/", "call": "#/call/booking", "failed": "#/call/failed", "live": "#/call/live-0"}
DASHBOARD |= {"figures": "#/figures", "system": "#/system"}
SHOWN = {
    "browser-phone": "phone-live-light",
    "dashboard": "dashboard-calls-light-top",
    "dashboard-call": "dashboard-call-light-top",
    "dashboard-figures": "dashboard-figures-light-top",
}
"""What the documentation shows, and which picture it is."""
_SAID = (
    TranscriptOutput(WELCOME.text, turn="1"),
    TranscriptInput(line("booking").text),
    TranscriptOutput(line("offer").text, turn="2"),
    TranscriptCorrection("Certainly, a table for two this evening.", turn="2"),
    TranscriptInput(line("correction").text),
    TranscriptOutput(line("three").text, turn="3"),
)


_TOP = dict.fromkeys(DASHBOARD, 780) | {"call": 1330}
"""Pixels of each page's upper part, for the documentation."""


async def take_pictures(folder: Path) -> list[str]:
    """Takes them all, as PNG files. Returns what the pages complained of."""
    audio = transcode(CALLER_LINES[0].audio(FORMAT), FORMAT, AudioFormat(Encoding.PCM16, _FILE_RATE))
    with tempfile.TemporaryDirectory() as temporary:
        microphone = write_wav(Path(temporary) / "microphone.wav", audio, _FILE_RATE)
        async with chromium(microphone=microphone) as browser:
            async with serving() as phone:
                for number, view in enumerate(VIEWS):
                    await _call(phone, browser, view, number, folder)
            async with dashboard(Path(temporary)) as url:
                for view in VIEWS:
                    await _dashboard(url, browser, view, folder)
            return browser.complaints


@contextlib.asynccontextmanager
async def dashboard(folder: Path) -> AsyncIterator[str]:
    """Serves a dashboard with calls; gives its address. Who comes is let in."""
    app, phone = Dashboard(), restaurant(folder, time.time())
    access = AppAccess().resolved()
    front = Front(
        {app.name: app.asgi(phone)}, titles={}, access=access, key=bytes(32), authenticate=lambda _scope: "ada"
    )
    async with serve_app(front) as url:
        try:
            yield f"{url}/{app.name}/"
        finally:
            phone.ring.close()


async def _dashboard(url: str, browser: Watched, view: View, folder: Path) -> None:
    page = await browser.page(url, scheme=view.scheme, size=view.size)
    for name, path in DASHBOARD.items():
        await page.goto(f"{url}{path}")
        await expect(page.locator("h1")).to_be_visible()
        await page.wait_for_load_state("load")
        await page.wait_for_timeout(700)  # charts and waves are drawn
        top: FloatRect = {"x": 0, "y": 0, "width": view.size[0], "height": _TOP[name]}
        await page.screenshot(path=folder / f"dashboard-{name}-{view.name}-top.png", full_page=True, clip=top)
        await _picture(page, folder, view, f"dashboard-{name}")
    await page.context.close()


async def _call(phone: BrowserPhone, browser: Watched, view: View, number: int, folder: Path) -> None:
    denied = await browser.page(phone.url, scheme=view.scheme, size=view.size, microphone=False)
    await denied.get_by_role("button", name="Call", exact=True).click()
    await expect(denied.get_by_role("alert")).to_be_visible()
    await denied.wait_for_timeout(_FADES)
    await _picture(denied, folder, view, "phone-denied")
    await denied.context.close()
    page = await browser.page(phone.url, scheme=view.scheme, size=view.size)
    await _picture(page, folder, view, "phone-ready")
    session = await phone.call(page, number)
    _speak(session, _SAID)
    await expect(page.locator("#lines li")).to_have_count(5)
    await page.wait_for_timeout(1_500)
    await _picture(page, folder, view, "phone-live")
    await page.get_by_role("button", name="Keys").click()
    for key in "42":
        await page.keyboard.press(key)
    await _picture(page, folder, view, "phone-keys")
    await page.get_by_role("button", name="Keys").click()
    await page.get_by_text("Sound", exact=True).click()
    await page.get_by_role("button", name="Mute").click()
    await page.wait_for_timeout(_FADES)
    await _picture(page, folder, view, "phone-sound")
    session.end()
    await expect(page.locator("#status")).to_have_text("Call ended")
    await page.get_by_text("Sound", exact=True).click()
    await page.wait_for_timeout(_FADES)
    await _picture(page, folder, view, "phone-over")
    await page.context.close()


def _speak(session: FakeSession, events: Sequence[TranscriptInput | TranscriptOutput | TranscriptCorrection]) -> None:
    session.give(AudioChunk(WELCOME.audio(FORMAT), FORMAT))
    session.give(ResponseDone())
    for event in events:
        session.give(event)


async def _picture(page: Page, folder: Path, view: View, what: str) -> None:
    await page.screenshot(path=folder / f"{what}-{view.name}.png", full_page=True)


if __name__ == "__main__":
    pictures, shown = Path(sys.argv[1]), Path(sys.argv[2])
    pictures.mkdir(parents=True, exist_ok=True)
    if found := anyio.run(take_pictures, pictures):
        sys.exit("\n".join(found))
    for name, picture in SHOWN.items():
        shutil.copy(pictures / f"{picture}.png", shown / f"{name}.png")
