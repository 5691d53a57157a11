"""The client connects and reconnects by itself, and shows no password."""

from __future__ import annotations

import traceback
from typing import Protocol

import pytest

from patter_core.errors import ConfigurationError, SinkRefused, SinkUnavailable
from patter_redis.client import Client

pytestmark = pytest.mark.anyio


class Server(Protocol):
    url: str

    def start(self) -> None: ...

    def kill(self) -> None: ...


async def test_commands_run_in_one_transaction(server: Server) -> None:
    client = Client(server.url, parameter="url=")
    assert await client.transact("a", ("SET", "a", 1), ("INCRBY", "a", 2), ("GET", "a")) == [True, 3, b"3"]
    with pytest.raises(SinkRefused, match=r"Redis: ERR unknown command 'NO'\. Look at the server") as caught:
        await client.transact("a", ("SET", "a", 9), ("NO SUCH COMMAND",))
    assert "SUCH" not in str(caught.value)
    assert await client.transact("a", ("GET", "a")) == [b"3"]
    await client.aclose()
    await client.aclose()


async def test_a_server_that_was_killed_is_unavailable_until_it_is_back(server: Server) -> None:
    client = Client(server.url, parameter="url=")
    await client.transact("a", ("SET", "a", 1))
    server.kill()
    with pytest.raises(SinkUnavailable):
        await client.transact("a", ("GET", "a"))
    server.start()
    assert await client.transact("a", ("GET", "a")) == [b"1"]
    await client.aclose()


def test_a_url_is_needed_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="PATTER_REDIS_URL"):
        Client("", parameter="url=")
    with pytest.raises(ConfigurationError, match="redis://") as caught:
        Client("https://user:hidden@example.org", parameter="url=")
    assert "hidden" not in str(caught.value)
    monkeypatch.setenv("PATTER_REDIS_URL", "redis://:hidden@example.org/1")
    assert repr(Client("", parameter="url=")) == "<Client of example.org:6379/1>"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://example.org", "example.org:6379/0"),
        ("rediss://user:hidden@[::1]:7000/3?db=4", "[::1]:7000/4"),
        ("redis://:12/hidden@example.org", "localhost:12/0"),  # a password that should have been quoted
        ("unix://user:hidden@/run/redis.sock?db=2", "/run/redis.sock (2)"),
    ],
)
def test_its_place_is_all_that_is_shown_of_a_url(url: str, place: str) -> None:
    assert Client(url, parameter="url=").place == place


@pytest.mark.parametrize("url", ["redis://:hidden/1@example.org", "redis://hidden[/0", "redis://hidden\u2100@host"])
def test_what_is_no_url_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^url= is not the URL of a Redis server") as caught:
        Client(url, parameter="url=")
    shown = "".join(traceback.format_exception(caught.value))
    assert "hidden" not in shown
