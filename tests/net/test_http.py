"""Requests over kept connections, to a real peer that counts them, hangs up, stalls and comes back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Self

import anyio
import pytest

from patter_core.net import http
from patter_core.net.http import send_request
from patter_core.server.serving import bind
from patter_core.testing.network import free_port
from tests.net.peers import both_loops

_Socket = socket.socket | tuple[bytes, socket.socket]
"""What the base class may be given."""


class Peer(ThreadingHTTPServer):
    """An HTTP/1.1 server in threads of its own. What it does is told by the path of a request."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server_port}"
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.connections = 0
        self.heard: list[str] = []
        self.hears = threading.Semaphore(0)
        """Released for each request that is heard."""
        self.given_up = threading.Semaphore(0)
        """Released for each request whose connection the client closes before it is answered."""
        self._open: set[socket.socket] = set()
        self._changed = threading.Condition()
        self._reset = False
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.hang_up()
        self.server_close()

    def hang_up(self, *, reset: bool = False) -> None:
        """Close all connections; with `reset`, as the system does for a process that was killed."""
        self._reset = reset
        with self._changed:
            for connection in self._open:
                with contextlib.suppress(OSError):  # the client was first
                    connection.shutdown(socket.SHUT_RD)
            assert self._changed.wait_for(lambda: not self._open, timeout=10)

    def process_request_thread(self, request: _Socket, client_address: object) -> None:
        assert isinstance(request, socket.socket)
        with self._changed:
            self.connections += 1
            self._open.add(request)
        super().process_request_thread(request, client_address)
        with self._changed:
            self._open.discard(request)
            self._changed.notify_all()

    def shutdown_request(self, request: _Socket) -> None:
        if self._reset and isinstance(request, socket.socket):
            request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """The client has gone."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer is one write
    server: Peer

    def log_message(self, *_: object) -> None:
        """Tests print nothing."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.heard.append(f"{self.command} {self.path}")
        self.server.hears.release()
        match self.path:
            case "/hang-up":
                self.close_connection = True
            case "/half":
                self.close_connection = True
                self._answer(b"half", length=8)
            case "/stall":
                self.connection.recv(1)
                self.server.given_up.release()
            case "/drip":
                self._answer(b"half", length=8)
                self.connection.recv(1)
                self.server.given_up.release()
            case "/endless":
                self._answer(b"", length=10**12)
                while True:
                    self.wfile.write(bytes(65_536))
            case "/redirect":
                self._answer(b"", 307, {"Location": "/"})
            case "/none":
                self._answer(b"", 204)
            case _:
                told = {name: self.headers.get(name) for name in ("authorization", "cookie")}
                told |= {"got": self.headers.get("x-sent"), "body": body.decode()}
                self._answer(json.dumps(told).encode(), 418, {"Set-Cookie": "a=b; Path=/", "X-Method": self.command})

    do_GET = do_PATCH = do_POST  # noqa: N815 - the base class's names

    def _answer(
        self, body: bytes, status: int = 200, headers: Mapping[str, str] = MappingProxyType({}), *, length: int = -1
    ) -> None:
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(body) if length < 0 else length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as running:
        yield running


async def get(peer: Peer, path: str = "/", *, method: str = "GET", discard: bool = False) -> int:
    with anyio.fail_after(10):
        return (await send_request(method, peer.url + path, headers={}, discard_body=discard)).status


# --- what is sent and what comes back --------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_an_answer_without_end_is_a_broken_one(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "LONGEST_BODY", 1_000_000)
    with pytest.raises(ConnectionError):
        await get(peer, "/endless")


@pytest.mark.anyio
async def test_a_request_goes_out_as_told_and_any_answer_comes_back_whole(peer: Peer) -> None:
    answer = await send_request("PATCH", f"{peer.url}/", headers={"X-Sent": "yes"}, body=b"the body")
    assert (answer.status, answer.headers["x-method"]) == (418, "PATCH")
    assert json.loads(answer.body) == {"got": "yes", "authorization": None, "cookie": None, "body": "the body"}
    assert "body" not in repr(answer)


@pytest.mark.anyio
async def test_a_redirect_is_an_answer(peer: Peer) -> None:
    assert await get(peer, "/redirect") == 307


