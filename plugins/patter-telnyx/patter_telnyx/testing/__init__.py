"""Plays Telnyx for tests and the demo: signed webhooks, Call Control over HTTP, and media sockets in real time."""

from __future__ import annotations

from patter_core.testing.stream import Problem, StreamEnd
from patter_telnyx.testing.call import CallStatus, TelnyxCall
from patter_telnyx.testing.emulator import TelnyxEmulator
from patter_telnyx.testing.rest import ApiRequest, EmulatedNumber, Fault
from patter_telnyx.testing.stream import TelnyxStream
from patter_telnyx.testing.webhooks import Exchange

__all__ = [
    "ApiRequest",
    "CallStatus",
    "EmulatedNumber",
    "Exchange",
    "Fault",
    "Problem",
    "StreamEnd",
    "TelnyxCall",
    "TelnyxEmulator",
    "TelnyxStream",
]
