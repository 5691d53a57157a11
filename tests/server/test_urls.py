"""Which public URL a request came by."""

from __future__ import annotations

import pytest

from patter_core.errors import ConfigurationError
from patter_core.server.urls import base_of, candidate_urls, forwarded_base, media_url, public_base


def candidates(*, base: str = "", host: str = "example.org", root: str = "", socket: bool = False) -> tuple[str, ...]:
    return candidate_urls(
        base=base,
        headers={"host": host},
        path=f"{root}/webhooks/fake/voice",
        root=root,
        query="a=%20b",
        socket=socket,
    )


def test_a_configured_address_is_the_only_one() -> None:
    assert candidates(base="https://public.example") == ("https://public.example/webhooks/fake/voice?a=%20b",)
    assert candidates(base="https://public.example", socket=True) == (
        "wss://public.example/webhooks/fake/voice?a=%20b",
    )


def test_a_configured_address_replaces_where_the_app_is_mounted() -> None:
    assert candidates(base="https://p.example/x", root="/mnt") == ("https://p.example/x/webhooks/fake/voice?a=%20b",)


def test_without_one_the_host_is_tried_under_each_scheme() -> None:
    assert candidates(root="/mnt") == (
        "https://example.org/mnt/webhooks/fake/voice?a=%20b",
        "http://example.org/mnt/webhooks/fake/voice?a=%20b",
    )
    assert [url.partition(":")[0] for url in candidates(socket=True)] == ["wss", "ws"]


@pytest.mark.parametrize("host", ["", "a b", "evil.example/path", "user@evil.example", "x\r\ny", "a:b", "évil"])
def test_a_host_that_is_none_gives_no_candidate(host: str) -> None:
    assert candidates(host=host) == ()


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:1", "[::1]:8000", "a-b.example"])
def test_hosts_that_are_some(host: str) -> None:
    assert len(candidates(host=host)) == 2


def test_other_urls_stand_next_to_the_verified_one() -> None:
    base = base_of("https://example.org/mnt/webhooks/fake/voice?a=b")
    assert base == "https://example.org/mnt" == base_of("wss://example.org/mnt/media/fake/token")
    assert media_url(base, "fake", "t.t") == "wss://example.org/mnt/media/fake/t.t"
    assert media_url(base_of("http://[::1]:80/webhooks/fake/voice"), "fake", "t") == "ws://[::1]:80/media/fake/t"


def test_a_public_address_may_leave_out_the_scheme() -> None:
    assert public_base("public.example/") == "https://public.example"
    assert public_base("") == ""


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x",
        "https://",
        "https://x?a=b",
        "https://x#y",
        "not a url",
        "https://user:secret@x",
        "https://x/webhooks/twilio/voice",
        "https://x/phone/media",
    ],
)
def test_a_public_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="webhook_url"):
        public_base(url)


def test_what_a_proxy_forwards_is_the_public_address() -> None:
    headers = {"host": "10.0.0.7:8000", "x-forwarded-host": "p.example", "x-forwarded-proto": "https"}
    assert forwarded_base(headers, "") == "https://p.example"
    assert forwarded_base({**headers, "x-forwarded-prefix": "/voice/"}, "/mnt") == "https://p.example/voice/mnt"


def test_of_several_proxies_the_first_is_the_one_that_was_asked() -> None:
    headers = {"host": "inner", "x-forwarded-host": "outer.example, inner.example", "x-forwarded-proto": "https,http"}
    assert forwarded_base(headers, "") == "https://outer.example"


def test_a_proxy_that_keeps_the_host_need_not_forward_it() -> None:
    assert forwarded_base({"host": "p.example", "x-forwarded-proto": "https"}, "") == "https://p.example"


@pytest.mark.parametrize(("told", "scheme"), [("HTTPS", "https"), ("wss", "https"), ("WSS", "https"), ("ws", "http")])
def test_a_proxy_may_name_the_scheme_of_the_socket_and_in_any_case(told: str, scheme: str) -> None:
    assert forwarded_base({"host": "p.example", "x-forwarded-proto": told}, "") == f"{scheme}://p.example"


@pytest.mark.parametrize(
    ("host", "scheme", "port", "base"),
    [
        ("p.example", "https", "8443", "https://p.example:8443"),
        ("p.example", "https", "8443, 80", "https://p.example:8443"),
        ("p.example:9000", "https", "8443", "https://p.example:9000"),
        ("[2001:db8::1]", "http", "8080", "http://[2001:db8::1]:8080"),
        ("p.example", "https", "443", "https://p.example"),
        ("p.example", "https", "80", "https://p.example"),  # TLS ended before the proxy that says so
        ("p.example", "https", "https", "https://p.example"),
    ],
)
def test_a_forwarded_port_counts_where_the_host_has_none(host: str, scheme: str, port: str, base: str) -> None:
    headers = {"host": "inner:8000", "x-forwarded-host": host, "x-forwarded-proto": scheme, "x-forwarded-port": port}
    assert forwarded_base(headers, "/mnt") == f"{base}/mnt"


@pytest.mark.parametrize(
    ("header", "base"),
    [
        ("for=192.0.2.1;host=p.example;proto=https", "https://p.example"),
        ("For=192.0.2.1; Host=p.example; Proto=HTTPS", "https://p.example"),
        ('for="[2001:db8::1]:4711";host="p.example:8443";proto=wss', "https://p.example:8443"),
        ("proto=https;host=p.example:8443", "https://p.example:8443"),
        (r'proto=https;host="p\.example";by="a, \"b\";c"', "https://p.example"),
        ("proto=https;host=outer.example, proto=http;host=inner", "https://outer.example"),
        ("proto=https", "https://inner:8000"),
        ("host=p.example", ""),
        ("for=192.0.2.1, proto=https;host=p.example", ""),
        ('proto=https;host="p.example', ""),
        ("proto=https;host=p.example;", ""),
        ('proto=https;host="evil.example/path?"', ""),
        ("", ""),
    ],
)
def test_the_standard_header_is_read_where_there_is_no_other(header: str, base: str) -> None:
    assert forwarded_base({"host": "inner:8000", "forwarded": header}, "") == base
    others = {"host": "inner", "forwarded": header, "x-forwarded-host": "x.example", "x-forwarded-proto": "https"}
    assert forwarded_base(others, "") == "https://x.example"


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "p.example"},
        {"host": "p.example", "x-forwarded-proto": "ftp"},
        {"host": "", "x-forwarded-proto": "https"},
        {"host": "p.example", "x-forwarded-proto": "https", "x-forwarded-host": "evil.example/path?"},
        {"host": "p.example", "x-forwarded-proto": "https", "x-forwarded-prefix": "//evil.example"},
    ],
)
def test_what_can_be_no_address_is_not_believed(headers: dict[str, str]) -> None:
    assert forwarded_base(headers, "") == ""
