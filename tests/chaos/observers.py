"""Real sinks and stores for a worker: some where nothing can be written, some for texts of any kind."""

from __future__ import annotations

from pathlib import Path

from patter_core.sink import EventSink
from patter_core.sinks import ConsoleSink, JsonLinesSink, SQLiteSink
from patter_core.store import CallStore
from patter_redis import RedisCallStore
from patter_webhook import WebhookSink

__all__ = ["failing_sinks", "failing_store", "text_sinks"]

_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
_CLOSED = "127.0.0.1:9"
"""Where nothing listens."""


def failing_sinks(folder: Path) -> list[EventSink]:
    """A full disk, a file that is no database, a receiver that is away; and one that works, `good.jsonl`."""
    garbage = folder / "garbage.db"
    garbage.write_bytes(b"no database" * 1_000)
    return [
        JsonLinesSink("/dev/full"),
        SQLiteSink(garbage),
        WebhookSink(f"http://{_CLOSED}/", _SECRET, outbox=folder / "outbox.db"),
        JsonLinesSink(folder / "good.jsonl"),
    ]


def failing_store() -> CallStore:
    """A server that is away."""
    return RedisCallStore(f"redis://{_CLOSED}/0")


def text_sinks(folder: Path) -> list[EventSink]:
    """Those that show or keep what was said: on standard error, in a database, in a file."""
    return [ConsoleSink(), SQLiteSink(folder / "texts.db"), JsonLinesSink(folder / "texts.jsonl")]
