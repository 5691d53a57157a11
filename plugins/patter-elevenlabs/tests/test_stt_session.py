"""Speech recognition for a call: audio in, texts out."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping

import anyio
import pytest

from patter_core.audio import ALAW_8000, PCM16_16000, ULAW_8000, AudioChunk, AudioFormat, Encoding
from patter_core.errors import (
    ConfigurationError,
    EngineError,
    EngineFailed,
    EngineLost,
    EngineQuotaExceeded,
    EngineRefused,
    EngineTimeout,
)
from patter_core.events import Usage
from patter_core.net.websocket import EngineSocket
from patter_core.testing.speech import CALLER_LINES
from patter_elevenlabs import ElevenLabsSTT
from patter_elevenlabs.stt.session import ScribeSession
from patter_elevenlabs.testing.stt import ElevenLabsSTTEmulator
from patter_pipeline.parts import Final, Interim, SttEvent, SttSession

pytestmark = pytest.mark.anyio

LINE = CALLER_LINES[0]


class Heard:
    """What a session says."""

    def __init__(self, session: SttSession) -> None:
        self.session = session
        self.events: list[SttEvent] = []
        self.error: EngineError | None = None
        self.over = False
        self._changed = anyio.Event()

    async def run(self) -> None:
        try:
            async for event in self.session.events():
                self.events.append(event)
                self._notify()
        except EngineError as error:
            self.error = error
        self.over = True
        self._notify()

    async def until(self, condition: Callable[[], object]) -> None:
        with anyio.fail_after(10):
            while not condition():
                assert not self.over, self.error
                await self._changed.wait()

    async def ended(self) -> EngineError | None:
        with anyio.fail_after(10):
            while not self.over:
                await self._changed.wait()
        return self.error

    def give(self, audio: bytes) -> None:
        """Gives audio, 100 ms at a time."""
        format = self.session.input_format
        for start in range(0, len(audio), format.size(100)):
            self.session.send_audio(AudioChunk(audio[start : start + format.size(100)], format))

    @property
    def finals(self) -> list[Final]:
        return [event for event in self.events if isinstance(event, Final)]

    @property
    def interims(self) -> list[Interim]:
        return [event for event in self.events if isinstance(event, Interim)]

    @property
    def seconds(self) -> float:
        return sum(event.amounts["seconds"] for event in self.events if isinstance(event, Usage))

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


@contextlib.asynccontextmanager
async def heard(session: SttSession) -> AsyncIterator[Heard]:
    """Reads a session's events, and closes it in the end."""
    told = Heard(session)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(told.run)
        try:
            yield told
        finally:
            await session.aclose()


async def opened(part: ElevenLabsSTT, format: AudioFormat = ULAW_8000, language: str = "") -> SttSession:
    return await part.open(preferred_format=format, language=language)


async def has(emulator: ElevenLabsSTTEmulator, size: int) -> None:
    """Waits until the service has that much audio."""
    with anyio.fail_after(5):
        await emulator.changes.wait_until(lambda: len(emulator.heard[0]) >= size)


def silence(ms: float, format: AudioFormat = ULAW_8000) -> bytes:
    return format.silence * (format.size(ms) // format.sample_width)


# --- audio ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("preferred", "taken"),
    [
        (ULAW_8000, "ulaw_8000"),
        (PCM16_16000, "pcm_16000"),
        (ALAW_8000, "pcm_8000"),
        (AudioFormat(Encoding.PCM16, 11_025), "pcm_16000"),
        (AudioFormat(Encoding.PCM16, 96_000), "pcm_48000"),
    ],
)
async def test_audio_is_taken_as_the_carrier_has_it_where_that_can_be(preferred: AudioFormat, taken: str) -> None:
    async with ElevenLabsSTTEmulator() as emulator, heard(await opened(emulator.part(), preferred)) as told:
        assert str(told.session.input_format) == taken
        audio = LINE.audio(told.session.input_format)
        told.give(audio)
        await has(emulator, len(audio))
        assert emulator.heard == [audio]
    assert dict(emulator.queries[0])["audio_format"] == taken


async def test_the_format_that_the_service_says_counts() -> None:
    async with ElevenLabsSTTEmulator() as emulator:
        emulator.audio_format = "pcm_16000"
        async with heard(await opened(emulator.part())) as told:
            assert told.session.input_format == PCM16_16000
            told.give(silence(1_000, PCM16_16000))
            await has(emulator, 32_000)
        assert emulator.refusals == []


