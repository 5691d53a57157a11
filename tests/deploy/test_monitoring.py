"""The Grafana dashboard and the alerts ask for metrics that exist, with labels that they have."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import msgspec
import pytest

from patter_core.server.counts import TurnedAway, Unfit
from patter_core.telephony.outcome import Reason
from patter_otel.exposition import Exposition
from patter_otel.instruments import INSTRUMENTS

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "deploy" / "grafana" / "patter.json"
HPA = ROOT / "deploy" / "helm" / "patter" / "templates" / "hpa.yaml"
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yaml"
RUNBOOK = ROOT / "docs" / "how-to" / "alerts.md"
PROMTOOL = shutil.which("promtool")
REASONS: dict[str, type[StrEnum]] = {
    "patter_calls_total": Reason,
    "patter_calls_turned_away_total": TurnedAway,
    "patter_webhooks_refused_total": Unfit,
}
OF_PROMETHEUS = {"job", "instance", "le"}
"""Labels that Prometheus adds."""


class Target(msgspec.Struct):
    expr: str


class Panel(msgspec.Struct):
    title: str
    targets: list[Target]


class Dashboard(msgspec.Struct):
    panels: list[Panel]


def series() -> dict[str, set[str]]:
    """All series of the Prometheus page, with their labels."""
    exposition = Exposition()
    known: dict[str, set[str]] = {}
    for instrument in INSTRUMENTS:
        for metric in exposition.collect():
            base = instrument.name.replace(".", "_")
            if metric.name in {base, f"{base}_seconds", f"{base}_bytes", f"{base}_minutes"}:
                endings = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}
                for ending in endings[metric.type]:
                    known[metric.name + ending] = set(instrument.attributes)
    return known


def expressions() -> Iterator[str]:
    for panel in msgspec.json.decode(DASHBOARD.read_bytes(), type=Dashboard).panels:
        yield from (target.expr for target in panel.targets)
    yield from re.findall(r"expr: (?:\|\n)?((?:.+\n)(?: {10}.+\n)*)", ALERTS.read_text())


@pytest.mark.parametrize("expression", list(expressions()))
def test_what_is_asked_for_exists(expression: str) -> None:
    known = series()
    named = re.findall(r"\b(patter_\w+)(?:\{([^}]*)\})?", expression)
    assert named or expression.startswith("up{")
    for name, selectors in named:
        assert name in known, name
        assert set(re.findall(r"(\w+)=", selectors)) <= known[name] | OF_PROMETHEUS
    labels = {label for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.split(", ")}
    assert labels <= OF_PROMETHEUS.union(*(known[name] for name, _ in named))
    for name, reasons in re.findall(r'(patter_\w+)\{[^}]*reason=~"([^"]*)"', expression):
        assert set(reasons.split("|")) <= set(REASONS[name])


def test_pods_are_scaled_by_a_level_that_each_has_from_its_start() -> None:
    (name,) = re.findall(r"metric:\n +name: (\w+)", HPA.read_text())
    assert f"# TYPE {name} gauge\n" in (page := Exposition().page())
    assert f"\n{name} 0.0\n" in page


def test_each_alert_has_its_runbook() -> None:
    alerts = re.findall(r"alert: (\w+)", ALERTS.read_text())
    assert alerts
    assert re.findall(r"^## (\w+)$", RUNBOOK.read_text(), re.MULTILINE) == alerts
    anchors = re.findall(r"runbook: \S+/docs/how-to/alerts\.md#(\w+)", ALERTS.read_text())
    assert anchors == [alert.lower() for alert in alerts]


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed here: apt-get install prometheus")
def test_the_alerts_fire_when_they_should() -> None:
    assert PROMTOOL is not None
    for command in (["check", "rules", "alerts.yaml"], ["test", "rules", "alerts.test.yaml"]):
        done = subprocess.run([PROMTOOL, *command], cwd=ALERTS.parent, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_panels_stand_beside_each_other() -> None:
    places = [panel["gridPos"] for panel in json.loads(DASHBOARD.read_text())["panels"]]
    cells = [
        (x, y) for at in places for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
