"""Plays Twilio for tests and the demo: signed webhooks, TwiML, media sockets in real time, and the REST API."""

from __future__ import annotations

from patter_core.testing.stream import Problem, StreamEnd
from patter_twilio.testing.call import TwilioCall
from patter_twilio.testing.dialling import CallStatus
from patter_twilio.testing.emulator import ACCOUNT_SID, TwilioEmulator
from patter_twilio.testing.rest import ApiRequest, EmulatedNumber, EmulatedRecording, Refusal
from patter_twilio.testing.stream import TwilioStream
from patter_twilio.testing.webhooks import Exchange

__all__ = [
    "ACCOUNT_SID",
    "ApiRequest",
    "CallStatus",
    "EmulatedNumber",
    "EmulatedRecording",
    "Exchange",
    "Problem",
    "Refusal",
    "StreamEnd",
    "TwilioCall",
    "TwilioEmulator",
    "TwilioStream",
]
