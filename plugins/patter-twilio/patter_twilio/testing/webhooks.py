"""Webhooks as Twilio sends them: signed forms, each with a token by which a repeated one is known."""

from __future__ import annotations

import urllib.parse
import uuid
from collections.abc import Mapping

import httpx

from patter_core.testing import http
from patter_core.testing.network import Tunnels
from patter_twilio.signing import signature

__all__ = ["Exchange", "WebhookSender"]


class Exchange(http.Exchange, frozen=True, kw_only=True):
    """A webhook of Twilio's, and its answer."""

    fields: Mapping[str, str]
    method: str
    idempotency_token: str


class WebhookSender(http.WebhookSender):
    """Sends webhooks for one account."""

    def __init__(self, client: httpx.AsyncClient, *, account_sid: str, auth_token: str, tunnels: Tunnels) -> None:
        super().__init__(client, tunnels)
        self.account_sid = account_sid
        self.auth_token = auth_token

    async def send(
        self,
        url: str,
        fields: Mapping[str, str],
        *,
        method: str = "POST",
        idempotency_token: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Exchange:
        """Sends one and waits for the answer.

        Args:
            url: as Twilio was given it, and as it is signed.
            fields: as the form of a POST, or added to the query of a GET.
            method: POST or GET.
            idempotency_token: of an earlier exchange, to repeat it.
            headers: instead of those that Twilio would send: a wrong `X-Twilio-Signature`, for one.
        """
        token = idempotency_token or str(uuid.uuid4())
        form = urllib.parse.urlencode(fields)
        if method == "GET":
            asked = f"{url}{'&' if '?' in url else '?'}{form}"
            signed, content = signature(self.auth_token, asked), None
        else:
            asked = url
            signed, content = signature(self.auth_token, asked, fields.items()), form.encode()
        sent = {
            "User-Agent": "TwilioProxy/1.1",
            "X-Twilio-Signature": signed,
            "I-Twilio-Idempotency-Token": token,
            **({"Content-Type": "application/x-www-form-urlencoded"} if content is not None else {}),
            **(headers or {}),
        }
        exchange = await self.request(method, asked, headers=sent, content=content)
        return Exchange(
            url=url,
            status=exchange.status,
            answer=exchange.answer,
            fields=fields,
            method=method,
            idempotency_token=token,
        )
