"""Plays Vonage for tests and the demo: signed webhooks, NCCOs, media sockets in real time, and the REST APIs."""

from __future__ import annotations

from patter_core.testing.stream import Problem, StreamEnd
from patter_vonage.testing.call import VonageCall
from patter_vonage.testing.emulator import VonageEmulator
from patter_vonage.testing.requests import Refusal
from patter_vonage.testing.rest import ApiRequest, EmulatedNumber, Fault
from patter_vonage.testing.stream import VonageStream
from patter_vonage.testing.webhooks import Exchange

__all__ = [
    "ApiRequest",
    "EmulatedNumber",
    "Exchange",
    "Fault",
    "Problem",
    "Refusal",
    "StreamEnd",
    "VonageCall",
    "VonageEmulator",
    "VonageStream",
]
