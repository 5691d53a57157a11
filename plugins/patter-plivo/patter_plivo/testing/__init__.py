"""Plays Plivo for tests and the demo: signed webhooks, XML, media sockets in real time, and the REST API."""

from __future__ import annotations

from patter_core.testing.stream import Problem, StreamEnd
from patter_plivo.testing.call import PlivoCall
from patter_plivo.testing.dialling import CallStatus
from patter_plivo.testing.emulator import PlivoEmulator
from patter_plivo.testing.rest import ApiRequest, Refusal
from patter_plivo.testing.stream import PlivoStream
from patter_plivo.testing.webhooks import Exchange

__all__ = [
    "ApiRequest",
    "CallStatus",
    "Exchange",
    "PlivoCall",
    "PlivoEmulator",
    "PlivoStream",
    "Problem",
    "Refusal",
    "StreamEnd",
]
