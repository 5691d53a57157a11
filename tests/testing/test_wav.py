"""WAV files, read back with the standard library's own reader."""

from __future__ import annotations

import contextlib
import io
import struct
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_core.audio import ALAW_8000, PCM16_16000, ULAW_8000, AudioFormat, Encoding
from patter_core.audio.g711 import decode, encode
from patter_core.errors import AudioError
from patter_core.testing.wav import read_wav, read_wav_as, write_stereo_wav
from patter_core.testing.wav_reader import READ


def channels(path: Path) -> tuple[int, bytes, bytes]:
    """The rate, and both sides as PCM16."""
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth()) == (2, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
        return file.getframerate(), samples[:, 0].tobytes(), samples[:, 1].tobytes()


def write(path: Path, *, channels: int = 1, width: int = 2, rate: int = 8_000, audio: bytes = b"") -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(audio)
    return path


@pytest.mark.parametrize("format", [ULAW_8000, ALAW_8000], ids=str)
def test_both_sides_of_a_telephone_call_become_linear(tmp_path: Path, format: AudioFormat) -> None:
    left, right = bytes(range(256)), bytes(reversed(range(256)))
    write_stereo_wav(tmp_path / "call.wav", left, right, format)
    assert channels(tmp_path / "call.wav") == (8_000, decode(left, format.encoding), decode(right, format.encoding))


def test_linear_audio_keeps_its_rate(tmp_path: Path) -> None:
    left, right = b"\1\2\3\4", b"\5\6\7\x80"
    write_stereo_wav(str(tmp_path / "call.wav"), left, right, PCM16_16000)
    assert channels(tmp_path / "call.wav") == (16_000, left, right)


def test_the_shorter_side_is_followed_by_silence(tmp_path: Path) -> None:
    write_stereo_wav(tmp_path / "call.wav", b"\x80" * 3, b"", ULAW_8000)
    _, left, right = channels(tmp_path / "call.wav")
    assert len(left) == len(right) == 6
    assert right == bytes(6)


def test_a_call_without_audio_is_a_file_too(tmp_path: Path) -> None:
    write_stereo_wav(tmp_path / "call.wav", b"", b"", ULAW_8000)
    assert channels(tmp_path / "call.wav") == (8_000, b"", b"")


def test_half_a_sample_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="middle of a sample"):
        write_stereo_wav(tmp_path / "call.wav", b"\1", b"", PCM16_16000)


def test_a_file_is_read_with_its_format(tmp_path: Path) -> None:
    path = write(tmp_path / "line.wav", rate=22_050, audio=b"\1\2\3\4")
    expected = (b"\1\2\3\4", AudioFormat(Encoding.PCM16, 22_050))
    assert read_wav(path) == read_wav(str(path)) == read_wav(io.BytesIO(path.read_bytes())) == expected


@pytest.mark.parametrize("content", [b"", b"RIFF", b"not audio at all" * 4])
def test_what_is_no_wav_file_is_refused(content: bytes) -> None:
    with pytest.raises(AudioError, match="Not a WAV file"):
        read_wav(io.BytesIO(content))


TONE = np.rint(8_000 * np.sin(np.arange(800) * 2 * np.pi * 440 / 8_000)).astype(np.int16)


def riff(tag: int, bits: int, data: bytes, *, channels: int = 1, extended: bool = False, size: int = -1) -> bytes:
    """A WAV file, as the formats' pages lay it out; `size` in place of that of the audio."""
    width = channels * bits // 8
    head = struct.pack("<HHIIHH", 0xFFFE if extended else tag, channels, 8_000, 8_000 * width, width, bits)
    if extended:
        rest = bytes.fromhex("000000001000800000aa00389b71")  # the sub-format's GUID, after the tag
        head += struct.pack("<HHIH", 22, bits, 0, tag) + rest
    length = len(data) if size < 0 else size
    chunks = b"fmt " + struct.pack("<I", len(head)) + head + b"LIST\3\0\0\0abc\0data" + struct.pack("<I", length) + data
    return b"RIFF" + struct.pack("<I", min(4 + len(chunks), 0xFFFFFFFF)) + b"WAVE" + chunks


def wide(samples: npt.NDArray[np.int16], count: int) -> bytes:
    """Linear samples of `count` bytes."""
    scaled = samples.astype(np.int64) << 8 * (count - 2)
    return b"".join(int(value).to_bytes(count, "little", signed=True) for value in scaled)


