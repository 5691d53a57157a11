"""What the pages of the dashboard show, beside the records and the audio that they show it of: in a real Chromium."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from playwright.async_api import Page, expect

from patter_browser import Browser
from patter_browser.app import BrowserPhone
from patter_core.apps.access import AppAccess
from patter_core.apps.front import Front
from patter_core.audio import ULAW_8000
from patter_core.events import (
    CallAnnounced,
    CallAnswered,
    CallEnded,
    CallEvent,
    CallMetrics,
    DtmfReceived,
    Interruption,
    MediaStarted,
    Record,
    RecordingStarted,
    ResponseHeard,
    ResponseStart,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    TranscriptInput,
    TranscriptOutput,
)
from patter_core.observe.metrics import CarrierBill
from patter_core.server.serving import serve_app
from patter_core.sinks import SQLiteSink
from patter_core.telephony.leg import Leg
from patter_core.telephony.prices import Cost
from patter_core.testing.fakes import FakeLiveCall, FakePhone
from patter_dashboard import Dashboard
from tests.browser.chromium import Watched, needs_chromium
from tests.browser.phone import write_wav
from tests.polling import until

pytestmark = [pytest.mark.anyio, needs_chromium]

RATE = 8_000
LOUD = ((0.0, 0.2, 0.4, 0.8, 0.0, 0.0, 0.1, 0.0), (0.6, 0.0, 0.0, 0.0, 0.3, 0.5, 0.0, 0.0))
"""How loud caller and agent are in each of eight seconds."""
TALK: Sequence[tuple[float, CallEvent]] = (
    (200, CallAnswered(answer_ms=200)),
    (250, MediaStarted(format=ULAW_8000)),
    (1_000, ResponseStart(turn="1")),
    (1_001, TranscriptOutput(text="Good morning.", turn="1")),
    (2_000, ResponseHeard(heard_ms=1_000, sent_ms=1_000, turn="1")),
    (3_000, SpeechStarted(at_ms=2_750)),
    (4_000, SpeechStopped(at_ms=3_750)),
    (4_300, TranscriptInput(text="A room, please.")),
    (4_500, ToolCall(id="1", name="look", arguments="{}")),
    (5_000, ResponseStart(turn="2")),
    (5_001, TranscriptOutput(text="Which one?", turn="2")),
    (6_000, SpeechStarted(at_ms=5_750)),
    (6_020, Interruption(turn="2")),
    (6_021, ResponseHeard(heard_ms=1_000, sent_ms=3_000, interrupted=True, turn="2")),
    (7_000, SpeechStopped(at_ms=6_750)),
    (7_200, TranscriptInput(text="The cheap one.")),
    (7_500, DtmfReceived(digit="1")),
)
_NUMBERS = "(elements, name) => elements.map((element) => Number(element.getAttribute(name)))"
_DRAWN = """
(canvas) => {
  const { width, height } = canvas;
  const image = canvas.getContext('2d').getImageData(0, 0, width, height).data;
  const tall = (x, from, to) => {
    let count = 0;
    for (let y = from; y < to; y += 1) count += image[4 * (y * width + x) + 3] > 0;
    return count;
  };
  return [0, height / 2].map((top) => [...Array(8)].map((_, second) => {
    const middle = Math.floor(((second + 0.5) / 8) * width);
    return Math.max(...[-1, 0, 1, 2].map((more) => tall(middle + more, top, top + height / 2)));
  }));
}
"""
"""How tall the wave of each side is in the middle of each second, in px."""


@pytest.fixture
async def phone(tmp_path: Path) -> AsyncIterator[FakePhone]:
    """Keeps its calls in SQLite: `talk` is recorded, `live` goes on, and others are of this week."""
    sink, made = SQLiteSink(tmp_path / "calls.db"), FakePhone()
    noon = dt.datetime.now().astimezone().replace(hour=12, minute=0, second=0, microsecond=0)
    days = [(noon - dt.timedelta(days=ago)).timestamp() for ago in range(7)]
    made.agents, made.archive = ("agent",), sink.archive()
    made.carrier_of["browser"] = Browser()
    for number, (ago, ours, ms, reason, replies, cost) in enumerate(
        (
            (5, "+15550000001", 60_000, "caller_hung_up", (400.0,), "0.01"),
            (2, "+15550000001", 90_000, "caller_hung_up", (900.0,), "0.02"),
            (2, "+15550000002", 30_000, "engine_failed", (), "0.03"),
            (2, "+15550000001", 30_000, "agent_hung_up", (700.0, 500.0), "0.04"),
        )
    ):
        bill = CarrierBill(minutes=1, cost=Cost(Decimal(cost)), as_of=dt.date(2026, 10, 1), source="list prices")
        metrics = CallMetrics(speech_reply_ms=replies, carrier_bill=bill)
        end = CallEnded(reason=reason, by="caller", duration_ms=ms, metrics=metrics)
        await sink.write(put(made, f"past-{number}", days[ago] + number, [(ms, end)], ours))
    recording = RecordingStarted(by="wav", location=str(record(tmp_path / "talk.wav")))
    end = CallEnded(reason="caller_hung_up", by="caller", duration_ms=8_000, metrics=CallMetrics())
    put(made, "talk", days[0], sorted([*TALK, (260, recording), (8_000, end)], key=lambda timed: timed[0]))
    put(made, "live", time.time() - 9, TALK)
    made.live["live"] = FakeLiveCall("live", Leg(carrier="fake", call_id="live"))
    yield made
    await sink.aclose()


def put(
    phone: FakePhone, call_id: str, began: float, events: Sequence[tuple[float, CallEvent]], ours: str = "+15550000001"
) -> list[Record]:
    leg = Leg(carrier="fake", call_id=call_id, from_number="+15550009999", to_number=ours)
    records = [
        Record(call_id=call_id, sequence=number, time=began + at / 1000, elapsed_ms=at, event=event)
        for number, (at, event) in enumerate([(0.0, CallAnnounced(leg=leg, agent="agent")), *events], 1)
    ]
    for one in records:
        phone.put(one)
    return records


def record(path: Path) -> Path:
    """Writes the recording: caller on the left, agent on the right, each as loud as `LOUD` says."""
    tone = np.sin(np.arange(RATE) * 2 * np.pi * 400 / RATE)
    sides = [np.concatenate([tone * level for level in side]) for side in LOUD]
    return write_wav(path, (np.stack(sides, axis=1) * 32_767).astype(np.int16).tobytes(), RATE, channels=2)


@pytest.fixture
async def url(phone: FakePhone) -> AsyncIterator[str]:
    """Where both apps of the phone are. Who comes is let in."""
    front = Front(
        {"dashboard": Dashboard().asgi(phone), "browser": BrowserPhone().asgi(phone)},
        titles={"dashboard": "Dashboard", "browser": "Phone"},
        access=AppAccess().resolved(),
        key=bytes(32),
        authenticate=lambda _scope: "ada",
    )
    async with serve_app(front) as served:
        try:
            yield served
        finally:
            phone.ring.close()


async def bars(page: Page, title: str) -> list[tuple[str, float]]:
    """Returns what the bars of a chart are called, without the day, and how tall they are."""
    chart = page.get_by_role("img", name=title)
    await expect(chart).to_be_visible()
    texts = await chart.locator("rect").all_text_contents()
    heights: list[float] = await chart.locator("rect").evaluate_all(_NUMBERS, "height")
    return [(text.partition(": ")[2], height) for text, height in zip(texts, heights, strict=True)]


async def test_figures_are_those_of_the_archive_by_day_and_by_number(url: str, browser: Watched) -> None:
    page = await browser.page(f"{url}/dashboard/#/figures")
    calls = await bars(page, "Calls a day")
    assert [text for text, _ in calls] == ["0", "1", "0", "0", "3", "1 failed", "0", "0"]
    heights = [height for _, height in calls]
    assert heights[1] == pytest.approx(heights[4] / 3)
    assert heights[5] == pytest.approx(heights[4] / 3)
    replies = await bars(page, "Median time")
    assert [text for text, _ in replies] == ["0 ms", "400 ms", "0 ms", "0 ms", "700 ms", "0 ms", "0 ms"]
    assert replies[1][1] == pytest.approx(replies[4][1] * 4 / 7)
    lines = page.get_by_role("table", name="By number").locator("tbody tr")
    assert await lines.all_inner_texts() == [
        "+15550000001\t3\t0\t3.0\tabout 0.0700 USD",
        "+15550000002\t1\t1\t0.5\tabout 0.0300 USD",
    ]
    await page.get_by_text("Each day as a table").click()
    each = await page.get_by_role("table", name="Each day").locator("tbody tr").all_inner_texts()
    assert [line.split("\t")[1:] for line in each] == [
        ["1", "0", "0", "1.0", "–", "400 ms", "about 0.0100 USD"] if number == 1
        else ["3", "0", "1", "2.5", "–", "700 ms", "about 0.0900 USD"] if number == 4
        else ["0", "0", "0", "0.0", "–", "–", "–"]
        for number in range(7)
    ]  # fmt: skip


async def test_the_wave_is_that_of_the_recording_and_a_click_moves_the_audio(url: str, browser: Watched) -> None:
    page = await browser.page(f"{url}/dashboard/#/call/talk")
    wave = page.locator("canvas.wave")
    await expect(wave).to_have_attribute("title", "0:08")  # it is drawn
    drawn: list[list[int]] = await wave.evaluate(_DRAWN)
    for side, loud in zip(drawn, LOUD, strict=True):
        expected = [level / 0.8 * 0.48 * 96 for level in loud]
        assert side == pytest.approx(expected, abs=3)
    box = await wave.bounding_box()
    assert box is not None
    await wave.click(position={"x": box["width"] * 0.75, "y": 10})
    assert await page.locator("audio").evaluate("(audio) => audio.currentTime") == pytest.approx(6.0, abs=0.05)
    await expect(page.locator(".line.now .said")).to_have_text("The cheap one.")  # the line beside it
    await wave.click(position={"x": box["width"] * 0.45, "y": 10})
    await expect(page.locator(".line.now .said")).to_have_text("A room, please.")


async def test_the_timeline_and_the_events_tell_what_happened_and_when(url: str, browser: Watched) -> None:
    page = await browser.page(f"{url}/dashboard/#/call/talk")
    timeline = page.get_by_role("img", name="When caller and agent spoke")
    await expect(timeline).to_be_visible()
    bars = timeline.locator("rect")
    starts: list[float] = await bars.evaluate_all(_NUMBERS, "x")
    widths: list[float] = await bars.evaluate_all(_NUMBERS, "width")
    spans: Sequence[object] = sorted(zip(starts, widths, await bars.all_text_contents(), strict=True))
    pixels = 820 / 8_000
    assert spans == [
        (pytest.approx(70 + pixels * from_), pytest.approx(pixels * (to - from_)), text)
        for text, from_, to in (
            ("Agent: 0:01 to 0:02", 1_000, 2_000),
            ("Caller: 0:03 to 0:04", 3_000, 4_000),
            ("Agent: 0:05 to 0:06, cut off", 5_000, 6_021),
            ("Caller: 0:06 to 0:07", 6_000, 7_000),
        )
    ]
    assert await timeline.locator("g.mark").all_text_contents() == ["Tool: 0:05", "Barge-in: 0:06", "Key: 0:08"]
    events = await page.locator("ol.events li").all_inner_texts()
    told = [" ".join(text.split("\n")) for text in events]
    assert len(told) == len(TALK) + 3
    assert told == sorted(told, key=lambda text: text.partition(" ")[0])
    assert told[0].startswith("0:00.0 The call arrived at fake")
    assert told[9:11] == ["0:04.3 Caller: A room, please.", "0:04.5 Tool look {}"]
    assert told[13:16] == [
        "0:06.0 The caller speaks",
        "0:06.0 The caller interrupts",
        "0:06.0 Heard 0:01 of 0:03, then cut off",
    ]
    assert told[-1] == "0:08.0 The call ended: caller hung up, by caller"


async def test_a_live_call_has_the_figures_that_its_events_tell(url: str, browser: Watched) -> None:
    page = await browser.page(f"{url}/dashboard/#/call/live")
    await expect(page.locator(".fact")).to_have_text(["Answered after200 ms", "Turns2", "Interruptions1"])
    await expect(page.locator(".span")).to_have_count(4)


async def test_every_page_asks_its_own_host_only_and_keeps_a_strict_policy(url: str, browser: Watched) -> None:
    """That each document has the policy, and that no request goes elsewhere, is checked by `Watched`."""
    page = await browser.page(f"{url}/")

    async def asks(file: str) -> None:
        await until(lambda: file in {asked.partition("?")[0].rpartition("/")[2] for asked in browser.asked})

    pages = {"": "app.js", "call/talk": "peaks", "call/live": "live", "figures": "figures", "system": "system"}
    for path, file in pages.items():
        await page.goto(f"{url}/dashboard/#/{path}")
        await expect(page.locator("h1")).to_be_visible()
        await asks(file)
    await page.goto(f"{url}/browser/")
    await page.get_by_role("button", name="Call", exact=True).click()
    await expect(page.get_by_role("alert")).to_be_visible()  # this phone takes no calls
    await asks("phone.js")
    await asks("audio.js")
    assert {asked.split("/")[2] for asked in browser.asked} == {url.split("/")[2]}