@pytest.mark.anyio
async def test_a_peer_that_does_not_answer_is_told_from_one_that_is_not_there() -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    with bind("127.0.0.1", port), anyio.fail_after(10), pytest.raises(TimeoutError):
        # It is connected by the kernel, and accepted by nobody.
        await send_request("GET", url, headers={}, answer_timeout=0.05)
    with anyio.fail_after(10), pytest.raises(ConnectionRefusedError) as failure:
        await send_request("GET", url, headers={})
    assert url not in str(failure.value)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:port",
        "http://127.0.0.1:99999",
        "http:///path",
        "http://[::1",
        "ftp://127.0.0.1/",
        "/path",
        "",
        "http://" + "x" * 70 + ".example/",
        "http://\udc00.example/",
    ],
)
async def test_an_address_that_is_none_is_not_reached(url: str) -> None:
    with anyio.fail_after(10), pytest.raises(ConnectionRefusedError):
        await send_request("GET", url, headers={})


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ("", "/"),
        ("/a b/ü?q=x y&z=é#end", "/a%20b/%C3%BC?q=x%20y&z=%C3%A9"),
        ("/a%2Fb?next=%2f&x=1,2", "/a%2Fb?next=%2f&x=1,2"),
    ],
)
async def test_a_path_is_sent_as_it_was_given_and_quoted_where_it_has_to_be(peer: Peer, given: str, asked: str) -> None:
    await get(peer, given)
    assert peer.heard == [f"GET {asked}"]


@pytest.mark.anyio
async def test_name_and_password_of_a_url_are_sent_as_such(peer: Peer) -> None:
    answer = await send_request("GET", peer.url.replace("//", "//us%40er:word@") + "/who", headers={})
    assert json.loads(answer.body)["authorization"] == "Basic dXNAZXI6d29yZA=="


