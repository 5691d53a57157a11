"""Opening an engine's socket, and a request, in networks that are not the laboratory's."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from patter_core.errors import EngineError, EngineRefused, EngineTimeout, NetworkMisconfigured
from patter_core.net import dns
from patter_core.net.http import send_request
from patter_core.net.tls import make_tls_context, tls_context
from patter_core.net.websocket import EngineSocket
from patter_core.testing.network import free_port
from tests.net.peers import Names, black_hole, both_loops, http_proxy
from tests.polling import until

pytestmark = pytest.mark.anyio

needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="makes its certificate with the openssl command")
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no 127.0.0.2")

Certificate = Callable[[], tuple[ssl.SSLContext, str]]


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


def health(connection: ServerConnection, request: Request) -> Response | None:
    return connection.respond(200, "live") if request.path == "/health" else None


@contextlib.asynccontextmanager
async def engine(
    tls: ssl.SSLContext | None = None, handler: Callable[[ServerConnection], Awaitable[None]] = echo
) -> AsyncIterator[int]:
    """An engine on 127.0.0.1, which answers GET /health, too. Yields its port."""
    async with serve(handler, "127.0.0.1", 0, process_request=health, ssl=tls, close_timeout=0.1) as server:
        yield next(iter(server.sockets)).getsockname()[1]


async def talk(url: str, *, headers: dict[str, str] | None = None) -> None:
    """Opens a socket, and hears its own word."""
    opened = await EngineSocket.open(url, headers=headers)
    opened.send(b"hello")
    assert await opened.receive() == b"hello"
    await opened.aclose()


# --- addresses -------------------------------------------------------------------------------------------------------


@needs_linux
@both_loops
async def test_an_address_that_leads_nowhere_costs_a_quarter_of_a_second(names: Names) -> None:
    async with engine() as port:
        with black_hole(port) as nowhere, anyio.fail_after(3):
            names.addresses["engine.test"] = [nowhere, "127.0.0.1"]
            await talk(f"ws://engine.test:{port}/")
            answer = await send_request("GET", f"http://engine.test:{port}/health", headers={})
    assert answer.status == 200


@both_loops
async def test_a_name_without_an_address_that_answers_is_not_reached(names: Names) -> None:
    port = free_port()
    names.addresses["gone.test"] = ["127.0.0.1", "127.0.0.1"]
    for host in ("unknown.test", "gone.test", "not..a.name", "x" * 70 + ".test"):
        with pytest.raises(EngineError) as caught:
            await EngineSocket.open(f"ws://{host}:{port}/")
        assert caught.value.retry
        with pytest.raises(ConnectionRefusedError):
            await send_request("GET", f"http://{host}:{port}/", headers={})


@both_loops
async def test_a_host_whose_name_server_hangs_takes_no_lookup_from_another(names: Names) -> None:
    names.hanging.add("hanging.test")
    names.addresses.update({"healthy.test": ["127.0.0.1"], "hanging.test": ["127.0.0.1"]})
    failures: list[EngineError] = []

    async def call(url: str) -> None:
        try:
            await EngineSocket.open(url, open_timeout=30)
        except EngineError as error:
            failures.append(error)

    async with engine() as port, anyio.create_task_group() as calls:
        for _ in range(40):
            calls.start_soon(call, f"ws://hanging.test:{port}/")
        await until(lambda: names.asked["hanging.test"] > 0)
        with anyio.fail_after(2):
            await talk(f"ws://healthy.test:{port}/")
            answer = await send_request("GET", f"http://healthy.test:{port}/health", headers={})
            assert answer.status in {200, 426}  # which a WebSocket server answers
        calls.cancel_scope.cancel()
    assert names.asked["hanging.test"] <= dns.PER_HOST
    assert not failures


async def test_lookups_of_a_host_are_shared_and_another_is_tried_when_one_hangs(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dns, "_ANOTHER_AFTER", 0.02)
    names.addresses["engine.test"] = ["127.0.0.1"]
    names.hanging.add("engine.test")
    found: list[object] = []

    async def look_up() -> None:
        found.append(await dns.addresses_of("engine.test", 443))

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(look_up)
            await until(lambda: names.asked["engine.test"] > 0)
            await anyio.sleep(0.05)
            assert names.asked["engine.test"] == 1
            names.hanging.clear()  # a packet was lost; the next lookup is answered
            tasks.start_soon(look_up)
            await until(lambda: len(found) == 11)  # those who waited have the answer, too
    assert names.asked["engine.test"] == 2
    assert [address[4] for address in await dns.addresses_of("engine.test", 443)] == [("127.0.0.1", 443)]


async def test_too_many_lookups_that_hang_fail_at_once_and_literal_addresses_need_none(names: Names) -> None:
    hosts = [f"hanging-{index}.test" for index in range(dns.IN_ALL)]
    names.hanging.update(hosts)
    async with anyio.create_task_group() as tasks:
        for host in hosts:
            tasks.start_soon(dns.addresses_of, host, 443)
        await until(lambda: len(names.asked) == dns.IN_ALL)
        with anyio.fail_after(2):
            with pytest.raises(socket.gaierror):
                await dns.addresses_of("another.test", 443)
            assert [address[4][:2] for address in await dns.addresses_of("::1", 443)] == [("::1", 443)]
        tasks.cancel_scope.cancel()


# --- proxies ---------------------------------------------------------------------------------------------------------


@both_loops
async def test_sockets_and_requests_go_through_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with engine() as port, http_proxy() as (proxy, url):
        monkeypatch.setenv("HTTP_PROXY", url.replace("//", "//user:word@"))
        with anyio.fail_after(10):
            await talk(f"ws://engine.test:{port}/", headers={"xi-key": "engines-key"})
            answer = await send_request("GET", f"http://engine.test:{port}/health", headers={})
        assert answer.status == 200
    assert proxy.requests == [f"CONNECT engine.test:{port}", f"GET http://engine.test:{port}/health"]
    assert all("Basic dXNlcjp3b3Jk" in head for head in proxy.headers)
    assert "engines-key" not in proxy.headers[0]


@needs_linux
@both_loops
async def test_of_a_proxy_too_another_address_is_tried(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    async with engine() as port, http_proxy() as (proxy, url):
        with black_hole(int(url.rpartition(":")[2])) as nowhere, anyio.fail_after(5):
            names.addresses["proxy.test"] = [nowhere, "127.0.0.1"]
            monkeypatch.setenv("HTTP_PROXY", url.replace("127.0.0.1", "proxy.test"))
            await talk(f"ws://engine.test:{port}/")
            answer = await send_request("GET", f"http://engine.test:{port}/health", headers={})
    assert answer.status == 200
    assert len(proxy.requests) == 2


@needs_openssl
@both_loops
async def test_through_a_proxy_the_certificate_is_that_of_the_host(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, trusted = certificate()
    monkeypatch.setenv("SSL_CERT_FILE", trusted)
    async with engine(context) as port, http_proxy() as (proxy, url):
        monkeypatch.setenv("HTTPS_PROXY", url)
        with anyio.fail_after(10):
            await talk(f"wss://engine.test:{port}/")
            with pytest.raises(EngineError) as caught:
                await talk(f"wss://other.test:{port}/")
    assert caught.value.got == "SSLCertVerificationError"
    assert proxy.requests == [f"CONNECT engine.test:{port}", f"CONNECT other.test:{port}"]


@both_loops
async def test_this_machine_is_reached_without_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    async with engine() as port:
        with anyio.fail_after(10):
            await talk(f"ws://127.0.0.1:{port}/")
            assert (await send_request("GET", f"http://127.0.0.1:{port}/health", headers={})).status == 200


@pytest.mark.parametrize(
    ("proxy", "says"),
    [("socks5://127.0.0.1:9", "python-socks"), ("ftp://127.0.0.1", "Correct ALL_PROXY"), ("http://", "NO_PROXY")],
)
async def test_a_proxy_that_cannot_be_used_is_an_error_of_ours(
    proxy: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)  # where SOCKS packages are installed
    with pytest.raises(EngineError) as socket_error:
        await EngineSocket.open("wss://engine.test/")
    assert says in str(socket_error.value)
    assert not socket_error.value.retry
    for url in ("https://engine.test/", "http://engine.test/"):
        with pytest.raises(ConnectionRefusedError) as request_error:
            await send_request("GET", url, headers={})
        assert says in str(request_error.value)


@both_loops
@pytest.mark.parametrize("answer", [b"HTTP/1.1 407 No\r\n\r\n", b"what?\r\n\r\n"])
async def test_a_proxy_that_refuses_is_not_taken_for_the_engine(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        with anyio.fail_after(10), pytest.raises(EngineError) as caught:
            await EngineSocket.open("wss://engine.test/?token=secret-in-url")
    assert not isinstance(caught.value, EngineRefused)
    assert "secret" not in str(caught.value)


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "header", "retry", "asked"),
    [(429, "2", True, 2), (503, "1", True, 1), (429, "", True, 0), (500, "", True, 0), (401, "", False, 0)],
)
async def test_a_refusal_says_whether_and_when_to_come_again(
    status: int, header: str, retry: bool, asked: float
) -> None:
    def refuse(connection: ServerConnection, _request: Request) -> Response:
        response = connection.respond(status, "no")
        if header:
            response.headers["Retry-After"] = header
        return response

    async with serve(echo, "127.0.0.1", 0, process_request=refuse) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        with anyio.fail_after(10), pytest.raises(EngineRefused) as caught:
            await EngineSocket.open(f"ws://127.0.0.1:{port}/")
    assert (caught.value.status, caught.value.retry, caught.value.retry_after) == (status, retry, asked)


# --- redirects -------------------------------------------------------------------------------------------------------


@both_loops
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("through_proxy", [False, True])
async def test_keys_follow_no_redirect(
    status: int, monkeypatch: pytest.MonkeyPatch, names: Names, *, through_proxy: bool
) -> None:
    stolen: list[Request] = []

    def steal(connection: ServerConnection, request: Request) -> Response:
        stolen.append(request)
        return connection.respond(200, "thank you")

    async with serve(echo, "127.0.0.1", 0, process_request=steal) as other:
        elsewhere = f"ws://thief.test:{next(iter(other.sockets)).getsockname()[1]}/"

        def redirect(connection: ServerConnection, _request: Request) -> Response:
            response = connection.respond(status, "there")
            response.headers["Location"] = elsewhere
            return response

        names.addresses.update({"thief.test": ["127.0.0.1"], "engine.test": ["127.0.0.1"]})
        async with serve(echo, "127.0.0.1", 0, process_request=redirect) as server, http_proxy() as (_, proxy):
            if through_proxy:
                monkeypatch.setenv("HTTP_PROXY", proxy)
            port = next(iter(server.sockets)).getsockname()[1]
            with anyio.fail_after(10), pytest.raises(EngineRefused) as caught:
                await EngineSocket.open(f"ws://engine.test:{port}/", headers={"xi-key": "engines-key"})
            answer = await send_request("GET", f"http://engine.test:{port}/", headers={"xi-key": "engines-key"})
    assert (caught.value.status, caught.value.retry, answer.status) == (status, False, status)
    assert "base URL" in caught.value.remedy
    assert "thief" not in str(caught.value)
    assert not stolen


# --- TLS -------------------------------------------------------------------------------------------------------------


@needs_openssl
async def test_sockets_and_requests_share_one_context(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, trusted = certificate()
    async with engine(context) as port:
        with anyio.fail_after(10), pytest.raises(EngineError) as caught:
            await talk(f"wss://127.0.0.1:{port}/")
        assert caught.value.got == "SSLCertVerificationError"
        monkeypatch.setenv("SSL_CERT_FILE", trusted)
        with anyio.fail_after(10):
            await talk(f"wss://127.0.0.1:{port}/")
    assert await tls_context() is await tls_context() is make_tls_context()
    assert (await tls_context()).verify_mode is ssl.CERT_REQUIRED


async def test_certificates_that_cannot_be_read_are_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file")
    with pytest.raises(NetworkMisconfigured) as caught:
        await tls_context()
    assert "SSL_CERT_FILE" in caught.value.remedy
    with pytest.raises(EngineError) as engine_error:
        await EngineSocket.open("wss://127.0.0.1:9/")
    assert "SSL_CERT_FILE" in engine_error.value.remedy


async def test_without_settings_the_certificates_of_the_system_and_of_certifi_are_trusted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    assert (await tls_context()).cert_store_stats()["x509_ca"] >= 100


# --- time-outs and cancelling ----------------------------------------------------------------------------------------


@both_loops
@pytest.mark.parametrize("scheme", ["ws", "wss"])
async def test_opening_that_is_given_up_leaves_no_connection(scheme: str) -> None:
    closed: list[bytes] = []

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                closed.append(data)
        closed.append(b"")
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        with anyio.fail_after(10):
            with pytest.raises(EngineTimeout):
                await EngineSocket.open(url, open_timeout=0.2)
            await until(lambda: closed.count(b"") == 1)
            with anyio.move_on_after(0.2) as scope:
                await EngineSocket.open(url)
            assert scope.cancelled_caught
            await until(lambda: closed.count(b"") == 2)


@both_loops
async def test_a_task_that_is_cancelled_does_not_wait_for_the_peer_to_close() -> None:
    let_go = anyio.Event()
    codes: list[int] = []

    async def deaf(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await let_go.wait()
        connection.transport.resume_reading()
        await connection.wait_closed()
        codes.append(connection.close_code or 0)

    async with engine(handler=deaf) as port:
        opened = await EngineSocket.open(f"ws://127.0.0.1:{port}/")

        async def use() -> None:
            try:
                await opened.receive()
            except BaseException:
                await opened.aclose()
                raise

        task = asyncio.create_task(use())
        await anyio.sleep(0.05)
        began = asyncio.get_running_loop().time()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        took = asyncio.get_running_loop().time() - began
        let_go.set()
        with anyio.fail_after(5):
            await until(lambda: bool(codes))
    assert codes == [1000]
    assert took < 0.2


@both_loops
async def test_closing_is_bounded_and_cancelling_it_ends_it_at_once() -> None:
    done = anyio.Event()

    async def pings_for_ever(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        while not done.is_set():
            connection.transport.write(b"\x89\x00")
            await anyio.sleep(0.01)
        connection.transport.abort()

    async with engine(handler=pings_for_ever) as port:
        for limit in (5.0, 0.1):
            opened = await EngineSocket.open(f"ws://127.0.0.1:{port}/")
            began = asyncio.get_running_loop().time()
            with anyio.move_on_after(limit):
                await opened.aclose()
            assert asyncio.get_running_loop().time() - began < min(limit, 0.5) + 0.5
        done.set()
