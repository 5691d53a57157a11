"""A tunnel's program: which is taken, the address that it tells, and what its user reads if there is none."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from patter_core.cli.tunnels import Tunnel, find_program, open_tunnel
from patter_core.errors import ConfigurationError
from tests.cli.fake_tunnel import TOKEN
from tests.cli.tunnel_programs import install
from tests.polling import until

pytestmark = pytest.mark.anyio


@contextlib.asynccontextmanager
async def tunnel(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch, port: int = 9) -> AsyncIterator[Tunnel]:
    monkeypatch.setenv("PATH", install(folder, name))
    with anyio.fail_after(60):
        async with open_tunnel(find_program(), port) as opened:
            yield opened


def test_the_first_that_is_installed_is_taken_or_the_one_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", install(tmp_path, "ngrok"))
    assert find_program().name == "ngrok"
    with pytest.raises(ConfigurationError, match=r"cloudflared is not installed.*Install cloudflared"):
        find_program("cloudflared")
    monkeypatch.setenv("PATH", install(tmp_path, "cloudflared"))
    assert (find_program().name, find_program("ngrok").path) == ("cloudflared", str(tmp_path / "ngrok"))


def test_where_there_is_none_it_is_said_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"No program for a tunnel.*cloudflared or ngrok.*ngrok\.com/download"):
        find_program()


@pytest.mark.parametrize("name", ["ngrok", "cloudflared"])
async def test_what_comes_by_the_address_reaches_the_port_until_the_end(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("SECRET_OF_A_CARRIER=1\nNGROK_AUTHTOKEN=2\n")
    monkeypatch.chdir(tmp_path)
    for variable, value in (("SECRET_OF_A_CARRIER", "1"), ("NGROK_AUTHTOKEN", "2"), ("PATTER_WORKERS_SECRET", "3")):
        monkeypatch.setenv(variable, value)
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:

        async def answer(stream: anyio.abc.ByteStream) -> None:
            async with stream:
                await stream.send(await stream.receive())

        tasks.start_soon(listener.serve, answer)
        local: int = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with tunnel(tmp_path, name, monkeypatch, local) as opened:
            scheme, _, host = (await opened.up()).partition("://")
            assert scheme == ("http" if name == "ngrok" else "https")
            port = int(host.removeprefix("127.0.0.1:"))
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                await stream.send(b"hello")
                assert await stream.receive() == b"hello"
        with pytest.raises(OSError, match="connect"):
            await anyio.connect_tcp("127.0.0.1", port)
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("name", ["ngrok", "cloudflared"])
async def test_one_that_dies_is_told_with_its_last_words_without_its_token_and_escapes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_TUNNEL", "dies")
    async with tunnel(tmp_path, name, monkeypatch) as opened:
        assert await opened.up() == ""
        said = opened.trouble("gave no public address")
    assert "ERR_NGROK_105" in said
    assert f"{name} gave no public address (it has ended, with status 1). The end of its log:\n  " in said
    assert "\x1b" not in said
    assert TOKEN not in said


@pytest.mark.parametrize("trouble", ["silent", "lies"])
async def test_one_that_tells_no_address_is_waited_for_in_vain(
    trouble: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_TUNNEL", trouble)
    async with tunnel(tmp_path, "ngrok", monkeypatch) as opened:
        if trouble == "lies":
            await until(lambda: "javascript" in opened.trouble(""))
        assert await opened.up(within=0.3) == ""
        said = opened.trouble("gave no public address")
    assert ("It wrote no log" in said) is (trouble == "silent")
    assert "\x1b" not in said


async def test_one_that_cannot_be_run_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ngrok").write_bytes(os.urandom(64))
    (tmp_path / "ngrok").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="ngrok cannot be run"):
        async with open_tunnel(find_program(), 9):
            pass
