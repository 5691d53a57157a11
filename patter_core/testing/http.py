"""What an emulated carrier requests of the app, and what it is asked itself."""

from __future__ import annotations

from collections.abc import Mapping

import httpx
import msgspec

from patter_core.testing.network import Tunnels

__all__ = ["ApiRequest", "Exchange", "WebhookSender"]

_ANSWER_TIMEOUT = 15.0


class ApiRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request to the vendor's API, and its answer."""

    method: str
    path: str
    status: int
    """Of the answer."""


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook, and the app's answer."""

    url: str
    status: int
    """0 if there was no answer."""
    answer: bytes = b""


class WebhookSender:
    """Requests webhooks of the app, through the tunnels."""

    def __init__(self, client: httpx.AsyncClient, tunnels: Tunnels) -> None:
        self._client = client
        self.tunnels = tunnels

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None = None
    ) -> Exchange:
        """Requests a URL as the vendor was given it, and waits for the answer."""
        route = self.tunnels.route(url)
        sent = {"Host": route.authority, **route.forwarded, **headers}
        try:
            response = await self._client.request(
                method, httpx.URL(route.url), content=content, headers=sent, timeout=_ANSWER_TIMEOUT
            )
        except httpx.TransportError:
            return Exchange(url=url, status=0)
        return Exchange(url=url, status=response.status_code, answer=response.content)
