"""The agent's audio in front of the carrier: paced, cut, kept, cleared, and heard, whatever carrier and socket do."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import anyio
import anyio.lowlevel
import pytest

from patter_core.audio import PCM16_16000, ULAW_8000, AudioChunk, AudioFormat, Encoding
from patter_core.media import MediaOutput
from patter_core.testing.fakes import FakeMessage
from tests.call.line import Ear, Line, pieces, speech
from tests.virtual_time import VIRTUAL

pytestmark = pytest.mark.anyio

PCM16_24000 = AudioFormat(Encoding.PCM16, 24_000)
FRAMES = MediaOutput(format=ULAW_8000, frame_ms=20)
PACED = MediaOutput(format=ULAW_8000, frame_ms=20, max_buffered=2)
ANY_LENGTH = MediaOutput(format=ULAW_8000, max_buffered=2)
FRAME = 160
"""Bytes."""
SILENCE = ULAW_8000.silence


def way(has_marks: bool) -> float:
    """Returns the seconds that audio may be on its way to the caller, where no mark says that it was heard."""
    return 0.0 if has_marks else 0.3


def replies(line: Line) -> int:
    """Returns how many answers of the agent were timed."""
    return len(line.call.meter.metrics(anyio.current_time(), heard_ms=0, frames_dropped=0).reply_ms)


@pytest.fixture
def anyio_backend() -> object:
    return VIRTUAL


def framed(data: bytes, frame: int = FRAME, silence: bytes = SILENCE) -> bytes:
    """A turn as it is sent in whole frames: its last one is padded."""
    return data + silence * (-len(data) % frame // len(silence))


# --- no more than the carrier keeps ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "output",
    [
        PACED,
        ANY_LENGTH,
        MediaOutput(format=ULAW_8000, longest_ms=1_500, max_buffered=2),
        MediaOutput(format=ULAW_8000, shortest_ms=30, longest_ms=70, max_buffered=0.1),
        MediaOutput(format=PCM16_16000, frame_ms=20, max_buffered=20),
    ],
    ids=["frames", "any length", "long", "tiny", "large"],
)
@pytest.mark.parametrize("longest", [4_000, 2_000_000], ids=["chunks", "one chunk"])
async def test_an_answer_that_is_given_at_once_waits_here_and_reaches_the_caller_whole(
    output: MediaOutput, longest: int
) -> None:
    line = Line(output, is_binary=True)
    answer = speech(90, format=output.format)
    async with line.running():
        line.say(*pieces(answer, longest=longest, width=output.format.sample_width), turn="1", ends=True)
        assert line.downlink.ahead_ms == pytest.approx(90_000, abs=100)
        await line.silence()
        assert line.ear.played[: len(answer)] == answer
    assert line.ear.most_buffered <= output.max_buffered
    assert line.ear.binary == len(line.ear.sent)
    assert line.told[0].turn == "1"
    assert line.heard_ms == [90_000]
    assert not line.told[0].interrupted
    assert line.faults == []
    assert line.call.meter.frames_unsent == 0


async def test_no_gap_is_heard_while_an_answer_is_paced() -> None:
    line = Line(PACED)
    async with line.running():
        began = anyio.current_time()
        line.say(*pieces(speech(60)), turn="", ends=True)
        await line.silence()
        assert anyio.current_time() - began == pytest.approx(60, abs=0.02)
    assert line.downlink.playback.late == 0


async def test_a_clear_empties_both_buffers_and_no_old_audio_follows() -> None:
    line = Line(PACED)
    async with line.running():
        line.say(*pieces(speech(90)), turn="old")
        await anyio.sleep(40)
        assert line.downlink.interrupt()
        assert line.ear.sent[-1] == FakeMessage("clear")
        received = len(line.ear.received)
        assert len(line.ear.played) == pytest.approx(40 * 8_000, abs=FRAME)
        await anyio.sleep(30)
        assert len(line.ear.received) == received
        line.say(b"\x01" * 1_600, turn="new", ends=True)
        await line.silence()
        assert line.ear.received[received:] == b"\x01" * 1_600
    assert [(told.turn, told.interrupted) for told in line.told] == [("old", True), ("new", False)]
    assert line.heard_ms == [pytest.approx(40_000, abs=20), 200]


async def test_a_hold_empties_both_buffers_and_what_is_said_meanwhile_is_dropped() -> None:
    line = Line(PACED)
    async with line.running():
        line.say(*pieces(speech(90)), turn="old")
        await anyio.sleep(10)
        line.downlink.mute_agent()
        received = len(line.ear.received)
        assert line.ear.cleared_at == [received]
        line.say(b"\x01" * 1_600, turn="meanwhile", ends=True)
        await anyio.sleep(10)
        line.downlink.mute_agent()  # nothing is there to be cleared
        line.downlink.unmute_agent()
        line.say(b"\x02" * 1_600, turn="new", ends=True)
        await line.silence()
    assert line.ear.received[received:] == b"\x02" * 1_600
    assert [told.turn for told in line.told] == ["old", "new"]
    assert len(line.ear.cleared_at) == 1


async def test_an_agent_that_pauses_and_goes_on_from_what_was_heard_is_heard_whole() -> None:
    line = Line(PACED)
    answer = speech(30)
    async with line.running():
        line.downlink.begin_item("item", "turn", 0)
        line.say(*pieces(answer), ends=True)
        await anyio.sleep(10.1)
        line.downlink.pause()
        (told,) = line.told
        at = round(told.items[0].heard_ms * 8)
        assert told.paused
        assert bytes(line.ear.played) == answer[: len(line.ear.played)]
        assert at == pytest.approx(len(line.ear.played), abs=FRAME)
        await anyio.sleep(1)
        assert len(line.ear.played) == pytest.approx(at, abs=FRAME)
        line.downlink.begin_item("item", "turn", told.items[0].heard_ms)
        line.say(*pieces(answer[at:]), ends=True)
        await line.silence()
        assert line.ear.played[-(len(answer) - at) :] == answer[at:]
    assert [(told.turn, told.paused, told.interrupted) for told in line.told] == [
        ("turn", True, False),
        ("turn", False, False),
    ]
    assert line.told[1].items[0].heard_ms == pytest.approx(30_000)


async def test_marks_that_are_a_little_early_each_time_do_not_add_up() -> None:
    line = Line(PACED, ear=Ear(lag=-0.2))
    answer = speech(30)
    async with line.running():
        line.say(*pieces(answer), turn="", ends=True)
        await line.silence()
        await anyio.sleep(1)
        assert line.ear.played == answer
    assert line.ear.most_buffered <= 2.25
    assert line.faults == []


@pytest.mark.parametrize("lag", [0.3, 1.5])
async def test_late_marks_delay_what_follows_and_the_carrier_never_has_too_much(lag: float) -> None:
    line = Line(PACED, ear=Ear(lag=lag))
    answer = speech(30)
    async with line.running():
        line.say(*pieces(answer), turn="", ends=True)
        await line.silence()
        assert line.ear.played == answer
    assert line.ear.most_buffered <= 2
    assert line.faults == []


@pytest.mark.parametrize(
    ("ear", "fault"),
    [
        (lambda: Ear(lag=-60), "a mark came back before its audio can have been played; a clock reckons instead"),
        (lambda: Ear(keeps_marks=True), "a mark did not come back in time; a clock reckons instead"),
    ],
    ids=["early", "missing"],
)
async def test_wrong_marks_are_told_once_and_speed_nothing_up(ear: Callable[[], Ear], fault: str) -> None:
    line = Line(PACED, ear=ear())
    answer = speech(30)
    async with line.running():
        line.say(*pieces(answer), turn="", ends=True)
        await anyio.sleep(45)
        assert not line.downlink.audible
        assert line.ear.played == answer
    assert line.ear.most_buffered <= 2
    assert line.faults == [fault]
    assert line.heard_ms == [30_000]


async def test_a_carrier_without_marks_is_paced_by_the_clock() -> None:
    line = Line(PACED, has_marks=False)
    answer = speech(30)
    async with line.running():
        line.say(*pieces(answer), turn="", ends=True)
        await line.silence(31)
        assert line.ear.played == answer
    assert line.ear.of("mark") == []
    assert line.ear.most_buffered <= 2
    assert line.heard_ms == [30_000]


async def test_a_carrier_whose_marks_were_wrong_is_still_asked_for_a_sign_of_life() -> None:
    line = Line(FRAMES, ear=Ear(lag=-60))
    async with line.running():
        line.say(speech(1), turn="", ends=True)
        await anyio.sleep(2)
        marks = len(line.ear.of("mark"))
        line.downlink.probe()
        await anyio.sleep(2)
        assert len(line.ear.of("mark")) == marks + 1
    assert len(line.faults) == 1


@pytest.mark.parametrize("has_marks", [True, False])
async def test_the_newest_beyond_two_minutes_is_dropped_told_once_and_counted(has_marks: bool) -> None:
    line = Line(PACED, has_marks=has_marks)
    chunks = [bytes([number % 250]) * 800 for number in range(1_300)]  # 130 s
    async with line.running():
        line.say(*chunks, turn="", ends=True)
        dropped = line.call.meter.frames_unsent
        assert dropped == 80  # 2 s were sent
        await line.silence()
        assert line.ear.played == b"".join(chunks[:-dropped])
    assert len(set(line.faults)) == 1
    assert "120 s ahead" in line.faults[0]
    assert line.heard_ms == [122_000]


# --- frames ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", [ULAW_8000, PCM16_24000], ids=str)
async def test_silence_is_added_only_at_the_end_of_a_turn(format: AudioFormat) -> None:
    line = Line(MediaOutput(format=format, frame_ms=20))
    frame, width = format.size(20), format.sample_width
    turns = [speech(length, format=format, seed=seed) for seed, length in enumerate((1.2345, 3.0011, 0.0033))]
    async with line.running():
        for number, said in enumerate(turns):
            line.downlink.begin_turn(str(number))
            third = len(said) // 3 // width * width
            for item, part in enumerate((said[:third], said[third : 2 * third], said[2 * third :])):
                line.downlink.begin_item(f"{number}.{item}", str(number), 0)
                line.say(*pieces(part, longest=1_500, width=width))
            line.downlink.end_turn()
        await line.silence()
    assert set(line.ear.sizes) == {frame}
    assert line.ear.received == b"".join(framed(said, frame, format.silence) for said in turns)
    assert [len(told.items) for told in line.told] == [3, 3, 3]
    assert line.heard_ms == [pytest.approx(len(said) * 1000 / format.byte_rate, abs=0.01) for said in turns]


async def test_an_item_of_another_turn_ends_the_one_before_with_its_mark_and_its_padding() -> None:
    line = Line(FRAMES)
    async with line.running():
        for turn, length in (("1", 330), ("2", 250)):
            line.downlink.begin_item("a", turn, 0)
            line.say(turn.encode() * length)
        events = [one.event for one in line.ear.sent]
        assert events == ["audio"] * 3 + ["mark", "audio"]
        assert line.ear.received == framed(b"1" * 330) + b"2" * 160
        await anyio.sleep(1)
        assert [told.turn for told in line.told] == ["1"]
        assert line.call.meter.turns == 2


@pytest.mark.parametrize("output", [MediaOutput(format=ULAW_8000), FRAMES], ids=["any length", "frames"])
async def test_what_is_a_message_already_is_written_at_once_and_as_it_is(
    output: MediaOutput, monkeypatch: pytest.MonkeyPatch
) -> None:
    line, given = Line(output), list[AudioChunk]()
    chunk = AudioChunk(bytes(FRAME), ULAW_8000)

    def encode(chunk: AudioChunk) -> str:
        given.append(chunk)
        return '{"event": "audio", "value": ""}'

    monkeypatch.setattr(line.codec, "encode_audio", encode)
    async with line.running():
        tasks = asyncio.all_tasks()
        line.downlink.play(chunk)
        assert given[0] is chunk
        assert len(line.ear.of("audio")) == 1
        assert asyncio.all_tasks() == tasks


# --- the full socket -------------------------------------------------------------------------------------------------


async def test_answers_go_ahead_of_audio_that_waits_for_a_full_socket() -> None:
    line = Line(FRAMES)
    async with line.running():
        line.ear.is_full = True
        line.say(b"\x01" * FRAME, b"\x02" * FRAME, b"\x03" * FRAME, turn="", ends=True)
        line.downlink.reply(['{"event": "pong", "value": "1"}'])
        line.downlink.reply(['{"event": "pong", "value": "2"}'])
        assert [one.event for one in line.ear.sent] == ["audio"]
        line.ear.make_room()
        await line.silence()
    assert [one.event for one in line.ear.sent] == ["audio", "pong", "pong", "audio", "audio", "mark"]
    assert line.ear.received == b"\x01" * FRAME + b"\x02" * FRAME + b"\x03" * FRAME


async def test_an_interruption_on_a_full_socket_sends_the_clear_next_and_nothing_of_what_waited() -> None:
    line = Line(FRAMES)
    async with line.running():
        line.ear.is_full = True
        line.say(b"\x01" * 10 * FRAME, turn="old")
        assert line.downlink.interrupt()
        line.say(b"\x02" * FRAME, turn="new", ends=True)
        line.ear.make_room()
        await line.silence()
    assert [one.event for one in line.ear.sent] == ["audio", "clear", "audio", "mark"]
    assert line.ear.received == b"\x01" * FRAME + b"\x02" * FRAME


async def test_a_peer_that_leaves_its_answers_unread_is_cut_off_and_what_it_had_is_void() -> None:
    line = Line(FRAMES)
    async with line.running():
        line.ear.is_full = True
        line.say(b"\x01" * 2 * FRAME, turn="", ends=True)
        for _ in range(201):
            line.downlink.reply(['{"event": "pong"}'])
        assert line.ear.closed
        assert [told.interrupted for told in line.told] == [True]
        assert not line.downlink.audible


# --- sockets that go -------------------------------------------------------------------------------------------------


async def test_a_lost_socket_takes_what_waited_behind_what_it_had() -> None:
    line = Line(PACED)
    async with line.running():
        line.say(*pieces(speech(30)), turn="old")
        await anyio.sleep(10)
        line.lose()
        assert line.heard_ms == [pytest.approx(10_000, abs=20)]
        line.say(b"\x01" * 1_600, turn="new", ends=True)
        await anyio.sleep(1)
        line.attach(Ear())
        await line.silence()
        assert line.ear.played == b"\x01" * 1_600
    assert [told.turn for told in line.told] == ["old", "new"]


@pytest.mark.parametrize("output", [MediaOutput(format=ULAW_8000), FRAMES, PACED], ids=["direct", "frames", "paced"])
async def test_audio_that_meets_a_dead_socket_goes_to_the_next_one_whole(output: MediaOutput) -> None:
    line = Line(output)
    answer = speech(3)
    async with line.running():
        line.ear.leave()  # which is not known yet
        line.say(*pieces(answer), turn="1", ends=True)
        line.lose()
        line.attach(Ear())
        await line.silence(10)
        assert line.ear.played[: len(answer)] == answer
    assert line.heard_ms == [3_000]


async def test_what_is_said_before_there_is_a_stream_is_sent_when_it_opens_as_far_as_the_carrier_keeps_it() -> None:
    line = Line(PACED)
    answer = speech(10)
    async with line.running(attached=False):
        line.say(*pieces(answer), turn="1", ends=True)
        assert not line.downlink.was_live.is_set()
        await anyio.sleep(5)
        line.attach(line.ear)
        assert len(line.ear.received) == 2 * 8_000
        await line.silence()
        assert line.downlink.was_live.is_set()
        assert line.ear.played == answer
    assert line.heard_ms == [10_000]


# --- tones -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("output", [MediaOutput(format=ULAW_8000), PACED], ids=["direct", "paced"])
@pytest.mark.parametrize("has_marks", [True, False])
async def test_tones_are_played_first_and_whole_and_the_agent_behind_them(output: MediaOutput, has_marks: bool) -> None:
    line = Line(output, has_marks=has_marks)
    tones = speech(1.5)
    async with line.running():
        line.say(speech(5, seed=2), turn="old")
        await anyio.sleep(1)
        line.downlink.play_tones(AudioChunk(tones, ULAW_8000))
        before = line.ear.cleared_at[-1]
        line.say(b"\x01" * 800, turn="cut")
        await anyio.sleep(0.2)
        line.downlink.interrupt()
        line.say(b"\x02" * 800, turn="new", ends=True)
        await line.silence(10)
    assert line.ear.received[before:] == tones + b"\x02" * 800
    assert len(line.ear.cleared_at) == 1
    assert [(told.turn, told.interrupted) for told in line.told] == [("old", True), ("cut", True), ("new", False)]


@pytest.mark.parametrize("cut_at", [0.2, 3.0, 5.5])
@pytest.mark.parametrize("has_marks", [True, False])
async def test_tones_that_are_longer_than_what_the_carrier_keeps_are_whole_and_without_a_gap(
    has_marks: bool, cut_at: float
) -> None:
    line = Line(PACED, has_marks=has_marks)
    tones = speech(6)
    async with line.running():
        began = anyio.current_time()
        line.downlink.play_tones(AudioChunk(tones, ULAW_8000))
        line.say(b"\x01" * 16_000, turn="cut")
        await anyio.sleep(cut_at)
        line.downlink.interrupt()
        line.say(b"\x02" * 800, turn="new", ends=True)
        await line.silence(20)
        assert anyio.current_time() - began == pytest.approx(6.1 + way(has_marks), abs=0.05)
    assert line.ear.received == tones + b"\x02" * 800
    assert line.ear.most_buffered <= 2
    assert line.ear.cleared_at == []
    assert [(told.turn, told.interrupted) for told in line.told] == [("cut", True), ("new", False)]


async def test_tones_that_wait_for_a_stream_are_not_cut_by_an_interruption() -> None:
    line = Line(PACED)
    tones = speech(1)
    async with line.running(attached=False):
        line.downlink.play_tones(AudioChunk(tones, ULAW_8000))
        line.say(b"\x01" * 800, turn="cut")
        line.downlink.interrupt()
        line.attach(line.ear)
        line.say(b"\x02" * 800, turn="new", ends=True)
        await line.silence(20)
    assert line.ear.received == tones + b"\x02" * 800


@pytest.mark.parametrize("has_marks", [True, False])
async def test_tones_in_a_pause_of_a_turn_are_not_heard_of_it(has_marks: bool) -> None:
    line = Line(FRAMES, has_marks=has_marks)
    async with line.running():
        line.downlink.begin_item("item", "turn", 0)
        line.say(speech(1))
        await anyio.sleep(1.5)  # all was heard, and there is more to come
        line.downlink.play_tones(AudioChunk(speech(0.505), ULAW_8000))
        line.say(speech(1), ends=True)
        await line.silence()
        await anyio.sleep(0.1)
    assert line.heard_ms == [2_000]


# --- the end ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("has_marks", [True, False])
@pytest.mark.parametrize("length", [8_001, 8_100, 8_159, 8_160])
async def test_the_end_waits_for_the_last_word_and_not_longer(has_marks: bool, length: int) -> None:
    line = Line(FRAMES, has_marks=has_marks)
    async with line.running():
        began = anyio.current_time()
        line.say(b"\x01" * length, turn="", ends=True)
        await line.downlink.wait_until_heard()
        assert anyio.current_time() - began == pytest.approx(length / 8_000 + way(has_marks), abs=0.03)


@pytest.mark.parametrize(
    "output", [MediaOutput(format=ULAW_8000), FRAMES, PACED], ids=["any length", "frames", "paced"]
)
async def test_a_mark_tones_or_a_pause_in_a_turn_make_no_turns_of_it(output: MediaOutput) -> None:
    line, begun = Line(output), list[str]()
    line.downlink.on_speaking = lambda turn: begun.append(turn.name)
    async with line.running():
        line.downlink.begin_item("item", "1", 0)
        line.say(speech(1))
        line.downlink.mark_last_word()  # as a transfer has it that waits for what is being said
        line.call.meter.user_spoke(anyio.current_time())
        line.say(speech(1))
        assert (begun, line.call.meter.turns, replies(line)) == (["1"], 1, 0)
        await line.silence()
        line.downlink.play_tones(AudioChunk(speech(1), ULAW_8000))
        await anyio.sleep(1.1)
        line.say(speech(1))
        await anyio.sleep(0.5)
        assert (begun, line.call.meter.turns, replies(line)) == (["1"], 1, 0)
        line.downlink.pause()
        line.downlink.begin_item("item", "1", 2_500)
        line.say(speech(0.5), ends=True)
        assert (begun, line.call.meter.turns) == (["1", "1"], 1)
        await line.silence()
        line.say(speech(1), turn="2", ends=True)
        assert (begun, line.call.meter.turns) == (["1", "1", "2"], 2)
        await line.silence()
    assert [told.turn for told in line.told if not told.paused] == ["1", "2"]


async def test_tones_are_no_turn() -> None:
    line = Line(FRAMES)
    async with line.running():
        line.downlink.play_tones(AudioChunk(speech(1), ULAW_8000))
        await line.silence()
    assert line.ear.played
    assert line.call.meter.turns == 0


@pytest.mark.parametrize("has_marks", [True, False])
async def test_the_end_waits_for_tones_and_not_longer(has_marks: bool) -> None:
    line = Line(FRAMES, has_marks=has_marks)
    async with line.running():
        began = anyio.current_time()
        line.downlink.play_tones(AudioChunk(speech(1), ULAW_8000))
        await line.downlink.wait_until_heard()
        assert anyio.current_time() - began == pytest.approx(1 + way(has_marks), abs=0.03)


# --- anything --------------------------------------------------------------------------------------------------------


class Talk:
    """An agent that speaks, and what happens to its line, in any order. Turn `n` is n everywhere."""

    steps = ("say", "say", "say", "end", "wait", "wait", "cut", "full", "room", "lose", "dead", "tones")

    def __init__(self, line: Line, dice: random.Random) -> None:
        self.line, self.dice = line, dice
        self.turns = 0
        self.void = 0
        """Turns up to that one may not be sent any more."""

    def say(self) -> None:
        if not self.line.downlink.playback.is_open:
            self.turns += 1
            self.line.downlink.begin_turn(str(self.turns))
        self.line.say(bytes([self.turns]) * self.dice.randint(1, 20_000))

    async def act(self, step: str) -> None:
        line = self.line
        match step:
            case "say":
                self.say()
            case "end":
                line.downlink.end_turn()
            case "cut":
                line.downlink.interrupt()
                self.void = self.turns
            case "full":
                line.ear.is_full = True
            case "room":
                line.ear.make_room()
            case "lose":
                line.lose()
                line.attach(Ear())
            case "tones":
                line.downlink.play_tones(AudioChunk(SILENCE * self.dice.randint(1, 30_000), ULAW_8000))
            case "dead":  # which is noticed at the next message
                line.ear.leave()
            case _:
                await anyio.sleep(self.dice.random() * 2)


@pytest.mark.parametrize("seed", range(30))
async def test_whatever_comes_in_whatever_order_the_carrier_gets_only_what_was_not_void(seed: int) -> None:
    dice = random.Random(seed)
    output = dice.choice([MediaOutput(format=ULAW_8000), FRAMES, PACED, ANY_LENGTH])
    line = Line(output, has_marks=dice.random() < 0.7)
    talk = Talk(line, dice)
    async with line.running():
        for _ in range(120):
            ear, at = line.ear, len(line.ear.received)
            await talk.act(dice.choice(talk.steps))
            await anyio.lowlevel.checkpoint()
            new = line.ear.received[at if line.ear is ear else 0 :]
            assert all(turn > talk.void for turn in set(new) - set(SILENCE))
            assert line.ear.most_buffered <= output.max_buffered
            assert not output.frame_ms or set(line.ear.sizes) <= {FRAME}
        line.downlink.end_turn()
        line.lose()
        line.attach(Ear())
        await line.silence()
        await anyio.sleep(1)
    assert [told.turn for told in line.told] == [str(number + 1) for number in range(talk.turns)]
    assert all("did not come back" in fault for fault in line.faults)  # a mark behind a full socket


# --- when it reaches the carrier -------------------------------------------------------------------------------------


async def test_each_turn_is_told_as_its_first_audio_is_written_and_not_before() -> None:
    line = Line(PACED)
    told: list[tuple[str, int]] = []
    line.downlink.on_speaking = lambda turn: told.append((turn.name, line.call.meter.frames_out))
    async with line.running(attached=False):
        line.say(speech(0.4), turn="1", ends=True)
        line.say(speech(3.0), turn="2", ends=True)
        line.say(speech(0.1), turn="3", ends=True)
        assert told == []
        line.attach(line.ear)
        assert [name for name, _ in told] == ["1", "2"]
        await anyio.sleep(10)
    assert [name for name, _ in told] == ["1", "2", "3"]
    assert [frames for _, frames in told] == [1, 21, 171]


async def test_a_turn_that_was_paused_is_told_again_when_it_goes_on() -> None:
    line = Line(FRAMES)
    told: list[str] = []
    line.downlink.on_speaking = lambda turn: told.append(turn.name)
    async with line.running():
        line.say(speech(0.4), turn="1")
        line.downlink.pause()
        line.downlink.begin_item("", "1", 0)
        line.say(speech(0.4))
        line.downlink.end_turn()
    assert told == ["1", "1"]
