"""Which requests come to an app: an attacker's list, one request each."""

from __future__ import annotations

import msgspec
import pytest

from patter_core.apps.access import AppAccess
from patter_core.apps.guard import Guard, RequestFacts, facts_of

LOCAL = RequestFacts(host="127.0.0.1:8001")
POST = RequestFacts(
    method="POST", host="127.0.0.1:8001", origin="http://127.0.0.1:8001", content_type="application/json"
)
GUARD = Guard(AppAccess(hosts=("voice.example.org", "odd.example.org:8443"), password="correct horse battery"))


def changed(facts: RequestFacts, **fields: object) -> RequestFacts:
    return msgspec.structs.replace(facts, **fields)


@pytest.mark.parametrize(
    "facts",
    [
        LOCAL,
        POST,
        changed(LOCAL, host="localhost:8001"),
        changed(LOCAL, host="[::1]:8001"),
        changed(LOCAL, host="voice.example.org", is_forwarded=True),
        changed(LOCAL, host="odd.example.org:8443", is_forwarded=True),
        changed(LOCAL, fetch_site="none", fetch_mode="navigate"),
        changed(LOCAL, fetch_site="cross-site", fetch_mode="navigate"),  # a link; the cookie is not sent along
        changed(POST, origin="", fetch_site="same-origin"),
        changed(POST, host="voice.example.org", origin="https://voice.example.org", is_forwarded=True),
        changed(POST, host="voice.example.org:443", origin="https://voice.example.org"),
        changed(POST, is_socket=True, method="GET", content_type=""),
    ],
    ids=repr,
)
def test_what_comes_from_the_own_page_comes_in(facts: RequestFacts) -> None:
    assert not GUARD.refusal(facts)


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        (changed(LOCAL, host=""), "no host"),
        (changed(LOCAL, host="a b"), "no host"),
        (changed(LOCAL, host="evil.example.com"), "not reached by that name"),  # DNS rebinding
        (changed(LOCAL, host="127.0.0.1.evil.example.com:8001"), "not reached by that name"),
        (changed(LOCAL, host="odd.example.org:1"), "not reached by that name"),
        (changed(LOCAL, host="0.0.0.0:8001"), "not reached by that name"),
        (changed(LOCAL, is_forwarded=True), "Host header"),  # a tunnel that rewrites Host
        (changed(POST, origin="https://evil.example.com"), "another site"),
        (changed(POST, origin="http://127.0.0.1:3000"), "another site"),  # another server of this machine
        (changed(POST, origin="null"), "another site"),  # a sandboxed frame
        (changed(POST, origin="http://["), "another site"),
        (changed(POST, origin=""), "Origin is missing"),
        (changed(POST, origin="", fetch_site="none"), "Origin is missing"),
        (changed(POST, content_type="text/plain"), "forms send"),
        (changed(POST, content_type="application/x-www-form-urlencoded"), "forms send"),
        (changed(LOCAL, is_socket=True), "Origin is missing"),
        (changed(LOCAL, is_socket=True, origin="http://localhost:8001"), "another site"),
        (changed(LOCAL, fetch_site="same-site", fetch_mode="no-cors"), "another site"),  # an image of another port
        (changed(LOCAL, fetch_site="cross-site", fetch_mode="cors"), "another site"),
        (changed(LOCAL, method="DELETE"), "Origin is missing"),
    ],
)
def test_what_a_stranger_may_have_sent_is_refused(facts: RequestFacts, told: str) -> None:
    assert told in GUARD.refusal(facts)


def test_a_request_is_local_by_its_host_and_without_a_proxy() -> None:
    assert GUARD.is_local(LOCAL)
    assert not GUARD.is_local(changed(LOCAL, is_forwarded=True))
    assert not GUARD.is_local(changed(LOCAL, host="voice.example.org"))


@pytest.mark.parametrize("name", ["X-Forwarded-For", "x-forwarded-anything", "Forwarded", "Via", "CF-Connecting-IP"])
def test_headers_of_proxies_are_found(name: str) -> None:
    scope = {"type": "http", "method": "GET", "headers": [(b"host", b"127.0.0.1"), (name.encode(), b"1")]}
    assert facts_of(scope).is_forwarded


def test_a_header_that_comes_twice_is_none() -> None:
    headers = [(b"host", b"127.0.0.1"), (b"host", b"evil.example.com"), (b"origin", b"a"), (b"origin", b"b")]
    facts = facts_of(
        {"type": "http", "method": "GET", "headers": [*headers, (b"x-user", b"me"), (b"x-user", b"you")]}, "X-User"
    )
    assert (facts.host, facts.origin, facts.trusted) == ("", "null", "")
