"""Makes the recordings anew: `python -m tests.turns.recordings.make`. It needs espeak-ng 1.51 and SoX 14.4.2.

The speech is synthesised: espeak-ng tells where in its audio each word begins, so that the truth is known and not
labelled by ear. Everything is cut to the band of a telephone, and written as μ-law at 8 kHz.
"""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from patter_core.audio import ULAW_8000, AudioFormat, Encoding
from patter_core.audio.transcode import transcode
from tests.turns.clips import Clip, ClipWord

__all__ = ["main"]

_FOLDER = Path(__file__).parent
_LINEAR = AudioFormat(Encoding.PCM16, 8_000)
_PEAK = 0.63
"""-4 dB of full scale."""
_SOUND = 0.02
"""Of the peak: what is quieter, at both ends, is cut off."""

# name: voice, words a minute, text
_SPEECH: dict[str, tuple[str, int, str]] = {
    "book": ("en-gb+m3", 165, "Hi, I would like to book a table for two this evening."),
    "hours": ("en-us+f3", 175, "What time do you close on Sundays?"),
    "cancel": ("en-gb-scotland+m5", 155, "I need to cancel my appointment."),
    "fast": ("en-us+m7", 215, "Yeah hi I'm calling about the invoice you sent me last week."),
    "slow": ("en-gb+f2", 115, "Could you tell me where you are?"),
    "italian": ("it+f2", 165, "Vorrei prenotare un tavolo per stasera."),
    "german": ("de+m4", 160, "Ich möchte gern einen Tisch reservieren."),
    "yes": ("en-us+f3", 170, "Yes."),
    "no": ("en-gb+m3", 170, "No."),
    "two": ("en-gb+f2", 160, "Two."),
    "seven": ("en-us+m7", 160, "At seven."),
    "thanks": ("en-gb-scotland+m5", 165, "Thank you, goodbye."),
    "start_table": ("en-gb+m3", 165, "I would like to book a table"),
    "rest_friday": ("en-gb+m3", 165, "for four people on Friday."),
    "start_um": ("en-us+f3", 160, "I was wondering if, um"),
    "rest_change": ("en-us+f3", 165, "we could change the time to eight."),
    "start_because": ("en-gb-scotland+m5", 160, "I am calling because"),
    "rest_parcel": ("en-gb-scotland+m5", 160, "my parcel never arrived."),
    "start_it": ("it+f2", 165, "Vorrei cambiare"),
    "rest_it": ("it+f2", 165, "la prenotazione di domani."),
    "my_number": ("en-us+m7", 160, "My number is"),
    "digits_a": ("en-us+m7", 130, "five five five"),
    "digits_b": ("en-us+m7", 130, "one two"),
    "digits_c": ("en-us+m7", 130, "three four"),
    "card_a": ("en-gb+f2", 120, "four one two"),
    "card_b": ("en-gb+f2", 120, "eight nine"),
    "card_c": ("en-gb+f2", 120, "zero zero seven"),
    "name_is": ("en-gb+m3", 160, "It is spelled"),
    "spell_a": ("en-gb+m3", 120, "B R"),
    "spell_b": ("en-gb+m3", 120, "O W"),
    "spell_c": ("en-gb+m3", 120, "N E"),
    "mhm": ("en-us+f3", 150, "[[m@h'@m]]"),
    "yeah": ("en-gb+m3", 170, "yeah"),
    "okay": ("en-us+m7", 170, "okay"),
    "uh_huh": ("en-gb+f2", 150, "uh huh"),
    "wait": ("en-gb+m3", 170, "No, wait, that is wrong."),
    "stop": ("en-us+f3", 175, "Stop."),
    "sorry": ("en-us+m7", 170, "Sorry, can I ask something?"),
    "question": ("en-gb-scotland+m5", 165, "How much does that cost?"),
    "hello": ("en-gb+f2", 160, "Hello?"),
    "agent": ("en-us+f4", 165, "Our kitchen is open from noon until ten, and the terrace closes at nine."),
}
_UNHEARD = frozenset({"mhm", "uh_huh"})
"""Sounds that recognition leaves out, as a rule."""
_BABBLE = (
    ("en-us+m1", 150, "The train to the north leaves from the second platform, and it is late again today."),
    ("en-gb+f5", 170, "She told me that they moved last winter, but nothing has been unpacked since."),
    ("de+m2", 160, "Gestern war es so warm, dass wir den ganzen Abend draußen gesessen haben."),
    ("it+m3", 165, "Domani mattina devo passare in banca e poi andare a prendere i bambini."),
    ("fr+f3", 160, "On se retrouve devant le cinéma vers huit heures, si tout va bien."),
)

