"""`check_vad` and `check_turn_detector`: what voice activity and the detection of ends of turns must do."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable

import anyio

from patter_core.audio import ALAW_8000, PCM16_16000, ULAW_8000, AudioChunk, AudioFormat, Encoding
from patter_core.testing.conformance.check import Check
from patter_core.testing.speech import CALLER_LINES
from patter_pipeline.parts import ACTIVITY_API_VERSION, TurnDetector, VoiceActivity
from patter_pipeline.testing.steps import check_class

__all__ = ["check_turn_detector", "check_vad"]

_FRAME_MS = 20.0
_CHUNK_WITHIN = 0.0005
_ANSWER_WITHIN = 0.15
_SPEECH = CALLER_LINES[0]
_CARRIERS = (
    ULAW_8000,
    ALAW_8000,
    PCM16_16000,
    *(AudioFormat(Encoding.PCM16, rate) for rate in (8_000, 22_050, 24_000, 44_100, 48_000)),
)


async def check_vad(make: Callable[[], VoiceActivity], *, patience: float = 1.0) -> None:
    """Tries voice activity: it tells speech from silence in each format that it is given, for several calls, in time.

    These are the formats of carriers where it takes their sample rates, else what they are converted to.

    Args:
        make: makes the part.
        patience: a factor for all bounds in time: more for a slow machine.

    Raises:
        ConformanceError: the contract is not kept.
    """
    check = Check("vad", patience)
    with check.raises_only_failures(), check.watching_logs():
        part = make()
        await check_class(check, part, ACTIVITY_API_VERSION)
        for format in _given(check, part):
            _check_speech(check, part, format)


def _given(check: Check, part: VoiceActivity) -> list[AudioFormat]:
    """Returns the formats that it is given in calls of all carriers."""
    check.now("its sample_rates")
    rates: object = part.sample_rates
    check.require(
        isinstance(rates, tuple) and all(isinstance(rate, int) and 4_000 <= rate <= 192_000 for rate in rates),
        "sample_rates is not a tuple of sample rates.",
        expected="whole numbers of 4000 to 192000; none for any rate",
        got=repr(rates),
    )
    return sorted({part.input_format(format) for format in _CARRIERS})


def _check_speech(check: Check, part: VoiceActivity, format: AudioFormat) -> None:
    check.now(f"speech and silence in {format}")
    speech = _frames(_SPEECH.audio(format), format)
    silence = [AudioChunk(format.silence * (format.size(_FRAME_MS) // format.sample_width), format)] * len(speech)
    quiet, loud, again = part.start(format), part.start(format), part.start(format)
    times: list[float] = []
    in_silence, in_speech, in_speech_again = list[float](), list[float](), list[float]()
    for silent, spoken in zip(silence, speech, strict=True):  # three calls at once
        in_silence.append(_probability(check, quiet, silent, times))
        in_speech.append(_probability(check, loud, spoken, times))
        in_speech_again.append(_probability(check, again, spoken, times))
    check.require(
        in_speech == in_speech_again, "Two calls are mixed up.", mistake="state of the part, in place of the function"
    )
    check.require(
        max(in_silence) < 0.5,
        "Silence is taken for speech.",
        expected="less than 0.5",
        got=f"{max(in_silence):.2f}",
    )
    share = sum(probability >= 0.5 for probability in in_speech) / len(in_speech)
    check.require(
        share >= 0.3,
        "Speech is not found.",
        expected="0.5 or more in most of a sentence",
        got=f"in {share:.0%} of its frames",
    )
    took = statistics.median(times)
    check.require(
        took <= _CHUNK_WITHIN * check.patience,
        "A chunk takes too long: it is looked at on the event loop, fifty times a second in each call.",
        expected=f"{_CHUNK_WITHIN * 1000 * check.patience:g} ms",
        got=f"{took * 1000:.2f} ms",
    )


def _probability(check: Check, function: Callable[[AudioChunk], float], chunk: AudioChunk, times: list[float]) -> float:
    began = time.perf_counter()
    probability: object = function(chunk)
    times.append(time.perf_counter() - began)
    check.require(
        isinstance(probability, float | int) and 0 <= probability <= 1,
        "The probability of speech is none.",
        expected="0 to 1",
        got=repr(probability),
    )
    return float(probability)  # type: ignore[arg-type] # checked above


def _frames(audio: bytes, format: AudioFormat) -> list[AudioChunk]:
    size = format.size(_FRAME_MS)
    return [AudioChunk(audio[at : at + size], format) for at in range(0, len(audio) - size + 1, size)]


async def check_turn_detector(make: Callable[[], TurnDetector], *, patience: float = 1.0) -> None:
    """Tries the detection of ends of turns: a probability in time, from any thread, for all that may be said.

    Args:
        make: makes the part.
        patience: a factor for all bounds in time: more for a slow machine.

    Raises:
        ConformanceError: the contract is not kept.
    """
    check = Check("turn_detector", patience)
    with check.raises_only_failures(), check.watching_logs():
        part = make()
        await check_class(check, part, ACTIVITY_API_VERSION)
        audio = AudioChunk(_SPEECH.audio(PCM16_16000), PCM16_16000)
        nothing = AudioChunk(b"", PCM16_16000)
        for text, said in ((_SPEECH.text, audio), ("", nothing), ("I would like", audio), ("はい。" * 500, nothing)):
            check.now(f"a turn of {len(text)} characters and {said.duration_ms / 1000:.1f} s")
            took = [await _complete(check, part, text, said) for _ in range(3)]  # the first one may load a model
            check.require(
                min(took) <= _ANSWER_WITHIN * check.patience,
                "The answer comes too late, and is ignored.",
                expected=f"{_ANSWER_WITHIN * 1000 * check.patience:g} ms",
                got=f"{min(took) * 1000:.0f} ms",
            )


async def _complete(check: Check, part: TurnDetector, text: str, audio: AudioChunk) -> float:
    """Asks in a thread, as a call does. Returns the seconds that it took."""
    answers: list[object] = []
    times: list[float] = []
    errors: list[BaseException] = []

    def run() -> None:
        began = time.perf_counter()
        try:
            answers.append(anyio.run(part.complete, text, audio))
        except BaseException as error:  # noqa: BLE001 - told below
            errors.append(error)
        times.append(time.perf_counter() - began)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    with check.within(10, "complete() does not return."):
        while thread.is_alive():  # noqa: ASYNC110 - a thread
            await anyio.sleep(0.002)
    check.require(not errors, "complete() raises.", expected="a probability", got=repr(errors[:1]))
    probability = answers[0]
    check.require(
        isinstance(probability, float | int) and 0 <= probability <= 1,
        "The probability of a complete turn is none.",
        expected="0 to 1",
        got=repr(probability),
    )
    return times[0]
