"""Floods: more than anybody should send, from a process of its own where it is requests."""

from __future__ import annotations

import asyncio
import base64
import functools
import hashlib
import json
import os
import secrets
import struct
import subprocess
import sys
import time
import urllib.parse
import uuid
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path

import anyio
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from patter_core.call.token import CallToken
from patter_core.carrier import Carrier
from patter_core.server.tokens import Purpose, TokenMaker
from patter_core.telephony.leg import Leg
from patter_plivo.signing import signed_base
from patter_plivo.testing import PlivoEmulator
from patter_plivo.testing.webhooks import signature_headers
from patter_telnyx.signing import SIGNATURE_HEADER, TIMESTAMP_HEADER, signed_bytes
from patter_twilio.signing import signature
from patter_twilio.testing import TwilioEmulator
from patter_vonage.jwt import sign_hs256
from patter_vonage.signing import VonageClaims
from patter_vonage.testing import VonageEmulator
from tests.chaos.fleet import AnyCarrier
from tests.polling import until

__all__ = [
    "BINARY",
    "PING",
    "Flood",
    "announcement",
    "empty_fragments",
    "flood",
    "frame",
    "in_haste",
    "repeats",
    "spew",
    "stream_token",
    "upgrade",
]

ROOT = Path(__file__).parents[2]
TEXT, BINARY, PING = 0x81, 0x82, 0x89
_FIRST, _CONT = 0x01, 0x00
_NO_MASK = bytes(4)  # a mask of zeros changes nothing
_ENDLESS = 50_000_000
"""Frames: more than a worker can read in a test."""

_CLOSE = {"Connection": "close"}
_NO_ACTIONS = b"\r\n\r\n[]"
"""How Vonage is told that a call is not taken."""

Flood = Callable[[asyncio.Transport], Coroutine[None, None, None]]
"""What is done to a socket; it ends with the connection, at the latest."""


# --- of requests -----------------------------------------------------------------------------------------------------


def _request(method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> str:
    parts = urllib.parse.urlsplit(url)
    head = {"Host": parts.netloc, **headers, **({"Content-Length": str(len(body))} if body else {})}
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    return f"{method} {parts.path}{'?' * bool(parts.query)}{parts.query} HTTP/1.1\r\n{lines}\r\n" + body.decode(
        "latin-1"
    )


def announcement(carrier: AnyCarrier, url: str, *, forged: bool = False, age: float = 0.0, call_sid: str = "") -> str:
    """A new call's webhook; `forged` is signed by nobody who may, and `age` (s) is that of its time stamp.

    `call_sid` is for Twilio.
    """
    if isinstance(carrier, VonageEmulator | PlivoEmulator):
        return _announced(carrier, url, forged=forged, age=age)
    if isinstance(carrier, TwilioEmulator):
        fields = {
            "AccountSid": carrier.account_sid,
            "CallSid": call_sid or f"CA{uuid.uuid4().hex}",
            "CallStatus": "ringing",
            "Direction": "inbound",
            "From": "+15550002222",
            "To": "+15550001234",
        }
        token = "nobody's token" if forged else carrier.auth_token
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Twilio-Signature": signature(token, url, fields.items()),
            "Connection": "close",
        }
        return _request("POST", url, headers, urllib.parse.urlencode(fields).encode())
    payload = {"call_control_id": f"v3:{uuid.uuid4().hex}", "direction": "incoming", "from": "+15550002222"}
    event = {"event_type": "call.initiated", "id": str(uuid.uuid4()), "payload": payload}
    body = json.dumps({"data": event, "meta": {"attempt": 1, "delivered_to": url}}).encode()
    stamp = str(int(time.time() - age))
    key = Ed25519PrivateKey.generate() if forged else carrier._key
    headers = {
        "Content-Type": "application/json",
        SIGNATURE_HEADER: base64.b64encode(key.sign(signed_bytes(stamp, body))).decode(),
        TIMESTAMP_HEADER: stamp,
        "Connection": "close",
    }
    return _request("POST", url, headers, body)


def _announced(carrier: VonageEmulator | PlivoEmulator, url: str, *, forged: bool, age: float) -> str:
    call_id = str(uuid.uuid4())
    if isinstance(carrier, VonageEmulator):
        numbers = {"from": "15550002222", "to": "15550001234"}
        body = json.dumps({"uuid": call_id, "conversation_uuid": f"CON-{call_id}", "direction": "inbound", **numbers})
        secret = secrets.token_hex(32) if forged else carrier.signature_secret
        authorization = {"Authorization": f"Bearer {_vonage_token(carrier, secret, body.encode(), age=age)}"}
        return _request("POST", url, {"Content-Type": "application/json", **authorization, **_CLOSE}, body.encode())
    fields = {
        "CallUUID": call_id,
        "CallStatus": "ringing",
        "Direction": "inbound",
        "Event": "StartApp",
        "From": "15550002222",
        "To": "15550001234",
    }
    signed = signature_headers("nobody's token" if forged else carrier.auth_token, signed_base(url, fields.items()))
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    return _request("POST", url, {**form, **signed, **_CLOSE}, urllib.parse.urlencode(fields).encode())


def _vonage_token(carrier: VonageEmulator, secret: str, body: bytes | None, *, age: float = 0.0) -> str:
    claims = VonageClaims(
        iat=int(time.time() - age),
        jti=str(uuid.uuid4()),
        payload_hash="" if body is None else hashlib.sha256(body).hexdigest(),
        api_key=carrier.api_key,
        application_id=carrier.application_id,
    )
    return sign_hs256(secret, claims)


