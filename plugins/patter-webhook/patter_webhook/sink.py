"""The sink: events go into the outbox, and from there to the receiver, until it has accepted them."""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import anyio
import msgspec

from patter_core.aio import Changes
from patter_core.aio.threads import SerialThread
from patter_core.checks import CheckResult, Level, checked, problem_of
from patter_core.config import Setting, check_arguments, secrets_of
from patter_core.errors import ConfigurationError, SinkRefused, SinkUnavailable
from patter_core.events import Record
from patter_core.net.http import send_request
from patter_core.net.peer_name import peer_name
from patter_core.net.unreached import unreached
from patter_core.observe.told import Told
from patter_core.sink import EventSink, WorkerStatistics
from patter_webhook.outbox import Message, Outbox
from patter_webhook.retry import Outcome, next_due, outcome_of
from patter_webhook.signing import Secret, headers

__all__ = ["Body", "WebhookSink"]

_log = logging.getLogger("patter.webhook")

_ATTEMPT_TIMEOUT = 15.0
"""Seconds for a receiver to answer, as the specification recommends."""
_CHECK_TIMEOUT = 5.0
"""Seconds for a receiver to answer a check."""
_CONCURRENCY = 8
"""Attempts at a time."""
_IDLE = 60.0
"""Seconds between two looks into the outbox if nothing is known to be due: another process may share it."""
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


class Body(msgspec.Struct, frozen=True):
    """The body of a message, as the specification recommends it."""

    type: str
    """The kind of the event."""
    timestamp: str
    """When the event happened; ISO 8601."""
    data: Record


