"""`patter simulate --microphone`, with a fake of the library `sounddevice`: its streams are called by a thread."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import cast

import anyio
import pytest
from click.testing import CliRunner, Result

from patter_core import Registry
from patter_core.audio import PCM16_16000, ULAW_8000
from patter_core.cli.microphone import LiveCaller, open_microphone
from patter_core.cli.simulate import simulate
from patter_core.errors import ConfigurationError
from patter_core.testing.caller import Caller
from patter_elevenlabs.testing import ElevenLabsEmulator
from tests.polling import until

STATUS = SimpleNamespace(input_overflow=False)
LOUD = b"\x00\x40" * 320
"""20 ms at 16 kHz."""


class FakeStream:
    """A stream of the library, whose thread calls back each 20 ms until it is closed."""

    def __init__(
        self, *, samplerate: int, blocksize: int, channels: int, dtype: str, callback: Callable[..., None], says: bytes
    ) -> None:
        assert (channels, dtype, blocksize) == (1, "int16", samplerate // 50)
        self.size, self.callback, self.says, self.played = blocksize * 2, callback, says, bytearray()
        self.closed = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def start(self) -> None:
        self.thread.start()

    def run(self) -> None:
        while not self.closed.wait(0.02):
            block, self.says = self.says[: self.size], self.says[self.size :]
            data = bytearray(block.ljust(self.size, b"\0"))
            self.callback(memoryview(data), len(data) // 2, None, STATUS)
            self.played += data

    def abort(self) -> None:
        raise OSError("The device is gone.")  # what is left of a stream is closed all the same

    def close(self) -> None:
        self.closed.set()
        self.thread.join()


class FakeLibrary:
    """Of devices that take 16 kHz only."""

    def __init__(self) -> None:
        self.streams: list[FakeStream] = []
        self.says = b""

    def query_devices(self, *, kind: str) -> dict[str, float]:
        return {"default_samplerate": 16_000.0}

    def check_input_settings(self, *, samplerate: int, **_others: object) -> None:
        if samplerate != 16_000:
            raise ValueError("Invalid sample rate")

    check_output_settings = check_input_settings

    def RawInputStream(self, **options: object) -> FakeStream:  # noqa: N802 - as in the library
        self.streams.append(FakeStream(**options, says=self.says))  # type: ignore[arg-type] # as they come
        return self.streams[-1]

    RawOutputStream = RawInputStream


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> FakeLibrary:
    fake = FakeLibrary()
    monkeypatch.setitem(sys.modules, "sounddevice", cast("ModuleType", fake))
    return fake


async def end_when(condition: Callable[[], bool], engine: ElevenLabsEmulator) -> None:
    await until(condition, within=30)
    await engine.end()


@pytest.mark.anyio
async def test_a_person_is_heard_hears_the_agent_and_is_recorded(
    library: FakeLibrary, monkeypatch: pytest.MonkeyPatch, tmp_path: os.PathLike[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATTER_CARRIER", "twilio")
    monkeypatch.setenv("PATTER_ENGINE", "elevenlabs")
    registry = Registry.discover()
    library.says = bytes(len(LOUD) * 50) + LOUD * 100  # the agent greets, and is interrupted after a second

    def run() -> Result:
        return CliRunner().invoke(simulate, ["--microphone", "--longest", "30"], obj=registry)

    def both_were_heard() -> bool:
        return len(library.streams) == 2 and any(library.streams[1].played) and len(library.streams[0].played) > 64_000

    with anyio.fail_after(60):
        async with ElevenLabsEmulator() as engine:
            for name, value in (
                ("API_KEY", engine.api_key),
                ("AGENT_ID", engine.agent_id),
                ("BASE_URL", engine.base_url),
            ):
                monkeypatch.setenv(f"ELEVENLABS_{name}", value)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(end_when, both_were_heard, engine)
                result = await anyio.to_thread.run_sync(run)
    assert result.exit_code == 0, result.output
    microphone, loudspeaker = library.streams
    assert any(loudspeaker.played)
    assert microphone.closed.is_set()
    assert loudspeaker.closed.is_set()
    recorded = await anyio.Path("patter-simulation/call.wav").read_bytes()
    assert sum(map(bool, recorded[44::4])) > 4_000, "the caller is on the left"


def test_what_is_said_in_a_frame_goes_out_in_one_and_what_is_heard_is_played() -> None:
    caller = LiveCaller(PCM16_16000, 16_000, 16_000)
    assert caller.next(False).audio == bytes(640)
    caller.microphone.on_input(memoryview(LOUD), 320, None, STATUS)
    assert caller.next(False).audio == LOUD
    caller.hear(LOUD)
    played = bytearray(640)
    caller.loudspeaker.on_output(memoryview(played), 320, None, STATUS)
    assert played == LOUD
    caller.loudspeaker.on_output(memoryview(played), 320, None, STATUS)
    assert not any(played)
    caller.hang_up()
    assert caller.next(False).hang_up


def test_of_what_waits_the_newest_is_kept_and_what_is_dropped_is_told() -> None:
    caller = LiveCaller(PCM16_16000, 16_000, 16_000)
    for _ in range(12):
        caller.microphone.on_input(memoryview(LOUD), 320, None, STATUS)
    assert caller.next(False).audio == bytes(640), "what was said before the call is no part of it"
    for number in range(12):
        caller.microphone.on_input(memoryview(bytes([number]) * 640), 320, None, STATUS)
        caller.hear(LOUD)
    assert caller.next(False).audio == bytes([2]) * 640
    assert [fault.split(" were")[0] for fault in caller.faults] == [
        "40 ms of audio of the microphone",
        "40 ms of audio of the loudspeaker",
    ]
    assert not caller.has_failed


def test_a_device_that_calls_no_more_ends_the_call() -> None:
    now = 100.0
    caller = LiveCaller(ULAW_8000, 8_000, 8_000, clock=lambda: now)
    caller.next(False)
    for _ in range(2):
        now += 4
        caller.loudspeaker.on_output(memoryview(bytearray(320)), 160, None, STATUS)
        assert caller.next(False).hang_up is (now > 105)
    assert caller.next(False).hang_up
    assert caller.faults == ["The microphone stopped during the call, which was hung up. Was it removed?"]
    assert caller.has_failed


@pytest.fixture
def interrupts() -> Iterator[None]:
    """SIGINT is handled as in a new process."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("library", "interrupts")
