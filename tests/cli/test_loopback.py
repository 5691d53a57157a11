"""A call over loopback ends, whatever happens to it."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from patter_core import Patter, Registry
from patter_core.cli import loopback
from patter_core.testing.caller import Caller, Pause
from patter_core.testing.fakes import FakeEngine
from patter_core.testing.finding import carrier_emulator, engine_emulator
from patter_telnyx import Telnyx
from patter_telnyx.testing import TelnyxEmulator

pytestmark = pytest.mark.anyio


def test_the_demo_plays_the_lowest_rank_and_not_the_first_of_the_alphabet(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry.discover()
    assert registry.names("carrier")[0] < "twilio"
    assert type(carrier_emulator(registry, "")).__name__ == "TwilioEmulator"
    assert type(engine_emulator(registry, "")).__name__ == "ElevenLabsEmulator"
    monkeypatch.setattr(Telnyx, "demo_rank", 1)
    assert isinstance(carrier_emulator(registry, ""), TelnyxEmulator)
    assert type(carrier_emulator(registry, "vonage")).__name__ == "VonageEmulator"


def test_of_the_folders_that_it_makes_those_are_left_that_hold_something(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for folder in (tmp_path / "mine", tmp_path / "a" / "b" / "c"):
        with loopback.writable_folder(folder) as made:
            assert made.is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    with loopback.writable_folder(tmp_path / "a" / "b" / "c"):
        (tmp_path / "a" / "call.wav").touch()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["call.wav"]


class WithoutApi(TelnyxEmulator):
    """Its API is not reached, so that no call is answered."""

    def carrier(self) -> Telnyx:
        return Telnyx(self.api_key, self.connection_id, self.public_key, base_url="http://127.0.0.1:9")


async def test_a_call_that_is_not_answered_is_hung_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loopback, "_LONGEST_RINGING", 0.3)
    with anyio.fail_after(20):
        async with WithoutApi() as emulator:
            phone = Patter(carrier=emulator.carrier(), registry=Registry())
            agent = phone.agent(engine=FakeEngine())
            recording = await loopback.place_call(emulator, phone, agent, Caller([Pause(60)], emulator.format))
    assert not recording.played
