"""Verifies Twilio's signature of a webhook and of a media socket's upgrade. Pure functions.

Twilio signs with HMAC-SHA1 and the account's auth token, and sends the base64 of it as `X-Twilio-Signature` (Twilio's
page "Webhooks security"). The signed text is the URL as it was given to Twilio, followed by:

* for a form: each distinct name and value, sorted, without separators; blanks count and nothing is trimmed;
* for GET and for the upgrade of a socket: nothing, since the query is part of the URL;
* for any other body: nothing, but the URL's query has the SHA-256 of the body as `bodySHA256`.

The URL is not always signed as it was given: the default port may be added or removed, and so may a socket's trailing
slash; a socket's scheme may be that of HTTP. Each form is tried. Only the contents of the `Proof` are verified: a
handler reads nothing else of the request.
"""

from __future__ import annotations

import base64
import collections
import hashlib
import hmac
import re
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from patter_core.errors import WebhookRefused
from patter_core.webhook import WebhookRequest

__all__ = ["SETTINGS_HEADER", "SIGNATURE_HEADER", "Proof", "signature", "verify_upgrade", "verify_webhook"]

SIGNATURE_HEADER = "x-twilio-signature"
SETTINGS_HEADER = "x-twilio-webhooks-signature-settings"
"""Selects another key and algorithm (beta). Such keys are not supported, so the request is refused."""

MOST_FIELDS = 1_000
"""In a form. Twilio sends some 40; the limit bounds the work for a forged request."""

Pairs = Sequence[tuple[str, str]]


class Proof(msgspec.Struct, frozen=True):
    """The verified part of a request."""

    url: str
    """The URL that Twilio requested: one of the request's `candidate_urls`. One whose port is not signed stands without
    it, unless the user configured it."""
    fields: Mapping[str, str] = {}
    """The form's fields, or the query's for GET. Empty for another kind of body, whose bytes are verified."""
    repeated: frozenset[str] = frozenset()
    """The names of those that came with several values: only one of these is in `fields`."""

    def __repr__(self) -> str:
        return f"<Proof of {len(self.fields)} fields>"


def signature(token: str, url: str, fields: Iterable[tuple[str, str]] = ()) -> str:
    """Returns Twilio's `X-Twilio-Signature` for a request of `url` with the form `fields`."""
    text = "".join([url, *(name + value for name, value in sorted(set(fields)))])
    return base64.b64encode(hmac.digest(token.encode(), text.encode(), "sha1")).decode()


def verify_webhook(request: WebhookRequest, tokens: Sequence[str]) -> Proof:
    """Verifies a webhook with each of `tokens`: there are several while a token is being rotated.

    Raises:
        WebhookRefused: no token and no form of a candidate URL gives the request's signature.
    """
    presented = _presented(request)
    for url in request.candidate_urls:
        fields, signed = _contents(request, url)
        fitting = _signed_form(presented, tokens, _ports(url), signed)
        if fitting:
            loses_port = len(fitting) < len(url) and not request.is_configured
            return _proof(fitting if loses_port else url, fields)
    raise _refused(request)


def verify_upgrade(request: WebhookRequest, tokens: Sequence[str]) -> Proof:
    """Verifies the upgrade of a media socket. Each of candidate and signed URL may begin with ws or with http.

    Raises:
        WebhookRefused: as above.
    """
    presented = _presented(request)
    for url in request.candidate_urls:
        forms = (port for scheme in _families(url) for slash in _slashes(scheme) for port in _ports(slash))
        if _signed_form(presented, tokens, forms, ()):
            return Proof(url)
    raise _refused(request)


def _proof(url: str, pairs: Pairs) -> Proof:
    counts = collections.Counter(name for name, _ in set(pairs))
    return Proof(url, dict(pairs), frozenset(name for name, count in counts.items() if count > 1))


# --- the request ---------------------------------------------------------------------------------------------------


def _presented(request: WebhookRequest) -> bytes:
    if request.headers.get(SETTINGS_HEADER):
        raise WebhookRefused(
            "The webhook is signed with a key that is not supported.",
            expected="X-Twilio-Signature made with the account's auth token",
            got="X-Twilio-Webhooks-Signature-Settings",
            remedy="Switch the shared key off for this webhook in Twilio's console.",
        )
    presented = request.headers.get(SIGNATURE_HEADER, "")
    if not presented:
        raise WebhookRefused("The request is not signed.", expected="X-Twilio-Signature", got="no such header")
    return presented.encode()


def _contents(request: WebhookRequest, url: str) -> tuple[Pairs, Pairs]:
    """Returns the request's fields, and those that are signed in addition to the URL."""
    query = _pairs(url.partition("?")[2])
    if request.method in {"GET", "HEAD"}:
        return query, ()
    promised = dict(query).get("bodySHA256", "")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded" or not (request.body or promised):
        form = _pairs(request.body.decode(errors="replace"))
        return form, form
    if not hmac.compare_digest(hashlib.sha256(request.body).hexdigest().encode(), promised.lower().encode()):
        raise WebhookRefused("The body is not the one that was signed.", expected="its SHA-256 as bodySHA256")
    return (), ()


def _pairs(text: str) -> Pairs:
    try:
        return urllib.parse.parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise WebhookRefused("The form has too many fields.", expected=f"at most {MOST_FIELDS}") from None


def _signed_form(presented: bytes, tokens: Sequence[str], urls: Iterable[str], fields: Pairs) -> str:
    """Returns the one of the URLs that is signed, with one of the tokens; "" if none is."""
    for url in urls:
        for token in tokens:
            if hmac.compare_digest(presented, signature(token, url, fields).encode()):
                return url
    return ""


def _refused(request: WebhookRequest) -> WebhookRefused:
    return WebhookRefused(
        "The signature is not Twilio's for this account and address.",
        expected=f"a signature of one of {len(request.candidate_urls)} possible addresses",
        remedy="Check auth_token, and that the public address is exactly the one that was given to Twilio.",
    )


# --- the forms of a URL --------------------------------------------------------------------------------------------

# Split by hand: urllib would normalize the URL, and the signature is of the URL as it was.
_URL = re.compile(r"(?P<scheme>[^:/?#]+)://(?P<host>[^/?#]*?)(?::(?P<port>[0-9]+))?(?P<rest>[/?#].*)?", re.DOTALL)
_DEFAULT_PORTS = {"http": "80", "https": "443", "ws": "80", "wss": "443"}


def _ports(url: str) -> Iterator[str]:
    """Yields the URL, and its other form: without its port, or with the default port of its scheme."""
    yield url
    parts = _URL.fullmatch(url)
    if parts is None:
        return
    scheme, host, port, rest = parts.groups("")
    if port:
        yield f"{scheme}://{host}{rest}"
    elif scheme.lower() in _DEFAULT_PORTS:
        yield f"{scheme}://{host}:{_DEFAULT_PORTS[scheme.lower()]}{rest}"


def _slashes(url: str) -> Iterator[str]:
    """Yields the URL with and without a slash at the end of its path."""
    yield url
    path, question_mark, query = url.partition("?")
    yield (path[:-1] if path.endswith("/") else f"{path}/") + question_mark + query


def _families(url: str) -> Iterator[str]:
    """Yields the URL with the scheme of a WebSocket, and with that of HTTP."""
    scheme, _, rest = url.partition("://")
    secure = "s" if scheme.lower() in {"https", "wss"} else ""
    yield f"ws{secure}://{rest}"
    yield f"http{secure}://{rest}"
