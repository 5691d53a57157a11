"""The app contract: what a plugin implements to serve pages, such as a dashboard, beside the calls.

Apps have a listener of their own, apart from the one that carriers reach, and the core guards each of them
(`patter_core.apps`): a request that comes to an app was let in. An app sees calls through a `PhoneView`.
"""

from __future__ import annotations

import abc
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, ClassVar, Protocol

import msgspec

from patter_core.carrier import Carrier
from patter_core.config import Configured
from patter_core.events import CallEnded, Record
from patter_core.observe.redaction import Redaction
from patter_core.sink import SinkFigures
from patter_core.storage.archive import CallArchive
from patter_core.store import CallStore
from patter_core.telephony.leg import Leg, Progress
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.webhook import Accept, Reject

if TYPE_CHECKING:  # each command loads the plugins, and needs no server
    from starlette.types import ASGIApp, Scope

__all__ = [
    "APP_API_VERSION",
    "VISITOR",
    "CallSummary",
    "FeedItem",
    "LiveCall",
    "PhoneHealth",
    "PhoneView",
    "PluginLine",
    "Visitor",
    "WebApp",
    "base_url_of",
    "visitor_of",
]

APP_API_VERSION = 1

VISITOR = "patter.visitor"
"""The key of an app's scope under which the `Visitor` is found."""


class Visitor(msgspec.Struct, frozen=True):
    """Who sends a request that was let in."""

    user: str
    """As the proxy in front calls them; "" where nothing does: they came by a link or a password."""
    unmasked: bool = False
    """They may see numbers and transcripts that sinks do not get (`AppAccess.unmasked`)."""


class CallSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A live call."""

    call_id: str
    carrier: str
    direction: str
    from_number: str
    to_number: str
    agent: str
    started: float
    """Unix s."""
    status: str
    """A value of `Progress`; "" if another worker has the call."""
    here: bool
    """True if this worker has the call."""


class FeedItem(msgspec.Struct, frozen=True):
    """A record, as it happened."""

    position: str
    """Where it is in the feed: what `PhoneView.feed` goes on from."""
    record: Record
    lost: int = 0
    """Records before this one that the reader was too slow for; -1: unknown how many, as the worker was replaced."""


class PluginLine(msgspec.Struct, frozen=True):
    """An installed plugin."""

    name: str
    distribution: str
    version: str
    offers: tuple[str, ...] = ()
    """What it offers, such as `carrier acme`."""
    problem: str = ""
    """Why it is not joined; "" if it is."""


class PhoneHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How the worker is."""

    ready: bool
    """A new call would be taken."""
    draining: bool
    """It is stopping."""
    calls: int
    """In flight."""
    calls_limit: int
    """The most that are taken at once."""
    several_workers: bool
    """Other workers take calls for the same numbers."""
    sinks: tuple[SinkFigures, ...] = ()


class LiveCall(Protocol):
    """A call in flight on this worker. `patter_core.PhoneCall` is one; it says more of each method."""

    @property
    def id(self) -> str:
        """Patter's own id."""

    @property
    def leg(self) -> Leg:
        """The call as its carrier knows it, with its numbers unmasked."""

    @property
    def status(self) -> Progress:
        """How far it has come."""

    @property
    def ended(self) -> CallEnded | None:
        """How it ended; None before."""

    async def wait(self) -> CallEnded:
        """Waits for the end."""

    async def hang_up(self, *, now: bool = False) -> CallEnded | None:
        """Ends the call."""

    async def transfer(self, to: str, *, say: str = "", now: bool = False) -> CallEnded | None:
        """Transfers the call."""

    def add_context(self, text: str) -> None:
        """Tells the agent something without making it speak."""


