"""What is measured, as a process of its own.

`python -m tests.bench.target NAME CARRIER ENGINE ENGINE_URL API_URL CORE`
"""

from __future__ import annotations

import asyncio
import functools
import resource
import sys
import time
from collections.abc import Callable, Coroutine

import msgspec
import uvloop
from starlette.types import ASGIApp

from patter_core.server.serving import serve_app
from tests.bench.control import Ready, pin, serve
from tests.bench.ours import patter_app
from tests.bench.pipeline_services import PipelineService
from tests.bench.protocol import Usage, UsageAsked
from tests.bench.relay_app import Peers, relay_app
from tests.bench.service import Service
from tests.bench.services import SERVICES
from tests.bench.vendors import VENDORS
from tests.bench.watched import watched_app

__all__ = ["BASELINES", "DEFAULT_TARGETS", "TARGETS"]


class Target(msgspec.Struct, frozen=True):
    """What is measured, and the event loop that it runs on."""

    make: Callable[[Peers, Service], ASGIApp]
    run: Callable[[Coroutine[object, object, None]], object] = uvloop.run


def _bare(peers: Peers, service: Service) -> ASGIApp:
    return relay_app(peers, service.path, lambda: service.spliced(peers.vendor.typed()))


def _naive(peers: Peers, service: Service) -> ASGIApp:
    return relay_app(peers, service.path, lambda: service.decoded(peers.vendor.plain()))


TARGETS: dict[str, Target] = {
    "bare": Target(_bare),
    "naive": Target(_naive),
    "patter": Target(patter_app),
    "watched": Target(watched_app),
    "page": Target(patter_app, asyncio.run),  # `asyncio.run(phone.serve(agent))`, as the pages have it
    "picows": Target(functools.partial(patter_app, transport="picows")),
    "page-picows": Target(functools.partial(patter_app, transport="picows"), asyncio.run),
}
DEFAULT_TARGETS = ("bare", "naive", "patter", "page")
BASELINES = ("bare", "naive")
"""Which cannot convert audio."""


async def main(make: Callable[[], ASGIApp], core: int) -> None:
    pin(core)
    async with serve_app(make()) as url:
        await serve(Ready(url), _usage)


async def _usage(line: bytes) -> Usage:
    msgspec.json.decode(line, type=UsageAsked)
    system_s = resource.getrusage(resource.RUSAGE_SELF).ru_stime
    return Usage(cpu_s=time.process_time(), system_s=system_s, wall_s=time.perf_counter())


if __name__ == "__main__":
    _, *what, on_core = sys.argv
    name, carrier, engine, engine_url, api_url = what
    played = Peers(vendor=VENDORS[carrier](), engine_url=engine_url, api_url=api_url)
    target = TARGETS[name]
    if engine == PipelineService.name:
        make = functools.partial(patter_app, played, PipelineService())
    else:
        make = functools.partial(target.make, played, SERVICES[engine]())
    target.run(main(make, int(on_core)))
