"""Webhooks as Plivo sends them: forms, or queries, with a signature V3."""

from __future__ import annotations

import secrets
import urllib.parse
from collections.abc import Mapping

import httpx

from patter_core.testing import http
from patter_core.testing.network import Tunnels
from patter_plivo.signing import signature, signed_base

__all__ = ["Exchange", "WebhookSender", "signature_headers"]


class Exchange(http.Exchange, frozen=True, kw_only=True):
    """A webhook of Plivo's, and its answer."""

    fields: Mapping[str, str]
    method: str
    nonce: str


def signature_headers(auth_token: str, base: str, nonce: str = "") -> dict[str, str]:
    """The headers of a request that is signed with one account's token: of the owner, and of the main account."""
    nonce = nonce or str(secrets.randbelow(10**20))
    signed = signature(auth_token, base, nonce)
    return {"X-Plivo-Signature-V3": signed, "X-Plivo-Signature-Ma-V3": signed, "X-Plivo-Signature-V3-Nonce": nonce}


class WebhookSender(http.WebhookSender):
    """Sends webhooks for one account."""

    def __init__(self, client: httpx.AsyncClient, *, auth_id: str, auth_token: str, tunnels: Tunnels) -> None:
        super().__init__(client, tunnels)
        self.auth_id = auth_id
        self.auth_token = auth_token

    async def send(
        self,
        url: str,
        fields: Mapping[str, str],
        *,
        method: str = "POST",
        nonce: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Exchange:
        """Sends one and waits for the answer.

        Args:
            url: as Plivo was given it, and as it is signed.
            fields: as the form of a POST, or added to the query of a GET.
            method: POST or GET.
            nonce: of an earlier exchange, to repeat it.
            headers: instead of those that Plivo would send: a wrong `X-Plivo-Signature-V3`, for one.
        """
        form = urllib.parse.urlencode(fields)
        if method == "GET":
            asked, content = f"{url}{'&' if '?' in url else '?'}{form}", None
            base = signed_base(asked)
        else:
            asked, content = url, form.encode()
            base = signed_base(url, fields.items())
        signed = signature_headers(self.auth_token, base, nonce)
        sent = {
            "User-Agent": "Plivo-Core/1.0",
            **signed,
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
            nonce=signed["X-Plivo-Signature-V3-Nonce"],
        )
