"""Measures turn taking: `nox -s turns`, or `python -m tests.virtual_time tests.turns.run --help`.

Each case is a call of its own through a real session of the pipeline, with emulated services on loopback. Time passes
only while all of them wait, so that an hour of calls takes a minute.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Sequence

import msgspec

from tests.turns.cases import CASES, LINES, Case
from tests.turns.figures import Figures, Result, fault, figures_of
from tests.turns.frames import shares
from tests.turns.ways import WAYS, Way, measure

__all__ = ["Measured", "main"]


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What is printed with `--json`, for one way."""

    figures: Figures
    """Of all cases."""
    faults: dict[str, str]
    """By the name of a case: what went wrong."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.virtual_time tests.turns.run", description=__doc__)
    parser.add_argument("--ways", nargs="+", choices=[*WAYS], default=[*WAYS], help="what is measured; default: all")
    parser.add_argument("--lines", nargs="+", choices=[line.name for line in LINES], help="telephone lines; all")
    parser.add_argument("--cases", default="", help="a regular expression for names of cases; all")
    parser.add_argument("--faults", action="store_true", help="also print each case in which something went wrong")
    parser.add_argument("--json", action="store_true", help="print JSON in place of tables")
    return parser.parse_args(sys.argv[2:])


async def main() -> None:
    """Measures, and prints tables in Markdown."""
    arguments = _arguments()
    cases = [
        case
        for case in CASES
        if re.search(arguments.cases, case.name) and (not arguments.lines or case.line.name in arguments.lines)
    ]
    measured = {name: await measure(WAYS[name], cases) for name in arguments.ways}
    if arguments.json:
        told = {
            name: Measured(figures=figures_of(results), faults=_faults(results)) for name, results in measured.items()
        }
        sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
        return
    minutes = sum(case.length_ms for case in cases) / 60_000
    sys.stdout.write(f"{len(cases)} calls, {minutes:.0f} minutes of the caller's audio, in each way.\n\n")
    _print("way", ((WAYS[name].title, results) for name, results in measured.items()))
    first = next(iter(measured.values()))
    _print("line", _split(first, lambda case: case.line.name))
    _print("what the caller does", _split(first, lambda case: case.group))
    _print_frames([WAYS[name] for name in arguments.ways if name in {"default", "silero"}], cases)
    if arguments.faults:
        for name, results in measured.items():
            sys.stdout.writelines(f"{name}: {what}: {case}\n" for case, what in _faults(results).items())


def _faults(results: Iterable[Result]) -> dict[str, str]:
    return {result.case.name: found for result in results if (found := fault(result))}


def _split(results: Sequence[Result], key: Callable[[Case], str]) -> Iterable[tuple[str, list[Result]]]:
    for name in dict.fromkeys(key(result.case) for result in results):
        yield name, [result for result in results if key(result.case) == name]


def _print(head: str, rows: Iterable[tuple[str, list[Result]]]) -> None:
    columns = (head, "turns", "cut in", "delay", "not answered", "noise answered", "interrupted for nothing",
               "paused for nothing", "for", "interruptions missed", "silent after")  # fmt: skip
    lines = [columns, ("---",) * len(columns), *((name, *_cells(figures_of(results))) for name, results in rows)]
    sys.stdout.writelines(f"| {' | '.join(line)} |\n" for line in lines)
    sys.stdout.write("\n")


def _print_frames(ways: Sequence[Way], cases: Sequence[Case]) -> None:
    sys.stdout.write(f"| frames taken for speech | {' | '.join(way.title for way in ways)} |\n")
    sys.stdout.write(f"| --- {'| --- ' * len(ways)}|\n")
    for line in dict.fromkeys(case.line.name for case in cases):
        of_line = [case for case in cases if case.line.name == line]
        found = [shares(way.vad, of_line) for way in ways]
        told = [f"{speech:.0%} of speech, {other:.1%} of noise" for speech, other in found]
        sys.stdout.write(f"| {line} | {' | '.join(told)} |\n")
    sys.stdout.write("\n")


def _cells(figures: Figures) -> Sequence[str]:
    return (
        f"{figures.turns}",
        _of(figures.cut_in, figures.turns),
        _seconds(figures.turns, *figures.delays_ms),
        _of(figures.unanswered, figures.turns),
        _of(figures.false_answers, figures.nothings),
        _of(figures.false_interruptions, figures.go_ons),
        _of(figures.false_pauses, figures.go_ons),
        _seconds(figures.false_pauses, figures.pause_ms),
        _of(figures.missed, figures.stops),
        _seconds(figures.stops, *figures.stop_ms),
    )


def _of(count: int, all_: int) -> str:
    return f"{count} of {all_}" if all_ else ""


def _seconds(count: int, *values_ms: float) -> str:
    return " / ".join(f"{value / 1000:.2f}" for value in values_ms) + " s" if count else ""
