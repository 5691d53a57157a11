"""The transport contract, as the core's conformance check tries it, on both event loops, with TLS."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest

from patter_core.testing import check_transport
from patter_picows import PicowsTransport

pytestmark = pytest.mark.anyio


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's context, with a certificate that clients trust."""
    pem = str(tmp_path / "peer.pem")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=peer"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", pem + ".key", "-out", pem]
    subprocess.run(command, check=True, capture_output=True)
    monkeypatch.setenv("SSL_CERT_FILE", pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, pem + ".key")
    return context


@pytest.mark.parametrize(
    "anyio_backend",
    [("asyncio", {"use_uvloop": False}), ("asyncio", {"use_uvloop": True})],
    ids=["asyncio", "uvloop"],
)
async def test_it_keeps_the_contract(tls: ssl.SSLContext) -> None:
    await check_transport(PicowsTransport, tls=tls, patience=4)
