"""What is told of where carriers reach a phone."""

from __future__ import annotations

from patter_core.server.voice_urls import ready_text
from patter_core.testing.fakes import FakeCarrier


def test_an_address_that_carriers_do_not_reach_is_told() -> None:
    carriers = {"fake": FakeCarrier()}
    assert "http://localhost:8000 is not https" in ready_text(carriers, "http://127.0.0.1:1", "http://localhost:8000")
    for base in ("https://voice.example.org", ""):
        assert "not https" not in ready_text(carriers, "http://127.0.0.1:1", base)
