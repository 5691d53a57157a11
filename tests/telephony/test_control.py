"""What core and carrier exchange about a call keeps numbers, tokens and texts out of logs."""

from __future__ import annotations

import pytest

from patter_core.telephony.control import Callbacks, Capability, DialRequest, RecordingStatus, callback_token
from patter_core.telephony.outcome import Transfer

CALLBACKS = Callbacks("https://phone.example/webhooks/fake", "secret-token")


def test_a_callback_brings_its_token_back() -> None:
    url = CALLBACKS.url("status")
    assert url == "https://phone.example/webhooks/fake/status?call=secret-token"
    assert callback_token(url) == "secret-token"
    assert callback_token("https://phone.example/webhooks/fake/voice?other=1") == ""


@pytest.mark.parametrize("capability", Capability)
def test_each_capability_has_words_for_errors(capability: Capability) -> None:
    first, *others = capability.in_words.split()
    assert first.isalpha()
    assert others


def test_reprs_show_nothing_private() -> None:
    request = DialRequest(
        to_number="+15550001111", from_number="+15550002222", ring_timeout=30, callbacks=CALLBACKS, command_id="1"
    )
    recording = RecordingStatus(recording_id="R1", status="completed", url="https://secret.example")
    shown = f"{CALLBACKS!r} {request!r} {Transfer('+15550003333')!r} {recording!r}"
    assert not any(private in shown for private in ("secret", "+1555"))
