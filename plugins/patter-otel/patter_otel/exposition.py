"""Metrics in prometheus_client, and its server that Prometheus scrapes."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, start_http_server
from prometheus_client.metrics import MetricWrapperBase

from patter_core.errors import SinkRefused
from patter_core.sink import SinkStatistics
from patter_otel.instruments import Instrument, Instruments, Measure

__all__ = ["Exposition"]

_M = TypeVar("_M", bound=MetricWrapperBase)

_UNITS = {"s": "seconds", "By": "bytes", "min": "minutes"}


class Exposition(CollectorRegistry):
    """A registry with our instruments, which looks at the sinks when it is scraped."""

    def __init__(self) -> None:
        super().__init__()
        self.instruments = Instruments(self._make)
        self.statistics: SinkStatistics = list
        self._looking = threading.Lock()

    def collect(self) -> Iterator[Metric]:
        with self._looking:
            self.instruments.look_at(self.statistics())
        for metric in super().collect():
            # The library gives each series a second one, of its creation; only the whole process can switch that off.
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric

    def serve(self, host: str, port: int) -> WSGIServer:
        """Answers scrapes in daemon threads. Raises SinkRefused if the address cannot be had."""
        try:
            return start_http_server(port, host, self)[0]
        except OSError as error:
            raise SinkRefused(
                "PrometheusSink cannot listen.",
                got=f"{host}:{port}: {error.strerror}",
                remedy='Choose a free port; with several workers, `port = "946{worker}"` gives each its own.',
            ) from error

    def _make(self, instrument: Instrument) -> Measure:
        name, labels = instrument.name.replace(".", "_"), instrument.attributes
        about, unit = instrument.description, _UNITS.get(instrument.unit, "")
        match instrument.kind:
            case "counter":
                counter = Counter(name, about, labels, unit=unit, registry=self)
                return lambda value, attributes: _child(counter, labels, attributes).inc(value)
            case "up_down_counter":
                gauge = Gauge(name, about, labels, unit=unit, registry=self)
                return lambda value, attributes: _child(gauge, labels, attributes).inc(value)
            case "histogram":
                histogram = Histogram(name, about, labels, unit=unit, registry=self, buckets=instrument.bounds)
                return lambda value, attributes: _child(histogram, labels, attributes).observe(value)


def _child(metric: _M, labels: Sequence[str], attributes: Mapping[str, str]) -> _M:
    """The series of these attributes; to Prometheus, an empty label is none."""
    return metric.labels(*(attributes.get(label, "") for label in labels)) if labels else metric
