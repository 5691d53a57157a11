from __future__ import annotations

import os
import ssl
import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may find a setting or an account in the environment that it did not put there."""
    for variable in list(os.environ):
        if variable.startswith("PATTER_"):
            monkeypatch.delenv(variable)


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