Samples = NDArray[np.float64]


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


_END_OF_LIST, _WORD, _PHONEMES = 0, 1, 0x100
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class _Voice:
    """espeak-ng, by its library: its program does not tell where words begin."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libespeak-ng.so.1")
        self.rate = int(self._library.espeak_Initialize(2, 0, None, 0))
        self._audio: list[int] = []
        self._starts: list[tuple[int, float]] = []
        self._callback = _CALLBACK(self._take)
        self._library.espeak_SetSynthCallback(self._callback)

    def say(self, voice: str, pace: int, text: str) -> tuple[Samples, dict[int, float]]:
        """Returns the audio, and by place in the text the second at which a word begins."""
        self._audio.clear()
        self._starts.clear()
        self._library.espeak_SetVoiceByName(voice.encode())
        self._library.espeak_SetParameter(1, pace, 0)
        data = text.encode() + b"\0"
        self._library.espeak_Synth(data, len(data), 0, 1, 0, _PHONEMES | 1, None, None)
        return np.array(self._audio, np.float64) / 32_768, dict(self._starts)

    def _take(self, audio: ctypes._Pointer[ctypes.c_short], count: int, events: ctypes._Pointer[_Event]) -> int:
        if count:
            self._audio.extend(audio[:count])
        at = 0
        while events[at].type != _END_OF_LIST:
            if events[at].type == _WORD:
                self._starts.append((events[at].text_position - 1, events[at].audio_ms / 1000))
            at += 1
        return 0


def _sox(samples: Samples, rate: int, *effects: str) -> Samples:
    """Runs effects, to 8 kHz."""
    raw = ["-t", "raw", "-e", "signed", "-b", "16", "-c", "1"]
    command = ["sox", "-D", *raw, "-r", str(rate), "-", *raw, "-r", "8000", "-", *effects]
    given = (np.clip(samples, -1, 1) * 32_767).astype("<i2").tobytes()
    made = subprocess.run(command, input=given, capture_output=True, check=True).stdout
    return np.frombuffer(made, "<i2").astype(np.float64) / 32_768


def _telephone(samples: Samples, rate: int) -> Samples:
    made = _sox(samples * 0.5 / max(1e-9, float(np.abs(samples).max())), rate, "rate", "-h", "8k", "sinc", "250-3500")
    return made * _PEAK / float(np.abs(made).max())


def _cut(samples: Samples) -> tuple[Samples, float]:
    """Returns the sound without the silence around it, and the seconds that were cut off before it."""
    loud = np.flatnonzero(np.abs(samples) > _SOUND * np.abs(samples).max())
    return samples[loud[0] : loud[-1] + 1], float(loud[0]) / 8_000


def _noise(seconds: float, seed: int) -> Samples:
    return np.random.default_rng(seed).normal(0, 0.2, int(8_000 * seconds))


def _faded(samples: Samples, attack: float, decay: float) -> Samples:
    """Returns the samples, which rise for some seconds and then fall by a time constant."""
    at = np.arange(len(samples)) / 8_000
    return samples * np.minimum(1, at / attack) * np.exp(-np.maximum(0, at - attack) / decay)


def _cough() -> Samples:
    """Two bursts of breath through a throat: noise, with resonances, and a little voice."""
    at = np.arange(int(8_000 * 0.28)) / 8_000
    voice = np.sign(np.sin(2 * np.pi * 140 * at)) * 0.05
    burst = _faded(_noise(0.28, 3) + voice, 0.012, 0.07)
    shaped = _sox(burst, 8_000, "equalizer", "600", "1q", "9", "equalizer", "1500", "1.5q", "7", "sinc", "250-3200")
    return np.concatenate([shaped, np.zeros(int(8_000 * 0.16)), shaped * 0.7])


def _music() -> Samples:
    """Four chords of plucked strings, with a bass, as an old telephone plays while one waits."""
    chords = ((262, 330, 392), (220, 262, 330), (175, 220, 262), (196, 247, 294))
    made = np.zeros(8_000 * 6)
    for beat in range(12):
        for tone in chords[beat // 3]:
            at = np.arange(int(8_000 * 0.5)) / 8_000
            pluck = sum(np.sin(2 * np.pi * tone * k * at) / k for k in range(1, 7))
            made[beat * 4_000 : beat * 4_000 + len(at)] += _faded(np.asarray(pluck), 0.004, 0.18)
    return made


def _babble(voice: _Voice) -> Samples:
    made = np.zeros(8_000 * 6)
    for pace, (name, rate, text) in enumerate(_BABBLE):
        audio = _telephone(voice.say(name, rate, text)[0], voice.rate)
        made += np.roll(np.resize(audio, len(made)), pace * 4_400)
    return made


def _write(clip: Clip, samples: Samples) -> Clip:
    peak = samples * _PEAK / float(np.abs(samples).max())
    linear = (peak * 32_767).astype("<i2").tobytes()
    (_FOLDER / f"{clip.name}.ulaw").write_bytes(transcode(linear, _LINEAR, ULAW_8000))
    return clip


def _speech(voice: _Voice, name: str) -> Clip:
    speaker, pace, text = _SPEECH[name]
    audio, starts = voice.say(speaker, pace, text)
    samples, cut = _cut(_telephone(audio, voice.rate))
    length_ms = len(samples) / 8
    places = [max(0.0, (at - cut) * 1000) for at in _word_starts(text, starts, len(audio) / voice.rate)]
    words = tuple(
        ClipWord(text=piece, start_ms=round(start), end_ms=round(end))
        for piece, start, end in zip(text.split(), places, [*places[1:], length_ms], strict=True)
    )
    return _write(Clip(name=name, voice=speaker, pace=pace, words=() if name in _UNHEARD else words), samples)


def _word_starts(text: str, starts: dict[int, float], length: float) -> list[float]:
    """Returns when each word begins, in s. Of words that espeak-ng says as one ("of the"), each has its share."""
    places, at = list[int](), 0
    for piece in text.split():
        at = text.index(piece, at)
        places.append(at)
        at += len(piece)
    known = {place: starts[place] for place in places if place in starts}
    known.setdefault(0, 0.0)
    known[len(text)] = length
    return [float(np.interp(place, sorted(known), sorted(known.values()))) for place in places]


def main() -> None:
    """Writes all files."""
    voice = _Voice()
    clips = [_speech(voice, name) for name in _SPEECH]
    click = _faded(_noise(0.03, 5), 0.001, 0.006)
    slam = _sox(_faded(_noise(0.35, 6), 0.002, 0.06), 8_000, "sinc", "250-900")
    keyboard = np.concatenate(
        [np.pad(_faded(_noise(0.02, 7 + n), 0.001, 0.005), (0, 1_040 + 160 * n)) for n in range(7)]
    )
    sounds = {
        "click": click,
        "slam": slam,
        "keyboard": keyboard,
        "cough": _cough(),
        "music": _telephone(_music(), 8_000),
        "babble": _babble(voice),
        "street": _sox(_noise(4, 11), 8_000, "lowpass", "500", "lowpass", "900", "sinc", "200-3400"),
    }
    clips += [_write(Clip(name=name), samples) for name, samples in sounds.items()]
    (_FOLDER / "clips.json").write_bytes(msgspec.json.format(msgspec.json.encode(clips), indent=1) + b"\n")


if __name__ == "__main__":
    main()
