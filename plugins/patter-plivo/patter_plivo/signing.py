"""Verifies Plivo's signature V3 of a webhook and of a media socket's upgrade. Pure functions.

Plivo signs with HMAC-SHA256 and an auth token, and sends the base64 of it as `X-Plivo-Signature-V3` (token of the
account or subaccount that owns the number) and as `X-Plivo-Signature-Ma-V3` (token of the main account); each may hold
several, separated by commas. The signed text is a base, a dot, and `X-Plivo-Signature-V3-Nonce`. The base is

* for a form: the URL without its query, `?`, the query's pairs sorted and decoded as `name=value&…`, a dot if there are
  any, and each field as name and value, sorted, without separators;
* for a POST without fields: the URL, with its query sorted and decoded;
* for GET: the same, with all pairs;
* for the upgrade of a socket: as for GET, of the URL with `http` in place of `wss`.

Only the contents of the `Proof` are verified: a handler reads nothing else of the request. There is no time in what is
signed; a webhook that comes again is harmless, because each handler reports what the core takes once.
"""

from __future__ import annotations

import base64
import collections
import hmac
import re
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from patter_core.errors import WebhookRefused
from patter_core.webhook import WebhookRequest

__all__ = [
    "MAIN_SIGNATURE_HEADER",
    "NONCE_HEADER",
    "SIGNATURE_HEADER",
    "Proof",
    "signature",
    "signed_base",
    "verify_upgrade",
    "verify_webhook",
]

SIGNATURE_HEADER = "x-plivo-signature-v3"
MAIN_SIGNATURE_HEADER = "x-plivo-signature-ma-v3"
NONCE_HEADER = "x-plivo-signature-v3-nonce"

MOST_FIELDS = 1_000
"""In a form. Plivo sends some 30; the limit bounds the work for a forged request."""
_MOST_SIGNATURES = 8
"""In both headers."""
_NONCE = re.compile(r"[0-9A-Za-z_-]{1,128}")
"""Without a dot, which ends the base in the signed text: a nonce cannot be part of what it stands behind."""
_FORM = "application/x-www-form-urlencoded"

Pairs = Sequence[tuple[str, str]]


class Proof(msgspec.Struct, frozen=True):
    """The verified part of a request."""

    url: str
    """The URL that Plivo requested: one of the request's `candidate_urls`."""
    fields: Mapping[str, str] = {}
    """The form's fields, or the query's for GET."""
    repeated: frozenset[str] = frozenset()
    """The names of those that came with several values: only one of these is in `fields`."""

    def __repr__(self) -> str:
        return f"<Proof of {len(self.fields)} fields>"


def signature(token: str, base: str, nonce: str) -> str:
    """Returns the signature of a base (`signed_base`)."""
    return base64.b64encode(hmac.digest(token.encode(), f"{base}.{nonce}".encode(), "sha256")).decode()


def signed_base(url: str, fields: Iterable[tuple[str, str]] = ()) -> str:
    """Returns what is signed of a request of `url` with a form of `fields`; for GET all fields are in the URL."""
    address, _, query = url.partition("?")
    pairs = "&".join(f"{name}={value}" for name, value in sorted(_pairs(query)))
    form = "".join(name + value for name, value in sorted(fields))
    if not form:
        return f"{address}?{pairs}" if pairs else address
    return f"{address}?{pairs}.{form}" if pairs else f"{address}?{form}"


def verify_webhook(request: WebhookRequest, tokens: Sequence[str]) -> Proof:
    """Verifies a webhook with each of `tokens`: there are several while a token is being rotated.

    Raises:
        WebhookRefused: no token and no candidate URL gives a signature of the request.
    """
    nonce, presented = _presented(request)
    form = _form(request)
    for url in request.candidate_urls:
        if _fits(presented, tokens, signed_base(url, form), nonce):
            return _proof(url, form if request.method == "POST" else _pairs(url.partition("?")[2]))
    raise _refused(request)


def verify_upgrade(request: WebhookRequest, tokens: Sequence[str]) -> Proof:
    """Verifies the upgrade of a media socket. Its URL is signed with the scheme `http`; the others are taken, too.

    Raises:
        WebhookRefused: as above.
    """
    nonce, presented = _presented(request)
    for url in request.candidate_urls:
        if any(_fits(presented, tokens, signed_base(form), nonce) for form in _schemes(url)):
            return Proof(url)
    raise _refused(request)


def _fits(presented: Sequence[bytes], tokens: Sequence[str], base: str, nonce: str) -> bool:
    wanted = [signature(token, base, nonce).encode() for token in tokens]
    return any(hmac.compare_digest(one, other) for one in wanted for other in presented)


def _proof(url: str, pairs: Pairs) -> Proof:
    counts = collections.Counter(name for name, _ in pairs)
    return Proof(url, dict(pairs), frozenset(name for name, count in counts.items() if count > 1))


def _presented(request: WebhookRequest) -> tuple[str, list[bytes]]:
    """Returns the nonce, and the signatures of both headers."""
    headers = ",".join(request.headers.get(name, "") for name in (SIGNATURE_HEADER, MAIN_SIGNATURE_HEADER))
    found = [value.strip().encode() for value in headers.split(",") if value.strip()]
    nonce = request.headers.get(NONCE_HEADER, "")
    if not found or not _NONCE.fullmatch(nonce):
        raise WebhookRefused(
            "The request is not signed.",
            expected="X-Plivo-Signature-V3 and X-Plivo-Signature-V3-Nonce",
            got="no such headers" if not found else "no such nonce",
        )
    return nonce, found[:_MOST_SIGNATURES]


def _form(request: WebhookRequest) -> Pairs:
    if request.method in {"GET", "HEAD"} or not request.body:
        return ()
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise WebhookRefused("The webhook's body is no form.", expected=_FORM)
    return _pairs(request.body.decode(errors="replace"))


def _pairs(text: str) -> Pairs:
    try:
        return urllib.parse.parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise WebhookRefused("The form has too many fields.", expected=f"at most {MOST_FIELDS}") from None


def _schemes(url: str) -> Iterator[str]:
    rest = url.partition("://")[2]
    for scheme in ("http", "https", "ws", "wss"):
        yield f"{scheme}://{rest}"


def _refused(request: WebhookRequest) -> WebhookRefused:
    return WebhookRefused(
        "The signature is not Plivo's for this account and address.",
        expected=f"a signature of one of {len(request.candidate_urls)} possible addresses",
        remedy="Check auth_token, and that the public address is exactly the one that was given to Plivo.",
    )
