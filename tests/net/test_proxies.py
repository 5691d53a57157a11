"""The environment's proxies: which connection goes through which, and what is said of one that cannot be used."""

from __future__ import annotations

import pytest

from patter_core.errors import NetworkMisconfigured
from patter_core.net.proxies import is_loopback, proxy_for


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http", "https", "all", "socks", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name}_PROXY".upper(), raising=False)


def chosen(url: str) -> str:
    proxy = proxy_for(url, socks_package="patter_core")
    return proxy.url if proxy else ""


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("https://api.example/v1", "https-proxy"),
        ("wss://api.example/v1", "https-proxy"),
        ("http://api.example/v1", "http-proxy"),
        ("ws://api.example:8080/v1", "http-proxy"),
    ],
)
def test_sockets_go_where_requests_go(url: str, proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen(url) == ""
    monkeypatch.setenv("ALL_PROXY", "socks5://all-proxy")
    assert chosen(url) == "socks5://all-proxy:1080"
    monkeypatch.setenv("HTTPS_PROXY", "http://https-proxy")
    monkeypatch.setenv("http_proxy", "http-proxy:80")
    assert chosen(url) == f"http://{proxy}:80"


def test_a_socks_proxy_has_a_variable_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOCKS_PROXY", "http://host:9")  # as macOS says it
    assert chosen("wss://api.example/") == "socks5h://host:9"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.9.9.9", "[::1]", "localhost", "LOCALHOST.", "a.localhost", "[::ffff:127.0.0.1]"]
)
@pytest.mark.parametrize("scheme", ["http", "https", "ws", "wss"])
def test_this_machine_is_never_reached_by_proxy(scheme: str, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "ftp://no use")
    assert chosen(f"{scheme}://{host}:8000/") == ""


@pytest.mark.parametrize("host", ["128.0.0.1", "localhost.example", "notlocalhost", "10.0.0.1", "::2", ""])
def test_others_are_not_this_machine(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("excepted", "straight"),
    [
        ("*", True),
        ("api.example", True),
        (".example", True),
        ("other.example, api.example:443", True),
        ("api.example:8443", False),
        ("pi.example", False),
        ("", False),
    ],
)
def test_hosts_that_need_no_proxy(excepted: str, monkeypatch: pytest.MonkeyPatch, *, straight: bool) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", excepted)
    assert (chosen("wss://api.example:443/") == "") is straight


@pytest.mark.parametrize(("host", "straight"), [("10.1.2.3", True), ("[fd00::7]", True), ("11.1.2.3", False)])
def test_networks_that_need_no_proxy(host: str, monkeypatch: pytest.MonkeyPatch, *, straight: bool) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", "x.example,10.0.0.0/8, fd00::/8")
    assert (chosen(f"https://{host}/") == "") is straight


def test_name_and_password_are_told_to_the_proxy_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "https://us%40er:p%2Fss@[::2]:8443/")
    proxy = proxy_for("https://api.example", socks_package="")
    assert proxy is not None
    assert (proxy.scheme, proxy.host, proxy.port, proxy.name, proxy.password) == (
        "https",
        "::2",
        8443,
        "us@er",
        "p/ss",
    )
    assert (proxy.origin, proxy.url) == ("https://[::2]:8443", "https://us%40er:p%2Fss@[::2]:8443")
    assert "ss" not in repr(proxy)


@pytest.mark.parametrize(
    "url",
    ["ftp://proxy:21", "socks4://proxy", "http://", "http://proxy:port", "http://proxy:99999", "http://[::1", "://"],
)
def test_what_is_no_proxy_says_what_to_do(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", url)
    with pytest.raises(ConnectionRefusedError) as caught:
        proxy_for("wss://api.example/", socks_package="patter_core")
    assert isinstance(caught.value, NetworkMisconfigured)
    assert caught.value.problem.startswith("HTTPS_PROXY ")
    assert "Correct HTTPS_PROXY" in caught.value.remedy


def test_no_secret_of_a_broken_proxy_is_in_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "ftp://user:secret-word@proxy")
    with pytest.raises(NetworkMisconfigured) as caught:
        proxy_for("wss://api.example/", socks_package="patter_core")
    assert "secret" not in str(caught.value)


def test_a_socks_proxy_without_its_package_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://proxy")
    with pytest.raises(NetworkMisconfigured) as caught:
        proxy_for("https://api.example/", socks_package="no_such_module")
    assert "no_such_module" in caught.value.expected
    assert "python-socks" in caught.value.remedy
