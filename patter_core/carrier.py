"""The carrier contract: what a plugin implements to bring calls from one vendor.

A carrier has three sides, and owns no sockets and no tasks:

* **Webhooks**: `webhooks()` names handlers. The core serves each at `/webhooks/<carrier>/<name>`, builds a
  `WebhookRequest` and sends the `WebhookResponse`. A handler first verifies that the carrier sent the request, then
  reports to the `CallRouter` (`patter_core.webhook`).
* **Media**: `media_codec()` returns a sans-IO codec for one media socket (`patter_core.media`). The core owns the
  socket and both directions of audio.
* **Control**: commands to the vendor's API. `hang_up` is required; the others are listed in `capabilities`.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import ClassVar

from patter_core.checks import CheckResult
from patter_core.config import Configured, with_capability
from patter_core.errors import CallError
from patter_core.media import MediaCodec
from patter_core.telephony.control import Callbacks, Capability, DialRequest, LegFacts
from patter_core.telephony.leg import Leg
from patter_core.telephony.numbers import VoiceTarget
from patter_core.telephony.outcome import Transfer
from patter_core.telephony.prices import CarrierRates
from patter_core.transport import Message
from patter_core.webhook import Accept, MediaIdentity, Webhook, WebhookRequest, WebhookResponse

__all__ = ["CARRIER_API_VERSION", "Carrier"]

CARRIER_API_VERSION = 1


class Carrier(Configured, abc.ABC):
    """One vendor that brings calls. The class is the spec; an instance holds the user's frozen configuration.

    Constructing it with missing or wrong values raises `ConfigurationError`; its `repr` shows no secret.
    """

    api_version: ClassVar[int] = CARRIER_API_VERSION
    """The version of this contract that the class implements."""
    name: ClassVar[str]
    """Lower-case, in URLs and the registry: letters, digits and hyphens."""
    emulator: ClassVar[str] = ""
    """`module:Class` of a `patter_core.testing.emulator.CarrierEmulator`, for tests and the demo; "" if none."""
    credentials: ClassVar[tuple[str, ...]] = ()
    """The environment variables without which it cannot be made, unless they are given as parameters: what `patter
    doctor` tells of where no carrier is named."""
    demo_rank: ClassVar[int] = 100
    """Of several with an emulator, `patter demo` and `patter simulate` play that of the lowest rank; of one
    rank, the first by name."""
    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    """Which of the optional methods are implemented."""
    voice_setting: ClassVar[str] = "your number's voice webhook"
    """What users point at the webhook `voice`, in the vendor's words: of some it is at an application."""
    stream_end_is_call_end: ClassVar[bool] = True
    """True if `MediaStopped` means that the call is over.

    If False, a call whose media socket is closed waits for another stream, and one second later the carrier is asked by
    `look_up` whether the call is over. So it is after `MediaStopped`, if no webhook asks at the stream's end
    (`asks_at_stream_end`); without `LOOK_UP` the core hangs up then."""
    asks_at_stream_end: ClassVar[bool] = False
    """True if the carrier always reports `RoutedCall.stream_ended` when the media stream breaks. The worker that lost
    the media then leaves the call to the worker that is asked. If False, it hangs up."""

    has_api: ClassVar[bool] = True
    """False for a carrier of no vendor's, which takes commands on its media socket alone: `encode_hang_up` ends a call,
    and `hang_up` succeeds without doing anything. It needs no account, so it is never meant unless it is named."""
    own_page: ClassVar[bool] = False
    """True if its calls come by an app (`PhoneView.route`), which is served with it: the one of the carrier's name. It
    has no webhooks, and its media sockets come to the app's listener (`PhoneView.media`): nothing of it is at the
    public address."""
    subprotocols: ClassVar[tuple[str, ...]] = ()
    """WebSocket subprotocols of the media socket: the first that the carrier offers is agreed on; none if it offers
    none of them."""
    media_hello: ClassVar[bool] = False
    """True if `identify` needs a message of the media socket."""
    authenticates_upgrade: ClassVar[bool] = False
    """True if `verify_upgrade` checks a secret, so that a media socket may announce a call (`MediaIdentity.leg`)."""
    dtmf_keys: ClassVar[str] = "0123456789*#ABCD"
    """The keys that `send_dtmf` can send. If one of them is another, the core plays all as tones."""
    longest_media_url: ClassVar[int] = 4_000
    """Characters of the longest URL that the carrier takes for a media socket."""

    @property
    def rates(self) -> CarrierRates | None:
        """List prices, for the estimate of a call's cost.

        None if they are unknown: until the carrier says what it charges, sums of costs name it as missing then. A
        carrier that bills nothing has prices of 0.
        """
        return None

    @abc.abstractmethod
    def token_secret(self) -> bytes:
        """Returns key material for stream and callback tokens: a secret that all workers of the account share."""

    @abc.abstractmethod
    def webhooks(self) -> Mapping[str, Webhook]:
        """Returns the webhooks by the last part of their URL. `voice` takes the number's incoming calls.

        A handler raises `WebhookRefused` for a request that is not proved to be the carrier's.
        """

    def stopping_response(self) -> WebhookResponse:
        """Returns the answer to a webhook whose handler raised `WorkerStopping`: by default 503, which carriers repeat.

        It has the carrier ask again, on another connection, which the core sees to: another worker may be there.
        """
        return WebhookResponse(status=503)

    async def settle(self) -> None:
        """Returns once the carrier has requested what commands have told it to request here. By default there is none.

        For a carrier whose API takes a URL in place of a document. Awaited, for 3 s, when no call is live any more and
        before the server is closed, so that the last call gets its last words.
        """

    @abc.abstractmethod
    def verify_upgrade(self, request: WebhookRequest) -> None:
        """Checks the upgrade of a media socket, in addition to its stream token.

        Raises:
            WebhookRefused: it is not proved to be the carrier's.
        """

    def identify(self, request: WebhookRequest, hello: Message | None) -> MediaIdentity:
        """Returns whose a media socket is, of which nothing but `verify_upgrade` is known. Called before any agent.

        By default it is the token in the path of `Accept.media_url`. A carrier that gives the token back in the query
        reads it from `request.likely_url`. One that says in a message whose the socket is has `media_hello`: then the
        messages of the accepted socket are given one by one, for 3 s, until one says it; those before are dropped, and
        none may be longer than 8 KiB. The codec reads that message again.

        Args:
            request: the upgrade.
            hello: a message; None without `media_hello`.

        Raises:
            WebhookRefused: it is not the carrier's.
        """
        return MediaIdentity(token=request.path_token)

    @abc.abstractmethod
    def media_codec(self, leg: Leg) -> MediaCodec:
        """Returns a new codec for one media socket of that call."""

    @abc.abstractmethod
    async def hang_up(self, leg: Leg) -> None:
        """Ends the call at the carrier, ringing or answered. Succeeds if it was over.

        Raises:
            CarrierRequestFailed: the carrier refused, or could not be reached.
        """

    # --- optional, listed in `capabilities`; each raises `CarrierRequestFailed` as `hang_up` does --------------------

    async def dial(self, request: DialRequest) -> str:
        """Makes a call; returns the carrier's id of it. A request that may have been taken is never sent twice.

        Webhooks report the rest with the request's callback token: `progressed` while it rings, `arrived` when it is
        answered, `answered_by` if the request asks for machine detection.
        """
        raise self._cannot(Capability.DIAL)

    async def transfer(self, leg: Leg, transfer: Transfer) -> None:
        """Transfers the call, after speaking `transfer.say` if it is given. It may end the media stream."""
        raise self._cannot(Capability.TRANSFER)

    async def say_and_hang_up(self, leg: Leg, text: str) -> None:
        """Speaks a text with the carrier's own voice, then hangs up. Returns when the carrier has taken the command."""
        raise self._cannot(Capability.SAY)

    async def send_dtmf(self, leg: Leg, digits: str) -> None:
        """Sends keys: those of `dtmf_keys`, and w for half a second of silence. The media stream goes on."""
        raise self._cannot(Capability.SEND_DTMF)

    async def hold(self, leg: Leg, audio_url: str) -> None:
        """Plays that audio to the caller in a loop, or silence if it is "". It may end the media stream."""
        raise self._cannot(Capability.HOLD)

    async def resume(self, leg: Leg, accept: Accept) -> None:
        """Ends a hold, and brings the call's audio to `accept.media_url` if `hold` ended the media stream."""
        raise self._cannot(Capability.HOLD)

    async def connect(self, leg: Leg, other: Leg) -> None:
        """Connects a call on hold with another one, which has no media stream: each hears what the other says.

        Both are over when one of the two hangs up. If that fails because `other` is over, `leg` stays on hold.
        """
        raise self._cannot(Capability.CONNECT)

    async def start_recording(self, leg: Leg, callbacks: Callbacks) -> str:
        """Records both sides at the carrier; returns the recording's id. Its end is reported by webhook."""
        raise self._cannot(Capability.RECORD)

    async def pause_recording(self, leg: Leg, recording_id: str, *, paused: bool) -> None:
        """Pauses a recording, or resumes it."""
        raise self._cannot(Capability.PAUSE_RECORDING)

    async def stop_recording(self, leg: Leg, recording_id: str) -> None:
        """Ends a recording. Succeeds if it was over."""
        raise self._cannot(Capability.RECORD)

    async def look_up(self, leg: Leg) -> LegFacts:
        """Queries the call's status and price: for its cost, and when an expected webhook does not come."""
        raise self._cannot(Capability.LOOK_UP)

    async def set_voice_url(self, number: str, url: str) -> None:
        """Points a number of the account at `url`, for `serve(configure_number=True)`."""
        raise self._cannot(Capability.CONFIGURE_NUMBER)

    async def voice_target(self, number: str) -> VoiceTarget:
        """Returns where a number of the account points: everything that `set_voice_url` may change."""
        raise self._cannot(Capability.CONFIGURE_NUMBER)

    async def put_back(self, number: str, target: VoiceTarget) -> None:
        """Points a number where it pointed when `voice_target` returned that: what `set_voice_url` did is undone."""
        raise self._cannot(Capability.CONFIGURE_NUMBER)

    def require(self, capability: Capability) -> None:
        """Raises `CallError` if the carrier lacks the capability."""
        if capability not in self.capabilities:
            raise self._cannot(capability)

    def _cannot(self, capability: Capability) -> CallError:
        return CallError(
            f"The carrier {self.name} cannot {capability.in_words}.",
            expected=with_capability("carrier", capability.value),
        )

    async def check(self, base: str = "", number: str = "") -> Sequence[CheckResult]:
        """Checks what this configuration needs, for `patter doctor`: keys, settings at the vendor, reachability.

        Never raises for what it finds; costs nothing, and changes nothing at the vendor.

        Args:
            base: the public address of the server, without a slash at its end, to which calls must lead; "" if it is
                not configured: then any address with the path of the webhooks will do.
            number: that must lead there; "" if any number of the account may.
        """
        return ()
