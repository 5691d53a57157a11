"""Stream tokens and callback tokens: what a call's media socket and webhooks bring back to identify the call.

They are stateless: every worker that shares the carrier's secret can open them, whichever worker made them. They stand
in URLs, and URLs stand in logs, so all that they hold is sealed, numbers and names included. `now` is the wall clock,
in Unix s, since workers on different machines share no other clock. A worker knows the age of its own tokens by its
monotonic clock: they stay good if the wall clock is set in between.

The seal is ChaCha20-Poly1305 (RFC 8439), of the library `cryptography`, with a random nonce of 12 bytes for each token,
and a key for each purpose that is derived from the carrier's secret. Two of 2**32 tokens of one key have the same nonce
with a probability below 2**-32: a secret is good for some thousand million calls. As long as it stays secret, a token

* reveals nothing but its length;
* cannot be made or changed by others: a try succeeds with a probability below 2**-90;
* does not open under another secret or for another purpose;
* has one spelling, and expires with its lifetime.

Not promised: that a token is used once (`CallTokens.use_stream` sees to that on one worker), and that tokens stay
sealed if the secret becomes known later.
"""

from __future__ import annotations

import base64
import enum
import hashlib
import logging
import math
import secrets
import time
import uuid
from collections.abc import Callable

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from patter_core.agent import Agent, AgentForCall, CallOptions, check_options
from patter_core.call.notice import longest_speech
from patter_core.call.token import LONGEST_TOKEN, CallToken
from patter_core.carrier import Carrier
from patter_core.errors import ConfigurationError
from patter_core.server.bounded import BoundedDict
from patter_core.server.urls import media_url
from patter_core.telephony.control import Callbacks, webhook_root
from patter_core.telephony.leg import Leg
from patter_core.webhook import Accept

__all__ = ["CallTokens", "Purpose", "TokenMaker", "new_token"]

_log = logging.getLogger("patter.host")

_USED_STREAMS = 10_000
"""Stream tokens that are remembered as used."""
_MADE_HERE = 20_000
"""Tokens whose age this worker knows: two for each stream."""
_CLOCK_SKEW = 10.0
"""Seconds by which the clocks of two workers may differ."""
_NONCE = 12
"""Bytes."""
_NAME = 16
"""Characters at the beginning of a token that name it: its nonce."""
_ROOM_FOR_LATER = 200
"""Characters that a token may grow by during a call: the carrier's id, lost streams."""


_CALL_IDS = uuid.UUID("6f1d2c58-6a0e-4b53-9d0b-7f2f8a1f4c11")
"""Namespace for call ids: every worker derives the same id for a call."""


class Purpose(enum.StrEnum):
    """What a token is for. It opens nothing else."""

    STREAM = "stream"
    """Opens one media socket."""
    CALLBACK = "callback"
    """Comes back with the carrier's webhooks about a call, as long as the call lasts."""


_LIFETIME = {Purpose.STREAM: 60.0, Purpose.CALLBACK: 6 * 3600.0}
"""Seconds: a stream follows its webhook, and what the carrier says first, within a few; a call lasts hours at most."""


class TokenMaker:
    """Makes and opens tokens of one purpose with one secret."""

    def __init__(self, secret: bytes, purpose: Purpose) -> None:
        self._seal = ChaCha20Poly1305(_key(secret, purpose))
        self._lifetime = _LIFETIME[purpose]

    def __repr__(self) -> str:
        return "<TokenMaker>"

    def mint(self, token: CallToken) -> str:
        """The token as text that fits into a path."""
        nonce = secrets.token_bytes(_NONCE)
        return _text(nonce + self._seal.encrypt(nonce, msgspec.json.encode(token), None))

    def check(self, text: str, now: float, *, age: float | None = None) -> CallToken | None:
        """What the token says; None if it is forged, malformed, of another purpose or too old.

        Args:
            text: the token.
            now: the wall clock, Unix s.
            age: s, where it is known without the wall clock.
        """
        if len(text) > LONGEST_TOKEN:
            return None
        try:
            data = _bytes(text)
            opened = self._seal.decrypt(data[:_NONCE], data[_NONCE:], None)
            token = msgspec.json.decode(opened, type=CallToken)
        except (ValueError, InvalidTag):  # another spelling; not ours, or not whole; ours, but of another version
            return None
        age = now - token.issued_at if age is None else age
        return token if -_CLOCK_SKEW <= age <= self._lifetime + token.speech else None


def _key(secret: bytes, purpose: Purpose) -> bytes:
    """The key for a purpose: BLAKE2b of the secret, personalised by the purpose.

    BLAKE2b with its `person` is made for that, takes secrets of any length, and is one call with nothing to compose, as
    HKDF's two steps would have.
    """
    return hashlib.blake2b(secret, digest_size=32, person=f"patter {purpose}".encode()).digest()


