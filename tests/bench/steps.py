"""Patter on asyncio's own loop, with each step of the loop timed: `python -m tests.bench.steps TRANSPORT URL API_URL`.

A step is one callback, or a task until it waits again: for as long as it takes, nothing is heard on any call. It is
timed by the CPU that the loop's thread uses, so that other work on the machine is not in it.
"""

from __future__ import annotations

import asyncio
import sys
import time

import msgspec

from patter_core.server.serving import serve_app
from tests.bench.control import Ready, serve
from tests.bench.ours import patter_app
from tests.bench.relay_app import Peers
from tests.bench.services import SERVICES
from tests.bench.vendors import VENDORS

__all__ = ["Longest", "LongestAsked"]


class LongestAsked(msgspec.Struct, frozen=True):
    """Asks for the longest step since the last time."""


class Longest(msgspec.Struct, frozen=True):
    """It, and what it was."""

    ms: float
    what: str


class _Clock:
    longest = Longest(0.0, "")

    def install(self) -> None:
        """Has each step of loops in this process be timed."""
        run = asyncio.Handle._run

        def timed(handle: asyncio.Handle) -> None:
            began = time.thread_time()
            run(handle)
            ms = (time.thread_time() - began) * 1000
            if ms > self.longest.ms:
                self.longest = Longest(ms, repr(handle)[:200])

        asyncio.Handle._run = timed  # type: ignore[method-assign, assignment]

    async def tell(self, line: bytes) -> Longest:
        msgspec.json.decode(line, type=LongestAsked)
        longest, self.longest = self.longest, Longest(0.0, "")
        return longest


async def main(transport: str, engine_url: str, api_url: str) -> None:
    clock = _Clock()
    clock.install()
    peers = Peers(vendor=VENDORS["twilio"](), engine_url=engine_url, api_url=api_url)
    async with serve_app(patter_app(peers, SERVICES["elevenlabs"](), transport=transport)) as url:
        await serve(Ready(url), clock.tell)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