async def test_audio_stays_the_text_that_came() -> None:
    odd = "/////////x=="  # other bits in the last character than an encoder writes
    async with ElevenLabsSTTEmulator() as emulator, heard(await opened(emulator.part())) as told:
        told.session.send_audio(AudioChunk.from_base64(odd, ULAW_8000))
        await has(emulator, 7)
        assert json.loads(emulator.received[0]) == {
            "message_type": "input_audio_chunk",
            "audio_base_64": odd,
            "commit": False,
            "sample_rate": 8_000,
        }


async def test_a_service_that_gets_no_audio_is_given_silence_which_is_not_in_the_times() -> None:
    async with ElevenLabsSTTEmulator() as emulator:
        url = f"ws{emulator.base_url.removeprefix('http')}/v1/speech-to-text/realtime?model_id=scribe_v2_realtime"
        url += "&audio_format=ulaw_8000&include_timestamps=true"
        socket = await EngineSocket.open(url, headers={"xi-api-key": emulator.api_key})
        await socket.receive()
        session = ScribeSession(socket, ULAW_8000, "scribe_v2_realtime", commits=True, timestamps=True, keep_alive=0.05)
        async with heard(session) as told:
            await has(emulator, 8_000)
            assert set(emulator.heard[0]) == {0xFF}
            told.give(silence(1_000))
            await has(emulator, 16_000)
            await emulator.final("Hello there")
            await told.until(lambda: told.finals)
            assert told.finals[0].ended_ms <= 1_000
            assert told.seconds == pytest.approx(len(emulator.heard[0]) / 8_000, abs=0.3)


async def test_audio_that_the_service_does_not_take_in_time_is_dropped_and_is_in_the_times() -> None:
    async with ElevenLabsSTTEmulator() as emulator, heard(await opened(emulator.part())) as told:
        for _ in range(500):
            told.session.send_audio(AudioChunk(silence(20), ULAW_8000))
        dropped = told.session.dropped
        assert dropped > 0
        await has(emulator, (500 - dropped) * 160)
        await emulator.final("Hello there")
        await told.until(lambda: told.finals)
        assert told.finals[0].ended_ms == pytest.approx(10_000, abs=1)
        assert told.seconds == pytest.approx((500 - dropped) * 0.02)


# --- texts ------------------------------------------------------------------------------------------------------------


async def test_partial_texts_are_told_once_each_and_begin_where_they_may() -> None:
    async with ElevenLabsSTTEmulator() as emulator, heard(await opened(emulator.part())) as told:
        told.give(silence(3_000))
        await has(emulator, 24_000)
        for text in ("Hi", "Hi", "Hi there"):
            await emulator.interim(text)
        await told.until(lambda: len(told.interims) == 2)
        assert told.interims == [Interim("Hi", 2_500.0), Interim("Hi there", 2_500.0)]


async def test_a_final_text_is_asked_for_behind_the_audio_and_comes_once_with_its_words() -> None:
    async with ElevenLabsSTTEmulator() as emulator, heard(await opened(emulator.part())) as told:
        emulator.script += ["Half past seven", "Thank you"]
        for number in (1, 2):
            told.give(silence(1_000))
            told.session.finalize()
            await told.until(lambda number=number: len(told.finals) == number)  # type: ignore[misc] # mypy #15459
        assert emulator.commits == 2
        assert json.loads(emulator.received[10])["commit"] is True
    first, second = told.finals
    assert (first.text, first.started_ms, first.ended_ms) == ("Half past seven", 0.0, 1_000.0)
    assert [word.text for word in first.words] == ["Half ", "past ", "seven"]
    assert (first.words[1].start_ms, first.words[1].end_ms) == (400.0, 600.0)
    assert (second.text, second.started_ms, second.ended_ms) == ("Thank you", 1_000.0, 2_000.0)


async def test_real_speech_is_recognised_by_the_emulator() -> None:
    async with ElevenLabsSTTEmulator(lines=CALLER_LINES) as emulator, heard(await opened(emulator.part())) as told:
        for line in CALLER_LINES:
            told.give(silence(1_000) + line.audio(ULAW_8000) + silence(300))
            told.session.finalize()
            await told.until(lambda line=line: line.text in [final.text for final in told.finals])  # type: ignore[misc]


async def test_a_commit_without_text_takes_the_partial_one_back() -> None:
    async with ElevenLabsSTTEmulator() as emulator, heard(await opened(emulator.part())) as told:
        told.give(silence(1_000))
        await has(emulator, 8_000)
        await emulator.interim("Mh")
        told.session.finalize()
        await told.until(lambda: len(told.interims) == 2)
        assert told.interims[1].text == ""
        told.give(silence(1_000))
        told.session.finalize()
        await emulator.changes.wait_until(lambda: emulator.commits == 2)
        emulator.script.append("Yes")
        told.give(silence(1_000))
        told.session.finalize()
        await told.until(lambda: told.finals)
        assert [final.text for final in told.finals] == ["Yes"]
        assert len(told.interims) == 2


