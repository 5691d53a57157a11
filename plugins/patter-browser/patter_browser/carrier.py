"""A web page as a carrier."""

from __future__ import annotations

import dataclasses
import hmac
import time
from collections.abc import Mapping
from typing import ClassVar

import msgspec

from patter_browser.calls import CARRIER, Answer, Lost, NewCall, answer_to, read
from patter_browser.config import check_rate, origin_of, read_origins, read_secret
from patter_browser.prices import RATES
from patter_browser.signing import verify
from patter_browser.wire import SUBPROTOCOL, BrowserMediaCodec, SampleRate
from patter_core.carrier import Carrier
from patter_core.config import check_fields
from patter_core.errors import WebhookRefused
from patter_core.media import MediaCodec
from patter_core.telephony.leg import Leg
from patter_core.telephony.prices import CarrierRates
from patter_core.webhook import CallRouter, Webhook, WebhookRequest, WebhookResponse

__all__ = ["Browser"]

_JSON = "application/json"


@dataclasses.dataclass(frozen=True)
class Browser(Carrier):
    """Calls from a web page, with its microphone and its loudspeaker.

    The page is the app `browser`, which `Patter` serves with this carrier, on the listener of the apps. With `public`,
    pages of your own call as well, at the address that carriers reach: their web server asks the webhook `voice`,
    signed by `secret`, where the page may open its media socket.

    Args:
        secret: seals the tokens of calls, and signs the requests of your own web server; by default BROWSER_SECRET, or
            one that is made up. Workers that are not started by one command need it in common.
        sample_rate: of the audio, both ways, in Hz: 16000 or 24000.
        public: pages of your own may call. Needs a secret that you have set.
        origins: of such pages, for example `https://www.example.org`. A page from the server's own address needs none.

    Raises:
        ConfigurationError: a value is invalid.
    """

    name: ClassVar[str] = CARRIER
    emulator: ClassVar[str] = "patter_browser.testing:BrowserEmulator"
    subprotocols: ClassVar[tuple[str, ...]] = (SUBPROTOCOL,)
    asks_at_stream_end: ClassVar[bool] = True
    own_page: ClassVar[bool] = True
    has_api: ClassVar[bool] = False
    dtmf_keys: ClassVar[str] = ""

    secret: str = dataclasses.field(default="", repr=False)
    _: dataclasses.KW_ONLY
    sample_rate: SampleRate = 24_000
    public: bool = False
    origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self)
        check_rate(self.sample_rate)
        # A frozen dataclass sets its own fields like this.
        object.__setattr__(self, "secret", read_secret(self.secret, is_needed=self.public))
        object.__setattr__(self, "origins", read_origins(self.origins))
        object.__setattr__(self, "own_page", not self.public)

    @property
    def rates(self) -> CarrierRates:
        return RATES

    def token_secret(self) -> bytes:
        return hmac.digest(self.secret.encode(), b"patter: stream tokens", "sha256")

    def webhooks(self) -> Mapping[str, Webhook]:
        return {"voice": Webhook(self._voice), "stream": Webhook(self._stream)}

    def verify_upgrade(self, request: WebhookRequest) -> None:
        """Refuses a page from elsewhere. The call's token in the path is what proves whose socket it is."""
        origin = request.headers.get("origin", "")
        if not origin:  # it is no page
            return
        own = {origin_of(url) for url in request.candidate_urls}
        if origin not in own and origin not in self.origins:
            raise WebhookRefused(
                "A page from another address opens a media socket.",
                expected="the server's own address, or one of Browser(origins=…)",
                remedy="Name its origin in Browser(origins=…), if it is yours.",
            )

    def media_codec(self, leg: Leg) -> MediaCodec:
        return BrowserMediaCodec(self.sample_rate)

    async def hang_up(self, leg: Leg) -> None:
        """The media socket hangs up. A page that has none asks where its call goes on, and is told that it is over."""

    # --- webhooks, for pages of the user's own ---------------------------------------------------------------------

    async def _voice(self, request: WebhookRequest, router: CallRouter) -> WebhookResponse:
        """The web server of a page has a call taken."""
        url = verify(request, self.secret, time.time())
        new = read(request.body, NewCall)
        return _json(answer_to(await router.call(new.leg, url).arrived(), new.call_id, self.sample_rate))

    async def _stream(self, request: WebhookRequest, router: CallRouter) -> WebhookResponse:
        """The page has lost its media socket."""
        url = verify(request, self.secret, time.time())
        lost = read(request.body, Lost)
        call = router.call(Leg(carrier=CARRIER, call_id=lost.call_id), url)
        return _json(answer_to(await call.stream_ended(), lost.call_id, self.sample_rate))


def _json(answer: Answer) -> WebhookResponse:
    return WebhookResponse(body=msgspec.json.encode(answer), content_type=_JSON)