class CallTokens:
    """Makes and reads the tokens of one carrier's calls: every worker with the carrier's secret reads them.

    Args:
        carrier: whose calls they are.
        wall: the wall clock, Unix s.
        monotonic: the worker's own clock, s.
    """

    def __init__(
        self,
        carrier: Carrier,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        secret = carrier.token_secret()
        self._carrier = carrier.name
        self._longest_url = carrier.longest_media_url
        self._streams = TokenMaker(secret, Purpose.STREAM)
        self._callbacks = TokenMaker(secret, Purpose.CALLBACK)
        self._used: BoundedDict[str, bool] = BoundedDict(_USED_STREAMS)
        self._made: BoundedDict[str, float] = BoundedDict(_MADE_HERE)
        self._wall = wall
        self._monotonic = monotonic

    def check_fits(self, token: CallToken) -> None:
        """Checks that the carrier takes URLs with this token, as it is now and as it may become during the call.

        Raises:
            ConfigurationError: the options of the call are too long; the error names the longest ones.
        """
        rest = len(media_url(token.base, token.carrier, ""))
        room = min(LONGEST_TOKEN, self._longest_url - rest) - _ROOM_FOR_LATER
        over = len(self._callbacks.mint(msgspec.structs.replace(token, issued_at=self._wall()))) - room
        if over > 0:
            raise ConfigurationError(
                f"The options of this call are too long for a URL of {token.carrier}.",
                expected=f"{math.ceil(over * 3 / 4)} bytes less, in UTF-8",
                got=_sizes(token.options),
            )

    def check_room(self, routed: AgentForCall, base: str) -> None:
        """Checks that the options of an agent fit into a URL below `base`, before there is a call. See `check_fits`."""
        options = routed.options
        if options != CallOptions():
            name = routed.agent.name
            self.check_fits(CallToken(carrier=self._carrier, call_id="0" * 32, agent=name, base=base, options=options))

    def routed(self, leg: Leg, routed: AgentForCall, base: str) -> CallToken | None:
        """Returns the token of a call that has arrived; None, which the log explains, if it has wrong options.

        Args:
            leg: the call at its carrier.
            routed: who takes it.
            base: the public address.
        """
        token = new_token(leg, routed.agent, routed.options, base)
        try:
            if routed.options != CallOptions():
                check_options(routed.options, routed.agent.engine)
                self.check_fits(token)
        except ConfigurationError as error:
            _log.error("A call that was routed to the agent “%s” is rejected: %s", routed.agent.name, error)
            return None
        return token

    def accept(self, token: CallToken, *, notice: str = "") -> Accept:
        """Lets the call bring one media stream, soon.

        Args:
            token: of the call.
            notice: what the carrier says before the first stream of the call.
        """
        notice = "" if token.streams else notice
        token = msgspec.structs.replace(token, speech=longest_speech(notice))
        url = media_url(token.base, token.carrier, self._mint(self._streams, token))
        return Accept(call_id=token.call_id, media_url=url, callbacks=self.callbacks(token), notice=notice)

    def callbacks(self, token: CallToken) -> Callbacks:
        """Returns where the carrier reports about the call."""
        return Callbacks(webhook_root(token.base, token.carrier), self._mint(self._callbacks, token))

    def read_callback(self, text: str) -> CallToken | None:
        """Returns the call that a webhook is about; None without a token, or with an invalid one."""
        return self._read(self._callbacks, text) if text else None

    def read_stream(self, text: str) -> CallToken | None:
        """Returns the call that a media socket is for; None if the token is invalid, or was used here before."""
        return None if self.is_used(text) else self._read(self._streams, text)

    def is_used(self, text: str) -> bool:
        """True if a stream token has opened a socket here."""
        return text in self._used

    def use_stream(self, text: str) -> None:
        """Marks a stream token as used: it opens no other socket."""
        self._used.put(text, True)

    def _mint(self, maker: TokenMaker, token: CallToken) -> str:
        text = maker.mint(msgspec.structs.replace(token, issued_at=self._wall()))
        self._made.put(text[:_NAME], self._monotonic())
        return text

    def _read(self, maker: TokenMaker, text: str) -> CallToken | None:
        made = self._made.get(text[:_NAME])
        token = maker.check(text, self._wall(), age=None if made is None else self._monotonic() - made)
        return token if token is not None and token.carrier == self._carrier else None


def _sizes(options: CallOptions) -> str:
    """Returns the options that take room, the longest first, with their sizes in bytes."""
    fields = {name: text for name, text in msgspec.structs.asdict(options).items() if isinstance(text, str)}
    for name, mapping in (("variables", options.variables), ("engine_options", options.engine_options)):
        fields |= {f"{name}[{key!r}]": str(value) for key, value in mapping.items()}
    sizes = sorted(((len(text.encode()), name) for name, text in fields.items() if text), reverse=True)
    return ", ".join(f"{name} has {size}" for size, name in sizes[:3])


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _bytes(text: str) -> bytes:
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if _text(data) != text:  # one token has one spelling, or “used once” could be got round
        raise ValueError(text)
    return data


def new_token(leg: Leg, agent: Agent, options: CallOptions, base: str) -> CallToken:
    """Returns what identifies a call that has arrived.

    Args:
        leg: the call at its carrier.
        agent: that takes it.
        options: of this call.
        base: the public address.
    """
    return CallToken(
        carrier=leg.carrier,
        leg_id=leg.call_id,
        call_id=uuid.uuid5(_CALL_IDS, f"{leg.carrier}:{leg.call_id}").hex,
        agent=agent.name,
        direction=leg.direction,
        from_number=leg.from_number,
        to_number=leg.to_number,
        base=base,
        options=options,
    )