class PhoneView(Protocol):
    """What an app sees of the phone, and may do with its calls.

    All methods are for the event loop of the worker. Records are redacted as for sinks, unless `unmasked` is asked for,
    which is for visitors with `Visitor.unmasked`.
    """

    @property
    def carriers(self) -> Sequence[str]:
        """The names of the phone's carriers."""

    @property
    def agents(self) -> Sequence[str]:
        """The names of the phone's agents."""

    @property
    def plugins(self) -> Sequence[PluginLine]:
        """The installed plugins."""

    @property
    def store(self) -> CallStore | None:
        """What workers share of the calls' histories."""

    @property
    def archive(self) -> CallArchive | None:
        """The calls that a sink keeps, of all workers that share it. None: only `recent` is there."""

    @property
    def recent(self) -> CallArchive:
        """The latest calls of this worker, kept in memory, the live ones among them."""

    @property
    def redaction(self) -> Redaction:
        """What is kept from sinks, and from visitors without `Visitor.unmasked`."""

    @property
    def position(self) -> str:
        """Where the feed is now."""

    def health(self) -> PhoneHealth:
        """Returns how the worker is."""

    async def calls(self, *, unmasked: bool = False) -> Sequence[CallSummary]:
        """Returns the live calls of this worker; with an archive, also those of other workers that share it."""

    def call(self, call_id: str) -> LiveCall | None:
        """Returns a live call of this worker; None if there is none of that id."""

    async def records(self, call_id: str, *, unmasked: bool = False) -> Sequence[Record]:
        """Returns what is known of a call, live or over, in order. Unmasked, where this worker remembers it so."""

    def feed(self, after: str = "", *, unmasked: bool = False) -> AsyncIterator[FeedItem]:
        """Yields records of all calls of this worker, as they happen, until the worker stops.

        With a `SharedArchive`, those of other workers come, too: about a second after they were written into it, and
        redacted. The worker keeps a bounded number of records. A reader that is too slow loses the oldest and is told
        so. Seldom, one comes twice, with the same id.

        Args:
            after: the position of the last item that was read; by default, it begins with what happens next.
            unmasked: as above.
        """

    async def hang_up(self, call_id: str) -> None:
        """Ends a live call. One of another worker is ended at its carrier.

        Raises:
            CallError: no such call is live, or it is not known which one it is at its carrier.
            CarrierRequestFailed: the carrier refused, or could not be reached.
        """

    async def transfer(self, call_id: str, to: str, *, say: str = "") -> None:
        """Transfers a live call, as `hang_up`; it returns when the carrier has taken it.

        Args:
            call_id: the call.
            to: E.164, or a SIP address.
            say: said to the caller first, by the carrier's voice.

        Raises:
            CallError, CarrierRequestFailed: as in `hang_up`; or the carrier cannot transfer.
            ConfigurationError: `to` is neither a number nor an address.
        """

    async def route(self, leg: Leg, base: str) -> Accept | Reject | Transfer:
        """Reports a call that comes by the app, of a carrier with a page of its own, and returns how it is answered.

        The media socket then comes to `{base}/media/{carrier}/{token}` (`Accept.media_url`), where the app has `media`.

        Args:
            leg: the call.
            base: the address of the app, as from `base_url_of`.

        Raises:
            CallError: the phone has no such carrier.
            WorkerStopping: this worker takes no more calls.
        """

    async def stream_ended(self, leg: Leg, base: str, token: str) -> Accept | HangUp | Transfer:
        """Reports that the media socket of such a call is gone, while the call goes on: as `RoutedCall.stream_ended`.

        Args:
            leg: the call.
            base: as in `route`.
            token: the call's callback token: `Accept.callbacks`.

        Raises:
            CallError, WorkerStopping: as in `route`.
        """

    def carrier(self, name: str) -> Carrier:
        """Returns a carrier of the phone: its settings.

        Raises:
            CallError: the phone has no such carrier.
        """

    def media(self, carrier: str) -> ASGIApp:
        """Returns the ASGI endpoint of a carrier's media sockets: for a route with `{token}` as path parameter.

        Raises:
            CallError: the phone has no such carrier.
        """


class WebApp(Configured, abc.ABC):
    """Pages. The class is the spec; an instance holds the user's frozen configuration.

    It is served at `/<name>/` of the apps' listener. Its pages may load nothing from other hosts and run no inline
    script or style: the core sends a `Content-Security-Policy` that says so, and other headers, with every answer.

    Constructing it with missing or wrong values raises `ConfigurationError`; its `repr` shows no secret.
    """

    api_version: ClassVar[int] = APP_API_VERSION
    """The version of this contract that the class implements."""
    name: ClassVar[str]
    """In URLs and the registry: lower-case letters, digits and hyphens."""
    title: ClassVar[str] = ""
    """For people; by default the name."""
    in_dev: ClassVar[bool] = False
    """True if `patter dev` serves it where it is installed, without being asked. It then takes no arguments."""

    @abc.abstractmethod
    def asgi(self, phone: PhoneView) -> ASGIApp:
        """Returns the ASGI app. Called once. It gets no `lifespan`; `root_path` of its scope is where it is mounted."""


def visitor_of(scope: Scope) -> Visitor:
    """Returns who sent the request of that scope. One that the core has not let in sees nothing unmasked."""
    visitor = scope.get(VISITOR)
    return visitor if isinstance(visitor, Visitor) else Visitor("")


def base_url_of(scope: Scope) -> str:
    """Returns the address of an app as the browser has it: scheme, host and the path where the app is mounted.

    The scheme is that of the request's `Origin`, since a proxy in front may end TLS.
    """
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    scheme = headers.get("origin", "").partition("://")[0]
    if scheme not in {"http", "https"}:
        scheme = "https" if scope.get("scheme") in {"https", "wss"} else "http"
    return f"{scheme}://{headers.get('host', '')}{scope.get('root_path', '')}".rstrip("/")
