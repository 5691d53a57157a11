"""Who is let in to the apps: wrong values are refused, and so is what would let in everyone."""

from __future__ import annotations

import pytest

from patter_core.apps.access import AppAccess, is_loopback
from patter_core.errors import ConfigurationError


@pytest.mark.parametrize("host", ["localhost", "LocalHost", "voice.localhost", "127.0.0.1", "127.8.8.8", "::1"])
def test_names_of_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["127.0.0.1.example.org", "localhost.example.org", "0.0.0.0", "10.0.0.1", "", "::", "127.1", "2130706433"]
)
def test_names_that_may_be_of_others(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize("access", [AppAccess(listen="0.0.0.0"), AppAccess(hosts=("voice.example.org",))])
def test_without_a_password_or_a_proxy_apps_are_not_reached_from_elsewhere(access: AppAccess) -> None:
    with pytest.raises(ConfigurationError, match="nothing asks who comes"):
        access.resolved()


def test_a_password_or_a_trusted_header_lets_them_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = ("voice.example.org",)
    assert AppAccess(hosts=hosts, trusted_header="X-User").resolved().listen == "127.0.0.1"
    monkeypatch.setenv("PATTER_APPS_PASSWORD", "correct horse battery")
    monkeypatch.setenv("PATTER_APPS_HOST", "0.0.0.0")
    resolved = AppAccess(hosts=hosts).resolved()
    assert (resolved.listen, resolved.password) == ("0.0.0.0", "correct horse battery")
    assert "correct" not in repr(resolved)


def test_a_short_password_of_the_environment_is_refused_and_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATTER_APPS_PASSWORD", "swordfish")
    with pytest.raises(
        ConfigurationError, match=r"^PATTER_APPS_PASSWORD is too short\. Expected at least 12 characters"
    ) as caught:
        AppAccess().resolved()
    assert "swordfish" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"hosts": ("https://voice.example.org",)}, "without https://"),
        ({"hosts": "voice.example.org"}, "Expected a list"),
        ({"trusted_header": "X-User: me"}, "not the name of a header"),
        ({"session": 0.0}, "above 0"),
    ],
)
def test_wrong_values_are_refused(options: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        AppAccess(**options)  # type: ignore[arg-type] # the mistakes under test
