"""One Chromium for the tests of a module: to start one takes longer than most tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, expect

from patter_core.audio import AudioFormat, Encoding
from patter_core.audio.transcode import transcode
from patter_core.testing.speech import CALLER_LINES
from tests.browser.chromium import Watched, chromium
from tests.browser.phone import FORMAT, BrowserPhone, serving, write_wav

SPEECH = CALLER_LINES[0].audio(FORMAT)[: FORMAT.size(1_500)]
_FILE = AudioFormat(Encoding.PCM16, 48_000)
expect.set_options(timeout=20_000)  # ms: the machine may be busy


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The tests of a module share an event loop: the browser's."""
    return "asyncio"


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    """Its microphone repeats speech and half a second of silence; phone.test is this machine."""
    audio = transcode(SPEECH, FORMAT, _FILE) + _FILE.silence * (_FILE.sample_rate // 2)
    microphone = write_wav(tmp_path_factory.mktemp("microphone") / "microphone.wav", audio, _FILE.sample_rate)
    async with chromium("--host-resolver-rules=MAP phone.test 127.0.0.1", microphone=microphone) as watched:
        yield watched.browser


@pytest.fixture
async def browser(shared: Browser) -> AsyncIterator[Watched]:
    async with Watched(shared).closing() as watched:
        yield watched
        assert not watched.complaints


@pytest.fixture
async def phone() -> AsyncIterator[BrowserPhone]:
    async with serving() as phone:
        yield phone
