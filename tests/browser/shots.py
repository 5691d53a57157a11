"""Takes pictures of the phone's page as it is used: `python -m tests.browser.shots FOLDER`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import anyio
import msgspec
from playwright.async_api import Page, expect

from patter_core.audio import AudioChunk, AudioFormat, Encoding
from patter_core.audio.transcode import transcode
from patter_core.events import ResponseDone, TranscriptCorrection, TranscriptInput, TranscriptOutput
from patter_core.testing.fakes import FakeSession
from patter_core.testing.speech import CALLER_LINES, GREETING
from tests.browser.chromium import FAKE_MICROPHONE, Scheme, Watched, chromium
from tests.browser.phone import FORMAT, BrowserPhone, serving, write_wav

__all__ = ["take_pictures"]

_FILE_RATE = 48_000


class View(msgspec.Struct, frozen=True):
    """How somebody sees the page."""

    name: str
    scheme: Scheme
    size: tuple[int, int]


VIEWS = (
    View("light", "light", (1100, 720)),
    View("dark", "dark", (1100, 720)),
    View("phone-light", "light", (390, 844)),
    View("phone-dark", "dark", (390, 844)),
    View("small", "light", (320, 568)),
)
_SAID = (
    TranscriptOutput("Good evening, Trattoria Lucia. How can I help you?", turn="1"),
    TranscriptInput("I would like a table for two, tonight at seven."),
    TranscriptOutput("At seven we are full, but I can offer you a quarter to eight, or else", turn="2"),
    TranscriptCorrection("At seven we are full, but I can offer you a quarter to eight", turn="2"),
    TranscriptInput("A quarter to eight is fine."),
    TranscriptOutput("Wonderful. May I have your name, please?", turn="3"),
)


async def take_pictures(folder: Path) -> list[str]:
    """Takes them all, as PNG files. Returns what the pages complained of."""
    audio = transcode(CALLER_LINES[0].audio(FORMAT), FORMAT, AudioFormat(Encoding.PCM16, _FILE_RATE))
    with tempfile.TemporaryDirectory() as temporary:
        microphone = write_wav(Path(temporary) / "microphone.wav", audio, _FILE_RATE)
        async with serving() as phone, chromium(microphone=microphone) as browser:
            for number, view in enumerate(VIEWS):
                await _call(phone, browser, view, number, folder)
            complaints = list(browser.complaints)
        async with serving() as phone, chromium(FAKE_MICROPHONE[:1]) as browser:
            for view in VIEWS:
                page = await _open(phone, browser, view)
                await page.get_by_role("button", name="Call", exact=True).click()
                await expect(page.get_by_role("alert")).to_be_visible()
                await _picture(page, folder, view, "denied")
            return [*complaints, *browser.complaints]


async def _open(phone: BrowserPhone, browser: Watched, view: View) -> Page:
    return await browser.page(phone.url, scheme=view.scheme, size=view.size)


async def _call(phone: BrowserPhone, browser: Watched, view: View, number: int, folder: Path) -> None:
    page = await _open(phone, browser, view)
    await _picture(page, folder, view, "ready")
    session = await phone.call(page, number)
    _speak(session, _SAID)
    await expect(page.locator("#lines li")).to_have_count(5)
    await page.wait_for_timeout(1_500)
    await _picture(page, folder, view, "live")
    await page.get_by_role("button", name="Keys").click()
    for key in "42":
        await page.keyboard.press(key)
    await _picture(page, folder, view, "keys")
    await page.get_by_role("button", name="Keys").click()
    await page.get_by_text("Sound", exact=True).click()
    await page.get_by_role("button", name="Mute").click()
    await page.wait_for_timeout(300)
    await _picture(page, folder, view, "sound")
    session.end()
    await expect(page.locator("#status")).to_have_text("Call ended")
    await page.get_by_text("Sound", exact=True).click()
    await _picture(page, folder, view, "over")
    await page.context.close()


def _speak(session: FakeSession, events: Sequence[TranscriptInput | TranscriptOutput | TranscriptCorrection]) -> None:
    session.give(AudioChunk(GREETING.audio(FORMAT), FORMAT))
    session.give(ResponseDone())
    for event in events:
        session.give(event)


async def _picture(page: Page, folder: Path, view: View, what: str) -> None:
    await page.screenshot(path=folder / f"phone-{what}-{view.name}.png", full_page=True)


if __name__ == "__main__":
    Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    if found := anyio.run(take_pictures, Path(sys.argv[1])):
        sys.exit("\n".join(found))
