"""A carrier's media sockets, from the upgrade until a call has them.

Most carriers bring the call's stream token in the URL, so that the upgrade already says whose socket it is. Some say it
in a message: then the socket is accepted first, and anybody may open one. Until it has named its call, such a socket
costs a few kilobytes: no call is looked for, no agent is asked, and no more than `_MOST_UNKNOWN` wait at a time.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Sequence

import anyio
import msgspec
from starlette.types import Receive, Scope, Send

from patter_core.aio.foreign import as_exception, run_foreign
from patter_core.call.call import Call
from patter_core.errors import CallError, WebhookRefused, WorkerStopping
from patter_core.net.engine_opening import WebsocketsTransport
from patter_core.server.asgi_socket import AsgiSocket
from patter_core.server.handed_socket import TAKE_OVER, HandedSocket
from patter_core.server.host import CallHost
from patter_core.server.requests import Address, webhook_request
from patter_core.server.signals import keep_signals
from patter_core.server.urls import base_of
from patter_core.telephony.control import webhook_root
from patter_core.telephony.leg import Leg
from patter_core.telephony.outcome import Transfer
from patter_core.transport import Message
from patter_core.webhook import Accept, MediaIdentity, WebhookRequest

__all__ = ["MediaEndpoint"]

_log = logging.getLogger("patter.host")

_MOST_UNKNOWN = 64
"""Sockets that have not said whose they are. One more, and the oldest is closed."""
_HELLO_WITHIN = 3.0
"""Seconds for a socket to say it."""
_LONGEST_HELLO = 8 * 1024
"""Bytes of a message by which a socket says it."""
_MOST_MESSAGES = 400
"""Messages that may come before: 3 s of audio are 150."""
_TRANSFER_TIMEOUT = 5.0

_POLICY, _TOO_LONG, _GOING = 1008, 1009, 1001
"""Close codes."""


_MediaSocket = AsgiSocket | HandedSocket


class _Refused(Exception):
    """A socket is closed: nothing tells whose it is, or the call is not taken."""

    def __init__(self, why: str, code: int = _POLICY) -> None:
        super().__init__(why)
        self.code = code


class MediaEndpoint:
    """Accepts the media sockets of one carrier, and gives each to its call.

    Args:
        host: the calls.
        carrier: whose sockets they are: its name.
        address: how the public address is found.
    """

    def __init__(self, host: CallHost, carrier: str, address: Address) -> None:
        self._host = host
        self._carrier = host.trunks[carrier].carrier
        self._router = host.routers[carrier]
        self._address = address
        self._unknown: OrderedDict[_MediaSocket, anyio.CancelScope] = OrderedDict()
        """Accepted sockets that have not said whose they are, the oldest first."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One socket, as an ASGI application."""
        opened = await self._open(scope, receive, send)
        if opened is None:
            return
        call, socket = opened
        keep_signals()
        try:
            await call.serve_media(socket)
        except CallError:  # the call ended between the claim and here
            await socket.shut()

    async def _open(self, scope: Scope, receive: Receive, send: Send) -> tuple[Call, _MediaSocket] | None:
        """Accepts a socket and finds its call, or refuses it. The request is forgotten with that."""
        await self._host.ensure_running()
        await receive()  # websocket.connect
        request = webhook_request(scope, self._address, b"")
        subprotocol = self._agreed(scope.get("subprotocols", ()))
        socket: _MediaSocket = AsgiSocket(receive, send, subprotocol=subprotocol)
        try:
            self._verify(request)
            if self._carrier.media_hello:
                socket = await self._accept(socket, scope, send)
                call = await self._hear_whose(socket, request)
            else:
                call = await self._claim(self._identify(request, None), request)
                socket = await self._accept(socket, scope, send)
        except OSError:
            return None  # the connection is gone
        except _Refused as refusal:
            _log.warning("A media socket was refused: %s.", refusal)
            await socket.shut(refusal.code)  # before the accept, this is a 403
            return None
        return call, socket

    async def _accept(self, socket: _MediaSocket, scope: Scope, send: Send) -> _MediaSocket:
        """Accepts a socket: the phone's transport does, where the server offers that; else the server."""
        transport, subprotocol = self._host.transport or WebsocketsTransport(), socket.subprotocol
        take_over = scope.get("extensions", {}).get(TAKE_OVER)
        if take_over is not None:
            handed = HandedSocket.accept(take_over, transport, subprotocol)
            if handed is not None:
                return handed
        await send({"type": "websocket.accept", "subprotocol": subprotocol or None})
        return socket

    def _agreed(self, offered: Sequence[str]) -> str:
        """Returns the first that the carrier speaks, of those that were offered; "" if there is none."""
        return next((name for name in self._carrier.subprotocols if name in offered), "")

    def _verify(self, request: WebhookRequest) -> None:
        try:
            self._carrier.verify_upgrade(request)
        except WebhookRefused as error:
            raise _Refused(str(error)) from None
        except BaseException as error:  # noqa: BLE001 - the plugin boundary
            _log.exception("The carrier's verify_upgrade() failed.", exc_info=as_exception(error))
            raise _Refused("the carrier's plugin failed") from None

    # --- whose it is -----------------------------------------------------------------------------------------------

    async def _hear_whose(self, socket: _MediaSocket, request: WebhookRequest) -> Call:
        """Reads an accepted socket until it says whose it is. The message that does is read again by the codec."""
        with anyio.CancelScope() as scope:
            self._unknown[socket] = scope
            try:
                if len(self._unknown) > _MOST_UNKNOWN:
                    self._unknown.popitem(last=False)[1].cancel()
                with anyio.fail_after(_HELLO_WITHIN):
                    identity, hello = await self._read_identity(socket, request)
            except TimeoutError:
                raise _Refused(f"it does not say whose it is within {_HELLO_WITHIN:g} s") from None
            finally:
                self._unknown.pop(socket, None)
        if scope.cancelled_caught:
            raise _Refused(f"more than {_MOST_UNKNOWN} do not say whose they are; this is the oldest")
        socket.put_back(hello)
        return await self._claim(identity, request)

    async def _read_identity(self, socket: _MediaSocket, request: WebhookRequest) -> tuple[MediaIdentity, Message]:
        for _ in range(_MOST_MESSAGES):
            message = await socket.first()
            if message is None:
                raise _Refused("it was closed before it said whose it is", 1000)
            if len(message) > _LONGEST_HELLO or (isinstance(message, str) and len(message.encode()) > _LONGEST_HELLO):
                raise _Refused("its first message is too long", _TOO_LONG)
            identity = self._identify(request, message)
            if identity != MediaIdentity():
                return identity, message
            await asyncio.sleep(0)  # all may be there at once
        raise _Refused("it sends too much before it says whose it is")

    def _identify(self, request: WebhookRequest, hello: Message | None) -> MediaIdentity:
        try:
            identity: object = self._carrier.identify(request, hello)
        except WebhookRefused as error:
            raise _Refused(str(error)) from None
        except BaseException as error:  # noqa: BLE001 - the plugin boundary
            _log.exception("The carrier's identify() failed.", exc_info=as_exception(error))
            raise _Refused("the carrier's plugin failed") from None
        match identity:
            case MediaIdentity(token=str(), leg=None | Leg()):
                return identity
            case _:
                pass
        _log.error("The carrier's identify() returns no valid MediaIdentity, but %s.", type(identity).__name__)
        raise _Refused("the carrier's plugin failed")

    # --- its call --------------------------------------------------------------------------------------------------

    async def _claim(self, identity: MediaIdentity, request: WebhookRequest) -> Call:
        if identity == MediaIdentity():
            raise _Refused("it does not say whose it is")
        token = identity.token or await self._announced(identity, request)
        call = self._router.claim(token)
        if call is None:
            raise _Refused("its stream token is invalid, used, too old, or of a call that is over")
        return call

    async def _announced(self, identity: MediaIdentity, request: WebhookRequest) -> str:
        """A call that no webhook has announced: its socket does. Returns the stream token of the call."""
        leg, carrier = identity.leg, self._carrier
        if leg is None or leg.carrier != carrier.name or not leg.call_id:
            _log.error("The carrier's identify() gives neither a token nor a leg of %s with an id.", carrier.name)
            raise _Refused("the carrier's plugin failed")
        if not carrier.authenticates_upgrade:
            _log.error("The carrier %s announces a call on a media socket that it does not authenticate.", carrier.name)
            raise _Refused("nothing proves that the carrier opened it")
        try:
            answer = await self._router.call(leg, request.likely_url).arrived()
        except WorkerStopping:
            raise _Refused("this worker takes no more calls", _GOING) from None
        except WebhookRefused as error:
            raise _Refused(str(error)) from None
        if isinstance(answer, Accept):
            return answer.token
        if isinstance(answer, Transfer):
            leg = msgspec.structs.replace(leg, webhooks=webhook_root(base_of(request.likely_url), carrier.name))
            try:
                await run_foreign(carrier.transfer, _TRANSFER_TIMEOUT, leg, answer)
            except Exception:  # noqa: BLE001 - the plugin boundary
                _log.exception("The carrier did not transfer a call.")
            raise _Refused("its call is transferred", 1000)
        raise _Refused(f"its call is not taken: {answer.reason}")