def test_ctrl_c_hangs_up_and_a_second_one_interrupts() -> None:
    with open_microphone(ULAW_8000) as caller:
        assert isinstance(caller, Caller)
        signal.raise_signal(signal.SIGINT)
        assert caller.next(False).hang_up
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ModuleNotFoundError("sounddevice"), r"patter-core\[microphone\]"),
        (OSError("PortAudio library not found"), "Install PortAudio"),
        (SystemExit(3), "cannot be used"),
    ],
)
def test_a_library_that_is_not_there_is_told(error: BaseException, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_name: str) -> None:
        raise error

    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(ConfigurationError, match=told), open_microphone(ULAW_8000):
        pass


@pytest.mark.parametrize("method", ["query_devices", "RawOutputStream"])
def test_a_device_that_is_not_there_is_told_and_the_other_one_closed(
    method: str, library: FakeLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_options: object) -> None:
        raise RuntimeError("Error querying device -1")

    monkeypatch.setattr(library, method, fail)
    with pytest.raises(ConfigurationError, match="Error querying device -1"), open_microphone(ULAW_8000):
        pass
    assert all(stream.closed.is_set() for stream in library.streams)


def test_lines_beside_a_microphone_are_an_error_of_usage(
    monkeypatch: pytest.MonkeyPatch, tmp_path: os.PathLike[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(simulate, ["--microphone", "goodbye"], obj=Registry.discover())
    assert result.exit_code == 2
