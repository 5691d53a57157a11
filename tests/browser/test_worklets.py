"""The audio worklets of the phone's page, by themselves, on audio that a program makes: in a real Chromium."""

from __future__ import annotations

import base64

import numpy as np
import numpy.typing as npt
import pytest
from playwright.async_api import Page

from tests.browser.chromium import Watched, needs_chromium
from tests.browser.phone import BrowserPhone

pytestmark = [pytest.mark.anyio, needs_chromium]

_RECORD = """
async ({ rate, wire, tone, level }) => {
  const context = new OfflineAudioContext(1, rate, rate);
  await context.audioWorklet.addModule('static/microphone.js');
  const microphone = new AudioWorkletNode(context, 'patter-microphone', { processorOptions: { rate: wire } });
  const frames = [];
  microphone.port.onmessage = ({ data }) => data.frame && frames.push(new Uint8Array(data.frame));
  const source = new OscillatorNode(context, { frequency: tone });
  source.connect(new GainNode(context, { gain: level })).connect(microphone).connect(context.destination);
  source.start();
  await context.startRendering();
  await new Promise((resolve) => setTimeout(resolve, 200));
  return frames.map((frame) => btoa(String.fromCharCode(...frame)));
}
"""
_PLAY = """
async ({ pieces, marks, clearAt }) => {
  const context = new OfflineAudioContext(1, 24000, 24000);
  await context.audioWorklet.addModule('static/speaker.js');
  const speaker = new AudioWorkletNode(context, 'patter-speaker', { numberOfInputs: 0, outputChannelCount: [1] });
  const reached = [];
  let report = {};
  speaker.port.onmessage = ({ data }) => (data.mark === undefined ? (report = data) : reached.push(data.mark));
  speaker.connect(context.destination);
  for (const [number, size] of pieces.entries()) {
    speaker.port.postMessage(new Int16Array(size).fill(16384).buffer);
    if (marks.includes(number)) {
      speaker.port.postMessage({ mark: `m${number}` });
    }
  }
  const pause = async () => {  // until the worklet has read its messages: it computes faster than time passes
    await new Promise((resolve) => setTimeout(resolve, 200));
    await context.resume();
  };
  context.suspend(0).then(pause);
  if (clearAt !== null) {
    context.suspend(clearAt).then(() => {
      speaker.port.postMessage({ clear: true });
      return pause();
    });
  }
  const played = (await context.startRendering()).getChannelData(0);
  await new Promise((resolve) => setTimeout(resolve, 200));
  return { reached, report, levels: [...played].map((sample) => Math.round(sample * 1000) / 1000) };
}
"""


@pytest.fixture
async def page(phone: BrowserPhone, browser: Watched) -> Page:
    return await browser.page(phone.url)


async def recorded(page: Page, rate: int, wire: int, tone: float, level: float = 0.5) -> npt.NDArray[np.float64]:
    """Returns a second of a tone at a microphone of that rate, as it goes to the wire."""
    said = {"rate": rate, "wire": wire, "tone": tone, "level": level}
    frames: list[str] = await page.evaluate(_RECORD, said)
    decoded = [base64.b64decode(frame) for frame in frames]
    assert {len(frame) for frame in decoded} == {2 * wire // 50}  # 20 ms
    return np.frombuffer(b"".join(decoded), np.int16).astype(np.float64) / 32768


async def test_every_rate_of_a_microphone_is_brought_to_that_of_the_wire(page: Page) -> None:
    for rate in (8_000, 16_000, 24_000, 44_100, 48_000, 96_000):
        for wire in (16_000, 24_000):
            heard = await recorded(page, rate, wire, 1_000)
            assert abs(len(heard) - wire) <= wire // 50 + 64, (rate, wire)
            middle = heard[wire // 4 : wire // 4 + wire // 2]
            spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)))) / (len(middle) / 4)
            at = 2 * int(np.argmax(spectrum))  # bins are of 2 Hz
            assert at == 1_000, (rate, wire)
            assert spectrum[500] == pytest.approx(0.5, rel=0.02), (rate, wire)
            rest = np.delete(spectrum, range(490, 511))
            assert np.max(rest) < 0.5 * 10 ** (-55 / 20), (rate, wire)  # nothing else above -55 dB


async def test_what_the_wire_cannot_carry_is_left_out_and_not_folded_back(page: Page) -> None:
    for rate, wire, tone in ((48_000, 16_000, 10_000), (48_000, 24_000, 15_000), (44_100, 24_000, 15_000)):
        heard = (await recorded(page, rate, wire, tone))[wire // 4 : -wire // 4]
        assert np.max(np.abs(heard)) < 0.5 * 10 ** (-55 / 20), (rate, wire, tone)


async def test_what_is_too_loud_is_cut_and_does_not_wrap(page: Page) -> None:
    heard = await recorded(page, 48_000, 24_000, 100, level=1.6)
    assert np.max(heard) == 32767 / 32768
    assert np.min(heard) == -1.0
    assert np.max(np.abs(np.diff(heard))) < 0.1


async def test_the_speaker_plays_all_and_returns_its_marks(page: Page) -> None:
    played = await page.evaluate(_PLAY, {"pieces": [2_400, 7, 4_800], "marks": [0, 2], "clearAt": None})
    assert played["levels"].count(0.5) == 7_207
    assert played["reached"] == ["m0", "m2"]
    assert (played["report"]["underruns"], played["report"]["dropped"]) == (0, 0)


async def test_a_short_word_with_a_mark_behind_it_is_played_at_once(page: Page) -> None:
    played = await page.evaluate(_PLAY, {"pieces": [240], "marks": [0], "clearAt": None})
    assert played["levels"].index(0.5) < 256  # 10 ms, though 60 are awaited else
    assert played["reached"] == ["m0"]


async def test_audio_that_ends_without_a_mark_is_a_gap(page: Page) -> None:
    played = await page.evaluate(_PLAY, {"pieces": [240], "marks": [], "clearAt": None})
    assert played["levels"].count(0.5) == 240  # it is played all the same, a little later
    assert played["levels"].index(0.5) >= 0.06 * 24_000 - 256
    assert played["report"]["underruns"] == 1


async def test_a_clear_fades_within_one_block_and_returns_the_marks(page: Page) -> None:
    played = await page.evaluate(_PLAY, {"pieces": [4_800, 4_800], "marks": [0, 1], "clearAt": 0.1})
    levels = np.array(played["levels"])
    start = int(0.1 * 24_000) // 128 * 128
    assert np.all(levels[start + 256 :] == 0)
    assert np.max(np.abs(np.diff(levels[start : start + 256]))) < 0.02  # no click
    assert played["reached"] == ["m0", "m1"]


async def test_more_than_fits_is_dropped_and_counted(page: Page) -> None:
    minute = 60 * 24_000
    played = await page.evaluate(_PLAY, {"pieces": [minute, minute], "marks": [], "clearAt": None})
    assert played["report"]["dropped"] == minute
