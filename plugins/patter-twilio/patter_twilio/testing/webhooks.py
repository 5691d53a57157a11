"""Webhooks as Twilio sends them: signed forms, each with a token by which a repeated one is known."""

from __future__ import annotations

import urllib.parse
import uuid
from collections.abc import Mapping

import httpx
import msgspec

from patter_core.testing.network import Tunnels
from patter_twilio.signing import signature

__all__ = ["Exchange", "WebhookSender"]

ANSWER_TIMEOUT = 15.0
"""Seconds that Twilio waits for a webhook's answer."""


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook and its answer."""

    url: str
    fields: Mapping[str, str]
    method: str
    idempotency_token: str
    status: int
    """0 if there was no answer."""
    body: bytes = b""
    content_type: str = ""


class WebhookSender:
    """Sends webhooks for one account."""

    def __init__(self, client: httpx.AsyncClient, *, account_sid: str, auth_token: str, tunnels: Tunnels) -> None:
        self.account_sid = account_sid
        self.auth_token = auth_token
        self.tunnels = tunnels
        self._client = client

    async def send(
        self,
        url: str,
        fields: Mapping[str, str],
        *,
        method: str = "POST",
        idempotency_token: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Exchange:
        """Send one and wait for the answer.

        Args:
            url: as Twilio was given it, and as it is signed.
            fields: as the form of a POST, or added to the query of a GET.
            method: POST or GET.
            idempotency_token: of an earlier exchange, to repeat it.
            headers: instead of those that Twilio would send: a wrong `X-Twilio-Signature`, for one.
        """
        token = idempotency_token or str(uuid.uuid4())
        if method == "GET":
            asked = f"{url}{'&' if '?' in url else '?'}{urllib.parse.urlencode(fields)}"
            signed, form = signature(self.auth_token, asked), None
        else:
            asked = url
            signed, form = signature(self.auth_token, asked, fields.items()), dict(fields)
        route = self.tunnels.route(asked)
        sent = {
            "Host": route.authority,
            "User-Agent": "TwilioProxy/1.1",
            "X-Twilio-Signature": signed,
            "I-Twilio-Idempotency-Token": token,
            **route.forwarded,
            **(headers or {}),
        }
        status, body, content_type = 0, b"", ""
        try:
            response = await self._client.request(
                method, httpx.URL(route.url), data=form, headers=sent, timeout=ANSWER_TIMEOUT
            )
        except httpx.TransportError:
            pass
        else:
            status, body = response.status_code, response.content
            content_type = response.headers.get("content-type", "")
        return Exchange(
            url=url,
            fields=fields,
            method=method,
            idempotency_token=token,
            status=status,
            body=body,
            content_type=content_type,
        )
