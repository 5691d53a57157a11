"""Calls from the page of `Browser()`, in a real Chromium, with a file as the microphone."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import numpy as np
import pytest
from anyio.abc import Process
from anyio.streams.text import TextReceiveStream
from playwright.async_api import Page, Route, expect

from patter_core.audio import AudioChunk
from patter_core.engine import Heard
from patter_core.events import (
    CallEnded,
    Interruption,
    ResponseDone,
    TranscriptCorrection,
    TranscriptInput,
    TranscriptOutput,
)
from patter_core.testing.fakes import FakeSession
from patter_core.testing.network import free_port
from patter_core.testing.speech import GREETING
from tests.browser.chromium import Watched, axe_problems, chromium, needs_chromium
from tests.browser.fixtures import SPEECH
from tests.browser.phone import (
    FORMAT,
    RATE,
    RAW_MICROPHONE,
    BrowserPhone,
    Samples,
    heard_in_page,
    samples_of,
)
from tests.polling import until

SECRET, KEY = "a secret that several workers share", bytes(range(32)).hex()

pytestmark = [pytest.mark.anyio, needs_chromium]

ROOT = Path(__file__).parents[2]
_SLOW_MICROPHONE = """
const ask = MediaDevices.prototype.getUserMedia;
MediaDevices.prototype.getUserMedia = async function (...what) {
  await new Promise((resolve) => setTimeout(resolve, 400));
  const stream = await ask.apply(this, what);
  setTimeout(() => (document.body.dataset.tracks = stream.getAudioTracks()[0].readyState), 500);
  return stream;
};
"""
_NEVER_CLOSED = "WebSocket.prototype.close = () => {};"
"""A network that is gone takes the closing frame, or the answer to it, with it."""
_NETWORK_CHANGES = "for (const change of ['offline', 'online']) dispatchEvent(new Event(change))"
_KEEP_LEVELS = """
window.levels = { 'your-level': [], 'agent-level': [] };
const keep = (changes) => changes.forEach(({ target }) => levels[target.id]?.push(target.ariaValueNow));
new MutationObserver(keep).observe(document.body, { subtree: true, attributeFilter: ['aria-valuenow'] });
"""
CALL, HANG_UP = "Call", "Hang up"


def say(session: FakeSession, audio: bytes) -> None:
    session.give(AudioChunk(audio, FORMAT))


async def status(page: Page, text: str) -> None:
    await expect(page.locator("#status")).to_have_text(text)


async def press(page: Page, name: str) -> None:
    await page.get_by_role("button", name=name, exact=True).click()


def place_of(wanted: Samples, heard: Samples) -> tuple[int, float]:
    """Returns where in `heard` a sound is, and how alike they are there: 1 for the same sound, louder or softer."""
    size = 1 << (len(heard) + len(wanted)).bit_length()
    products = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(wanted, size)), size)
    at = int(np.argmax(products[: len(heard) - len(wanted)]))
    part = heard[at : at + len(wanted)]
    return at, float(np.dot(part, wanted) / (np.linalg.norm(part) * np.linalg.norm(wanted)))


# --- what is heard -------------------------------------------------------------------------------------------------


async def test_the_engine_hears_the_microphone(phone: BrowserPhone, browser: Watched) -> None:
    page = await phone.open(browser, script=RAW_MICROPHONE)
    session = await phone.call(page)
    said = np.frombuffer(SPEECH, np.int16).astype(np.float64) / 32768
    needed = 2 * (2 * len(said) + RATE)  # the file may be in the middle when the call begins
    await until(lambda: sum(chunk.size for chunk in session.received) >= needed, within=30)
    heard = samples_of(session.received)
    _, alike = place_of(said, heard)
    assert alike > 0.99
    assert {chunk.size for chunk in session.received} == {FORMAT.size(20)}


async def test_the_page_plays_what_the_agent_says_to_the_sample(phone: BrowserPhone, browser: Watched) -> None:
    page = await phone.open(browser)
    session = await phone.call(page)
    words = GREETING.audio(FORMAT)[: FORMAT.size(1_500)]
    say(session, words)
    session.give(ResponseDone())
    (told,) = await told_of(session)
    assert [(item.heard_ms, item.sent_ms) for item in told.items] == [(1_500.0, 1_500.0)]
    await anyio.sleep(0.2)  # what was played is told in pieces
    said = np.frombuffer(words, np.int16).astype(np.float64) / 32768
    heard = await heard_in_page(page)
    at, _ = place_of(said, heard)
    assert np.array_equal(heard[at : at + len(said)], said)  # no gap, no click, no sample changed
    assert not np.any(heard[:at])
    assert not np.any(heard[at + len(said) :])


async def told_of(session: FakeSession, count: int = 1) -> list[Heard]:
    await until(lambda: len(session.told) >= count)
    return session.told


async def test_talking_over_the_agent_stops_it_within_100_ms(phone: BrowserPhone, browser: Watched) -> None:
    page = await phone.open(browser)
    session = await phone.call(page)
    for _ in range(4):
        say(session, GREETING.audio(FORMAT))
    await page.wait_for_timeout(1_500)
    before: float = await page.evaluate("heard.context.currentTime")
    session.give(Interruption())
    (told,) = await told_of(session)
    assert told.interrupted
    await page.wait_for_timeout(500)
    heard = await heard_in_page(page)
    last = int(np.flatnonzero(heard)[-1])
    from_: float = await page.evaluate("heard.from")
    stopped = from_ + last / RATE
    assert stopped - before < 0.1
    first = int(np.flatnonzero(heard)[0])
    played_ms = (last - first) * 1000 / RATE
    assert 0.5 * played_ms < told.items[0].heard_ms <= played_ms + 150  # what is told as heard was played


async def test_silence_is_sent_while_the_microphone_is_muted(phone: BrowserPhone, browser: Watched) -> None:
    page = await phone.open(browser)
    session = await phone.call(page)
    await until(lambda: any(any(chunk.data) for chunk in session.received))
    await page.keyboard.press("m")
    await expect(page.get_by_role("button", name="Mute")).to_have_attribute("aria-pressed", "true")
    await page.wait_for_timeout(200)
    muted_from = len(session.received)
    await until(lambda: len(session.received) > muted_from + 50)
    assert not any(any(chunk.data) for chunk in session.received[muted_from:])  # frames go on
    await press(page, "Mute")
    await until(lambda: any(any(chunk.data) for chunk in session.received[-5:]))


async def test_half_duplex_does_not_listen_while_the_agent_speaks(phone: BrowserPhone, browser: Watched) -> None:
    page = await phone.open(browser, script="localStorage.setItem('patter-half-duplex', 'true');")
    session = await phone.call(page)
    await until(lambda: any(any(chunk.data) for chunk in session.received))
    say(session, GREETING.audio(FORMAT)[: FORMAT.size(1_500)])
    await page.wait_for_timeout(600)
    mark = len(session.received)
    await page.wait_for_timeout(400)
    assert not any(any(chunk.data) for chunk in session.received[mark:])
    await until(lambda: any(any(chunk.data) for chunk in session.received[-5:]))  # and again after it


# --- what is seen and done -----------------------------------------------------------------------------------------


async def test_the_transcript_shows_what_is_said_as_text(phone: BrowserPhone, browser: Watched) -> None:
    page = await phone.open(browser)
    session = await phone.call(page)
    hostile = "<img src=x onerror=alert(1)><b>tonight</b>"
    for event in (
        TranscriptOutput("How can I help you today?", turn="1"),
        TranscriptInput(hostile),
        TranscriptOutput("A table for two, at seven?", turn="2"),
        TranscriptCorrection("A table", turn="2"),
    ):
        session.give(event)
    lines = page.locator("#lines li")
    await expect(lines).to_have_text(["AgentHow can I help you today?", f"You{hostile}", "AgentA table"])
    await expect(lines.nth(2)).to_have_class("agent cut")
    assert await page.locator("#lines img, #lines b").count() == 0
    assert not await axe_problems(page)


async def test_meters_move_with_each_side_and_are_still_without(phone: BrowserPhone, browser: Watched) -> None:
    page = await phone.open(browser, script=RAW_MICROPHONE)
    yours, agents = page.locator("#your-level"), page.locator("#agent-level")
    session = await phone.call(page)
    await page.evaluate(_KEEP_LEVELS)
    await expect(yours).to_have_attribute("aria-valuenow", re.compile(r"^[5-9]\d$"))  # the file says something
    await expect(yours).to_have_attribute("aria-valuenow", "0")  # and pauses
    assert set(await page.evaluate("levels['agent-level']")) == {"0"}
    await press(page, "Mute")
    await page.evaluate("levels['your-level'].length = 0")
    tone = 16_384 * np.sin(np.arange(RATE) * 2 * np.pi * 400 / RATE)
    say(session, tone.astype(np.int16).tobytes())
    await expect(agents).to_have_attribute("aria-valuenow", re.compile("^8[56]$"))  # 9 dB of 60 below full scale
    await expect(agents).to_have_attribute("aria-valuenow", "0")
    assert set(await page.evaluate("levels['your-level']")) == {"0"}  # though the file has gone on for a second


async def test_keys_reach_the_agent(phone: BrowserPhone, browser: Watched) -> None:
    page = await phone.open(browser)
    session = await phone.call(page)
    await press(page, "Keys")
    await press(page, "5")
    await page.keyboard.press("#")
    await until(lambda: session.digits == ["5", "#"])
    await expect(page.locator("#pressed")).to_have_text("5#")
    assert not await axe_problems(page)


async def test_either_side_hangs_up(phone: BrowserPhone, browser: Watched) -> None:
    page = await phone.open(browser)
    await phone.call(page)
    await press(page, HANG_UP)
    await status(page, "Call ended")
    assert await end_of(phone, 1) == "caller_hung_up"
    session = await phone.call(page, 1)
    session.end()
    await status(page, "Call ended")
    assert await end_of(phone, 2) == "agent_hung_up"
    await expect(page.locator("#lines li").last).to_have_text("The agent has hung up.")


async def end_of(phone: BrowserPhone, count: int) -> str:
    with anyio.fail_after(10):
        event = (await phone.sink.wait_for("call_ended", count))[-1].event
    assert isinstance(event, CallEnded)
    return event.reason


async def test_who_leaves_the_page_hangs_up(phone: BrowserPhone, browser: Watched) -> None:
    page = await phone.open(browser)
    await phone.call(page)
    await page.goto("about:blank")
    assert await end_of(phone, 1) == "caller_hung_up"


async def test_a_second_tab_does_not_call_at_the_same_time(phone: BrowserPhone, browser: Watched) -> None:
    first = await phone.open(browser)
    await phone.call(first)
    second = await phone.open(browser, context=first.context)
    await press(second, CALL)
    await expect(second.get_by_role("alert")).to_contain_text("Another tab of this browser is in a call.")
    await status(first, "Connected")
    await press(first, HANG_UP)
    await status(first, "Call ended")
    await phone.call(second, 1)
    await expect(second.get_by_role("alert")).to_be_hidden()


# --- what goes wrong -----------------------------------------------------------------------------------------------


async def test_a_microphone_that_is_denied_is_told(phone: BrowserPhone, browser: Watched) -> None:
    page = await phone.open(browser, microphone=False)
    await press(page, CALL)
    await expect(page.get_by_role("alert")).to_contain_text("The microphone was not allowed.")
    await expect(page.get_by_role("button", name=CALL, exact=True)).to_be_enabled()
    assert not await axe_problems(page)
    assert not phone.engine.sessions


async def test_a_machine_without_a_microphone_is_told(phone: BrowserPhone) -> None:
    async with chromium() as browser:
        page = await phone.open(browser)
        await press(page, CALL)
        await expect(page.get_by_role("alert")).to_contain_text("There is no microphone.")
        await expect(page.get_by_role("button", name=CALL, exact=True)).to_be_enabled()
        assert not browser.complaints
    assert not phone.engine.sessions


async def test_a_call_that_is_given_up_while_the_microphone_is_asked_for(phone: BrowserPhone, browser: Watched) -> None:
    page = await phone.open(browser, script=_SLOW_MICROPHONE)
    await press(page, CALL)
    await press(page, HANG_UP)
    await status(page, "Ready")
    await expect(page.locator("body")).to_have_attribute("data-tracks", "ended")  # the browser shows no red dot
    assert not phone.engine.sessions
    await phone.call(page)  # and the next one is taken


async def test_a_page_that_others_could_listen_to_is_told(phone: BrowserPhone, browser: Watched) -> None:
    page = await browser.page(phone.url.replace("127.0.0.1", "phone.test"))
    await expect(page.get_by_role("alert")).to_contain_text("this address is not")
    await expect(page.get_by_role("button", name=CALL, exact=True)).to_be_disabled()
    browser.complaints.clear()  # the browser says so, too


@pytest.mark.parametrize("script", ["", _NEVER_CLOSED], ids=["closed", "never closed"])
async def test_the_call_goes_on_after_the_network_was_gone(phone: BrowserPhone, browser: Watched, script: str) -> None:
    page = await phone.open(browser, script=script)
    session = await phone.call(page)
    await page.context.set_offline(True)
    await status(page, "Connecting again …")
    await page.wait_for_timeout(500)
    browser.complaints.clear()  # requests that fail stand in the console
    await page.context.set_offline(False)
    await status(page, "Connected")
    heard = len(session.received)
    await until(lambda: len(session.received) > heard + 20)
    say(session, GREETING.audio(FORMAT)[: FORMAT.size(300)])
    session.give(ResponseDone())
    assert sum(item.heard_ms for item in (await told_of(session))[-1].items) == 300.0
    assert len(phone.engine.sessions) == 1  # the same conversation


async def test_a_hang_up_without_a_network_is_told_once_it_is_back(phone: BrowserPhone, browser: Watched) -> None:
    page = await phone.open(browser)
    await phone.call(page)
    await page.context.set_offline(True)
    await status(page, "Connecting again …")
    await press(page, HANG_UP)
    await status(page, "Call ended")
    browser.complaints.clear()  # requests that fail stand in the console
    await page.context.set_offline(False)
    assert await end_of(phone, 1) == "caller_hung_up"


@pytest.mark.parametrize("path", ["call", "lost"])
async def test_a_hang_up_is_told_that_comes_before_an_answer_of_the_server(
    phone: BrowserPhone, browser: Watched, path: str
) -> None:
    page = await phone.open(browser)
    asked, hung_up = anyio.Event(), anyio.Event()

    async def answer(route: Route) -> None:
        asked.set()
        await hung_up.wait()
        await route.continue_()

    if path == "lost":
        await phone.call(page)
    await page.route(f"**/{path}", answer)
    await (page.evaluate(_NETWORK_CHANGES) if path == "lost" else press(page, CALL))
    with anyio.fail_after(20):
        await asked.wait()
    await press(page, HANG_UP)
    await status(page, "Call ended")
    hung_up.set()
    assert await end_of(phone, 1) == "caller_hung_up"


async def test_the_transcript_goes_on_after_the_network_has_changed(phone: BrowserPhone, browser: Watched) -> None:
    page = await phone.open(browser)
    session = await phone.call(page)
    session.give(TranscriptInput("before"))
    await expect(page.locator("#lines li")).to_have_text(["Youbefore"])
    feeds = sum("/events?" in url for url in browser.asked)
    await page.evaluate(_NETWORK_CHANGES)
    await until(lambda: sum("/events?" in url for url in browser.asked) > feeds)  # the old one may be dead
    session.give(TranscriptInput("after"))
    await expect(page.locator("#lines li")).to_have_text(["Youbefore", "Youafter"])


# --- a worker that is killed ---------------------------------------------------------------------------------------


class Worker:
    """A server in a process of its own. See `tests/browser/worker.py`.

    Args:
        process: it.
    """

    def __init__(self, process: Process) -> None:
        self.process = process
        assert process.stdout is not None
        self._lines = TextReceiveStream(process.stdout)
        self._text = ""

    async def says(self, pattern: str) -> str:
        """Returns what matches the pattern in its output, once it is there."""
        with anyio.fail_after(20):
            while (found := re.search(pattern, self._text)) is None:
                self._text += await self._lines.receive()
        return found[1]


@contextlib.asynccontextmanager
async def worker(port: int) -> AsyncIterator[Worker]:
    command = [sys.executable, "-m", "tests.browser.worker", str(port), SECRET, KEY]
    async with await anyio.open_process(command, stderr=subprocess.STDOUT, cwd=ROOT) as process:
        try:
            yield Worker(process)
        finally:
            with contextlib.suppress(ProcessLookupError):  # the test has killed it
                process.kill()


async def enter(browser: Watched, one: Worker) -> Page:
    """Opens the link that lets a browser in, and that leads to the page: there is no other app."""
    page = await browser.page(await one.says(r"(http://\S+#token=\S+)\s"))
    await expect(page).to_have_url(re.compile(r"/browser/$"))
    browser.complaints.clear()  # it was not let in before, which stands in the console
    return page


async def test_the_call_goes_on_at_a_worker_that_replaces_a_killed_one(browser: Watched) -> None:
    port = free_port()
    async with worker(port) as first:
        page = await enter(browser, first)
        await press(page, CALL)
        assert await first.says(r"session (\w+)\n") == "new"
        await status(page, "Connected")
        first.process.kill()
        await status(page, "Connecting again …")
    async with worker(port) as second:
        assert await second.says(r"session (\w+)\n") == "resumed"
        await status(page, "Connected")
        browser.complaints.clear()  # requests that failed stand in the console
        await press(page, HANG_UP)
        assert await second.says(r"ended (\w+)\n") == "caller_hung_up"


async def test_a_server_that_is_gone_for_good_is_told(browser: Watched) -> None:
    async with worker(free_port()) as one:
        page = await enter(browser, one)
        await page.clock.install()
        await press(page, CALL)
        await status(page, "Connected")
        one.process.kill()
        await status(page, "Connecting again …")
        await page.clock.run_for(30_000)
        await expect(page.get_by_role("alert")).to_contain_text("The connection is lost.")
        await status(page, "Call ended")
        browser.complaints.clear()