async def test_without_times_of_words_a_final_text_lies_where_its_partial_one_began() -> None:
    async with ElevenLabsSTTEmulator() as emulator:
        part = ElevenLabsSTT(emulator.api_key, base_url=emulator.base_url, filter_background_audio=True)
        async with heard(await opened(part)) as told:
            told.give(silence(2_000))
            await has(emulator, 16_000)
            await emulator.interim("Half past")
            await told.until(lambda: told.interims)
            told.give(silence(500))
            await has(emulator, 20_000)
            await emulator.final("Half past seven")
            await told.until(lambda: told.finals)
            assert told.finals == [Final("Half past seven", 1_500.0, 2_500.0)]
        assert dict(emulator.queries[0])["include_timestamps"] == "false"


async def test_the_service_may_end_segments_itself() -> None:
    async with ElevenLabsSTTEmulator(lines=CALLER_LINES) as emulator:
        part = ElevenLabsSTT(
            emulator.api_key, base_url=emulator.base_url, commit_strategy="vad", vad_silence_threshold_secs=0.5
        )
        assert part.final_p99 == pytest.approx(0.91)
        async with heard(await opened(part)) as told:
            told.give(silence(500) + LINE.audio(ULAW_8000))
            told.session.finalize()
            told.give(silence(1_000))
            await told.until(lambda: told.finals)
            assert told.finals[0].text == LINE.text
        assert emulator.commits == 0


@pytest.mark.parametrize("name", ["commit_throttled", "insufficient_audio_activity", "warning", "something_new"])
async def test_a_notice_ends_nothing(name: str) -> None:
    async with ElevenLabsSTTEmulator() as emulator, heard(await opened(emulator.part())) as told:
        await emulator.notice(name, "Commit request ignored.")
        told.session.finalize()  # of nothing: ignored by the service
        await emulator.interim("Hi")
        await told.until(lambda: told.interims)


async def test_times_of_words_that_cannot_be_are_brought_into_the_audio() -> None:
    async with ElevenLabsSTTEmulator() as emulator, heard(await opened(emulator.part())) as told:
        told.give(silence(1_000))
        await has(emulator, 8_000)
        words = [
            {"text": "one", "start": -5.0, "end": 0.2, "type": "word"},
            {"text": "two", "start": None, "end": None, "type": "word"},
            {"text": "three", "start": 0.1, "end": 99.0},
            {"text": "(laughs)", "start": 0.9, "end": 0.95, "type": "audio_event"},
        ]
        message = {"message_type": "committed_transcript_with_timestamps", "text": "one two three", "words": words}
        await emulator.inject(json.dumps(message))
        await told.until(lambda: told.finals)
        times = [time for word in told.finals[0].words for time in (word.start_ms, word.end_ms)]
        assert times == [0.0, 200.0, 200.0, 1_000.0]


async def test_a_text_that_was_asked_for_is_final_up_to_where_it_was_asked_for() -> None:
    words = [{"text": "Yes", "start": 0.2, "end": 0.5, "type": "word"}]
    message = json.dumps({"message_type": "committed_transcript_with_timestamps", "text": "Yes", "words": words})
    async with ElevenLabsSTTEmulator() as emulator, heard(await opened(emulator.part())) as told:
        emulator.silent = True
        told.give(silence(1_000))
        told.session.finalize()
        told.give(silence(1_000))
        await has(emulator, 16_000)
        await emulator.inject(message)  # as asked for
        await emulator.inject(message)  # of the service's own accord
        await told.until(lambda: len(told.finals) == 2)
        told.session.finalize()
        await emulator.notice("commit_throttled", "Commit request ignored.")
        await emulator.inject(message)
        await told.until(lambda: len(told.finals) == 3)
        assert [final.ended_ms for final in told.finals] == [1_000.0, 500.0, 500.0]
        assert told.finals[0].words[0].end_ms == 500.0


# --- the end ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind", "retry"),
    [
        ("auth_error", EngineRefused, False),
        ("unaccepted_terms", EngineRefused, False),
        ("quota_exceeded", EngineQuotaExceeded, False),
        ("rate_limited", EngineFailed, True),
        ("queue_overflow", EngineFailed, True),
        ("resource_exhausted", EngineFailed, True),
        ("transcriber_error", EngineFailed, True),
        ("error", EngineFailed, True),
        ("session_time_limit_exceeded", EngineLost, True),
        ("input_error", EngineRefused, False),
        ("invalid_request", EngineRefused, False),
        ("chunk_size_exceeded", EngineRefused, False),
    ],
)
async def test_each_error_of_the_service_ends_the_session_as_what_it_is(
    name: str, kind: type[EngineError], retry: bool
) -> None:
    async with ElevenLabsSTTEmulator() as emulator, heard(await opened(emulator.part())) as told:
        await emulator.fail(name)
        error = await told.ended()
    assert type(error) is kind
    assert error.retry is retry
    assert name in error.got


