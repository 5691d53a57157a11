"""Web pages that call, without a browser: their web server and their media sockets."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

from starlette.applications import Starlette
from starlette.types import ASGIApp

from patter_browser.carrier import Browser
from patter_browser.config import SECRET_VARIABLE
from patter_browser.testing.call import BrowserCall
from patter_browser.wire import SampleRate
from patter_core.audio import AudioFormat, Encoding
from patter_core.testing.caller import Caller
from patter_core.testing.emulator import CALLED, CALLER, CarrierEmulator
from patter_core.testing.http import WebhookSender

__all__ = ["BrowserEmulator"]


class BrowserEmulator(CarrierEmulator):
    """Plays pages, and the web server that asks for their calls. It is as strict as the page.

    Args:
        sample_rate: of the audio both ways, in Hz.
        tunnels: see `Tunnels`: for an app that says a public address.
    """

    def __init__(self, *, sample_rate: SampleRate = 24_000, tunnels: Mapping[str, str] | None = None) -> None:
        super().__init__(tunnels=tunnels)
        self.format = AudioFormat(Encoding.PCM16, sample_rate)
        self.sample_rate: SampleRate = sample_rate
        self.secret = secrets.token_urlsafe(32)
        self._calls: dict[str, BrowserCall] = {}

    @property
    def app(self) -> ASGIApp:
        """The vendor's API: there is none."""
        return Starlette()

    @property
    def secrets(self) -> Sequence[str]:
        return (self.secret,)

    def carrier(self) -> Browser:
        return Browser(self.secret, sample_rate=self.sample_rate, public=True)

    @property
    def environment(self) -> Mapping[str, str]:
        return {SECRET_VARIABLE: self.secret}

    @property
    def calls(self) -> list[BrowserCall]:
        return list(self._calls.values())

    def place(
        self, voice_url: str, caller: Caller, *, from_number: str = CALLER, to_number: str = CALLED
    ) -> BrowserCall:
        call = BrowserCall(
            WebhookSender(self.client, self.tunnels),
            self.next_call_id(secrets.token_urlsafe(16)),
            caller,
            secret=self.secret,
            voice_url=voice_url,
            from_number=from_number,
            to_number=to_number,
        )
        self._calls[call.call_id] = call
        return call
