"""What is said to the engine: at once if there is one, else in order and within bounds as soon as there is."""

from __future__ import annotations

import pytest

from patter_core.audio import ULAW_8000, AudioChunk, AudioFormat
from patter_core.call.meter import Meter
from patter_core.call.uplink import Uplink
from patter_core.engine import ConversationSetup
from patter_core.telephony.leg import Direction, Leg
from patter_core.testing.fakes import FakeSession

SETUP = ConversationSetup(
    leg=Leg(carrier="fake", call_id="leg-1", direction=Direction.INBOUND), preferred_format=ULAW_8000
)


class Listener(FakeSession):
    """Notes all that it is told, in order."""

    def __init__(self, input_format: AudioFormat = ULAW_8000) -> None:
        super().__init__(SETUP, input_format, ULAW_8000)
        self.noted: list[str] = []

    def send_audio(self, chunk: AudioChunk) -> None:
        self.noted.append(f"audio {chunk.data[0]}")

    def send_dtmf(self, digit: str) -> None:
        self.noted.append(f"key {digit}")

    def add_context(self, text: str) -> None:
        self.noted.append(f"context {text}")


class Broken(Listener):
    def __init__(self, fault: BaseException) -> None:
        super().__init__()
        self._fault = fault

    def send_dtmf(self, digit: str) -> None:
        raise self._fault

    def send_audio(self, chunk: AudioChunk) -> None:
        raise self._fault


def frame(number: int) -> AudioChunk:
    return AudioChunk(bytes([number]) * 160, ULAW_8000)


def test_what_is_said_before_an_engine_is_there_is_told_in_order() -> None:
    uplink = Uplink(Meter())
    uplink.take(frame(1))
    uplink.send_dtmf("5")
    uplink.take(frame(2))
    uplink.add_context("They are a customer.")
    session = Listener()
    uplink.attach_engine(session, ULAW_8000)
    uplink.take(frame(3))
    assert session.noted == ["audio 1", "key 5", "audio 2", "context They are a customer.", "audio 3"]


def test_between_two_sessions_too() -> None:
    uplink = Uplink(Meter())
    uplink.attach_engine(Listener(), ULAW_8000)
    uplink.detach_engine()
    uplink.send_dtmf("7")
    second = Listener()
    uplink.attach_engine(second, ULAW_8000)
    assert second.noted == ["key 7"]


def test_beyond_two_seconds_the_oldest_audio_goes_and_no_key_or_context() -> None:
    meter = Meter()
    uplink = Uplink(meter)
    uplink.send_dtmf("1")
    for number in range(150):  # 3 s
        uplink.take(frame(number))
    session = Listener()
    uplink.attach_engine(session, ULAW_8000)
    assert session.noted[0] == "key 1"
    assert session.noted[1:] == [f"audio {number}" for number in range(50, 150)]
    assert meter.frames_early == 50


def test_beyond_a_hundred_the_oldest_key_goes_and_is_counted() -> None:
    meter = Meter()
    uplink = Uplink(meter)
    uplink.take(frame(0))
    for number in range(110):
        uplink.add_context(str(number))
    session = Listener()
    uplink.attach_engine(session, ULAW_8000)
    assert session.noted == ["audio 0", *(f"context {number}" for number in range(10, 110))]
    assert meter.messages_early == 10


def test_on_hold_the_caller_is_not_heard_and_nothing_of_them_is_kept_but_context_is() -> None:
    uplink = Uplink(Meter())
    uplink.take(frame(1))
    uplink.mute_caller()
    uplink.take(frame(2))
    uplink.send_dtmf("2")
    uplink.add_context("They have paid.")
    session = Listener()
    uplink.attach_engine(session, ULAW_8000)
    uplink.take(frame(3))
    assert session.noted == ["context They have paid."]
    uplink.unmute_caller()
    uplink.attach_engine(session, ULAW_8000)
    uplink.take(frame(4))
    assert session.noted == ["context They have paid.", "audio 4"]


@pytest.mark.parametrize("fault", [KeyError("x"), SystemExit(3), GeneratorExit()], ids=repr)
def test_a_session_that_raises_is_told_of_once_and_hears_no_more(fault: BaseException) -> None:
    uplink = Uplink(Meter())
    faults: list[BaseException] = []
    uplink.on_fault = faults.append
    uplink.take(frame(1))
    uplink.take(frame(2))
    uplink.attach_engine(Broken(fault), ULAW_8000)
    assert faults == [fault]
    healthy = Listener()
    uplink.send_dtmf("3")
    uplink.attach_engine(healthy, ULAW_8000)
    assert healthy.noted == ["audio 2", "key 3"]  # the frame that it failed at is gone


# --- while another session is about to take over -------------------------------------------------------------------


def test_the_last_second_is_given_to_the_next_session_too() -> None:
    uplink, first, second = Uplink(Meter()), Listener(), Listener()
    uplink.attach_engine(first, ULAW_8000)
    uplink.take(frame(0))
    uplink.keep_recent()
    uplink.keep_recent()
    for number in range(1, 101):
        uplink.take(frame(number))
    uplink.send_dtmf("5")
    uplink.detach_engine()
    uplink.attach_engine(second, ULAW_8000)
    uplink.take(frame(101))
    assert first.noted == [*(f"audio {number}" for number in range(101)), "key 5"]
    assert second.noted == [f"audio {number}" for number in range(51, 102)]
    uplink.detach_engine()
    third = Listener()
    uplink.attach_engine(third, ULAW_8000)
    assert third.noted == []  # it is over


def test_it_is_kept_when_the_callers_audio_comes_back_and_forgotten_on_hold() -> None:
    for is_held, kept in ((False, ["audio 1", "audio 2"]), (True, ["audio 2"])):
        uplink, first, second = Uplink(Meter()), Listener(), Listener()
        uplink.attach_engine(first, ULAW_8000)
        uplink.keep_recent()
        uplink.take(frame(1))
        if is_held:
            uplink.mute_caller()
            uplink.take(frame(9))
            uplink.unmute_caller()
        uplink.attach_engine(first, ULAW_8000)
        uplink.keep_recent()
        uplink.take(frame(2))
        uplink.detach_engine()
        uplink.attach_engine(second, ULAW_8000)
        assert second.noted == kept


def test_a_session_that_fails_while_it_is_kept_leaves_it_to_the_next() -> None:
    faults: list[BaseException] = []
    uplink, second = Uplink(Meter()), Listener()
    uplink.on_fault = faults.append
    uplink.attach_engine(Broken(ZeroDivisionError()), ULAW_8000)
    uplink.keep_recent()
    uplink.take(frame(1))
    uplink.attach_engine(second, ULAW_8000)
    assert len(faults) == 1
    assert second.noted == ["audio 1"]


def test_speech_is_heard_by_loudness_while_it_is_kept() -> None:
    uplink = Uplink(Meter())
    uplink.keep_recent()  # no session hears the caller: there is nothing to keep
    uplink.attach_engine(Listener(), ULAW_8000)
    heard = [uplink.hears_speech]
    uplink.keep_recent()
    for frames, data in ((10, bytes([0x80, 0x00]) * 80), (50, ULAW_8000.silence * 160)):
        for _ in range(frames):
            uplink.take(AudioChunk(data, ULAW_8000))
        heard.append(uplink.hears_speech)
    assert heard == [False, True, False]
