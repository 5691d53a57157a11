"""What lets a call through: the token of its stream, and the ticket that comes back with its webhooks."""

from __future__ import annotations

import time

import msgspec

from patter_core.carrier import Carrier
from patter_core.server.call_table import BoundedDict
from patter_core.server.tokens import CallToken, Purpose, TokenMaker
from patter_core.server.urls import media_url, webhook_root
from patter_core.telephony.control import Callbacks
from patter_core.webhook import Accept

__all__ = ["CallTokens"]

_REMEMBERED = 10_000
"""Stream tokens that have been used."""


class CallTokens:
    """Makes and checks them, with the carrier's secret: any worker that has it takes what another one made."""

    def __init__(self, carrier: Carrier) -> None:
        secret = carrier.token_secret()
        self._carrier = carrier.name
        self._streams = TokenMaker(secret, Purpose.STREAM)
        self._callbacks = TokenMaker(secret, Purpose.CALLBACK)
        self._used: BoundedDict[bool] = BoundedDict(_REMEMBERED)

    def callbacks(self, token: CallToken) -> Callbacks:
        """Where the carrier tells what becomes of that call. `token` says when it is made."""
        return Callbacks(webhook_root(token.base, token.carrier), self._callbacks.mint(token))

    def admit(self, token: CallToken) -> Accept:
        """Let that call bring one stream, soon."""
        token = msgspec.structs.replace(token, issued_at=time.time())
        url = media_url(token.base, token.carrier, self._streams.mint(token))
        return Accept(call_id=token.call_id, media_url=url, callbacks=self.callbacks(token))

    def read_callback(self, text: str) -> CallToken | None:
        """The call that a webhook is about; None if it does not say so, or nobody can know."""
        return self._ours(self._callbacks.check(text, time.time())) if text else None

    def read_stream(self, text: str) -> CallToken | None:
        """The call that a media socket is for; None if the token is bad, or was used here before."""
        return None if text in self._used else self._ours(self._streams.check(text, time.time()))

    def use(self, stream: str) -> None:
        """That stream has come: its token opens no other."""
        self._used.put(stream, True)

    def _ours(self, token: CallToken | None) -> CallToken | None:
        return token if token is not None and token.carrier == self._carrier else None
