"""The name of a vendor's service in an error."""

from __future__ import annotations

import pytest

from patter_core.net.peer_name import peer_name

NAMES = {
    "wss://api.example.org/v1/listen?token=secret": "Acme at api.example.org",
    "https://user:secret@api.example.org:8443": "Acme at api.example.org",
    "Acme": "Acme",
    "http://acme/v1": "Acme at acme",
    "ws://[secret": "Acme",
    "": "Acme",
}


@pytest.mark.parametrize(("url", "name"), NAMES.items())
def test_a_vendor_is_named_with_its_host_and_nothing_else_of_the_url(url: str, name: str) -> None:
    assert peer_name("Acme", url) == name


def test_a_server_that_has_only_its_hosts_name_is_named_once() -> None:
    assert peer_name("llm.example.org", "https://llm.example.org/v1") == "llm.example.org"


def test_a_host_reaches_no_terminal_raw_and_is_not_endless() -> None:
    name = peer_name("Acme", "ws://a\x1b[31m" + "b" * 500)
    assert "\x1b" not in name
    assert len(name) < 120
