"""Webhooks as Telnyx sends them: signed events, in the order and as often as a test wants."""

from __future__ import annotations

import base64
import datetime as dt
import time
import uuid
from collections.abc import Mapping

import anyio
import httpx
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from patter_core.aio import Changes
from patter_core.testing import http
from patter_core.testing.network import Tunnels
from patter_telnyx.signing import SIGNATURE_HEADER, TIMESTAMP_HEADER, signed_bytes

__all__ = ["EventFields", "Exchange", "Mailbox", "WebhookSender"]

ATTEMPTS = 3
_PATIENCE = 0.05
"""Seconds that an event waits for another one to overtake it."""

Field = str | int | bool | None | Mapping[str, str] | list[dict[str, str]]
EventFields = Mapping[str, Field]


class _Event(msgspec.Struct, frozen=True, kw_only=True):
    record_type: str = "event"
    event_type: str
    id: str
    occurred_at: str
    payload: EventFields


class _Meta(msgspec.Struct, frozen=True):
    attempt: int
    delivered_to: str


class _Envelope(msgspec.Struct, frozen=True):
    data: _Event
    meta: _Meta


class Exchange(http.Exchange, frozen=True, kw_only=True):
    """An event that was delivered, and the app's answer."""

    event_type: str
    event_id: str
    body: bytes
    headers: Mapping[str, str]


class WebhookSender(http.WebhookSender):
    """Sends events for one account. Tests set its attributes to have it misbehave."""

    def __init__(self, client: httpx.AsyncClient, key: Ed25519PrivateKey, tunnels: Tunnels) -> None:
        super().__init__(client, tunnels)
        self.twice = False
        """Deliver each event a second time, nearly at once."""
        self.disorder = False
        """Have each event overtaken by the next, if there is one soon."""
        self.bare = False
        """Without the envelope `{"data": …, "meta": …}`."""
        self.exchanges: list[Exchange] = []
        """All that was delivered, by any call, in the order of the answers."""
        self._key = key
        self._changes = Changes()

    async def told(self, event_type: str, count: int = 1) -> list[Exchange]:
        """The deliveries of events of that type, once so many have been answered."""
        await self._changes.wait_until(lambda: len(self.of(event_type)) >= count)
        return self.of(event_type)

    def of(self, event_type: str) -> list[Exchange]:
        """The deliveries of events of that type so far."""
        return [exchange for exchange in self.exchanges if exchange.event_type == event_type]

    async def tell(self, url: str, event_type: str, payload: EventFields, fallback_url: str = "") -> None:
        """Tells an event as Telnyx does: again, if it was not taken; at last to the failover URL, if there is one."""
        event = _Event(
            event_type=event_type,
            id=str(uuid.uuid4()),
            occurred_at=dt.datetime.now(dt.UTC).isoformat(),
            payload=payload,
        )
        targets = [url] * ATTEMPTS + [fallback_url] * bool(fallback_url)
        for attempt, target in enumerate(targets, start=1):
            async with anyio.create_task_group() as tasks:
                if self.twice:
                    tasks.start_soon(self._deliver, target, event, attempt)
                exchange = await self._deliver(target, event, attempt)
            if 200 <= exchange.status < 300:
                return

    async def _deliver(self, url: str, event: _Event, attempt: int) -> Exchange:
        body = msgspec.json.encode(event if self.bare else _Envelope(event, _Meta(attempt, url)))
        return await self.send(url, body, event_type=event.event_type, event_id=event.id)

    async def send(
        self,
        url: str,
        body: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        event_type: str = "",
        event_id: str = "",
    ) -> Exchange:
        """Sends these bytes, signed now.

        Args:
            url: where to.
            body: as it is signed.
            headers: instead of those that Telnyx would send: those of an earlier exchange, for a replay.
            event_type: for the exchange.
            event_id: as above.
        """
        timestamp = str(int(time.time()))
        signature = self._key.sign(signed_bytes(timestamp, body))
        sent = {
            "Content-Type": "application/json",
            "User-Agent": "telnyx-webhooks",
            SIGNATURE_HEADER: base64.b64encode(signature).decode(),
            TIMESTAMP_HEADER: timestamp,
            **(headers or {}),
        }
        status = (await self.request("POST", url, headers=sent, content=body)).status
        exchange = Exchange(url=url, event_type=event_type, event_id=event_id, body=body, headers=sent, status=status)
        self.exchanges.append(exchange)
        self._changes.notify()
        return exchange


class Mailbox:
    """The events of one call on their way, one after the other: or out of order, if the sender is in disorder."""

    def __init__(self, sender: WebhookSender, fallback_url: str = "") -> None:
        self._sender = sender
        self._fallback_url = fallback_url
        self._waiting: list[tuple[str, str, EventFields]] = []
        self._delivering = False
        self._changes = Changes()

    def put(self, url: str, event_type: str, payload: EventFields) -> None:
        """Has an event told."""
        self._waiting.append((url, event_type, payload))
        self._changes.notify()

    async def run(self) -> None:
        """Tells them, until cancelled."""
        while True:
            await self._changes.wait_until(lambda: len(self._waiting) > 0)
            if self._sender.disorder:
                with anyio.move_on_after(_PATIENCE):
                    await self._changes.wait_until(lambda: len(self._waiting) > 1)
            batch, self._waiting, self._delivering = self._waiting, [], True
            for url, event_type, payload in reversed(batch) if self._sender.disorder else batch:
                await self._sender.tell(url, event_type, payload, self._fallback_url)
            self._delivering = False
            self._changes.notify()

    async def emptied(self) -> None:
        """Waits until all have been told."""
        await self._changes.wait_until(lambda: not (self._waiting or self._delivering))
