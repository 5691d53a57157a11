"""What the pictures of the dashboard show: a week of a restaurant that takes bookings by telephone."""

from __future__ import annotations

import datetime as dt
import random
import wave
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import numpy as np

from patter_core.audio import AudioFormat, Encoding
from patter_core.events import (
    CallAnnounced,
    CallAnswered,
    CallEnded,
    CallEvent,
    CallPriced,
    ConversationStarted,
    Error,
    Interruption,
    MediaStarted,
    Record,
    RecordingStarted,
    ResponseHeard,
    ResponseStart,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    ToolResult,
    TranscriptCorrection,
    TranscriptInput,
    TranscriptOutput,
    TurnTimings,
)
from patter_core.observe.metrics import CallMetrics, CarrierBill, EngineBill, Latency
from patter_core.telephony.leg import Direction, Leg
from patter_core.telephony.prices import Cost
from patter_core.testing.fakes import FakeLiveCall, FakePhone
from patter_core.testing.speech import line

__all__ = ["restaurant"]

_RATE = 8_000
_FILE = AudioFormat(Encoding.PCM16, _RATE)
_ULAW = AudioFormat(Encoding.ULAW, _RATE)
_OURS = "+*********42"
_CUT_AFTER = 1_900
"""ms of the offer that the caller hears before they speak."""
_HEARD = "Certainly, a table for two this evening."
_ENDS = ("caller_hung_up",) * 6 + ("agent_hung_up",) * 3 + ("transferred", "caller_hung_up", "no_answer")
_DAY = 86_400.0

Timed = list[tuple[float, CallEvent]]
"""Events with their time, in ms since the call arrived."""


class _Talk:
    """A conversation as it is written down and recorded."""

    def __init__(self) -> None:
        self.events: Timed = []
        self.sides = (bytearray(), bytearray())
        self.at = 420.0
        self.waits: list[float] = []

    def _record(self, name: str, side: int, ms: float) -> None:
        audio = self.sides[side]
        audio.extend(bytes(max(0, _FILE.size(int(self.at)) - len(audio))))
        audio.extend(line(name).audio(_FILE)[: _FILE.size(int(ms))])

    def caller(self, name: str) -> None:
        said = line(name)
        ms = _FILE.duration_ms(len(said.audio(_FILE)))
        self._record(name, 0, ms)
        self.events.append((self.at, SpeechStarted(at_ms=self.at)))
        self.at += ms
        self.events += [(self.at, SpeechStopped(at_ms=self.at)), (self.at + 160, TranscriptInput(text=said.text))]

    def agent(self, name: str, turn: str, wait: Sequence[float] = (), cut_after: float = 0) -> None:
        said = line(name)
        ms = _FILE.duration_ms(len(said.audio(_FILE)))
        if wait:
            stages = dict(zip(("end_of_turn", "first_token", "first_text", "first_audio", "sent"), wait, strict=True))
            self.events.append((self.at + wait[-1] - 1, TurnTimings(turn=turn, stages_ms=stages)))
            self.waits.append(wait[-1])
            self.at += wait[-1]
        self._record(name, 1, cut_after or ms)
        self.events += [
            (self.at, ResponseStart(turn=turn)),
            (self.at + 1, TranscriptOutput(text=said.text, turn=turn)),
        ]
        self.at += cut_after or ms
        heard = ResponseHeard(heard_ms=cut_after or ms, sent_ms=ms, interrupted=bool(cut_after), turn=turn)
        if cut_after:
            self.events.append((self.at, Interruption(turn=turn)))
        self.events.append((self.at + 1, heard))
        if cut_after:
            correction = TranscriptCorrection(text=_HEARD, original=said.text, turn=turn)
            self.events.append((self.at + 2, correction))
        self.at += 20 if cut_after else 500


def _booking() -> _Talk:
    talk = _Talk()
    talk.agent("welcome", "1")
    talk.caller("booking")
    talk.agent("offer", "2", (190, 410, 470, 640, 655), cut_after=_CUT_AFTER)
    talk.caller("correction")
    talk.agent("three", "3", (230, 520, 590, 790, 805))
    talk.caller("time")
    booking = '{"people": 3, "time": "19:30"}'
    talk.events += [
        (talk.at + 480, ToolCall(id="1", name="book_table", arguments=booking)),
        (talk.at + 730, ToolResult(id="1", name="book_table", result="Table 12, booked.", duration_ms=250)),
    ]
    talk.agent("booked", "4", (210, 460, 940, 1_130, 1_145))
    talk.caller("goodbye")
    talk.agent("farewell", "5", (180, 390, 440, 590, 600))
    return talk


def _opening(answer_ms: float) -> Timed:
    started = ConversationStarted(
        engine="pipeline", conversation_id="talk-81", input_format=_ULAW, output_format=_ULAW, connect_ms=170
    )
    return [(answer_ms, CallAnswered(answer_ms=answer_ms)), (240, MediaStarted(format=_ULAW)), (310, started)]


