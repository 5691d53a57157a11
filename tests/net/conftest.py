"""Names, certificates and an environment without proxies, for the tests of clients."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path

import pytest

from patter_core.net import engine_opening
from patter_core.net.transport import Transport
from patter_core.registry import Registry
from tests.net.peers import Names
from tests.transports import TRANSPORT


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http", "https", "all", "socks", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name}_proxy".upper(), raising=False)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    """Replaces the system's resolver."""
    with Names() as resolver:
        monkeypatch.setattr("socket.getaddrinfo", resolver.look_up)
        yield resolver


@pytest.fixture
def certificate(tmp_path: Path) -> Callable[[], tuple[ssl.SSLContext, str]]:
    """Makes a certificate for 127.0.0.1 and engine.test: a server's context with it, and the file to be trusted."""

    def make() -> tuple[ssl.SSLContext, str]:
        both = str(tmp_path / "both.pem")
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=peer"]
        command += ["-addext", "subjectAltName=IP:127.0.0.1,DNS:engine.test"]
        command += ["-addext", "keyUsage=digitalSignature,keyCertSign"]
        subprocess.run([*command, "-keyout", both + ".key", "-out", both], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(both, both + ".key")
        return context, both

    return make


@pytest.fixture(autouse=True)
def _transport(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines' sockets of these tests are on the transport that the environment names, as those of calls are."""
    if TRANSPORT != "websockets":
        transport: Transport | None = Registry.discover().transport(TRANSPORT)()
        monkeypatch.setattr(engine_opening, "in_use", ContextVar("transport", default=transport))
