"""Where spans and metrics go: to the providers of the process, or to our own. Blocking: for a thread."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, MetricsData, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter

from patter_core.checks import CheckResult, Level
from patter_core.errors import PatterError
from patter_core.events import Record
from patter_core.sink import WorkerFigures
from patter_otel.instruments import Instrument, Instruments, Measure
from patter_otel.otlp import Answers, SpanExport
from patter_otel.spans import SCOPE, SpanBuilder

__all__ = ["Telemetry"]

_log = logging.getLogger("patter.otel")

_OTLP_HTTP = "otlp_proto_http"
"""Protobuf over HTTP: the specification's default, and without the compiled parts and threads of gRPC."""
_INSTANCE = Resource({SERVICE_INSTANCE_ID: str(uuid.uuid4())})


class Telemetry:
    """Makes spans and metrics of records, and exports those that are ours to export; see `OpenTelemetrySink`."""

    def __init__(self, endpoint: str, headers: Mapping[str, str], service: str, *, content: bool) -> None:
        self._begun: Record | None = None
        self._span_exports: list[Callable[[], None]] = []
        self._metric_exports: list[Callable[[], None]] = []
        self._closes: list[Callable[[], None]] = []
        self._probes: dict[Answers, Callable[[], object]] = {}
        """An export of nothing, for each of our exporters."""
        tracers, meters = trace.get_tracer_provider(), metrics.get_meter_provider()
        if endpoint or isinstance(tracers, trace.ProxyTracerProvider):  # that stands for none
            tracers = own = TracerProvider(resource=_resource(service), shutdown_on_exit=False)
            answers = Answers("traces", headers)
            exporter = _exporter(answers, endpoint)
            if isinstance(exporter, SpanExporter):
                own.add_span_processor(export := SpanExport(exporter, answers))
                self._span_exports.append(export.flush)
                self._closes.append(exporter.shutdown)
                self._probes[answers] = partial(exporter.export, [])
        if endpoint or type(meters).__name__ == "_ProxyMeterProvider":  # likewise, and private
            readers, answers = [], Answers("metrics", headers)
            exporter = _exporter(answers, endpoint)
            if isinstance(exporter, MetricExporter):
                readers = [PeriodicExportingMetricReader(exporter, export_interval_millis=float("inf"))]
                self._metric_exports.append(partial(answers.attempt, readers[0].force_flush))
                self._probes[answers] = partial(exporter.export, MetricsData([]))
            meters = MeterProvider(readers, resource=_resource(service), shutdown_on_exit=False)
            self._closes.append(meters.shutdown)
        meter = meters.get_meter(*SCOPE)
        self._spans = SpanBuilder(tracers, content=content)
        self._instruments = Instruments(partial(_make, meter))
        self._rejected = meter.create_counter("patter.otel.rejected", "{item}", "Spans and data points not taken")

    def write(self, records: Sequence[Record]) -> None:
        """Takes a batch, unless it comes again, and exports the spans that ended. Raises as `Answers.during`."""
        if records[0] is not self._begun:
            self._begun = records[0]
            self._spans.feed(records)
            self._instruments.feed(records)
        for export in self._span_exports:
            export()

    def collect(self, worker: WorkerFigures) -> None:
        """Takes over how the worker does, and exports metrics. What is not taken goes next time: metrics only grow."""
        self._instruments.look_at(worker)
        for answers in self._probes:
            if answers.rejected:
                self._rejected.add(answers.rejected, {"signal": answers.signal})
                answers.rejected = 0
        for export in self._metric_exports:
            export()

    def close(self, worker: WorkerFigures) -> None:
        """Exports what is left, and shuts down what is ours. The process's providers are the process's to shut down."""
        self.collect(worker)
        for close in self._closes:
            close()

    def probe(self) -> list[CheckResult]:
        """Whether what our exporters send is taken. Some back ends take only traces, and that is no problem."""
        found = []
        for answers, export in self._probes.items():
            try:
                answers.during(export)
            except PatterError as error:
                wanted = answers.signal == "traces"
                remedy = "" if wanted else "If metrics are not wanted there, set OTEL_METRICS_EXPORTER=none."
                found.append(CheckResult(Level.PROBLEM if wanted else Level.WARNING, str(error), remedy))
            else:
                found.append(CheckResult(Level.OK, f"The collector takes {answers.signal}."))
        return found or [
            CheckResult(Level.OK, "Spans and metrics are left to the process's providers, or switched off.")
        ]


def _exporter(answers: Answers, endpoint: str) -> object:
    """The exporter that the environment names; None if it is switched off, or not installed."""
    signal, environment = answers.signal, os.environ
    name = environment.get(f"OTEL_{signal.upper()}_EXPORTER") or "otlp"
    if name == "none" or environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    if name == "otlp":
        protocol = environment.get("OTEL_EXPORTER_OTLP_PROTOCOL") or "http/protobuf"
        protocol = environment.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL") or protocol
        name = _OTLP_HTTP if endpoint or protocol == "http/protobuf" else f"otlp_proto_{protocol}"
    for entry_point in importlib.metadata.entry_points(group=f"opentelemetry_{signal}_exporter", name=name):
        if name != _OTLP_HTTP:
            return entry_point.load()()
        return entry_point.load()(f"{endpoint}/v1/{signal}" if endpoint else None, session=answers)
    _log.error("No %s are exported: there is no exporter %r. Look at the OTEL_… variables.", signal, name)
    return None


def _resource(service: str) -> Resource:
    """What the environment says of this service; without a name there, it is `patter`."""
    resource = _INSTANCE.merge(Resource.create({SERVICE_NAME: service} if service else None))
    nameless = str(resource.attributes[SERVICE_NAME]).startswith("unknown_service")
    return resource.merge(Resource({SERVICE_NAME: "patter"})) if nameless else resource


def _make(meter: metrics.Meter, instrument: Instrument) -> Measure:
    about = (instrument.name, instrument.unit, instrument.description)
    match instrument.kind:
        case "counter":
            return meter.create_counter(*about).add
        case "up_down_counter":
            return meter.create_up_down_counter(*about).add
        case "histogram":
            return meter.create_histogram(*about, explicit_bucket_boundaries_advisory=instrument.bounds).record
