"""Metrics as Prometheus reads them: of this worker, or of all workers of the service. Blocking: for a thread."""

from __future__ import annotations

import contextlib
import errno
import socket
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, generate_latest, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from patter_core.config import without_brackets
from patter_core.errors import SinkRefused
from patter_otel.instruments import INSTRUMENTS, Instrument, Instruments, Measure
from patter_otel.series import Series

if TYPE_CHECKING:
    from patter_otel.shared import SharedFile, Turn

__all__ = ["Exposition"]

_UNITS = {"s": "seconds", "By": "bytes", "min": "minutes"}
_Found = Sequence[tuple[Sequence[str], Sequence[float]]]
"""The values of labels, and those of the series, of one metric."""


class Exposition(Collector):
    """The instruments, fed with what happens on this worker, and what a scrape gets.

    Args:
        folder: that all workers of the service share; None where there is one.
        port: on which the page will be served; 0 for none.

    Raises:
        SinkRefused: the folder cannot be used.
    """

    def __init__(self, folder: Path | None = None, port: int = 0) -> None:
        self._server: WSGIServer | None = None
        self._turn: Turn | None = None
        self._file: SharedFile | None = None
        if folder is not None:
            from patter_otel.shared import SharedFile, Turn  # noqa: PLC0415 - Windows has no such locks

            try:
                self._file = SharedFile(folder)
                self._turn = Turn(folder, port)
            except OSError as error:
                raise SinkRefused(
                    "PrometheusSink cannot use the folder of the workers.",
                    got=f"{folder}: {error.strerror}",
                    remedy="Look at PATTER_WORKERS_FOLDER.",
                ) from error
        self._series = Series(INSTRUMENTS, self._file)
        self.instruments = Instruments(self._make)
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def describe(self) -> Sequence[Metric]:
        """Nothing: it would be asked for before there is a page."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yields all metrics, as they are now."""
        found: dict[str, list[tuple[Sequence[str], Sequence[float]]]] = defaultdict(list)
        for (name, labels), values in self._series.totals().items():
            found[name].append((labels, values))
        for instrument in INSTRUMENTS:
            yield _family(instrument, found[instrument.name])

    def page(self) -> str:
        """Returns them in Prometheus' text format, version 0.0.4."""
        return generate_latest(self._registry).decode()

    def listen(self, host: str, port: int) -> None:
        """Answers scrapes in daemon threads, unless it does or another worker of the service does.

        Raises:
            SinkRefused: the address cannot be had.
        """
        if self._server is not None or not (self._turn is None or self._turn.taken()):
            return
        with _refusing(host, port, has_folder=self._turn is not None):
            self._server = start_http_server(port, host, self._registry)[0]

    def check(self, host: str, port: int) -> None:
        """Checks that it could listen, unless it does. Raises as `listen`."""
        if self._server is None:
            with _refusing(host, port, has_folder=self._turn is not None):
                _bind(host, port)

    def stop(self) -> None:
        """Leaves it to another worker to listen."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
        if self._turn is not None:
            self._turn.leave()

    def close(self) -> None:
        """Lets the folder go. What was counted stays in it."""
        for shared in (self._file, self._turn):
            if shared is not None:
                shared.close()

    def _make(self, instrument: Instrument) -> Measure:
        add, name, labels = self._series.add, instrument.name, instrument.attributes

        def measure(value: float, attributes: Mapping[str, str]) -> None:
            key = (name, tuple(attributes.get(label, "") for label in labels))  # to Prometheus, an empty label is none
            if instrument.kind == "histogram":
                add(key, {bisect_left(instrument.bounds, value): 1.0, len(instrument.bounds) + 1: value})
            else:
                add(key, {0: value})

        return measure


def _bind(host: str, port: int) -> None:
    """Binds a socket as `start_http_server` does, which takes the first address of a name, and closes it."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, *_, address = found[0]
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address[0], port))


@contextlib.contextmanager
def _refusing(host: str, port: int, *, has_folder: bool) -> Iterator[None]:
    """Turns an error of listening into the sink's."""
    try:
        yield
    except (OSError, UnicodeError) as error:
        reason, remedy = (error.strerror, "Choose a free port.") if isinstance(error, OSError) else ("no host name", "")
        if not isinstance(error, OSError) or isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            remedy = without_brackets(host) or "Take an address or a name of this machine as `host`."
        else:
            if error.errno == errno.EADDRINUSE:
                remedy = "Another program or another instance has it. If that is to stay, choose a free port."
            if not has_folder:
                remedy += " Workers share one where they have a folder: PATTER_WORKERS_FOLDER."
        where = f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"
        raise SinkRefused(f"PrometheusSink cannot listen on {where}: {reason}.", remedy=remedy) from error


def _family(instrument: Instrument, found: _Found) -> Metric:
    name, about = instrument.name.replace(".", "_"), instrument.description
    labels, unit = instrument.attributes, _UNITS.get(instrument.unit, "")
    match instrument.kind:
        case "counter":
            counter = CounterMetricFamily(name, about, labels=labels, unit=unit)
            for own, (value,) in found:
                counter.add_metric(own, value)
            return counter
        case "up_down_counter":
            gauge = GaugeMetricFamily(name, about, labels=labels, unit=unit)
            for own, (value,) in found:
                gauge.add_metric(own, value)
            return gauge
        case "histogram":
            histogram = HistogramMetricFamily(name, about, labels=labels, unit=unit)
            bounds = [*map(str, instrument.bounds), "+Inf"]
            for own, (*counts, total) in found:
                histogram.add_metric(own, list(zip(bounds, accumulate(counts), strict=True)), total)
            return histogram
