"""A conversation from the page with an agent that repeats what it hears: said, heard, interrupted, and written down."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from playwright.async_api import expect

from patter_browser import Browser
from patter_core import Patter
from patter_core.audio import AudioFormat, Encoding
from patter_core.testing.speech import GREETING, line
from patter_elevenlabs.testing import ElevenLabsEmulator
from tests.browser.chromium import chromium, needs_chromium
from tests.browser.phone import LISTEN, RATE, RAW_MICROPHONE, heard_in_page, page_of, write_wav

pytestmark = [pytest.mark.anyio, needs_chromium]

FILE = AudioFormat(Encoding.PCM16, 48_000)
BOOKING = line("booking")


async def test_who_talks_over_the_greeting_is_heard_and_answered(tmp_path: Path) -> None:
    said = FILE.silence * 72_000 + BOOKING.audio(FILE) + FILE.silence * 480_000  # 1.5 s, the line, 10 s
    microphone = write_wav(tmp_path / "microphone.wav", said, FILE.sample_rate)
    async with ElevenLabsEmulator() as service:
        phone = Patter(carrier=Browser())
        async with (
            page_of(phone, phone.agent(engine=service.engine())) as url,
            chromium(microphone=microphone) as browser,
        ):
            page = await browser.page(url, script=LISTEN + RAW_MICROPHONE)
            await page.get_by_role("button", name="Call", exact=True).click()
            lines = page.locator("#lines li")
            repeated = [f"You{BOOKING.text}", f"Agent{BOOKING.text}"]
            await expect(lines.filter(has_text=BOOKING.text)).to_have_text(repeated)
            await page.wait_for_timeout(1_000)
            await expect(lines.first).to_have_class("agent cut")  # the greeting
            audible = np.flatnonzero(np.abs(await heard_in_page(page)) > 0.01) / RATE
            assert not browser.complaints
    pauses = np.flatnonzero(np.diff(audible) > 1.0)
    greeting = audible[pauses[0]] - audible[0]
    assert greeting < FILE.duration_ms(len(GREETING.audio(FILE))) / 1000 - 1.0  # it was cut
    assert audible[-1] - audible[pauses[0] + 1] > 0.5  # and the answer is heard
