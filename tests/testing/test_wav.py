"""WAV files, read back with the standard library's own reader."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np
import pytest

from patter_core.audio import ALAW_8000, PCM16_16000, ULAW_8000, AudioFormat, Encoding
from patter_core.audio.g711 import decode
from patter_core.errors import AudioError
from patter_core.testing.wav import read_wav, write_stereo_wav


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


@pytest.mark.parametrize(("count", "width"), [(2, 2), (1, 1), (1, 3)])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, count: int, width: int) -> None:
    path = write(tmp_path / "line.wav", channels=count, width=width, audio=bytes(count * width))
    with pytest.raises(AudioError, match=f"1 channel, 16 bits. Got {count} channels, {width * 8} bits"):
        read_wav(path)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"not audio at all" * 4])
def test_what_is_no_wav_file_is_refused(content: bytes) -> None:
    with pytest.raises(AudioError, match="Not a WAV file"):
        read_wav(io.BytesIO(content))
