"""Requests and answers of webhooks, between the web server and the carrier contract."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec
from starlette.responses import Response
from starlette.types import Scope

from patter_core.server.urls import candidate_urls, forwarded_base
from patter_core.webhook import WebhookRequest, WebhookResponse

__all__ = ["Address", "http_response", "webhook_request"]

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_SERVERS = frozenset({"connection", "content-length", "content-type", "transfer-encoding"})
"""Headers that the server writes, or that have a field of their own."""
_STATUSES = range(200, 600)
_NO_HEADERS: Mapping[str, str] = {}


class Address(msgspec.Struct, frozen=True):
    """How the public address is found."""

    base: str
    trust_forwarded: bool


def webhook_request(scope: Scope, address: Address, body: bytes) -> WebhookRequest:
    """Returns a request, or the upgrade of a media socket, as a carrier's plugin gets it."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    root: str = scope.get("root_path", "")
    params: Mapping[str, str] = scope.get("path_params", {})
    return WebhookRequest(
        method=scope.get("method", "GET"),
        candidate_urls=candidate_urls(
            base=address.base or (forwarded_base(headers, root) if address.trust_forwarded else ""),
            headers=headers,
            path=(scope.get("raw_path") or scope["path"].encode()).decode("latin-1"),
            root=root,
            query=scope["query_string"].decode("latin-1"),
            socket=scope["type"] == "websocket",
        ),
        headers=headers,
        body=body,
        is_configured=bool(address.base),
        path_token=params.get("token", ""),
    )


def http_response(answer: WebhookResponse, headers: Mapping[str, str] = _NO_HEADERS) -> Response:
    """Returns the answer of a plugin as the server sends it.

    Args:
        answer: the plugin's.
        headers: ours; they replace the plugin's.

    Raises:
        ValueError: the plugin's status or headers cannot be sent.
    """
    if answer.status not in _STATUSES:
        raise ValueError(f"The webhook's answer has a status that does not exist: {answer.status!r}.")
    if not _HEADER_VALUE.fullmatch(answer.content_type):
        raise ValueError("The webhook's answer has a content type, which is a header, that cannot be sent.")
    for name, value in answer.headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise ValueError(f"The webhook's answer has a header that cannot be sent: {name!r}.")
        if name.lower() in _SERVERS:
            raise ValueError(f"The webhook's answer may not set the header {name}.")
    return Response(
        answer.body,
        status_code=answer.status,
        headers={**answer.headers, **headers, "content-type": answer.content_type},
    )
