"""Calls against CPU and latency, as an SVG written by hand: two panels, a line for each target."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

from tests.bench.measure import Sample, median
from tests.bench.report import groups

__all__ = ["svg"]

_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP = 340, 240, 60, 40, 80
_COLOURS = ("#1b6ca8", "#b5541c", "#2f7d4f", "#7a4fa3")
_Figure = Callable[[Sample], float]


def svg(samples: Sequence[Sample]) -> str:
    """The picture."""
    panels = (
        ("CPU, % of a core", lambda sample: sample.cpu_share * 100),
        ("added latency, p99, ms", lambda sample: sample.p99_ms),
    )
    targets = list(dict.fromkeys(sample.target for sample in samples))
    parts = [_panel(samples, targets, place, title, figure) for place, (title, figure) in enumerate(panels)]
    parts += [
        f'<text x="{_LEFT + 90 * place}" y="18" fill="{_COLOURS[place % 4]}" font-weight="bold">{escape(name)}</text>'
        for place, name in enumerate(targets)
    ]
    width, height = 2 * (_WIDTH + _GAP), _TOP + _HEIGHT + 50
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _panel(samples: Sequence[Sample], targets: Sequence[str], place: int, title: str, figure: _Figure) -> str:
    left = _LEFT + place * (_WIDTH + _GAP)
    most_calls = max(sample.plan.calls for sample in samples)
    most = _round_up(max(figure(sample) for sample in samples))

    def x(calls: float) -> float:
        return left + _WIDTH * calls / most_calls

    def y(value: float) -> float:
        return _TOP + _HEIGHT * (1 - value / most)

    parts = [f'<text x="{left}" y="{_TOP - 8}">{title}</text>']
    for step in range(5):
        value, calls = most * step / 4, most_calls * step / 4
        parts.append(f'<path d="M{left} {y(value):.1f}h{_WIDTH}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g}</text>')
        parts.append(f'<text x="{x(calls):.1f}" y="{_TOP + _HEIGHT + 18}" text-anchor="middle">{calls:g}</text>')
    parts.append(f'<text x="{left + _WIDTH / 2}" y="{_TOP + _HEIGHT + 38}" text-anchor="middle">calls at once</text>')
    for number, target in enumerate(targets):
        runs = [group for group in groups(samples) if group[0].target == target]
        points = sorted((group[0].plan.calls, median(group, figure)) for group in runs)
        colour = _COLOURS[number % len(_COLOURS)]
        line = " ".join(f"{x(calls):.1f},{y(value):.1f}" for calls, value in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x(calls):.1f}" cy="{y(value):.1f}" r="3" fill="{colour}"/>' for calls, value in points]
    return "\n".join(parts)


def _round_up(value: float) -> float:
    """The next 1, 2 or 5 times a power of ten."""
    power = 10 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value)