class WebhookSink(EventSink):
    """POSTs each event to a URL, signed by the Standard Webhooks scheme, until the receiver accepts it.

    Events wait in an SQLite file, so neither a restart nor a receiver that is down for a day loses one. An event may
    arrive twice, and out of order; its `webhook-id` is always the same.

    Args:
        url: of the receiver: https, or http on loopback. From PATTER_WEBHOOK_SINK_URL if empty.
        secret: `whsec_…`; several while it is being replaced. From PATTER_WEBHOOK_SINK_SECRET if empty, where
            commas separate several.
        events: the kinds that are sent, such as `{"call_ended"}`; all, if None.
        outbox: the SQLite file.
        limit: how many events the outbox may hold.
        delay_scale: of all delays between attempts; for tests.

    Raises:
        ConfigurationError: the URL or the secret is missing or invalid.
    """

    name: ClassVar[str] = "webhook"

    @check_arguments
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
        where = "in the receiver's settings"
        setting = Setting(url, "WebhookSink(url=…)", "PATTER_WEBHOOK_SINK_URL")
        self._url = setting.required(where)
        self._host = _checked_host(self._url, setting.name)
        given = secret if not isinstance(secret, str) else [secret] if secret.strip() else []
        parameter, variable = "WebhookSink(secret=…)", "PATTER_WEBHOOK_SINK_SECRET"
        texts = secrets_of(given, parameter=parameter, variable=variable, check=Secret)
        texts = texts or (Setting("", parameter, variable).required(where),)
        self._secrets = [Secret(text) for text in texts]
        self._events = None if events is None else frozenset(events)
        self._delay_scale = delay_scale
        self.path = Path(outbox)
        self._outbox = Outbox(self.path, limit)
        self._thread = SerialThread()
        self._writes = 0
        self._changes = Changes()
        self._told = Told()
        self._gone = ""
        """Why no events are sent any more."""

    def __repr__(self) -> str:
        return f"<WebhookSink to {self._host}>"

    async def write(self, records: Sequence[Record]) -> None:
        messages = [_message(record) for record in records if self._events is None or record.event.kind in self._events]
        if messages and self._gone:
            raise SinkRefused(self._gone, remedy="Start again once it does.")
        if messages:
            await self._thread.run(self._outbox.add, messages, time.time())
        self.passed_over += len(records) - len(messages)
        if not messages:
            return
        self._writes += 1
        self._changes.notify()

    async def run(self, statistics: WorkerStatistics) -> None:
        while not self._gone:
            writes = self._writes
            if await self._deliver_due():
                continue
            due = await self._thread.run(self._outbox.next_due)
            with anyio.move_on_after(_IDLE if due is None else min(_IDLE, max(0.0, due - time.time()))):
                await self._changes.wait_until(functools.partial(self._has_written_since, writes))

    async def aclose(self) -> None:
        try:
            with contextlib.suppress(SinkRefused):  # the outbox cannot be written, which was told
                while not self._gone and await self._deliver_due():
                    pass
        finally:
            with anyio.CancelScope(shield=True):  # the time is up, but a file closes quickly
                await self._thread.run(self._outbox.close)

    async def check(self) -> Sequence[CheckResult]:
        outbox = await checked(self._thread.run(self._outbox.check), f"The outbox for {self._host} can be written.")
        return (*outbox, await self._check_receiver())

    async def _check_receiver(self) -> CheckResult:
        """Tries the way to the receiver, as events take it, with a HEAD, which sends none. Any answer is one."""
        try:
            with anyio.fail_after(_CHECK_TIMEOUT):
                answer = await send_request(
                    "HEAD", self._url, headers={}, connect_timeout=_CHECK_TIMEOUT, discard_body=True
                )
        except (TimeoutError, ConnectionError) as error:
            peer = peer_name("The receiver", self._url)
            told = unreached(error, peer, setting="url or PATTER_WEBHOOK_SINK_URL", is_own=True)
            failed = SinkUnavailable(told.problem, expected=told.expected, got=told.got, remedy=told.remedy)
            meanwhile = "Calls are not affected. Events wait in the outbox until it is there, for three days at most."
            return msgspec.structs.replace(problem_of(failed), details=(meanwhile,))
        status = (
            f", a HEAD request with status {answer.status}" if answer.status >= 300 else ""
        )  # it may know POST alone
        return CheckResult(Level.OK, f"The receiver at {self._host} answers{status}.")

    def _has_written_since(self, writes: int) -> bool:
        return self._writes != writes

    async def _deliver_due(self) -> bool:
        """Tries to deliver the messages that are due. Returns False if none were.

        If cancelled, those whose outcome is not known yet are due again at once, here or after a restart.
        """
        with anyio.CancelScope(shield=True):  # or what was taken would be lost until its lease ends
            messages = await self._thread.run(self._outbox.take, time.time(), _CONCURRENCY)
        undone = {message.id for message in messages}
        try:
            async with anyio.create_task_group() as tasks:
                for message in messages:
                    tasks.start_soon(self._deliver, message, undone)
        finally:
            if undone:
                with anyio.CancelScope(shield=True):
                    await self._thread.run(self._outbox.give_back, undone, time.time())
        self.held = await self._thread.run(functools.partial(self._outbox.held, untried=bool(self._gone)))
        return bool(messages)

    async def _deliver(self, message: Message, undone: set[str]) -> None:
        """Delivers a message, notes the outcome, and removes it from `undone`."""
        outcome, retry_after, problem = await self._attempt(message)
        match outcome:
            case Outcome.DELIVERED:
                self._told.worked()
                await self._thread.run(self._outbox.delivered, message)
            case Outcome.RETRY:
                due = next_due(message.attempts, time.time(), retry_after=retry_after, scale=self._delay_scale)
                if due is None:
                    self.given_up += 1
                    _log.error(
                        "Event %s could not be delivered: %s %s. It stays in the outbox.",
                        message.id,
                        self._host,
                        problem,
                    )
                elif self._told.is_new(problem, anyio.current_time()):
                    _log.warning(
                        "Event %s was not delivered: %s %s. It is retried, and this is told once.",
                        message.id,
                        self._host,
                        problem,
                    )
                await self._thread.run(self._outbox.failed, message, due)
            case Outcome.GONE:
                self.given_up += 1
                await self._thread.run(self._outbox.failed, message, None)
                if not self._gone:
                    self._gone = f"{self._host} wants no more events (HTTP status 410)."
                    _log.error("%s None are sent until the next start.", self._gone)
        undone.discard(message.id)

    async def _attempt(self, message: Message) -> tuple[Outcome, str, str]:
        """Returns the outcome, the receiver's `Retry-After`, and what went wrong."""
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
            return Outcome.RETRY, "", f"did not answer in {_ATTEMPT_TIMEOUT:g} s"
        except ConnectionError as error:
            return Outcome.RETRY, "", f"could not be reached ({error})"
        problem = f"answered with status {answer.status}"
        return outcome_of(answer.status), answer.headers.get("retry-after", ""), problem


def _message(record: Record) -> Message:
    when = datetime.fromtimestamp(record.time, UTC).isoformat().replace("+00:00", "Z")
    return Message(record.id, msgspec.json.encode(Body(record.event.kind, when, record)))


def _checked_host(url: str, parameter: str) -> str:
    parts = urlsplit(url)
    private = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    if private and parts.hostname:
        return parts.hostname
    raise ConfigurationError(
        f"{parameter} is not the URL of a receiver.", expected="https://…, or http://… on loopback"
    )
