"""A caller who is a person: the default microphone and loudspeaker of this machine, by the library `sounddevice`.

The library is loaded only when it is asked for; the extra `patter-core[microphone]` installs it. It calls back in
threads of its own, where blocks of audio are only handed over: everything else happens on the event loop.
"""

from __future__ import annotations

import contextlib
import importlib
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Protocol, cast

from patter_core.aio.foreign import as_exception
from patter_core.audio import AudioChunk, AudioFormat, Encoding
from patter_core.audio.framer import Framer
from patter_core.audio.transcode import Transcoder
from patter_core.errors import ConfigurationError
from patter_core.testing.caller import FRAME_MS, Caller, CallerFrame

__all__ = ["LiveCaller", "open_microphone"]

_LONGEST_QUEUE = 10
"""Blocks of 20 ms between a device and the call, in each direction."""
_GONE_AFTER = 5.0
"""Seconds without a call of the library, after which a device is taken for gone."""


class _Status(Protocol):
    input_overflow: bool


class _Stream(Protocol):
    def start(self) -> None: ...

    def abort(self) -> None: ...

    def close(self) -> None: ...


class _Library(Protocol):
    """Of `sounddevice`, which has no types."""

    def query_devices(self, *, kind: str) -> dict[str, float]: ...

    def check_input_settings(self, *, channels: int, dtype: str, samplerate: float) -> None: ...

    def check_output_settings(self, *, channels: int, dtype: str, samplerate: float) -> None: ...

    RawInputStream: Callable[..., _Stream]
    RawOutputStream: Callable[..., _Stream]


class _Device:
    """Hands blocks between the thread of a device and the event loop: the newest are kept, dropped ones are counted."""

    def __init__(self, name: str, clock: Callable[[], float]) -> None:
        self.name = name
        self.dropped = 0
        self._clock = clock
        self._blocks: deque[bytes] = deque()
        self._lock = threading.Lock()
        self._called = clock()

    @property
    def is_gone(self) -> bool:
        """True if the library calls no more."""
        return self._clock() - self._called > _GONE_AFTER

    def put(self, block: bytes) -> None:
        with self._lock:
            self._blocks.append(block)
            if len(self._blocks) > _LONGEST_QUEUE:
                self._blocks.popleft()
                self.dropped += 1

    def take(self) -> bytes:
        """Returns the oldest block; nothing if there is none."""
        with self._lock:
            return self._blocks.popleft() if self._blocks else b""

    def clear(self) -> None:
        """Forgets what was before the call."""
        with self._lock:
            self._blocks.clear()
            self.dropped = 0
            self._called = self._clock()

    def on_input(self, data: memoryview, _frames: int, _time: object, status: _Status) -> None:
        """Is called by the library, in its thread, with what was said."""
        self._called = self._clock()
        self.dropped += bool(status.input_overflow)
        self.put(bytes(data))

    def on_output(self, data: memoryview, _frames: int, _time: object, _status: _Status) -> None:
        """Is called by the library, in its thread, for what is played next: silence where there is nothing yet."""
        self._called = self._clock()
        data[:] = self.take() or bytes(len(data))