@pytest.mark.anyio
async def test_a_proxy_that_refuses_has_passed_nothing_on(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", peer.url)  # it knows no CONNECT
    with anyio.fail_after(10), pytest.raises(ConnectionRefusedError):
        await send_request("POST", "https://phone.example/", headers={})
    assert not peer.heard


# --- kept connections ------------------------------------------------------------------------------------------------


@both_loops
@pytest.mark.anyio
async def test_requests_one_after_another_share_a_connection(peer: Peer) -> None:
    for _ in range(20):
        await get(peer)
    assert (len(peer.heard), peer.connections) == (20, 1)


@pytest.mark.anyio
async def test_requests_at_once_have_each_their_connection_and_leave_them_to_later_ones(peer: Peer) -> None:
    for _ in range(3):
        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(get, peer)
    assert len(peer.heard) == 30
    assert peer.connections <= 10


@both_loops
@pytest.mark.anyio
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
async def test_a_kept_connection_that_the_peer_has_closed_is_replaced_and_the_request_is_sent_once(
    peer: Peer, *, reset: bool
) -> None:
    await get(peer)
    peer.hang_up(reset=reset)
    await get(peer, "/dial", method="POST")
    assert peer.heard == ["GET /", "POST /dial"]
    assert peer.connections == 2


@pytest.mark.anyio
async def test_a_peer_that_was_started_anew_is_reached() -> None:
    with Peer() as before:
        await get(before)
    with Peer(before.server_port) as after:
        await get(after)
    assert (before.heard, after.heard) == (["GET /"], ["GET /"])


@pytest.mark.anyio
async def test_a_peer_that_went_away_is_not_reached() -> None:
    with Peer(free_port()) as peer:
        await get(peer)
    with pytest.raises(ConnectionRefusedError):
        await get(peer)


@pytest.mark.anyio
async def test_a_connection_is_not_kept_for_as_long_as_servers_keep_theirs(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert http.KEPT_IDLE < 5
    monkeypatch.setattr(http, "KEPT_IDLE", 0.02)
    await get(peer)
    await anyio.sleep(0.1)
    await get(peer)
    assert peer.connections == 2


@both_loops
@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/hang-up", "/half"])
async def test_a_peer_that_hangs_up_may_have_heard_and_is_not_asked_again(peer: Peer, path: str) -> None:
    await get(peer)
    with pytest.raises(ConnectionResetError):
        await get(peer, path, method="POST")
    assert peer.heard == ["GET /", f"POST {path}"]
    assert peer.connections == 1
    await get(peer)
    assert peer.connections == 2


@pytest.mark.anyio
async def test_a_request_that_is_given_up_takes_its_connection_with_it(peer: Peer) -> None:
    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(get, peer, "/stall")
        for _ in range(10):
            assert await asyncio.to_thread(peer.hears.acquire, timeout=10)
        tasks.cancel_scope.cancel()
    for _ in range(10):
        assert await asyncio.to_thread(peer.given_up.acquire, timeout=10)
    await get(peer)
    assert peer.connections == 11


@pytest.mark.anyio
async def test_an_answer_that_was_too_late_is_never_taken_for_the_next_one(peer: Peer) -> None:
    with pytest.raises(TimeoutError):
        await send_request("GET", f"{peer.url}/stall", headers={}, answer_timeout=0.05)
    assert await get(peer, "/redirect") == 307
    assert peer.connections == 2


@pytest.mark.anyio
async def test_no_cookie_goes_from_one_request_to_another(peer: Peer) -> None:
    for _ in range(2):
        answer = await send_request("GET", f"{peer.url}/", headers={})
        assert "set-cookie" in answer.headers
        assert json.loads(answer.body)["cookie"] is None


# --- bodies that are not wanted --------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/", "/none"])
async def test_a_short_body_that_is_not_wanted_leaves_the_connection(peer: Peer, path: str) -> None:
    for _ in range(3):
        answer = await send_request("POST", peer.url + path, headers={}, discard_body=True)
        assert answer.body == b""
    assert peer.connections == 1


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/endless", "/half", "/drip"])
async def test_an_unwanted_body_that_never_comes_whole_is_no_failure(
    peer: Peer, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "DISCARD_TIMEOUT", 0.05)
    assert await get(peer, path, discard=True) == 200
    await get(peer)
    assert peer.connections == 2


# --- event loops and threads -----------------------------------------------------------------------------------------

LOOPS = """
import asyncio, gc, os, sys, weakref
import uvloop
from patter_core.net.http import send_request

def open_files():
    return len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0

async def main():
    for _ in range(3):
        async with asyncio.TaskGroup() as tasks:
            for _ in range(4):
                tasks.create_task(send_request("GET", sys.argv[1], headers={}))
    return weakref.ref(asyncio.get_running_loop())

asyncio.run(main())
uvloop.run(main())  # each opens some files of its own once
before = open_files()
ended = [asyncio.run(main()) for _ in range(3)] + [uvloop.run(main()) for _ in range(3)]
gc.collect()
assert open_files() <= before
assert [loop() for loop in ended] == [None] * 6, ended
"""


def test_each_event_loop_has_its_pool_which_ends_with_it_without_a_trace(peer: Peer) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", LOOPS, peer.url], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(peer.heard) == 8 * 12
    assert 8 <= peer.connections <= 8 * 4


ABANDONED = """
import asyncio, os, sys
from patter_core.net.http import send_request

def open_files():
    return len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0

def request():
    loop = asyncio.new_event_loop()
    loop.run_until_complete(send_request("GET", sys.argv[1], headers={}))
    loop.close()  # without loop.shutdown_asyncgens(), which belongs before it

request()
before = open_files()
for _ in range(20):
    request()
assert open_files() < before + 10
"""


def test_loops_that_are_closed_without_their_generators_pile_up_no_connections(peer: Peer) -> None:
    subprocess.run([sys.executable, "-c", ABANDONED, peer.url], check=True, timeout=60)
    assert peer.connections == 21


def test_loops_in_several_threads_have_each_their_pool(peer: Peer) -> None:
    threads = [threading.Thread(target=anyio.run, args=(get, peer)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(peer.heard), peer.connections) == (8, 8)


WATCHED = """
import asyncio, json, ssl, sys, threading
from patter_core.net.http import send_request

def in_loop():
    return threading.current_thread() is threading.main_thread()

made, imported = [], []
make = ssl.create_default_context

def watched(*args, **kwargs):
    made.append(in_loop())
    return make(*args, **kwargs)

ssl.create_default_context = watched
sys.addaudithook(lambda event, args: imported.append((args[0], in_loop())) if event == "import" else None)

async def main():
    async with asyncio.TaskGroup() as tasks:
        for _ in range(8):
            tasks.create_task(send_request("GET", sys.argv[1], headers={}))
    for _ in range(8):
        await send_request("GET", sys.argv[1], headers={})

asyncio.run(main())
asyncio.run(main())
print(json.dumps({"made in loop": made, "imported in loop": sorted({n.split(".")[0] for n, loop in imported if loop}),
                  "imported in thread": sorted({n.split(".")[0] for n, loop in imported if not loop})}))
"""


@pytest.mark.skipif(not shutil.which("openssl"), reason="makes its certificate with the openssl command")
def test_client_and_certificates_are_loaded_once_and_in_a_thread(
    certificate: Callable[[], tuple[ssl.SSLContext, str]],
) -> None:
    context, trusted = certificate()
    with Peer(tls=context) as peer:
        done = subprocess.run(
            [sys.executable, "-c", WATCHED, peer.url],
            env={**os.environ, "SSL_CERT_FILE": trusted},
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
    told = json.loads(done.stdout)
    assert told["made in loop"] == [False]
    assert {"httpcore", "certifi"} <= set(told["imported in thread"])
    assert not {"httpcore", "certifi", "h11", "aiohappyeyeballs"} & set(told["imported in loop"])
    assert len(peer.heard) == 32
    assert 2 <= peer.connections <= 16  # eight at once in each of two loops


@pytest.mark.skipif(not shutil.which("openssl"), reason="makes its certificate with the openssl command")
@pytest.mark.anyio
async def test_a_certificate_that_is_not_trusted_keeps_the_request_from_leaving(
    certificate: Callable[[], tuple[ssl.SSLContext, str]],
) -> None:
    context, _ = certificate()
    with Peer(tls=context) as peer:
        with pytest.raises(ConnectionRefusedError):
            await get(peer, "/dial", method="POST")
        assert not peer.heard
