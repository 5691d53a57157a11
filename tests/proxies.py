"""Real proxies in front of a server, configured as the documentation has it, but on loopback and without TLS."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from patter_core.testing.network import free_port

__all__ = ["CADDY", "NGINX", "caddy", "nginx"]

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
"""The program; None where it is not installed."""
DOCUMENTED = Path(__file__).parents[1] / "deploy" / "proxies" / "nginx.conf"
CADDYFILE = DOCUMENTED.with_name("Caddyfile")


def wait_for_port(process: subprocess.Popen[bytes], port: int) -> None:
    """Returns once something listens there."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process.poll() is None, process.args
        time.sleep(0.02)
    raise TimeoutError(process.args)


@contextlib.contextmanager
def nginx(folder: Path, app_port: int) -> Iterator[tuple[int, int]]:
    """nginx on a free port, in front of what listens on `app_port`; gives that port and its process."""
    port = free_port()
    site = DOCUMENTED.read_text()
    for old, new in (
        ("listen 443 ssl;", f"listen 127.0.0.1:{port};"),
        ("$scheme", "https"),  # TLS ends here in the documentation, and nowhere in this test
        ("127.0.0.1:8000", f"127.0.0.1:{app_port}"),
    ):
        assert old in site
        site = site.replace(old, new)
    site = "\n".join(line for line in site.splitlines() if "ssl_certificate" not in line)
    log = folder / "error.log"
    main = f"daemon off; pid {folder}/pid; error_log {log};\nevents {{ worker_connections 4096; }}\n"
    main += "http { access_log off;\n"
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy"))
    config = folder / "nginx.conf"
    config.write_text(main + temporary + site + "}\n")
    assert NGINX is not None
    with subprocess.Popen([NGINX, "-p", folder, "-e", log, "-c", config]) as process:
        try:
            wait_for_port(process, port)
            yield port, process.pid
        finally:
            process.terminate()


def has_what_the_file_asks_for(caddy: str) -> bool:
    """True from version 2.7 on."""
    version = subprocess.run([caddy, "version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"v?(\d+)\.(\d+)", version)
    return found is not None and (int(found[1]), int(found[2])) >= (2, 7)


CADDY = shutil.which("caddy", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
if CADDY is not None and not has_what_the_file_asks_for(CADDY):
    CADDY = None


@contextlib.contextmanager
def caddy(folder: Path, app_port: int) -> Iterator[int]:
    """Caddy on a free port, in front of what listens on `app_port`; gives that port."""
    port = free_port()
    site = CADDYFILE.read_text()
    for old, new in (("voice.example.org {", f"http://:{port} {{"), ("127.0.0.1:8000", f"127.0.0.1:{app_port}")):
        assert old in site
        site = site.replace(old, new)
    config = folder / "Caddyfile"
    config.write_text(f"{{\n\tadmin off\n\tauto_https off\n}}\n{site}")
    assert CADDY is not None
    environment = {**os.environ, "HOME": str(folder)}
    command = [CADDY, "run", "--config", str(config), "--adapter", "caddyfile"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for_port(process, port)
            yield port
        finally:
            process.terminate()
