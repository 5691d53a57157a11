"""The dashboard in a real browser: what a visitor sees and does, and what strangers do not.

Each test fails on an error on the page's console and on a violation of its content security policy. With AXE_CORE, the
script of axe-core, each page is checked for accessibility; the session `browser` of nox sets it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from patter_core.events import (
    CallAnnounced,
    CallEnded,
    CallMetrics,
    Record,
    TranscriptCorrection,
    TranscriptInput,
    Usage,
)
from patter_core.observe.metrics import EngineBill
from patter_core.server.serving import bind, serve_app
from patter_core.storage.archive import CallRow
from patter_core.telephony.leg import Leg
from patter_core.telephony.prices import Cost, costs_text
from patter_core.testing.fakes import FakeLiveCall, FakePhone

playwright_api = pytest.importorskip("playwright.async_api", reason="playwright is not installed: nox -s browser")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
AXE = os.environ.get("AXE_CORE", "")
AXE_SCRIPT = Path(AXE).read_text(encoding="utf-8") if AXE else ""
PAGES = ("#/", "#/call/recorded", "#/call/failed", "#/call/live-0", "#/figures", "#/system")
RUN_AXE = "(rules) => axe.run(document, { ...rules, resultTypes: ['violations'] })"
CONTRAST = {"runOnly": ["color-contrast"]}
"""What another scheme of colours can change."""
TARGETS = {"runOnly": ["target-size", "scrollable-region-focusable"]}
"""What a small screen can change."""

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (Debian: apt-get install chromium)"),
]

Serve = Callable[..., AbstractAsyncContextManager[Any]]
Enter = Callable[[Any], AbstractAsyncContextManager["Visit"]]
expect = playwright_api.expect


class Visit:
    """One browser with one page, that was let in."""

    def __init__(self, page: Any, served: Any) -> None:
        self.page = page
        self.served = served
        self.faults: list[str] = []
        page.on("console", lambda message: self._note(message.type, message.text))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("dialog", lambda dialog: self.faults.append(f"dialog {dialog.message}"))

    def _note(self, kind: str, text: str) -> None:
        if kind == "error" and not text.startswith("Failed to load resource"):  # tests ask for refusals, too
            self.faults.append(text)

    async def see(self, path: str) -> None:
        await self.page.goto(f"{self.served.url}/dashboard/{path}")
        await expect(self.page.locator("h1")).to_be_visible()


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Any]:
    """One for all tests: to start one takes longer than most of them."""
    async with playwright_api.async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        await started.close()


@pytest.fixture
def visit(browser: Any) -> Enter:
    """A page in a context of its own, that is let in."""

    @contextlib.asynccontextmanager
    async def enter(served: Any) -> AsyncIterator[Visit]:
        async with await browser.new_context(viewport={"width": 1280, "height": 900}) as context:
            made = Visit(await context.new_page(), served)
            await made.page.goto(served.link)
            await expect(made.page.locator("#nav")).to_be_visible(timeout=20_000)
            yield made
            assert made.faults == []

    return enter


def record(call_id: str, sequence: int, event: Any, trace: str = "00-1-2-01") -> Record:
    began = time.time() - 5
    return Record(call_id=call_id, sequence=sequence, time=began, elapsed_ms=sequence * 10, event=event, trace=trace)


def announce(phone: FakePhone, call_id: str, number: str) -> None:
    leg = Leg(carrier="fake", call_id=f"leg-{call_id}", from_number=number)
    phone.live[call_id] = FakeLiveCall(call_id, leg)
    phone.put(record(call_id, 1, CallAnnounced(leg=leg, agent="concierge")))


END = CallEnded(reason="caller_hung_up", by="caller", duration_ms=5_000, metrics=CallMetrics())


async def test_the_link_is_used_once_and_is_gone_from_the_address(
    serve: Serve, phone: FakePhone, browser: Any, visit: Enter
) -> None:
    async with serve(phone) as served:
        link = served.link
        async with visit(served) as first:
            assert "token" not in first.page.url
            cookies = await first.page.context.cookies()
            assert [(cookie["httpOnly"], cookie["sameSite"]) for cookie in cookies] == [(True, "Strict")]
        async with await browser.new_context() as stranger:
            page = await stranger.new_page()
            await page.goto(link)
            await expect(page.locator("#status")).to_contain_text("This link was used")
            await page.goto(f"{served.url}/dashboard/")
            await expect(page.locator("#nav")).to_have_count(0)


async def test_calls_appear_are_searched_and_paged(serve: Serve, phone: FakePhone, visit: Enter) -> None:
    phone.carriers = ("twilio",)
    async with serve(phone) as served, visit(served) as seen:
        page = seen.page
        await expect(page.locator(".card.live")).to_have_count(3)
        announce(phone, "new", "***********55")
        await expect(page.locator(".card.live")).to_have_count(4)
        del phone.live["new"]
        phone.put(record("new", 2, END))
        await expect(page.locator(".card.live")).to_have_count(3)
        await expect(page.locator("tbody tr").first).to_contain_text("•••• 55")
        rows = await page.locator("tbody tr").count()
        await page.get_by_role("button", name="Older calls").click()
        await expect(page.locator("tbody tr")).to_have_count(64)
        assert rows < 64
        await page.get_by_label("Number", exact=True).fill("77")
        await expect(page.locator("tbody tr")).to_have_count(1)
        await expect(page.locator("tbody tr td").last).to_have_text("about 0.0325 USD")
        await page.get_by_role("button", name="Clear").click()
        await page.locator("select[name=carrier]").select_option("fake")  # one that the phone has no more
        await page.get_by_label("End").select_option("engine_failed")
        await expect(page.locator("tbody tr")).to_have_count(1)
        await page.locator("tbody a").click()
        await expect(page.locator("h1")).to_have_text("•••• 77")
        await expect(page.get_by_text("What to do:")).to_be_visible()
        assert "Publish the agent first" in await page.locator(".panel.bad").inner_text()


async def test_one_call_shows_what_was_heard_and_plays_its_recording(
    serve: Serve, phone: FakePhone, visit: Enter
) -> None:
    async with serve(phone) as served, visit(served) as seen:
        page = seen.page
        await seen.see("#/call/recorded")
        await expect(page.locator("s.unheard")).to_have_text(" for 140 euros, and one on the quiet side for 120.")
        await expect(page.locator(".span.agent.cut")).to_have_count(1)
        assert await page.locator(".stage").count() == 10  # two turns of five stages
        await expect(page.locator(".fact", has_text="Cost")).to_contain_text("about 0.0335 USD")
        costs = page.locator("section", has=page.locator("#bills-title")).locator("td.number")
        await expect(costs).to_have_text(["0.0095 USD", "about 0.0240 USD"])
        await page.get_by_role("button", name="Play from 0:10.1").click()
        await expect(page.locator(".line.now")).to_contain_text("The one with the view")
        assert await page.evaluate("document.querySelector('audio').currentTime") < 10.5
        await page.locator("summary", has_text="Raw events").click()
        await expect(page.locator("pre")).to_contain_text('"type": "call_announced"')


async def test_costs_are_told_as_the_commands_tell_them(serve: Serve, phone: FakePhone, visit: Enter) -> None:
    amounts = ("0", "0.0000000123", "0.00004", "0.0001", "0.0125", "0.9999", "1", "1.5986", "1234")
    sums = [
        ((Cost(Decimal(amount), "USD", is_estimated), Cost(Decimal("0.01"), "EUR")), unpriced)
        for amount in amounts
        for is_estimated in (True, False)
        for unpriced in ("", "acme llm")
    ]
    script = "(sums) => import('./static/format.js').then(({ costs }) => sums.map((one) => costs(...one)))"
    async with serve(phone) as served, visit(served) as seen:
        told = await seen.page.evaluate(script, msgspec.to_builtins(sums))
    assert told == [costs_text(*one) for one in sums]


async def test_a_carrier_without_a_price_is_missing_in_a_sum(serve: Serve, phone: FakePhone, visit: Enter) -> None:
    row = CallRow("1", 10.0, "fake", "inbound", "", "+1", "agent", 20.0, "", "", 9_000.0, None, "0.02 USD", "")
    rows = [
        row,
        msgspec.structs.replace(row, unpriced="acme llm, zeta tts"),
        msgspec.structs.replace(row, cost="0.01 USD"),
        msgspec.structs.replace(row, estimated_cost="0 USD"),
        msgspec.structs.replace(row, duration_ms=0.0),
    ]
    bill = EngineBill(part="engine", vendor="echo", cost=Cost(Decimal("0.024")))
    metrics = CallMetrics(duration_ms=9_000.0, engine_bills=(bill,))
    phone.put(record("unpriced", 1, CallAnnounced(leg=Leg(carrier="fake", call_id="leg"), agent="agent")))
    phone.put(record("unpriced", 2, CallEnded("caller_hung_up", by="caller", duration_ms=9_000, metrics=metrics)))
    script = "(rows) => import('./static/format.js').then(({ costsOf }) => rows.map(costsOf))"
    async with serve(phone) as served, visit(served) as seen:
        told = await seen.page.evaluate(script, msgspec.to_builtins(rows))
        await seen.see("#/call/unpriced")
        sum_ = "at least 0.0240 USD (fake: no price known)"
        await expect(seen.page.locator(".fact", has_text="Cost")).to_contain_text(sum_)
        costs = seen.page.locator("section", has=seen.page.locator("#bills-title")).locator("td.number")
        await expect(costs).to_have_text(["no price known", "about 0.0240 USD"])
    assert told == [costs_text(row.costs, row.missing) for row in rows]
    assert told[0] == "at least 0.0200 USD (fake: no price known)"


async def test_what_was_used_is_told_with_and_without_a_model(serve: Serve, phone: FakePhone, visit: Enter) -> None:
    tokens = {"input_text_tokens": 120.0, "output_tokens": 7.0}
    used = [
        Usage(part="engine", vendor="acme", amounts={"seconds": 61.52}),
        Usage(part="llm", vendor="acme", model="m-1", amounts=tokens),
    ]
    script = "(events) => import('./static/story.js').then(({ wordsOf }) => events.map((one) => wordsOf(one).text))"
    async with serve(phone) as served, visit(served) as seen:
        told = await seen.page.evaluate(script, msgspec.to_builtins(used))
    assert told == ["Used of acme: 61.5 seconds", "Used of acme m-1: 120 input text tokens, 7 output tokens"]


async def test_what_callers_and_agents_say_is_text(serve: Serve, phone: FakePhone, visit: Enter) -> None:
    async with serve(phone) as served, visit(served) as seen:
        for path in ("#/", "#/call/hostile", "#/figures"):
            await seen.see(path)
            await expect(seen.page.get_by_text("<img src=x onerror=").locator("visible=true").first).to_be_visible()
            assert await seen.page.locator("main img, main script").count() == 0
            assert "Patter" in await seen.page.title()


async def test_a_live_call_grows_is_informed_transferred_and_ended(
    serve: Serve, phone: FakePhone, visit: Enter
) -> None:
    async with serve(phone) as served, visit(served) as seen:
        page = seen.page
        await seen.see("#/call/live-0")
        await expect(page.locator(".line")).to_have_count(2)
        phone.put(record("live-0", 90, TranscriptInput(text="Are you still there?")))
        await expect(page.locator(".line").last).to_contain_text("Are you still there?")
        phone.put(record("live-0", 91, TranscriptCorrection(text="Good morning", original="", turn="t1")))
        await expect(page.locator(".line.agent .said")).to_contain_text("Good morning")
        await page.get_by_label("Tell the agent").fill("They are a regular.")
        phone.put(record("live-0", 89, TranscriptInput(text="Hello?")))  # what is typed stays while the call goes on
        await expect(page.locator(".line").last).to_contain_text("Hello?")
        await page.get_by_role("button", name="Tell", exact=True).click()
        await expect(page.locator(".actions .notice")).to_have_text("The agent knows.")
        await page.get_by_label("Transfer to").fill("nowhere")
        await page.keyboard.press("Enter")
        await expect(page.locator(".actions .notice.bad")).to_contain_text("E.164")
        await page.get_by_label("Transfer to").fill("+15550009999")
        await page.get_by_role("button", name="Transfer", exact=True).click()
        await expect(page.locator(".actions .notice.good")).to_contain_text("took the transfer")
        await page.get_by_role("button", name="Hang up").click()
        await page.get_by_role("button", name="Keep the call").click()
        assert phone.hung_up == []
        await page.get_by_role("button", name="Hang up").click()
        await page.get_by_role("dialog").get_by_role("button", name="Hang up").click()
        await expect(page.locator(".actions .notice.good")).to_contain_text("ended")
        del phone.live["live-0"]
        phone.put(record("live-0", 92, END))
        await expect(page.locator(".call-head .badge")).to_have_text("Caller hung up")
        await expect(page.locator(".actions")).to_have_count(0)
    assert (phone.live.get("live-0"), phone.hung_up) == (None, ["live-0"])
    assert phone.transferred == [("live-0", "+15550009999")]


async def test_the_feed_is_asked_for_anew_when_the_network_has_changed(
    serve: Serve, phone: FakePhone, visit: Enter
) -> None:
    """The connection may be dead, of which the browser may learn after minutes."""
    async with serve(phone) as served, visit(served) as seen:
        await expect(seen.page.locator("#link-state")).to_have_text("Live")
        await expect(seen.page.locator(".card.live")).to_have_count(3)
        async with seen.page.expect_request("**/api/feed?*"):
            await seen.page.evaluate("dispatchEvent(new Event('offline'))")
        await expect(seen.page.locator("#link-state")).to_have_text("Live")
        announce(phone, "later", "***********66")
        await expect(seen.page.locator(".card.live")).to_have_count(4)


async def test_the_page_goes_on_when_a_worker_dies_and_another_one_takes_its_place(
    serve: Serve, phone: FakePhone, visit: Enter
) -> None:
    """The new worker has the key for cookies, another feed, and calls that the page has not seen."""
    async with serve(phone) as first:
        port = int(first.url.rpartition(":")[2])
        front = first.front
        stopped, start = asyncio.Event(), asyncio.Event()

        async def replace() -> None:
            await start.wait()
            async with serve_app(front, bind("127.0.0.1", port)):
                await stopped.wait()

        async with visit(first) as seen:
            await expect(seen.page.locator("#link-state")).to_have_text("Live")
            first.server.cancel()
            await expect(seen.page.locator("#link-state")).to_have_text("Reconnecting…")
            phone.ring = type(phone.ring)()
            announce(phone, "later", "***********66")
            replacement = asyncio.create_task(replace())
            start.set()
            await expect(seen.page.locator(".card.live")).to_have_count(4, timeout=20_000)
            await expect(seen.page.locator("#link-state")).to_have_text("Live")
            announce(phone, "latest", "***********67")
            await expect(seen.page.locator(".card.live")).to_have_count(5)
        phone.ring.close()
        stopped.set()
        await replacement


async def test_everything_is_reached_by_the_keyboard(serve: Serve, phone: FakePhone, visit: Enter) -> None:
    async with serve(phone) as served, visit(served) as seen:
        page = seen.page
        await seen.see("#/call/live-0")
        await page.evaluate("document.activeElement.blur()")
        reached = set()
        for _ in range(30):
            await page.keyboard.press("Tab")
            reached.add(await page.evaluate("document.activeElement.textContent.trim().slice(0, 20)"))
        assert {"Skip to the content", "Figures", "← All calls", "Transfer", "Tell", "Hang up"} <= reached
        await page.get_by_role("button", name="Hang up").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("dialog")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)
        assert phone.hung_up == []


async def problems(page: Any, rules: dict[str, list[str]]) -> list[tuple[str, list[str]]]:
    """What axe-core finds wrong with a page as it is now; nothing where axe-core is not here."""
    if not AXE:
        return []
    found = await page.evaluate(RUN_AXE, rules)
    return [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found["violations"]]


async def test_each_page_fits_its_screen_and_is_accessible(serve: Serve, phone: FakePhone, visit: Enter) -> None:
    async with serve(phone) as served, visit(served) as seen:
        page = seen.page
        for path in PAGES:
            await seen.see(path)
            await page.wait_for_load_state("load")
            await page.evaluate(AXE_SCRIPT)
            assert await problems(page, {}) == [], path
            await page.emulate_media(color_scheme="dark")
            assert await problems(page, CONTRAST) == [], path
            await page.set_viewport_size({"width": 360, "height": 800})
            assert await page.evaluate("document.documentElement.scrollWidth") <= 360, path
            assert await problems(page, TARGETS) == [], path
            await page.emulate_media(color_scheme="light")
            await page.set_viewport_size({"width": 1280, "height": 900})
