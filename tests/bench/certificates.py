"""An authority of the benchmark's own, and a certificate of it for this machine's loopback address."""

from __future__ import annotations

import contextlib
import os
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import certifi

__all__ = ["server_context", "trusted_certificate"]


@contextlib.contextmanager
def trusted_certificate() -> Iterator[str]:
    """A certificate with its key, in one file; gives the file.

    Processes that are started inside trust it, beside all the authorities that a system trusts.
    """
    before = os.environ.get("SSL_CERT_FILE")
    with tempfile.TemporaryDirectory() as folder:
        pem = Path(folder) / "engine.pem"
        trusted = Path(folder) / "trusted.pem"
        key = Path(folder) / "key.pem"
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=bench"]
        command += ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "keyUsage=digitalSignature,keyCertSign"]
        subprocess.run([*command, "-keyout", str(key), "-out", str(pem)], check=True, capture_output=True)
        trusted.write_text(certifi.contents() + pem.read_text())
        pem.write_text(pem.read_text() + key.read_text())
        os.environ["SSL_CERT_FILE"] = str(trusted)
        try:
            yield str(pem)
        finally:
            if before is None:
                del os.environ["SSL_CERT_FILE"]
            else:
                os.environ["SSL_CERT_FILE"] = before


def server_context(pem: str) -> ssl.SSLContext | None:
    """The engine's context with that certificate; None for "", which is without TLS."""
    if not pem:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context
