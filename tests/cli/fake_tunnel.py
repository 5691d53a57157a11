"""Plays ngrok or cloudflared, by the name that it is started by: a real forwarding, from one loopback port to another.

FAKE_TUNNEL says what goes wrong: `dies`, `silent` or `lies`.
"""

from __future__ import annotations

import http.server
import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

TOKEN = "2aBcDeFgHiJkLmNoPqRsTuVwXyZ_12345678"
TROUBLE = os.environ.get("FAKE_TUNNEL", "")


def main() -> None:
    name, arguments = Path(sys.argv[0]).name, sys.argv[1:]
    assert not [one for one in os.environ if one.startswith(("PATTER_", "SECRET_"))], "secrets that are not its own"
    if TROUBLE == "dies":
        write(f"\x1b[2J\x1b]0;owned\x07ERR_NGROK_105: authentication failed. Your authtoken: {TOKEN}")
        sys.exit(1)
    if TROUBLE == "silent":
        time.sleep(60)
    if name == "ngrok":
        be_ngrok(arguments)
    else:
        be_cloudflared(arguments)
    signal.pause()


def write(line: str) -> None:
    sys.stdout.buffer.write(line.encode("latin-1") + b"\n")
    sys.stdout.flush()


def be_ngrok(arguments: list[str]) -> None:
    kind, target, *log = arguments
    assert kind == "http", arguments
    assert log == ["--log", "stdout", "--log-format", "json"], arguments
    write("\x1b[31mno json\xff")
    write(json.dumps({"lvl": "info", "msg": "client session established"}))
    url = "javascript:alert(1)" if TROUBLE == "lies" else f"http://127.0.0.1:{forward(target)}"
    write(json.dumps({"lvl": "info", "msg": "started tunnel", "addr": target, "url": url}))


def be_cloudflared(arguments: list[str]) -> None:
    assert arguments[0] == "tunnel", arguments
    assert arguments.pop(3) == "--no-autoupdate", arguments
    options = dict(zip(arguments[1::2], arguments[2::2], strict=True))
    assert Path(options.pop("--config")).read_bytes() == b""
    host, _, port = options.pop("--metrics").partition(":")
    port_of_tunnel = forward(options.pop("--url").removeprefix("http://"))
    assert not options, options
    asked: list[str] = []

    class Metrics(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            count = asked.count(self.path)  # neither is known at first
            hostname = f"127.0.0.1:{port_of_tunnel}" if count > 1 else ""
            self.send_response(503 if self.path == "/ready" and count == 1 else 200)
            self.end_headers()
            self.wfile.write(json.dumps({"hostname": hostname}).encode())

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer((host, int(port)), Metrics)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def forward(target: str) -> int:
    """Forwards connections to a target from a port of its own, and returns that."""
    host, _, port = target.partition(":")
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            near = listener.accept()[0]
            far = socket.create_connection((host, int(port)))
            for pair in ((near, far), (far, near)):
                threading.Thread(target=copy, args=pair, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    found: int = listener.getsockname()[1]
    return found


def copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        target.close()


if __name__ == "__main__":
    main()
