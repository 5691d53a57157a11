"""The audio of a call, as the sink `wav` recorded it: the file, and its outline for a picture of the wave."""

from __future__ import annotations

import array
import sys
import wave
from collections.abc import Sequence
from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from patter_core.aio.threads import DaemonThreads
from patter_core.app import PhoneView, visitor_of
from patter_core.events import Record, RecordingStarted
from patter_dashboard.answers import failed, json_answer, with_errors

__all__ = ["Peaks", "Recordings", "peaks_of"]

_BINS = 1_200
"""Points of an outline: about the pixels of a wide screen."""
_AT_ONCE = 2
"""Files that are outlined at a time."""


class Peaks(msgspec.Struct, frozen=True, kw_only=True):
    """The outline of a recording."""

    seconds: float
    caller: list[float]
    """The loudest sample of each part, 0 to 1."""
    agent: list[float]


class Recordings:
    """The recordings of calls, on this machine.

    Args:
        phone: whose calls they are.
        allowed: False if none is played.
    """

    def __init__(self, phone: PhoneView, *, allowed: bool) -> None:
        self._phone = phone
        self._allowed = allowed
        self._threads = DaemonThreads(_AT_ONCE)

    def of(self, records: Sequence[Record], *, unmasked: bool) -> list[Path]:
        """Returns the files of a call that may be played, in the order in which they were begun."""
        if not self._allowed or (self._phone.redaction.transcripts and not unmasked):
            return []
        started = (record.event for record in records if isinstance(record.event, RecordingStarted))
        paths = (Path(event.location) for event in started)
        return [path for path in dict.fromkeys(paths) if path.suffix == ".wav" and path.is_file()]

    @with_errors
    async def file(self, request: Request) -> Response:
        """The file, in whole or a part of it (`Range`)."""
        path = await self._path(request)
        return (
            failed(404, "There is no such recording.") if path is None else FileResponse(path, media_type="audio/wav")
        )

    @with_errors
    async def peaks(self, request: Request) -> Response:
        """The outline."""
        path = await self._path(request)
        if path is None:
            return failed(404, "There is no such recording.")
        try:
            return json_answer(await self._threads.run(peaks_of, path))
        except (OSError, EOFError, wave.Error):
            return failed(404, "The recording cannot be read.")

    async def _path(self, request: Request) -> Path | None:
        unmasked = visitor_of(request.scope).unmasked
        found = self.of(await self._phone.records(request.path_params["id"]), unmasked=unmasked)
        number: int = request.path_params["number"]
        return found[number] if number < len(found) else None


def peaks_of(path: Path, bins: int = _BINS) -> Peaks:
    """Returns the outline of a WAV file with samples of 16 bits, the caller on the left. Blocking.

    Raises:
        OSError, EOFError, wave.Error: it cannot be read, or is another one.
    """
    sides: tuple[list[float], list[float]] = ([], [])
    with wave.open(str(path), "rb") as file:
        if file.getsampwidth() != 2 or file.getnchannels() > 2:
            raise wave.Error("not as the sink wav writes it")
        count, channels = file.getnframes(), file.getnchannels()
        for number in range(bins):
            samples = array.array("h", file.readframes((number + 1) * count // bins - number * count // bins))
            if sys.byteorder == "big":
                samples.byteswap()
            for side in range(2):
                sides[side].append(_loudest(samples[side::channels] if side < channels else samples[:0]))
        return Peaks(seconds=count / file.getframerate(), caller=sides[0], agent=sides[1])


def _loudest(samples: array.array[int]) -> float:
    if not samples:
        return 0.0
    loudest, lowest = max(samples), min(samples)
    return round(max(loudest, -lowest) / 32_768, 3)