KINDS = {
    "8 bits": riff(1, 8, (TONE // 256 + 128).astype(np.uint8).tobytes()),
    "16 bits": riff(1, 16, TONE.tobytes()),
    "24 bits": riff(1, 24, wide(TONE, 3)),
    "32 bits": riff(1, 32, wide(TONE, 4)),
    "float": riff(3, 32, (TONE / 32_767).astype("<f4").tobytes()),
    "double": riff(3, 64, (TONE / 32_767).astype("<f8").tobytes()),
    "μ-law": riff(7, 8, encode(TONE.tobytes(), Encoding.ULAW)),
    "A-law": riff(6, 8, encode(TONE.tobytes(), Encoding.ALAW)),
    "stereo": riff(1, 16, np.repeat(TONE, 2).tobytes(), channels=2),
    "extensible, 24 bits, stereo": riff(1, 24, wide(np.repeat(TONE, 2), 3), channels=2, extended=True),
    "extensible float": riff(3, 32, (TONE / 32_767).astype("<f4").tobytes(), extended=True),
    "sizes never filled in": riff(1, 16, TONE.tobytes(), size=0xFFFFFFFF),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_usual_kind_is_read_as_one_channel_of_16_bits(kind: str) -> None:
    audio, format = read_wav(io.BytesIO(KINDS[kind]))
    assert str(format) == "pcm_8000"
    error = np.abs(np.frombuffer(audio, "<i2").astype(int) - TONE)
    assert len(error) == len(TONE)
    assert error.max() <= (256 if "law" in kind or kind == "8 bits" else 1)


def test_channels_are_mixed_and_loud_ones_do_not_wrap() -> None:
    both = np.array([[32_767, 32_767], [-32_768, -32_768], [1_000, 0]], "<i2")
    audio, _ = read_wav(io.BytesIO(riff(1, 16, both.tobytes(), channels=2)))
    assert np.frombuffer(audio, "<i2").tolist() == [32_767, -32_768, 500]


def test_a_file_that_was_cut_anywhere_gives_what_is_there_or_is_refused() -> None:
    whole = KINDS["extensible, 24 bits, stereo"]
    for end in range(0, len(whole), 7):
        with contextlib.suppress(AudioError):
            audio, _ = read_wav(io.BytesIO(whole[:end]))
            assert len(audio) <= 2 * len(TONE)


def test_our_own_recording_of_a_call_can_be_said_again(tmp_path: Path) -> None:
    write_stereo_wav(tmp_path / "call.wav", TONE.tobytes(), TONE.tobytes(), AudioFormat(Encoding.PCM16, 8_000))
    assert read_wav(tmp_path / "call.wav") == (TONE.tobytes(), AudioFormat(Encoding.PCM16, 8_000))


@pytest.mark.parametrize(
    "content", [riff(2, 4, b"x"), riff(1, 12, b"xx"), riff(3, 16, b"xx"), riff(1, 16, b"", channels=0)]
)
def test_what_is_not_read_is_told_with_a_way_out(content: bytes) -> None:
    with pytest.raises(AudioError, match=r"A WAV file of another kind.*ffmpeg -i"):
        read_wav(io.BytesIO(content))


@pytest.mark.parametrize(
    "content",
    [riff(1, 16, b"xx").replace(struct.pack("<I", 8_000), struct.pack("<I", 1_000)), riff(1, 16, b"xx")[:30]],
    ids=["1 kHz", "cut"],
)
def test_a_wrong_rate_and_a_cut_header_have_the_same_way_out(content: bytes) -> None:
    with pytest.raises(AudioError, match="ffmpeg -i"):
        read_wav(io.BytesIO(content))


@pytest.mark.parametrize("rate", [4_000, 7_919, 11_127, 44_056, 192_000])
def test_any_other_rate_is_taken_for_one_that_is_converted(tmp_path: Path, rate: int) -> None:
    tone = np.sin(np.arange(rate) * 2 * np.pi * 440 / rate) * 8_000
    path = write(tmp_path / "odd.wav", rate=rate, audio=tone.astype("<i2").tobytes())
    heard = np.frombuffer(read_wav_as(path, PCM16_16000), "<i2")
    assert len(heard) == pytest.approx(16_000, rel=0.004)
    loudest = np.argmax(np.abs(np.fft.rfft(heard * np.hanning(len(heard))))) * 16_000 / len(heard)
    assert loudest == pytest.approx(440, rel=0.004)


def test_a_rate_without_a_conversion_is_told_with_those_that_have_one_and_a_way_out(tmp_path: Path) -> None:
    path = write(tmp_path / "odd.wav", rate=189_999, audio=bytes(200))
    with pytest.raises(AudioError, match=r"(?s)8000, .*48000 or 96000 Hz\. Got 189999 Hz.*ffmpeg -i FILE -ar 16000"):
        read_wav_as(path, AudioFormat(Encoding.PCM16, 44_100))


@pytest.mark.parametrize("target", [ULAW_8000, PCM16_16000, AudioFormat(Encoding.PCM16, 24_000)], ids=str)
@pytest.mark.parametrize("rate", [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000])
def test_the_usual_rates_become_each_of_a_call(tmp_path: Path, rate: int, target: AudioFormat) -> None:
    path = write(tmp_path / "usual.wav", rate=rate, audio=bytes(2 * rate // 5))
    assert len(read_wav_as(path, target)) == target.size(200)


@given(st.binary(max_size=200))
def test_whatever_stands_behind_the_header_raises_nothing_else(rest: bytes) -> None:
    with contextlib.suppress(AudioError):
        read_wav(io.BytesIO(b"RIFF\0\0\0\0WAVE" + rest))
        read_wav(io.BytesIO(b"RIFF\0\0\0\0WAVEfmt " + rest))


ABOUT_FILES = ("docs/tutorial/first-call.md", "docs/how-to/test-your-agent.md", "patter_core/cli/simulate.py")


@pytest.mark.parametrize("place", ABOUT_FILES)
def test_what_is_read_is_said_where_users_are_told_to_give_a_file(place: str) -> None:
    assert READ in " ".join((Path(__file__).parents[2] / place).read_text().split())