async def test_a_key_that_is_refused_fails_the_opening() -> None:
    async with ElevenLabsSTTEmulator() as emulator:
        with pytest.raises(EngineRefused, match="API key") as caught:
            await opened(ElevenLabsSTT("sk_wrong", base_url=emulator.base_url))
    assert "sk_wrong" not in str(caught.value)


async def test_a_session_that_is_not_started_in_time_fails_the_opening(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("patter_elevenlabs.stt.opening.START_TIMEOUT", 0.1)
    async with ElevenLabsSTTEmulator() as emulator:
        emulator.ready = False
        with pytest.raises(EngineTimeout):
            await opened(emulator.part())
        with anyio.fail_after(2):
            await emulator.changes.wait_until(lambda: not emulator.sockets)


async def test_a_fault_of_ours_ends_one_session_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: bytes) -> None:
        raise RuntimeError

    async with ElevenLabsSTTEmulator() as emulator, heard(await opened(emulator.part())) as told:
        monkeypatch.setattr("patter_elevenlabs.stt.wire.decode", broken)
        await emulator.interim("Hi")
        error = await told.ended()
    assert error is not None
    assert "bug" in error.remedy


async def test_usage_is_the_audio_that_the_service_was_given_once() -> None:
    async with ElevenLabsSTTEmulator() as emulator, heard(await opened(emulator.part())) as told:
        told.give(silence(1_500))
        await has(emulator, 12_000)
        await emulator.final("Hello")
        await told.until(lambda: told.finals)
        told.give(silence(500))
        await told.session.aclose()
        await told.ended()
    assert told.seconds == pytest.approx(2.0)
    usage = next(event for event in told.events if isinstance(event, Usage))
    assert (usage.part, usage.vendor, usage.model) == ("stt", "elevenlabs", "scribe_v2_realtime")
    assert usage.cost is not None
    assert float(usage.cost.amount) == pytest.approx(1.5 * 0.39 / 3_600)


# --- options ----------------------------------------------------------------------------------------------------------


async def test_options_are_sent_and_those_that_are_not_set_are_not() -> None:
    async with ElevenLabsSTTEmulator() as emulator:
        await (await opened(emulator.part())).aclose()
        part = ElevenLabsSTT(
            emulator.api_key,
            base_url=emulator.base_url,
            language="it",
            commit_strategy="vad",
            vad_threshold=0.5,
            min_silence_duration_ms=100,
            keyterms=["Patter", "Rossi"],
            no_verbatim=True,
        )
        await (await opened(part, language="pt-BR")).aclose()
    common = [("model_id", "scribe_v2_realtime"), ("audio_format", "ulaw_8000")]
    assert emulator.queries[0] == [*common, ("commit_strategy", "manual"), ("include_timestamps", "true")]
    assert emulator.queries[1] == [
        *common,
        ("commit_strategy", "vad"),
        ("include_timestamps", "true"),
        ("language_code", "pt"),
        ("vad_threshold", "0.5"),
        ("min_silence_duration_ms", "100"),
        ("keyterms", "Patter"),
        ("keyterms", "Rossi"),
        ("no_verbatim", "true"),
    ]


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"commit_strategy": "often"}, "commit_strategy"),
        ({"vad_threshold": 0.5}, "vad_threshold"),
        ({"commit_strategy": "vad", "vad_silence_threshold_secs": 5.0}, "vad_silence_threshold_secs"),
        ({"keyterms": ["x"] * 51}, "keyterms"),
        ({"keyterms": ["x" * 21]}, "keyterms"),
    ],
)
def test_an_option_that_cannot_be_is_refused_when_it_is_set(options: Mapping[str, object], name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        ElevenLabsSTT("sk_1", **options)  # type: ignore[arg-type] # wrong on purpose


def test_a_segment_that_the_pipeline_ends_is_final_soon() -> None:
    assert ElevenLabsSTT("sk_1").final_p99 == 0.41
    assert not ElevenLabsSTT.ends_turns


async def test_audio_since_the_last_report_is_unbilled_once() -> None:
    async with ElevenLabsSTTEmulator() as service:
        session = await service.part().open(preferred_format=ULAW_8000, language="")
        for _ in range(75):
            session.send_audio(AudioChunk(b"\x7f" * 160, ULAW_8000))
        rest = session.unbilled()
        again = session.unbilled()
        await session.aclose()
    assert [(usage.part, usage.amounts) for usage in rest] == [("stt", {"seconds": 1.5})]
    assert not again
