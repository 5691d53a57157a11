"""The webhook contract: requests from a carrier, their answers, and the router that decides about calls."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractContextManager
from typing import Protocol
from urllib.parse import urlsplit

import msgspec

from patter_core.config import ConfiguredStruct
from patter_core.telephony.control import Callbacks, RecordingStatus
from patter_core.telephony.leg import AnsweredBy, Leg, Progress
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.telephony.prices import Cost

__all__ = [
    "Accept",
    "CallRouter",
    "MediaIdentity",
    "Reject",
    "RoutedCall",
    "Webhook",
    "WebhookHandler",
    "WebhookRequest",
    "WebhookResponse",
]

_LOCAL_HOSTS = frozenset({"localhost", "::1", "0.0.0.0"})  # noqa: S104 - nothing is bound


class WebhookRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request from the carrier, or the upgrade of its media socket, before it is verified.

    Its `repr` shows neither the body nor the headers.
    """

    method: str
    candidate_urls: tuple[str, ...]
    """The URLs that the carrier may have requested, likeliest first, with query. One, if the user configured the public
    address; otherwise the request's own `Host` with each scheme, since a proxy in front may have terminated TLS. None,
    if the request names no host that can be one."""
    headers: Mapping[str, str]
    """By lower-case name; repeated headers are joined by commas."""
    body: bytes = b""
    is_configured: bool = False
    """True if the user configured the public address: the one candidate is right, whatever the request says of it."""
    path_token: str = ""
    """The stream token in the path of a media socket; "" if there is none."""

    @property
    def likely_url(self) -> str:
        """The URL that the carrier probably requested, for carriers that sign none; "" if the request names no host.

        That is the public address, where it is known. Else it is https (wss) as behind a proxy or a tunnel, but http
        (ws) for a `Host` on this machine.
        """
        urls = self.candidate_urls
        if not urls:
            return ""
        host = urlsplit(urls[0]).hostname or ""
        is_local = host in _LOCAL_HOSTS or host.startswith("127.") or host.endswith(".localhost")
        return urls[-1] if is_local else urls[0]

    def __repr__(self) -> str:
        return f"<WebhookRequest {self.method} {len(self.body)} bytes>"


class WebhookResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a webhook."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = {}
    """Others. What the server writes itself cannot be set: Connection, Content-Length, Transfer-Encoding."""


class Accept(msgspec.Struct, frozen=True, kw_only=True):
    """The call is taken: the carrier brings its audio to `media_url`."""

    call_id: str
    """Patter's own id of the call."""
    media_url: str
    """ws:// or wss://; holds the stream token in its path, so it is a secret and not part of `repr`."""
    callbacks: Callbacks
    """Where the carrier reaches us about this call from now on."""
    notice: str = ""
    """What the carrier's own voice says before it brings the audio, for carriers with `Capability.NOTICE`. Usually "";
    always, where the call had its audio before."""

    def __repr__(self) -> str:
        return f"<Accept {self.call_id}>"

    @property
    def token(self) -> str:
        """The stream token, for carriers that give it back in another place than the URL's path. A secret."""
        return self.media_url.rpartition("/")[2]

    @property
    def socket_url(self) -> str:
        """`media_url` without the token: `Carrier.identify` then finds it in the query, or in a message."""
        return self.media_url.rpartition("/")[0]


class MediaIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """Whose a media socket is: one of the two. Neither: the socket has not said it yet."""

    token: str = ""
    """The stream token of our `Accept`, from the path, the query or a message."""
    leg: Leg | None = None
    """The call that the socket brings, and that no webhook has announced. Only a carrier that
    `authenticates_upgrade` may say so."""

    def __repr__(self) -> str:
        return f"<MediaIdentity {'token' if self.token else repr(self.leg)}>"


class Reject(ConfiguredStruct, frozen=True, kw_only=True):
    """The call is not taken."""

    reason: str = "rejected"
    """`busy` (limits or drain: the carrier may try elsewhere) or `rejected` (no agent takes it)."""


class RoutedCall(Protocol):
    """One call of a carrier, as its webhook handler sees it. Made by `CallRouter.call`."""

    async def arrived(self) -> Accept | Reject | Transfer:
        """Reports that an inbound call came in, or that an outbound call was answered.

        Idempotent: a repeated report gives the same `Accept`.

        Raises:
            WorkerStopping: this worker takes no more calls; answered with `Carrier.stopping_response`.
        """

    @property
    def briefing(self) -> str:
        """What who answers this call is told, by the carrier's voice; then the handler reports `briefed`. Usually "".

        Only calls of a warm transfer have one, so carriers without `Capability.CONNECT` need not look. To be looked at
        in place of `arrived`, which rejects such a call.
        """

    async def briefed(self) -> None:
        """Reports that the briefing was heard to its end. Returns at once; `Carrier.connect` or `hang_up` follow soon.

        Idempotent on one worker.
        """

    async def stream_ended(self) -> Accept | HangUp | Transfer:
        """Reports that the media stream is over, or could not be opened, while the call goes on.

        Idempotent: the callback token says which stream, and a repeated or late report changes nothing.

        `Accept` means: bring the audio again, to its `media_url`; from then on its `callbacks` hold.

        Raises:
            WorkerStopping: as in `arrived`.
        """

    async def progressed(self, progress: Progress) -> None:
        """Reports how far the call has come. Any order, and repeated reports, are fine: late ones change nothing."""

    async def answered_by(self, who: AnsweredBy) -> None:
        """Reports the result of machine detection."""

    async def keys_pressed(self, digits: str) -> None:
        """Reports keys of the caller, for carriers whose media socket does not bring them (`MediaDtmf`).

        They are 0-9, *, #, A-D, at most 64 at once; others are left out.

        A repeated report is a repeated key: `CallRouter.seen` finds it.
        """

    async def recording_changed(self, status: RecordingStatus) -> None:
        """Reports the state of a recording; also after the call."""

    async def priced(self, cost: Cost) -> None:
        """Reports what the carrier charges; also after the call."""


class CallRouter(Protocol):
    """What the core offers to a webhook handler."""

    def call(self, leg: Leg, verified_url: str, token: str = "") -> RoutedCall:
        """Binds a call to what its carrier reports of it.

        Args:
            leg: the call.
            verified_url: the URL that the signature proves, or the configured one. "" if there is none: then no new
                call comes of it, since the carrier would bring its audio to an address that nothing proves.
            token: what the request brought back of `Callbacks.token`; by default what `verified_url` has in its query.
                A token that is forged or too old counts as none.
        """

    def seen(self, event_id: str) -> AbstractContextManager[bool]:
        """Gives True if this worker has handled the carrier's event of that id before.

        The event counts as handled when the context ends; an exception that leaves it makes the event new again.
        """


WebhookHandler = Callable[[WebhookRequest, CallRouter], Coroutine[object, object, WebhookResponse]]


class Webhook(msgspec.Struct, frozen=True):
    """What answers at one URL."""

    handler: WebhookHandler
    methods: tuple[str, ...] = ("POST",)
    """Others are answered with status 405."""
