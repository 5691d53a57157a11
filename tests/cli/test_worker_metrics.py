"""The metrics of several workers: one page has their sums, and none of it goes back when one of them is killed."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from pathlib import Path

import anyio
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from patter_core.audio import ULAW_8000
from patter_core.testing.caller import Caller, Pause
from patter_core.testing.network import free_port
from tests.cli.test_supervisor import serving
from tests.deploy.test_monitoring import expressions
from tests.polling import until

pytestmark = pytest.mark.anyio

Page = dict[str, float]
"""The value of each series, by its name and labels."""


class Scraper:
    """Scrapes again and again, as Prometheus does, and notes each count that went back."""

    def __init__(self, port: int) -> None:
        self.page: Page = {}
        self.families: set[str] = set()
        self.went_back: list[str] = []
        self.scrapes = 0
        self._url = f"http://127.0.0.1:{port}/metrics"

    async def run(self) -> None:
        async with httpx.AsyncClient() as client:
            while True:
                with contextlib.suppress(httpx.TransportError):  # who served it is gone, and another one will
                    self._take((await client.get(self._url)).text)
                await anyio.sleep(0.05)

    def _take(self, text: str) -> None:
        page: Page = {}
        for family in text_string_to_metric_families(text):
            self.families |= {sample.name for sample in family.samples} | {family.name}
            for sample in family.samples:
                key = sample.name + str(sorted(sample.labels.items()))
                page[key] = sample.value
                if family.type != "gauge" and sample.value < self.page.get(key, 0):
                    self.went_back.append(key)
        self.went_back += [key for key in self.page.keys() - page.keys() if "_total" in key or "_count" in key]
        self.page = page
        self.scrapes += 1

    def sum(self, name: str) -> float:
        return sum(value for key, value in self.page.items() if key.partition("[")[0] == name)

    async def renewed(self) -> None:
        """Waits for a page of which all is of after the call."""
        before = self.scrapes
        await until(lambda: self.scrapes > before + 1, within=30, every=0.02)

    async def shows(self, name: str, value: float) -> None:
        await until(lambda: self.sum(name) == value, within=30, every=0.02)


@pytest.mark.slow
async def test_a_page_has_the_sums_of_all_workers_and_none_goes_back_when_one_is_killed(tmp_path: Path) -> None:
    port = free_port()
    await anyio.Path(tmp_path, "patter.toml").write_text(
        f'[[sinks]]\nname = "prometheus"\noptions = {{ port = {port} }}\n\n[limits]\ncalls = 50\n'
    )
    scraper = Scraper(port)
    with anyio.fail_after(120):
        async with serving(tmp_path, "--workers", "2") as scene, anyio.create_task_group() as tasks:
            await scene.until_said("Point your number's voice webhook at")
            await scene.ready(2)
            tasks.start_soon(scraper.run)
            await scraper.shows("patter_workers", 2)
            assert scraper.sum("patter_calls_limit") == 100
            for _ in range(6):
                assert await scene.call()
            await scraper.shows("patter_calls_total", 6)
            callers = [
                scene.twilio.place(f"{scene.url}/webhooks/twilio/voice", Caller([Pause(600)], ULAW_8000))
                for _ in range(6)
            ]
            for caller in callers:
                tasks.start_soon(caller.run)
            await scraper.shows("patter_calls_active", 6)
            for _ in range(2):  # one of them serves the page
                os.kill(victim := scene.workers()[0], signal.SIGKILL)
                await scene.without(victim)
                await scraper.renewed()
                await scraper.shows("patter_workers", 2)
                await scraper.shows("patter_calls_active", 6)
                assert scraper.sum("patter_calls_limit") == 100
            for caller in callers:
                caller.end()
            await scraper.shows("patter_calls_total", 12)
            await scraper.shows("patter_calls_active", 0)
            await refused(scene.url)
            await scraper.shows("patter_webhooks_refused_total", 2)
            check_names(scraper)
            tasks.cancel_scope.cancel()
            scene.process.send_signal(signal.SIGTERM)
            await scene.process.wait()
    assert scraper.went_back == []
    assert scraper.scrapes > 20


async def refused(url: str) -> None:
    async with httpx.AsyncClient() as client:
        assert (await client.post(f"{url}/webhooks/twilio/voice")).status_code == 403
        assert (await client.post(f"{url}/webhooks/twilio/voise")).status_code == 404


def check_names(scraper: Scraper) -> None:
    """Each metric that a panel or an alert asks for is on the page."""
    for expression in expressions():
        for name in re.findall(r"\bpatter_\w+", expression):
            family = re.sub(r"_(total|bucket|sum|count)$", "", name)
            assert {name, family} & scraper.families, name