def _end(reason: str, length_ms: float, waits: Sequence[float], detail: str = "") -> CallEnded:
    minutes = length_ms / 60_000

    def bill(part: str, vendor: str, model: str, cost: float, **amounts: float) -> EngineBill:
        return EngineBill(
            part=part, vendor=vendor, model=model, amounts=amounts, cost=Cost(Decimal(str(round(cost, 4))))
        )

    bills = (
        bill("stt", "deepgram", "nova-3", 0.0077 * minutes, seconds=length_ms / 1000),
        bill("llm", "openai", "gpt-6-luna", 0.004 * minutes, input_tokens=2_140 * minutes, output_tokens=88 * minutes),
        bill("tts", "elevenlabs", "flash", 0.021 * minutes, characters=240 * minutes),
    )
    carrier = CarrierBill(
        minutes=int(minutes) + 1,
        cost=Cost(Decimal("0.0085") * (int(minutes) + 1)),
        as_of=dt.date(2026, 10, 1),
        source="list prices",
    )
    metrics = CallMetrics(
        duration_ms=length_ms,
        answer_ms=210,
        first_audio_ms=180,
        turns=len(waits) + 1,
        user_turns=len(waits),
        interruptions=int(bool(waits)),
        speech_reply_ms=tuple(waits),
        speech_reply=Latency.of(waits),
        carrier_bill=carrier,
        engine_bills=bills if waits else (),
    )
    by = {"agent_hung_up": "agent", "engine_failed": "engine"}.get(reason, "caller")
    return CallEnded(reason=reason, by=by, duration_ms=length_ms, detail=detail, metrics=metrics)


def _put(phone: FakePhone, began: float, leg: Leg, events: Timed) -> None:
    agent, call_id = phone.agents[leg.direction is Direction.OUTBOUND], leg.call_id
    told = sorted([(0.0, CallAnnounced(leg=leg, agent=agent)), *events], key=lambda timed: timed[0])
    for number, (at, event) in enumerate(told, 1):
        record = Record(
            call_id=call_id, sequence=number, time=began + at / 1000, elapsed_ms=at, event=event, trace="00-1-2-01"
        )
        phone.put(record)


def _leg(call_id: str, number: str, *, outbound: bool = False) -> Leg:
    direction = Direction.OUTBOUND if outbound else Direction.INBOUND
    ours, theirs = (_OURS, f"+*********{number}") if outbound else (f"+*********{number}", _OURS)
    return Leg(
        carrier="telnyx" if outbound else "twilio",
        call_id=call_id,
        direction=direction,
        from_number=ours,
        to_number=theirs,
    )


def _write_wav(path: Path, talk: _Talk) -> None:
    length = max(len(side) for side in talk.sides)
    sides = [np.frombuffer(bytes(side.ljust(length, b"\0")), np.int16) for side in talk.sides]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes(np.stack(sides, axis=1).tobytes())


def restaurant(folder: Path, now: float) -> FakePhone:
    """Returns a phone with a week of calls: three are live, `booking` is recorded, `failed` went wrong."""
    phone, chance = FakePhone(), random.Random(4)  # the same pictures each time
    phone.carriers, phone.agents = ("twilio", "telnyx"), ("Lucia, bookings", "Marco, reminders")
    phone.archive = phone.recent_calls
    for number in range(96):
        call_id, outbound = f"past-{number:02}", number % 5 == 4
        began = now - _DAY * (number // 14) - 1_500 - number % 14 * 2_400 - chance.random() * 1_500
        reason, length = _ENDS[chance.randrange(len(_ENDS))], chance.uniform(21_000, 154_000)
        waits = [chance.gauss(760, 140) for _ in range(6)]
        if reason == "no_answer":
            length, waits = 0.0, []
        price = CallPriced(cost=Cost(Decimal("0.0085") * (int(length / 60_000) + 1), estimated=False))
        answered = [*_opening(chance.uniform(180, 260)), (length + 600, price)] if length else []
        leg = _leg(call_id, f"{chance.randrange(10, 99)}", outbound=outbound)
        _put(phone, began, leg, [*answered, (length, _end(reason, length, waits))])
    talk = _booking()
    _write_wav(folder / "booking.wav", talk)
    recorded = RecordingStarted(by="wav", location=str(folder / "booking.wav"))
    end = (talk.at, _end("caller_hung_up", talk.at, talk.waits))
    price = CallPriced(cost=Cost(Decimal("0.0085"), estimated=False))
    told: Timed = [*_opening(210), (250, recorded), *talk.events, end, (talk.at + 600, price)]
    _put(phone, now - 960, _leg("booking", "21"), told)
    error = Error("The engine refused the key. Expected a valid key. Check DEEPGRAM_API_KEY.", "401")
    failed = _end("engine_failed", 1_900, (), "The engine's session could not be opened.")
    _put(phone, now - 1_320, _leg("failed", "77"), [(800, error), (1_900, failed)])
    for number, caller in enumerate(("38", "04", "63")):
        call_id, length = f"live-{number}", (15_000, 6_200, 9_900)[number]
        leg = _leg(call_id, caller, outbound=number == 2)
        soon = [(at, event) for at, event in [*_opening(210), *talk.events] if at < length]
        _put(phone, now - length / 1000, leg, soon)
        phone.live[call_id] = FakeLiveCall(call_id, leg)
    return phone
