"""What all tests of the core share."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.site import Site
from tests.transports import TRANSPORT

_SLOW_PROGRAM = """\
import sys, time
sys.begun.set()
deadline = time.monotonic() + 20
while not sys.told():
    if time.monotonic() > deadline:
        raise TimeoutError("nothing was told")
    time.sleep(0.01)
"""
_PREFIXES = ("PATTER_", "BROWSER_", "TWILIO_", "TELNYX_", "VONAGE_", "PLIVO_", "DEEPGRAM_", "ELEVENLABS_", "OPENAI_")


@pytest.fixture
def anyio_backend() -> str:
    """The servers and clients here are asyncio's: no other backend would test what is shipped."""
    return "asyncio"


@pytest.fixture
def socket_folder() -> Iterator[Path]:
    """A folder for sockets: their paths may have 103 characters (macOS) or 107 (Linux), and those of pytest more."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder).resolve()


@pytest.fixture(autouse=True, scope="session")
def _heard_hangup() -> None:
    """Servers started by tests inherit how SIGHUP is handled: under nohup they would have to ignore it."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True, scope="session")
def _clean_environment() -> Iterator[None]:
    """No test may find a setting or an account in the environment that it did not put there, but for the transport."""
    with pytest.MonkeyPatch.context() as patch:
        for variable in list(os.environ):
            if variable.startswith(_PREFIXES):
                patch.delenv(variable)
        patch.setenv("PATTER_TRANSPORT", TRANSPORT)
        yield


@pytest.fixture
def slow_program(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> str:
    """The begin of a program that goes on once something is logged. Timers are over as soon as it runs."""
    begun = threading.Event()

    class Timer(threading.Timer):
        def run(self) -> None:
            if begun.wait(20):
                self.function(*self.args, **self.kwargs)

    monkeypatch.setattr(threading, "Timer", Timer)
    monkeypatch.setattr(sys, "begun", begun, raising=False)
    monkeypatch.setattr(sys, "told", lambda: caplog.records, raising=False)
    return _SLOW_PROGRAM


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.syspath_prepend(tmp_path)
    yield Site(tmp_path)
    for module in [name for name in sys.modules if name.startswith("plugin_")]:
        del sys.modules[module]