class LiveCaller(Caller):
    """A caller who speaks and listens. They hang up by `hang_up`, or when one of their devices is gone.

    Args:
        format: the call's.
        input_rate: of the microphone, in Hz; its blocks are PCM16 of a frame each.
        output_rate: of the loudspeaker, as above.
        clock: the present time, in s.
    """

    def __init__(
        self, format: AudioFormat, input_rate: int, output_rate: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__((), format)
        self.microphone = _Device("microphone", clock)
        self.loudspeaker = _Device("loudspeaker", clock)
        self._said, self._heard = AudioFormat(Encoding.PCM16, input_rate), AudioFormat(Encoding.PCM16, output_rate)
        self._to_call, self._from_call = Transcoder(self._said, format), Transcoder(format, self._heard)
        self._frames_said, self._frames_heard = (
            Framer(format, frame_ms=FRAME_MS),
            Framer(self._heard, frame_ms=FRAME_MS),
        )
        self._began = False
        self._left = False
        self._gone: list[str] = []

    @property
    def faults(self) -> list[str]:
        """What a device did wrong, as sentences."""
        devices = (self.microphone, self.loudspeaker)
        return self._gone + [
            f"{device.dropped * FRAME_MS} ms of audio of the {device.name} were dropped: more than 200 ms waited."
            for device in devices
            if device.dropped
        ]

    @property
    def has_failed(self) -> bool:
        """True if a device is gone, which ended the call."""
        return bool(self._gone)

    def hang_up(self) -> None:
        """Ends the call with the next frame."""
        self._left = True

    def next(self, agent_audible: bool) -> CallerFrame:
        if not self._began:
            self._began = True
            self.microphone.clear()
            self.loudspeaker.clear()
        self._watch()
        audio = self._say_next()
        return CallerFrame(audio, hang_up=self._left)

    def hear(self, audio: bytes) -> None:
        heard = self._from_call.convert(AudioChunk(audio, self.format))
        for frame in self._frames_heard.push(heard) if heard else ():
            self.loudspeaker.put(frame.data)

    def _say_next(self) -> bytes:
        block = self.microphone.take()
        said = self._to_call.convert(AudioChunk(block, self._said)) if block else None
        for frame in self._frames_said.push(said) if said else ():
            return frame.data  # blocks are frames, so that there is one at most
        return self._silence.audio

    def _watch(self) -> None:
        if not self._left:
            gone = [device.name for device in (self.microphone, self.loudspeaker) if device.is_gone]
            self._gone = [f"The {name} stopped during the call, which was hung up. Was it removed?" for name in gone]
            self._left = bool(gone)


@contextlib.contextmanager
def open_microphone(format: AudioFormat) -> Iterator[LiveCaller]:
    """Opens the default devices for a call in that format. Ctrl-C hangs up, and a second one interrupts.

    Raises:
        ConfigurationError: the library or a device is not there, or cannot be used.
    """
    library = _library()
    with contextlib.ExitStack() as opened:
        rates = (_rate(library, "input", format), _rate(library, "output", format))
        caller = LiveCaller(format, *rates)
        callbacks = (caller.microphone.on_input, caller.loudspeaker.on_output)
        kinds = (library.RawInputStream, library.RawOutputStream)
        for device, kind, rate, callback in zip(("input", "output"), kinds, rates, callbacks, strict=True):
            with _told(device):
                stream = kind(
                    samplerate=rate, blocksize=rate * FRAME_MS // 1000, channels=1, dtype="int16", callback=callback
                )
                opened.callback(_close, stream)
                stream.start()
        opened.enter_context(_hang_up_on_interrupt(caller))
        yield caller


def _library() -> _Library:
    try:
        return cast("_Library", importlib.import_module("sounddevice"))
    except ModuleNotFoundError:
        raise ConfigurationError(
            "--microphone needs a package that is not installed.",
            expected="sounddevice, with which patter-core[microphone] comes",
            remedy="pip install 'patter-core[microphone]'",
        ) from None
    except BaseException as error:  # noqa: BLE001 - of the library
        raise ConfigurationError(
            "The package sounddevice cannot be used.",
            expected="the library PortAudio",
            got=str(as_exception(error)),
            remedy="Install PortAudio: apt install libportaudio2, or brew install portaudio.",
        ) from None


def _rate(library: _Library, kind: str, format: AudioFormat) -> int:
    """Returns the call's own rate where the device takes it, else the device's."""
    with _told(kind):
        own = round(library.query_devices(kind=kind)["default_samplerate"])
    check = library.check_input_settings if kind == "input" else library.check_output_settings
    try:
        check(channels=1, dtype="int16", samplerate=format.sample_rate)
    except BaseException as error:  # noqa: BLE001 - of the library
        as_exception(error)
        return own
    return format.sample_rate


@contextlib.contextmanager
def _told(kind: str) -> Iterator[None]:
    """Makes what the library raises an error of ours."""
    name = "microphone" if kind == "input" else "loudspeaker"
    try:
        yield
    except BaseException as error:  # noqa: BLE001 - of the library
        raise ConfigurationError(
            f"The default {name} cannot be used.",
            expected=f"a {name} that the system has as its default, and that programs may use",
            got=str(as_exception(error)),
            remedy="`python -m sounddevice` lists the devices. Without one, let the caller say a WAV file.",
        ) from None


def _close(stream: _Stream) -> None:
    """Closes a stream whose device may be gone: then there is nothing left to close."""
    for close in (stream.abort, stream.close):
        try:
            close()
        except BaseException as error:  # noqa: BLE001 - of the library
            as_exception(error)


@contextlib.contextmanager
def _hang_up_on_interrupt(caller: LiveCaller) -> Iterator[None]:
    """Does nothing outside of the main thread, which is where Python handles signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def hang_up(_number: int, _frame: FrameType | None) -> None:
        caller.hang_up()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, hang_up)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
