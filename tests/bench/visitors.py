"""People who look at the dashboard: `python -m tests.bench.visitors CORE URL COUNT`.

Each has a feed open and asks again for the live calls when something happens, at most every 0.7 s, as the page does;
and opens another page every two seconds, which is more than people do.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time

import httpx
import msgspec

from tests.bench.control import Ready, pin, serve

__all__ = ["Looked"]

_REFRESH = 0.7
_TURN = 2.0
_PAGES = ("api/calls", "api/calls/past-7", "api/figures?days=7", "api/calls?text=table", "api/system")


class Looked(msgspec.Struct, frozen=True):
    """What all of them saw until now."""

    answers: int
    notices: int
    slowest_ms: float
    """Of the answers."""
    refused: int


class _Crowd:
    def __init__(self, url: str) -> None:
        self._url = f"{url}/staff/"
        self._answers = self._notices = self._refused = 0
        self._slowest = 0.0

    async def visit(self, number: int) -> None:
        async with (
            httpx.AsyncClient(base_url=self._url, trust_env=False, timeout=60) as browser,
            asyncio.TaskGroup() as tasks,
        ):
            tasks.create_task(self._follow(browser))
            await asyncio.sleep(number * _TURN / 5)
            for page in itertools.cycle(_PAGES[number % 5 :] + _PAGES[: number % 5]):
                await self._get(browser, page)
                await asyncio.sleep(_TURN)

    async def _follow(self, browser: httpx.AsyncClient) -> None:
        asked = 0.0
        async with browser.stream("GET", "api/feed") as answer:
            async for line in answer.aiter_lines():
                if not line.startswith("data:"):
                    continue
                self._notices += 1
                if time.perf_counter() - asked > _REFRESH:
                    await self._get(browser, "api/live")
                    asked = time.perf_counter()

    async def _get(self, browser: httpx.AsyncClient, path: str) -> None:
        began = time.perf_counter()
        answer = await browser.get(path)
        self._answers += 1
        self._refused += answer.status_code != 200
        self._slowest = max(self._slowest, (time.perf_counter() - began) * 1000)

    async def looked(self, _line: bytes) -> Looked:
        seen = Looked(self._answers, self._notices, self._slowest, self._refused)
        self._answers = self._notices = 0
        self._slowest = 0.0
        return seen


async def main(core: int, url: str, count: int) -> None:
    pin(core)
    crowd = _Crowd(url)
    visits = [asyncio.create_task(crowd.visit(number)) for number in range(count)]
    try:
        await serve(Ready(url), crowd.looked)
    finally:
        for visit in visits:
            visit.cancel()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
