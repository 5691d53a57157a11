"""Webhooks as Vonage sends them: JSON, with a token that signs it."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Mapping

import anyio
import httpx
import msgspec

from patter_core.aio import Changes
from patter_core.testing import http
from patter_core.testing.network import Tunnels
from patter_vonage.jwt import sign_hs256
from patter_vonage.signing import VonageClaims

__all__ = ["Exchange", "Mailbox", "WebhookSender"]

ATTEMPTS = 3
_AGAIN = frozenset({0, 429, 500, 503, 504})
"""Answers after which a webhook is sent again; 0 is none."""
_PAUSE = 0.1

Field = str | int | bool | None | Mapping[str, str]
Fields = Mapping[str, Field]


class Exchange(http.Exchange, frozen=True, kw_only=True):
    """A webhook, and the app's answer."""

    body: bytes
    headers: Mapping[str, str]
    fields: Fields


class WebhookSender(http.WebhookSender):
    """Sends webhooks for one application."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        signature_secret: str,
        api_key: str,
        application_id: str,
        tunnels: Tunnels,
    ) -> None:
        super().__init__(client, tunnels)
        self.twice = False
        """Deliver each event a second time, with the same token."""
        self.exchanges: list[Exchange] = []
        """All that was sent, in the order of the answers."""
        self._secret = signature_secret
        self._api_key = api_key
        self._application_id = application_id
        self._changes = Changes()

    def token(self, body: bytes | None = None, *, issued_at: float | None = None) -> str:
        """Returns a token: for a webhook with that body, or for the upgrade of a media socket."""
        claims = VonageClaims(
            iat=int(time.time() if issued_at is None else issued_at),
            jti=str(uuid.uuid4()),
            payload_hash="" if body is None else hashlib.sha256(body).hexdigest(),
            api_key=self._api_key,
            application_id=self._application_id,
        )
        return sign_hs256(self._secret, claims)

    async def ask(self, url: str, fields: Fields) -> Exchange:
        """Sends a webhook until the app takes it: three times at most."""
        exchange = await self.send(url, fields)
        for _ in range(ATTEMPTS - 1):
            if exchange.status not in _AGAIN:
                break
            await anyio.sleep(_PAUSE)
            exchange = await self.send(url, fields)
        return exchange

    async def send(
        self,
        url: str,
        fields: Fields | None = None,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Exchange:
        """Sends one webhook, signed now.

        Args:
            url: where to.
            fields: what it says.
            body: in place of that.
            headers: instead of those that Vonage would send: those of an earlier exchange, for a replay.
        """
        content = msgspec.json.encode(fields or {}) if body is None else body
        sent = {
            "Content-Type": "application/json",
            "User-Agent": "Vonage/1.0",
            "Authorization": f"Bearer {self.token(content)}",
            **(headers or {}),
        }
        answered = await self.request("POST", url, headers=sent, content=content)
        exchange = Exchange(
            url=url, status=answered.status, answer=answered.answer, body=content, headers=sent, fields=fields or {}
        )
        self.exchanges.append(exchange)
        self._changes.notify()
        return exchange

    def of(self, status: str) -> list[Exchange]:
        """The events of that status so far."""
        return [exchange for exchange in self.exchanges if exchange.fields.get("status") == status]

    async def told(self, status: str, count: int = 1) -> list[Exchange]:
        """The events of that status, once so many have been answered."""
        await self._changes.wait_until(lambda: len(self.of(status)) >= count)
        return self.of(status)


class Mailbox:
    """The events of one call on their way, one after the other."""

    def __init__(self, sender: WebhookSender) -> None:
        self._sender = sender
        self._waiting: list[tuple[str, Fields]] = []
        self._delivering = False
        self._changes = Changes()

    def put(self, url: str, fields: Fields) -> None:
        """Has an event told, if there is a URL for it."""
        if url:
            self._waiting.append((url, fields))
            self._changes.notify()

    async def run(self) -> None:
        """Tells them, until cancelled."""
        while True:
            await self._changes.wait_until(lambda: len(self._waiting) > 0)
            batch, self._waiting, self._delivering = self._waiting, [], True
            for url, fields in batch:
                exchange = await self._sender.ask(url, fields)
                if self._sender.twice:
                    await self._sender.send(url, body=exchange.body, headers=exchange.headers)
            self._delivering = False
            self._changes.notify()

    async def emptied(self) -> None:
        """Waits until all have been told."""
        await self._changes.wait_until(lambda: not (self._waiting or self._delivering))
