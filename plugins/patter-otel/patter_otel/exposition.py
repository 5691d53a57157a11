"""Figures in Prometheus' text format, version 0.0.4. Sans-IO."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from patter_otel.instruments import Family, FamilyKind, Labels

__all__ = ["CONTENT_TYPE", "expose"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_UNITS = {"s": "seconds", "By": "bytes", "min": "minutes"}


def expose(families: Iterable[Family]) -> str:
    """The page that Prometheus scrapes."""
    return "".join(f"{line}\n" for family in families for line in _lines(family))


def _lines(family: Family) -> Iterator[str]:
    name = _name(family)
    yield f"# HELP {name} {_escaped(family.description)}"
    yield f"# TYPE {name} {family.kind.value}"
    for labels, point in family.points.items():
        if family.kind is not FamilyKind.HISTOGRAM:
            yield f"{name}{_braces(labels)} {point.value!r}"
            continue
        bounds = [*map(str, family.bounds), "+Inf"]
        for bound, count in zip(bounds, itertools.accumulate(point.counts), strict=True):
            yield f"{name}_bucket{_braces((*labels, ('le', bound)))} {count}"
        yield f"{name}_sum{_braces(labels)} {point.value!r}"
        yield f"{name}_count{_braces(labels)} {sum(point.counts)}"


def _name(family: Family) -> str:
    name = family.name.replace(".", "_")
    unit = _UNITS.get(family.unit)
    if unit and not name.endswith(f"_{unit}"):
        name = f"{name}_{unit}"
    return f"{name}_total" if family.kind is FamilyKind.COUNTER else name


def _braces(labels: Labels) -> str:
    inner = ",".join(f'{name.replace(".", "_")}="{_quoted(value)}"' for name, value in labels)
    return f"{{{inner}}}" if inner else ""


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', r"\"")
