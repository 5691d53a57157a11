"""`check_sink`: a sound sink keeps its contract; each with one mistake fails, for the reason that is its own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Protocol

import pytest

from patter_core.checks import CheckResult, Level
from patter_core.errors import ConformanceError
from patter_core.sink import EventSink
from patter_core.testing import check_sink
from patter_core.testing.fakes import MemorySink
from tests.testing.conformance.told import told

pytestmark = pytest.mark.anyio


class Service(Protocol):
    """What the template's `testing` has."""

    api_key: str

    def running(self) -> contextlib.AbstractAsyncContextManager[Service]: ...

    def sink(self) -> EventSink: ...

    async def received(self) -> Sequence[tuple[str, int]]: ...


Write = Callable[..., Callable[[], Service]]

# What it does wrong: the file, the sound text, what stands there instead, and what the check must say of it.
MISTAKES = {
    "has no usable name": ("sink.py", 'name: ClassVar[str] = "acme"', 'name = "Acme Inc."', "no usable name"),
    "shows its key": ("sink.py", 'field(default="", repr=False)', 'field(default="")', "in repr(sink)"),
    "cannot take every event": (
        "sink.py",
        "        if not records:\n",
        (
            "        [record.event.text for record in records if record.event.kind == 'dtmf_received']\n"
            "        if not records:\n"
        ),
        "write() raises, though its destination takes everything",
    ),
    "cannot take an empty batch": (
        "sink.py",
        "        if not records:\n            return\n",
        "        records[0]\n",
        "an empty batch",
    ),
    "ends the process": (
        "sink.py",
        "        if not records:\n",
        "        raise SystemExit(3)\n        if not records:\n",
        "got: ForeignFault: It raised SystemExit",
    ),
    "stops the loop": (
        "sink.py",
        "        if not records:\n",
        '        __import__("time").sleep(0.4)\n        if not records:\n',
        "stops the event loop",
    ),
    "loses a record": (
        "sink.py",
        "encode_lines(records)",
        "encode_lines(records[:-1])",
        "Not every record reaches the destination",
    ),
    "turns the order round": (
        "sink.py",
        "encode_lines(records)",
        "encode_lines(list(reversed(records)))",
        "reordered or repeated",
    ),
    "cannot be cancelled": (
        "sink.py",
        "except OSError as error:",
        "except BaseException as error:",
        "A cancelled write() raises something else",
    ),
    "logs what was said": (
        "sink.py",
        "        if not records:\n",
        '        __import__("logging").getLogger(__name__).info("%s", records)\n        if not records:\n',
        "in a log line",
    ),
    "leaves a task behind": (
        "sink.py",
        "        if not records:\n",
        (
            '        self.__dict__["task"] = __import__("asyncio").ensure_future(__import__("asyncio").sleep(60))\n'
            "        if not records:\n"
        ),
        "A closed sink leaves something open",
    ),
}


async def check(make_service: Callable[[], Service], patience: float = 1.0) -> None:
    async with make_service().running() as service:
        await check_sink(service.sink, received=service.received, secrets=[service.api_key], patience=patience)


async def test_what_patter_new_writes_is_sound(write: Write) -> None:
    await check(write("sink"))


async def test_a_sink_without_a_destination_can_be_checked_too() -> None:
    await check_sink(MemorySink)


@pytest.mark.parametrize(("file", "sound", "broken", "said"), MISTAKES.values(), ids=MISTAKES.keys())
async def test_one_with_a_mistake_is_told_which(write: Write, file: str, sound: str, broken: str, said: str) -> None:
    service = write("sink", file, sound, broken)
    await told(lambda patience: check(service, patience), said)


class _Checked(MemorySink):
    def __init__(self, *results: CheckResult) -> None:
        super().__init__()
        self._results = results

    async def check(self) -> Sequence[CheckResult]:
        if not self._results:
            raise ValueError("a bug")
        return self._results


@pytest.mark.parametrize(
    ("results", "said"),
    [
        ((), r"check\(\) raises"),
        ((CheckResult(Level.PROBLEM, "The disk is full."),), "finds a problem where there is none"),
        ((CheckResult(Level.OK, "The key 4711-secret is right."),), "stands in a CheckResult"),
    ],
)
async def test_a_check_that_is_wrong_is_told(results: Sequence[CheckResult], said: str) -> None:
    with pytest.raises(ConformanceError, match=said):
        await check_sink(lambda: _Checked(*results), secrets=["4711-secret"])
