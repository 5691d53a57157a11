"""The sink: events go into the outbox, and from there to the receiver, until it has them."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import anyio
import msgspec

from patter_core.config import required
from patter_core.errors import ConfigurationError, SinkUnavailable
from patter_core.events import Record
from patter_core.net.http import send_request
from patter_core.sink import EventSink, SinkStatistics
from patter_core.threads import SerialThread
from patter_webhook.outbox import Message, Outbox
from patter_webhook.retry import Verdict, judge, next_due
from patter_webhook.signing import Secret, headers

__all__ = ["Body", "WebhookSink"]

_log = logging.getLogger("patter.webhook")

_ATTEMPT_TIMEOUT = 15.0
"""Seconds for a receiver to answer, as the specification recommends."""
_AT_ONCE = 8
_IDLE = 60.0
"""Seconds after which the outbox is looked at even if nothing is known to be due: another process may share it."""
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


class Body(msgspec.Struct, frozen=True):
    """A message's body, as the specification recommends it."""

    type: str
    """The event's."""
    timestamp: str
    """When it happened; ISO 8601."""
    data: Record


class WebhookSink(EventSink):
    """POSTs each event to a URL, signed by the Standard Webhooks scheme, until the receiver has it.

    Events wait in an SQLite file, so neither a restart nor a receiver that is away for a day loses one. One may arrive
    twice, and in another order: `webhook-id` is the same for an event whenever it comes.

    Args:
        url: where to; https, or http on loopback. From PATTER_WEBHOOK_SINK_URL if empty.
        secret: `whsec_…`; several while it is being changed. From PATTER_WEBHOOK_SINK_SECRET if empty.
        events: the kinds that are sent, such as `{"call_ended"}`; all, if None.
        outbox: the file.
        limit: how many events may wait in it.

    Raises:
        ConfigurationError: the URL or the secret is missing or wrong.
    """

    name: ClassVar[str] = "webhook"

    def __init__(
        self,
        url: str = "",
        secret: str | Sequence[str] = "",
        *,
        events: Collection[str] | None = None,
        outbox: str | Path = "patter-webhook.db",
        limit: int = 100_000,
        delay_scale: float = 1.0,
    ) -> None:
        where = "at whoever runs the receiver"
        self._url = required(url, parameter="WebhookSink(url=…)", variable="PATTER_WEBHOOK_SINK_URL", where=where)
        self._host = _checked_host(self._url)
        texts = [secret] if isinstance(secret, str) else secret
        self._secrets = [
            Secret(
                required(text, parameter="WebhookSink(secret=…)", variable="PATTER_WEBHOOK_SINK_SECRET", where=where)
            )
            for text in texts or [""]
        ]
        self._events = None if events is None else frozenset(events)
        self._delay_scale = delay_scale
        self._outbox = Outbox(Path(outbox), limit)
        self._worker = SerialThread()
        self._more = anyio.Event()
        self._gone = False

    def __repr__(self) -> str:
        return f"<WebhookSink to {self._host}>"

    async def write(self, records: Sequence[Record]) -> None:
        messages = [_message(record) for record in records if self._events is None or record.event.kind in self._events]
        if not messages or self._gone:
            return
        try:
            await self._worker.run(self._outbox.add, messages, time.time())
        except sqlite3.OperationalError as error:  # locked, full, gone
            raise SinkUnavailable(f"The outbox cannot be written: {error}.") from error
        self._more.set()

    async def run(self, statistics: SinkStatistics) -> None:
        while not self._gone:
            self._more = anyio.Event()
            if await self._deliver_due():
                continue
            due = await self._worker.run(self._outbox.next_due)
            with anyio.move_on_after(_IDLE if due is None else min(_IDLE, max(0.0, due - time.time()))):
                await self._more.wait()

    async def aclose(self) -> None:
        try:
            while not self._gone and await self._deliver_due():
                pass
        finally:
            with anyio.CancelScope(shield=True):  # the time is up, but a file closes at once
                await self._worker.run(self._outbox.close)

    async def _deliver_due(self) -> bool:
        """Try what is due; False if nothing was."""
        messages = await self._worker.run(self._outbox.take, time.time(), _AT_ONCE)
        async with anyio.create_task_group() as tasks:
            for message in messages:
                tasks.start_soon(self._deliver, message)
        return bool(messages)

    async def _deliver(self, message: Message) -> None:
        verdict, retry_after, problem = await self._attempt(message)
        match verdict:
            case Verdict.DELIVERED:
                await self._worker.run(self._outbox.delivered, message)
            case Verdict.AGAIN:
                due = next_due(message.attempts, time.time(), retry_after=retry_after, scale=self._delay_scale)
                if due is None:
                    _log.error("Event %s is given up: %s %s. It stays in the outbox.", message.id, self._host, problem)
                elif not message.attempts:
                    _log.warning("Event %s did not arrive: %s %s.", message.id, self._host, problem)
                await self._worker.run(self._outbox.failed, message, due)
            case Verdict.GONE:
                await self._worker.run(self._outbox.failed, message, None)
                if not self._gone:
                    _log.error("%s wants no more events (410): none is sent until the next start.", self._host)
                self._gone = True

    async def _attempt(self, message: Message) -> tuple[Verdict, str, str]:
        """Verdict, the receiver's wish when to come again, and what went wrong."""
        signed = headers(self._secrets, message.id, time.time(), message.body)
        try:
            with anyio.fail_after(_ATTEMPT_TIMEOUT):  # in all: the others are for each step
                answer = await send_request(
                    "POST",
                    self._url,
                    headers={"content-type": "application/json", **signed},
                    body=message.body,
                    connect_timeout=_ATTEMPT_TIMEOUT,
                    answer_timeout=_ATTEMPT_TIMEOUT,
                    discard_body=True,
                )
        except TimeoutError:
            return Verdict.AGAIN, "", f"did not answer in {_ATTEMPT_TIMEOUT:g} s"
        except ConnectionError as error:
            return Verdict.AGAIN, "", f"could not be reached ({error})"
        return judge(answer.status), answer.headers.get("retry-after", ""), f"answered {answer.status}"


def _message(record: Record) -> Message:
    when = datetime.fromtimestamp(record.time, UTC).isoformat().replace("+00:00", "Z")
    return Message(record.id, msgspec.json.encode(Body(record.event.kind, when, record)))


def _checked_host(url: str) -> str:
    parts = urlsplit(url)
    private = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    if private and parts.hostname:
        return parts.hostname
    raise ConfigurationError("The webhook URL cannot be used.", expected="https://…, or http:// on loopback")
