"""Cookies, links and passwords: what is forged, old, used or tried too often lets nothing in."""

from __future__ import annotations

from patter_core.apps.sessions import Links, PasswordGate, Session, Sessions, Tried

KEY = bytes(range(32))
NOW = 1_790_000_000.0


def test_a_cookie_is_read_by_each_worker_with_the_key_and_by_no_other() -> None:
    value = Sessions(KEY, 60).begin("link", NOW)
    session = Sessions(KEY, 60).read(value, NOW + 1)
    assert session is not None
    assert session.way == "link"
    assert Sessions(bytes(32), 60).read(value, NOW + 1) is None


def test_a_cookie_is_too_old_after_its_time_and_ends_when_it_is_ended() -> None:
    sessions = Sessions(KEY, 60)
    value = sessions.begin("password", NOW)
    assert sessions.read(value, NOW + 61) is None
    assert sessions.read(value, NOW - 11) is None
    session = sessions.read(value, NOW)
    assert session is not None
    sessions.end(session)
    assert sessions.read(value, NOW) is None


def test_what_is_not_a_cookie_of_ours_is_none() -> None:
    sessions = Sessions(KEY, 60)
    value = sessions.begin("link", NOW)
    body, _, signature = value.partition(".")
    forged = sessions.begin("password", NOW).partition(".")[0]
    for text in ("", ".", body, f"{forged}.{signature}", f"{body}.", f"{value}x", "ü.ü", "x" * 5000, f".{signature}"):
        assert sessions.read(text, NOW) is None


def test_nothing_of_it_is_in_a_repr() -> None:
    links, gate = Links(), PasswordGate("correct horse battery", 0.0)
    assert links.token not in repr(links)
    assert "horse" not in repr(gate)
    assert isinstance(Session("link", 0.0, ""), Session)


def test_a_link_is_used_once_and_another_one_follows() -> None:
    links = Links()
    first = links.token
    assert not links.use("")
    assert not links.use("\udc80")
    assert links.use(first)
    assert not links.use(first)
    assert links.token != first
    assert links.use(links.token)


def test_passwords_are_compared_at_a_bounded_rate() -> None:
    gate = PasswordGate("correct horse battery", 0.0)
    assert gate.tried("correct horse battery", 0.0) is Tried.RIGHT
    tried = [gate.tried(f"wrong {number}", 0.0) for number in range(1000)]
    assert tried.count(Tried.WRONG) == 5
    assert tried.count(Tried.TOO_SOON) == 995
    assert gate.tried("correct horse battery", 0.1) is Tried.TOO_SOON
    assert gate.tried("correct horse battery", 7.0) is Tried.RIGHT


def test_without_a_password_no_password_is_right() -> None:
    assert PasswordGate("", 0.0).tried("", 0.0) is Tried.WRONG
