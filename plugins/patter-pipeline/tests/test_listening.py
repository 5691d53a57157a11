"""The caller's audio reaches one session of speech recognition after the other, and no word is lost between two."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio
import pytest

from patter_core.audio import PCM16_16000, ULAW_8000, AudioChunk, AudioFormat
from patter_core.errors import EngineRefused
from patter_core.events import Usage
from patter_pipeline.audio_clock import AudioClock
from patter_pipeline.listening import Listener, open_stt
from patter_pipeline.parts import Final, SpeechToText, SttEvent, SttSession
from patter_pipeline.testing.fakes import FakeStt, FakeSttEmulator
from patter_pipeline.turns import inputs
from patter_pipeline.work import Work

pytestmark = pytest.mark.anyio

FRAME = 160
Until = Callable[[Callable[[], bool]], Awaitable[None]]


def frames(first: int, count: int) -> list[AudioChunk]:
    return [AudioChunk(bytes([number & 0xFF]) * FRAME, ULAW_8000) for number in range(first, first + count)]


class Ears:
    """A listener, and what it tells."""

    def __init__(self, parts: list[SpeechToText], work: Work) -> None:
        self.told: list[inputs.Input] = []
        self.billed: list[Usage] = []
        self.parts = parts
        self.times = AudioClock(ULAW_8000, time.monotonic)
        self.listener = Listener(
            parts,
            ULAW_8000,
            "",
            take=self.told.append,
            report=self.billed.append,
            work=work,
            times=self.times,
            clock=time.monotonic,
        )

    async def begin(self) -> None:
        self.listener.begin(0, await open_stt(self.parts[0], ULAW_8000, "", 5))

    async def close(self) -> None:
        for session in self.listener.close():
            await session.aclose()


async def test_audio_passes_and_texts_have_the_times_at_which_they_were_said(work: Work, until: Until) -> None:
    async with FakeSttEmulator() as service:
        ears = Ears([service.part()], work)
        await ears.begin()
        for chunk in frames(0, 50):
            ears.times.give(chunk.size)
            ears.listener.hear(chunk)
        await until(lambda: len(service.heard[0]) == 50 * FRAME)
        await service.interim("I would")
        await service.final("I would like")
        await until(lambda: len(ears.told) == 2)
        now = time.monotonic()
        await ears.close()
    interim, final = ears.told
    assert isinstance(interim, inputs.SttInterim)
    assert isinstance(final, inputs.SttFinal)
    assert (interim.text, final.text) == ("I would", "I would like")
    assert final.at == pytest.approx(now - 1.0, abs=0.2)
    assert final.until == pytest.approx(now, abs=0.2)
    assert service.heard[0] == b"".join(chunk.data for chunk in frames(0, 50))
    assert [usage.part for usage in ears.billed] == ["stt"]


class Wide(FakeStt):
    """Takes linear audio, in chunks of 80 ms."""

    chunk_ms = 80.0

    async def open(self, *, preferred_format: AudioFormat, language: str) -> SttSession:
        return await super().open(preferred_format=PCM16_16000, language=language)


async def test_audio_is_converted_and_gathered_for_a_service_that_wants_it(work: Work, until: Until) -> None:
    class Emulator(FakeSttEmulator):
        pass

    async with Emulator() as service:
        ears = Ears([Wide(service.url)], work)
        await ears.begin()
        for chunk in frames(0, 41):
            ears.listener.hear(chunk)
        size = PCM16_16000.size(80)
        await until(lambda: len(service.heard[0]) >= 9 * size)
        await ears.close()
    assert len(service.heard[0]) % size == 0


async def test_a_session_that_is_lost_is_followed_by_another_with_the_last_seconds(work: Work, until: Until) -> None:
    async with FakeSttEmulator() as service:
        ears = Ears([service.part()], work)
        await ears.begin()
        for chunk in frames(0, 400):
            ears.listener.hear(chunk)
        await service.fail()
        await until(lambda: len(service.heard) == 2 and len(service.heard[1]) >= 250 * FRAME)
        for chunk in frames(400, 5):
            ears.listener.hear(chunk)
        await until(lambda: len(service.heard[1]) == 255 * FRAME)
        await ears.close()
    assert service.heard[1] == b"".join(chunk.data for chunk in frames(150, 255))
    assert not ears.told


async def test_one_that_fails_again_and_again_is_told_once_for_each_time_that_it_is_given_up(
    work: Work, until: Until
) -> None:
    class Refuses(FakeStt):
        async def open(self, *, preferred_format: AudioFormat, language: str) -> SttSession:
            if self.opened:
                raise EngineRefused("No.")
            self.opened = True
            return await super().open(preferred_format=preferred_format, language=language)

        opened = False

    async with FakeSttEmulator() as service:
        ears = Ears([Refuses(service.url), service.part()], work)
        await ears.begin()
        await service.fail()
        await until(lambda: ears.told == [inputs.SttFailed()])
        assert isinstance(ears.listener.error, EngineRefused)
        ears.listener.hear(frames(7, 1)[0])  # while nothing listens
        ears.listener.use_reserve()
        await until(lambda: len(service.heard) == 2 and service.heard[1] == bytes([7]) * FRAME)
        await ears.close()


class _Hostile(SttSession):
    """Does what no session may."""

    def __init__(self, mischief: object) -> None:
        self.mischief = mischief

    input_format = ULAW_8000
    dropped = 0

    def send_audio(self, chunk: AudioChunk) -> None:
        if self.mischief == "send":
            raise SystemExit

    def finalize(self) -> None:
        if self.mischief == "finalize":
            raise GeneratorExit

    async def events(self) -> AsyncIterator[SttEvent]:
        if isinstance(self.mischief, BaseException):
            raise self.mischief
        if self.mischief == "kind":
            yield "a text"  # type: ignore[misc] # the mischief
        if self.mischief == "field":
            yield Final(None, 0.0, 0.0)  # type: ignore[arg-type] # as above
        if self.mischief == "end":
            return
        await anyio.sleep_forever()

    async def aclose(self) -> None:
        if self.mischief == "close":
            await anyio.sleep_forever()


@pytest.mark.parametrize(
    "mischief",
    ["send", "finalize", "kind", "field", "end", SystemExit(), KeyError("x"), asyncio.CancelledError()],
    ids=repr,
)
async def test_whatever_comes_out_of_a_plugin_is_a_failure_of_the_part(
    mischief: object, work: Work, until: Until
) -> None:
    class Part(SpeechToText):
        name = "hostile"
        count = 0

        async def open(self, *, preferred_format: AudioFormat, language: str) -> SttSession:
            self.count += 1
            if self.count > 1:
                raise EngineRefused("No.")
            return _Hostile(mischief)

    ears = Ears([Part()], work)
    await ears.begin()
    ears.listener.hear(frames(0, 1)[0])
    ears.listener.finalize()
    await until(lambda: ears.told == [inputs.SttFailed()])


async def test_one_that_never_closes_keeps_nothing_waiting(work: Work) -> None:
    class Part(SpeechToText):
        name = "hostile"

        async def open(self, *, preferred_format: AudioFormat, language: str) -> SttSession:
            return _Hostile("close")

    ears = Ears([Part(), Part()], work)
    await ears.begin()
    began = time.monotonic()
    ears.listener.use_reserve()
    assert time.monotonic() - began < 1


async def test_a_reserve_that_takes_over_while_the_first_is_being_opened_is_the_only_one(
    work: Work, until: Until
) -> None:
    class Slow(FakeStt):
        async def open(self, *, preferred_format: AudioFormat, language: str) -> SttSession:
            if is_slow:
                opening.set()
                await anyio.sleep(0.2)
            return await super().open(preferred_format=preferred_format, language=language)

    opening, is_slow = anyio.Event(), False
    async with FakeSttEmulator() as service, FakeSttEmulator() as reserve:
        ears = Ears([Slow(service.url), reserve.part()], work)
        await ears.begin()
        is_slow = True
        await service.fail()
        await opening.wait()
        ears.listener.use_reserve()
        await until(lambda: len(reserve.heard) == 1)
        await anyio.sleep(0.4)
        ears.listener.hear(frames(1, 1)[0])
        await until(lambda: len(reserve.heard[0]) == FRAME)
        await ears.close()
    assert len(service.heard) == 1


async def test_a_text_without_end_is_cut(work: Work, until: Until) -> None:
    async with FakeSttEmulator() as service:
        ears = Ears([service.part()], work)
        await ears.begin()
        await service.final("word " * 100_000)
        await until(lambda: bool(ears.told))
        await ears.close()
    (told,) = ears.told
    assert isinstance(told, inputs.SttFinal)
    assert len(told.text) == 8_000