def upgrade(carrier: AnyCarrier, port: int, token: str) -> str:
    """The upgrade of a media socket, as the carrier signs it."""
    path = f"127.0.0.1:{port}/media/{_made(carrier).name}/{token}"
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Version": "13",
    }
    if isinstance(carrier, TwilioEmulator):
        headers["X-Twilio-Signature"] = signature(carrier.auth_token, f"wss://{path}")
    elif isinstance(carrier, VonageEmulator):
        headers["Authorization"] = f"Bearer {_vonage_token(carrier, carrier.signature_secret, None)}"
    elif isinstance(carrier, PlivoEmulator):
        headers |= signature_headers(carrier.auth_token, signed_base(f"http://{path}"))
    return _request("GET", f"http://{path}", headers)


def stream_token(carrier: AnyCarrier, leg: Leg, *, purpose: Purpose = Purpose.STREAM, age: float = 0.0) -> str:
    """A token as the app makes them, of that age in s."""
    maker = TokenMaker(_made(carrier).token_secret(), purpose)
    token = CallToken(
        carrier=leg.carrier, leg_id=leg.call_id, call_id=uuid.uuid4().hex, agent="agent", issued_at=time.time() - age
    )
    return maker.mint(token)


@functools.lru_cache(maxsize=8)
def _made(carrier: AnyCarrier) -> Carrier:
    """The plugin for that emulator, once: to read a private key takes a tenth of a second."""
    return carrier.carrier()


class _Order(msgspec.Struct):
    port: int
    requests: list[str]
    at_once: int


async def flood(port: int, requests: Sequence[str], *, at_once: int = 50) -> Counter[str]:
    """Send each on a connection of its own, many at once, from another process; gives how they were answered.

    The key is the status and, for answers that say it, `busy`.
    """
    order = msgspec.json.encode(_Order(port, list(requests), at_once))
    done = await anyio.run_process(
        [sys.executable, "-m", "tests.chaos.floods"], input=order, cwd=ROOT, stderr=subprocess.PIPE
    )
    return Counter(msgspec.json.decode(done.stdout, type=dict[str, int]))


async def _send_all(order: _Order) -> Counter[str]:
    answers: Counter[str] = Counter()
    waiting = iter(order.requests)

    async def send_some() -> None:
        for request in waiting:
            answers[await _send(order.port, request.encode("latin-1"))] += 1

    await asyncio.gather(*(send_some() for _ in range(order.at_once)))
    return answers


async def _send(port: int, request: bytes) -> str:
    try:
        async with asyncio.timeout(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(request)
                head = (await reader.readline()).split()
                if not head:
                    return "closed"
                status = head[1].decode()
                if status == "101":
                    return status
                rest = await reader.read()
                is_busy = b"busy" in rest or rest.endswith(_NO_ACTIONS)
                return f"{status} busy" if is_busy else status
            finally:
                writer.close()
    except (OSError, TimeoutError) as error:
        return type(error).__name__


# --- of frames -------------------------------------------------------------------------------------------------------


def frame(payload: bytes, opcode: int = TEXT, *, client: bool = True) -> bytes:
    """One frame of the WebSocket protocol, from a client or from a server."""
    size, masked = len(payload), 0x80 if client else 0
    if size < 126:
        head = struct.pack("!BB", opcode, masked | size)
    elif size < 65_536:
        head = struct.pack("!BBH", opcode, masked | 126, size)
    else:
        head = struct.pack("!BBQ", opcode, masked | 127, size)
    return head + (_NO_MASK if client else b"") + payload


def repeats(framed: bytes) -> Flood:
    """These frames, as fast as they are taken."""

    async def flood(transport: asyncio.Transport) -> None:
        await spew(transport, framed, _ENDLESS)

    return flood


def empty_fragments(*, client: bool) -> Flood:
    """A message that never ends."""

    async def flood(transport: asyncio.Transport) -> None:
        transport.write(frame(b"x", _FIRST, client=client))
        await spew(transport, frame(b"", _CONT, client=client), _ENDLESS)

    return flood


def in_haste(framed: bytes, *, seconds: float) -> Flood:
    """These frames, which are so many seconds of audio: 170 seconds of it in each second."""

    async def flood(transport: asyncio.Transport) -> None:
        began = anyio.current_time()
        for number in range(_ENDLESS):
            await anyio.sleep_until(began + number * seconds / 170)
            if transport.is_closing():
                return
            if transport.get_write_buffer_size() < 2**21:
                transport.write(framed)

    return flood


async def spew(transport: asyncio.Transport, framed: bytes, count: int) -> None:
    """Write that frame so many times, as fast as the other end takes them."""
    batch = framed * max(1, min(count, 65_536 // len(framed)))
    left = len(framed) * count
    while left > 0 and not transport.is_closing():
        transport.write(batch[:left])
        left -= len(batch)
        await until(
            lambda: transport.get_write_buffer_size() <= 262_144 or transport.is_closing(), within=60, every=0.01
        )


def main() -> None:
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=_Order)
    sys.stdout.buffer.write(msgspec.json.encode(dict(asyncio.run(_send_all(order)))))


if __name__ == "__main__":
    main()
