"""G.711 against the recommendation's own rule, written out sample by sample."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_core.audio import Encoding
from patter_core.audio.g711 import alaw_to_ulaw, decode, encode, ulaw_to_alaw
from patter_core.errors import AudioError
from tests.pcm import compress, expand

LAWS = [Encoding.ULAW, Encoding.ALAW]
EVERY_CODE = bytes(range(256))
EVERY_SAMPLE = np.arange(-32_768, 32_768).astype(np.int16)


def ulaw_code(sample: int) -> int:
    """The segment search on 14 bits: the place of the highest bit of the biased magnitude, and the four bits below."""
    magnitude = min((~sample if sample < 0 else sample) // 4 + 33, 0x1FFF)
    segment = magnitude.bit_length() - 6
    step = (magnitude >> (segment + 1)) & 0xF
    return (0x80 if sample >= 0 else 0) | (~(segment << 4 | step) & 0x7F)


def alaw_code(sample: int) -> int:
    """The same on 13 bits, without a bias: the first segment is linear."""
    magnitude = (~sample if sample < 0 else sample) // 16
    segment = max(magnitude.bit_length() - 4, 0)
    step = magnitude & 0xF if segment == 0 else (magnitude >> (segment - 1)) & 0xF
    return ((0x80 if sample >= 0 else 0) | segment << 4 | step) ^ 0x55


def ulaw_sample(code: int) -> int:
    code = ~code & 0xFF
    magnitude = (((2 * (code & 0xF) + 33) << (code >> 4 & 7)) - 33) * 4
    return -magnitude if code & 0x80 else magnitude


def alaw_sample(code: int) -> int:
    code ^= 0x55
    segment, step = code >> 4 & 7, code & 0xF
    magnitude = (2 * step + 1) * 8 if segment == 0 else ((2 * step + 33) << (segment - 1)) * 8
    return magnitude if code & 0x80 else -magnitude


def test_every_ulaw_sample_gets_the_code_of_the_recommendation() -> None:
    assert compress(EVERY_SAMPLE, Encoding.ULAW) == bytes(ulaw_code(sample) for sample in range(-32_768, 32_768))


def test_every_alaw_sample_gets_the_code_of_the_recommendation() -> None:
    assert compress(EVERY_SAMPLE, Encoding.ALAW) == bytes(alaw_code(sample) for sample in range(-32_768, 32_768))


def test_every_code_stands_for_the_sample_of_the_recommendation() -> None:
    assert expand(EVERY_CODE, Encoding.ULAW).tolist() == [ulaw_sample(code) for code in range(256)]
    assert expand(EVERY_CODE, Encoding.ALAW).tolist() == [alaw_sample(code) for code in range(256)]


@pytest.mark.parametrize(
    ("law", "code", "sample"),
    [
        (Encoding.ULAW, 0x80, 32_124),
        (Encoding.ULAW, 0x00, -32_124),
        (Encoding.ULAW, 0xFF, 0),
        (Encoding.ULAW, 0x7F, 0),
        (Encoding.ULAW, 0xFE, 8),
        (Encoding.ULAW, 0xEF, 132),
        (Encoding.ALAW, 0xAA, 32_256),
        (Encoding.ALAW, 0x2A, -32_256),
        (Encoding.ALAW, 0xD5, 8),
        (Encoding.ALAW, 0x55, -8),
    ],
)
def test_known_codes(law: Encoding, code: int, sample: int) -> None:
    assert decode(bytes([code]), law) == struct.pack("<h", sample)


def test_a_code_survives_the_way_through_linear() -> None:
    assert encode(decode(EVERY_CODE, Encoding.ALAW), Encoding.ALAW) == EVERY_CODE
    # μ-law writes zero in two ways; what comes back is the positive one.
    assert encode(decode(EVERY_CODE, Encoding.ULAW), Encoding.ULAW) == EVERY_CODE.replace(b"\x7f", b"\xff")


@pytest.mark.parametrize("law", LAWS)
def test_a_louder_sample_never_gets_a_quieter_code(law: Encoding) -> None:
    heard = expand(compress(EVERY_SAMPLE, law), law)
    assert (np.diff(heard) >= 0).all()


@pytest.mark.parametrize("law", LAWS)
def test_the_error_is_at_most_half_a_step(law: Encoding) -> None:
    sample = EVERY_SAMPLE[np.abs(EVERY_SAMPLE.astype(int)) <= 32_000].astype(int)
    error = np.abs(expand(compress(sample.astype(np.int16), law), law) - sample)
    # Steps are 8 (μ-law) or 16 (A-law) near zero, and a sixteenth of the segment's start at most further out.
    assert (error <= np.maximum(8, (np.abs(sample) + 132) / 32)).all()


@pytest.mark.parametrize("law", LAWS)
def test_silence_is_silence(law: Encoding) -> None:
    assert abs(int(expand(encode(b"\0\0", law), law)[0])) <= 8


def test_one_law_becomes_the_other_as_if_by_way_of_linear() -> None:
    assert ulaw_to_alaw(EVERY_CODE) == encode(decode(EVERY_CODE, Encoding.ULAW), Encoding.ALAW)
    assert alaw_to_ulaw(EVERY_CODE) == encode(decode(EVERY_CODE, Encoding.ALAW), Encoding.ULAW)


def test_changing_the_law_costs_at_most_a_step() -> None:
    before = expand(EVERY_CODE, Encoding.ULAW).astype(int)
    after = expand(alaw_to_ulaw(ulaw_to_alaw(EVERY_CODE)), Encoding.ULAW).astype(int)
    assert (np.abs(after - before) <= np.maximum(16, (np.abs(before) + 132) / 16)).all()


@given(st.binary(max_size=400), st.sampled_from(LAWS))
def test_any_bytes_are_codes(data: bytes, law: Encoding) -> None:
    pcm = decode(data, law)
    assert len(pcm) == 2 * len(data)
    assert decode(encode(pcm, law), law) == pcm


@pytest.mark.parametrize("law", LAWS)
def test_half_a_sample_is_refused(law: Encoding) -> None:
    with pytest.raises(AudioError, match=r"middle of a sample.*3 bytes"):
        encode(b"\0\0\0", law)
