"""Plays Telnyx for tests and the demo: signed webhooks, Call Control over HTTP, and media sockets in real time."""

from __future__ import annotations

from patter_core.testing.stream import Problem, StreamEnd
from patter_telnyx.testing.call import EmulatedCall
from patter_telnyx.testing.callee import Callee, CallStatus
from patter_telnyx.testing.emulator import TelnyxEmulator
from patter_telnyx.testing.rest import ApiRequest, EmulatedNumber, Fault
from patter_telnyx.testing.stream import EmulatedStream
from patter_telnyx.testing.webhooks import Exchange

__all__ = [
    "ApiRequest",
    "CallStatus",
    "Callee",
    "EmulatedCall",
    "EmulatedNumber",
    "EmulatedStream",
    "Exchange",
    "Fault",
    "Problem",
    "StreamEnd",
    "TelnyxEmulator",
]
