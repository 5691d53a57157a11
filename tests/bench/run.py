"""`python -m tests.bench.run`: what a frame costs, against a bare relay and a naive bridge in the same run."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import click
import msgspec

from patter_core.audio import ULAW_8000
from patter_core.observe.printing import Printer, Span
from tests.bench.control import cores
from tests.bench.measure import Plan, Sample, run
from tests.bench.pipeline import measure_pipeline, pipeline_table
from tests.bench.pipeline_services import PipelineService
from tests.bench.plot import svg
from tests.bench.protocol import Profile
from tests.bench.report import Report, table
from tests.bench.services import SERVICES
from tests.bench.target import BASELINES, DEFAULT_TARGETS, TARGETS
from tests.bench.vendors import VENDORS

RAMP = (10, 50, 100, 150, 200, 250, 300, 350, 400, 500, 600, 800)
SECONDS, RAMP_SECONDS = 10.0, 5.0
RAMP_TRIES = 3
"""Of a step, before it counts as too much: a neighbour on the machine is no limit of the target."""
TOO_LATE_MS = 20.0
"""p99 of the added latency at which a core is full."""
_FORMATS = ("ulaw_8000", "pcm_16000")

console = Printer()


@click.command()
@click.option("--calls", default=100, show_default=True, help="At once.")
@click.option("--seconds", type=float, show_default=f"{SECONDS:g}; of each step of --ramp {RAMP_SECONDS:g}",
              help="That are measured, after the warm-up.")  # fmt: skip
@click.option("--rounds", default=3, show_default=True, help="Of all targets in turn; figures are medians.")
@click.option(
    "--profile",
    type=click.Choice([profile.value for profile in Profile]),
    default=Profile.WORST.value,
    show_default=True,
)
@click.option("--carrier", type=click.Choice(list(VENDORS)), default="twilio", show_default=True)
@click.option(
    "--engine",
    type=click.Choice([*SERVICES, PipelineService.name]),
    default="elevenlabs",
    show_default=True,
    help="For `pipeline`, each of its phases is measured in each round.",
)
@click.option("--engine-format", type=click.Choice(_FORMATS), show_default="the carrier's",
              help="Of the agent; the bare relay and the naive bridge always get the carrier's.")  # fmt: skip
@click.option("--targets", default=",".join(DEFAULT_TARGETS), show_default=True,
              help=f"Which, and in which order: {', '.join(TARGETS)}.")  # fmt: skip
@click.option("--interruptions", default=300, show_default=True, help="Of the agent, after each run in the worst case.")
@click.option("--plain", is_flag=True, help="Without TLS to the engine.")
@click.option("--ramp", is_flag=True, help="More and more calls, until p99 of the added latency passes 20 ms.")
@click.option("--steps", default=",".join(map(str, RAMP)), show_default=True, help="Of --ramp: calls at once.")
@click.option("--quick", is_flag=True, help="About a minute; only whether every frame crosses as it should.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write all figures there.")
@click.option("--plot", "plot_file", type=click.Path(dir_okay=False, path_type=Path), help="Write an SVG there.")
def main(
    *,
    calls: int,
    seconds: float | None,
    rounds: int,
    profile: str,
    carrier: str,
    engine: str,
    engine_format: str | None,
    targets: str,
    interruptions: int,
    plain: bool,
    ramp: bool,
    steps: str,
    quick: bool,
    json_file: Path | None,
    plot_file: Path | None,
) -> None:
    """Measure CPU per frame, added latency, memory and barge-in. Fails if any frame is lost, altered or out of order,
    and says so if the load generator was too busy to be believed."""
    seconds = seconds or (RAMP_SECONDS if ramp else SECONDS)
    if engine == PipelineService.name:
        if VENDORS[carrier].format != ULAW_8000:
            raise click.BadParameter("a pipeline is measured with a carrier of μ-law", param_hint="--carrier")
        size = (2, 1.0, 1) if quick else (calls, seconds, rounds)
        sys.exit(_pipeline(*size, carrier, json_file, quick=quick))
    names = targets.split(",")
    if unknown := sorted(set(names) - set(TARGETS)):
        raise click.BadParameter(f"{', '.join(unknown)}: there are {', '.join(TARGETS)}", param_hint="--targets")
    engine_format = engine_format or str(VENDORS[carrier].format)
    if engine_format not in (formats := _formats(carrier, engine)):
        known = ", ".join(formats) or "nothing that can be compared"
        raise click.BadParameter(f"{engine} speaks {known} with {carrier} here", param_hint="--engine-format")
    if len(cores()) < 2:
        console.print(Span("Load and target share a core here: figures are rough.", "yellow"))
    plan = Plan(
        calls=calls,
        seconds=seconds,
        profile=Profile(profile),
        engine_format=engine_format,
        carrier=carrier,
        engine=engine,
        interruptions=interruptions,
        tls=not plain,
    )
    ramps = tuple(map(int, steps.split(","))) if ramp else ()
    samples = _samples(names, plan, rounds=rounds, quick=quick, ramp=ramps)
    console.table(table(samples))
    if json_file is not None:
        json_file.write_bytes(Report.of(samples).json())
    if plot_file is not None:
        plot_file.write_text(svg(samples), encoding="utf-8")
    if ramp:
        for name in names:
            most = max((sample.plan.calls for sample in samples if sample.target == name), default=0)
            console.print(f"{name}: {most} calls on one core with p99 of the added latency within {TOO_LATE_MS:g} ms")
    sys.exit(_exit_code(samples, strict=not quick))


def _formats(carrier: str, engine: str) -> tuple[str, ...]:
    """What the agent can speak. Converted audio that is cut into frames cannot be told apart by message."""
    vendor, formats = VENDORS[carrier], SERVICES[engine].formats
    return tuple(format for format in formats if not vendor.frame_ms or format == str(vendor.format))


def _samples(names: list[str], plan: Plan, *, rounds: int, quick: bool, ramp: tuple[int, ...]) -> list[Sample]:
    if quick:
        return _quick(names, plan)
    if ramp:
        return _ramp(names, plan, ramp)
    return [_run(name, plan) for _, name in itertools.product(range(rounds), names)]


def _pipeline(calls: int, seconds: float, rounds: int, carrier: str, json_file: Path | None, *, quick: bool) -> int:
    """Measures a pipeline; returns the exit code: 1 if a frame was lost or a question not answered."""
    samples = [sample for _ in range(rounds) for sample in measure_pipeline(calls, seconds, carrier, quick=quick)]
    console.table(pipeline_table(samples))
    if json_file is not None:
        json_file.write_bytes(msgspec.json.format(msgspec.json.encode(samples)) + b"\n")
    return int(any(sample.faults for sample in samples))


def _quick(names: list[str], plan: Plan) -> list[Sample]:
    """Each target in the worst case; the other profiles and formats for the one that differs in them."""
    plain = msgspec.structs.replace(
        plan,
        calls=5,
        seconds=2.0,
        profile=Profile.WORST,
        engine_format=str(VENDORS[plan.carrier].format),
        interruptions=50,
    )
    samples = [_run(name, plain) for name in names]
    for profile, format in itertools.product(Profile, _formats(plan.carrier, plan.engine)):
        if (profile, format) != (plain.profile, plain.engine_format) and "patter" in names:
            other = msgspec.structs.replace(plain, seconds=6.0, profile=profile, engine_format=format)
            samples.append(_run("patter", other))
    return samples


def _ramp(names: list[str], plan: Plan, steps: tuple[int, ...]) -> list[Sample]:
    """The steps that each target could carry: beyond them audio may rightly be shed."""
    samples: list[Sample] = []
    for name in names:
        for calls in steps:
            step = msgspec.structs.replace(plan, calls=calls, interruptions=0)
            tries = (_run(name, step) for _ in range(RAMP_TRIES))
            sample = next((sample for sample in tries if _carried(sample)), None)
            if sample is None:
                break
            samples.append(sample)
    return samples


def _carried(sample: Sample) -> bool:
    return sample.valid and sample.p99_ms <= TOO_LATE_MS


def _run(name: str, plan: Plan) -> Sample:
    """One run, the baselines without conversion; interruptions only where each frame can be told from the next."""
    carriers = str(VENDORS[plan.carrier].format)
    format = plan.engine_format if name not in BASELINES else carriers
    times = plan.interruptions if format == carriers and plan.profile is Profile.WORST else 0
    own = msgspec.structs.replace(plan, engine_format=format, interruptions=times)
    sample = run(name, own)
    console.print(
        f"{name:11} {own.calls:4} calls  {own.carrier:7} {own.engine:15} {own.profile:7} {own.engine_format:9}"
        f" {'TLS' if own.tls else 'plain':5}"
        f"  {sample.cpu_us_a_frame:6.1f} μs a frame  p99 {sample.p99_ms:6.2f} ms"
        f"  {sample.fault_count} faults  generator {sample.generator_cpu:4.0%}",
    )
    return sample


def _exit_code(samples: list[Sample], *, strict: bool) -> int:
    """0 if all is well, 1 if audio was wrong, 2 if the load generator was too busy."""
    faulty = [sample for sample in samples if sample.fault_count or sample.lost]
    for sample in faulty:
        console.print(Span(f"{sample.target}: {sample.fault_count} faults, {sample.lost} lost.", "red"))
        for fault in sample.faults[:5]:
            console.print(f"  {fault}")
    busy = [sample for sample in samples if not sample.valid]
    for sample in busy:
        console.print(
            Span(f"{sample.target} with {sample.plan.calls} calls: the load generator was too busy.", "yellow")
        )
    return 1 if faulty else 2 if busy and strict else 0


if __name__ == "__main__":
    main()
