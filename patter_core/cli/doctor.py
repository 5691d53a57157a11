"""`patter doctor`: looks at what calls need, and says what to do."""

from __future__ import annotations

import contextlib
import email.utils
import logging
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import anyio
import click
from rich.console import Console
from rich.markup import escape

from patter_core import __version__
from patter_core.carrier import Carrier
from patter_core.checks import CheckResult, Level, problem_of
from patter_core.cli.options import configuration_options
from patter_core.cli.settings import Settings, load, make_carrier, make_engine, make_sinks
from patter_core.errors import PatterError
from patter_core.net.http import send_request
from patter_core.patter import Patter
from patter_core.registry import Registry
from patter_core.server.serving import serve_app
from patter_core.server.urls import public_base
from patter_core.telephony.leg import Leg

__all__ = ["doctor"]

_SKEW = 5.0
"""Seconds by which the clock may be off: signatures with a time in them are refused beyond some minutes."""
_CHECK_TIMEOUT = 30.0
_SIGNS = {Level.OK: "[green]✓[/]", Level.WARNING: "[yellow]![/]", Level.PROBLEM: "[red]✗[/]"}

_Made = TypeVar("_Made")


@click.command()
@configuration_options
@click.pass_obj
def doctor(registry: Registry, *, config: Path | None, carrier: str, engine: str, sinks: tuple[str, ...]) -> None:
    """Look at what calls need, and say what to do about what is missing.

    Exit code 1 if there is a problem. Nothing is changed, and no call is made.
    """
    console = Console(soft_wrap=True)
    settings = load(config, carrier=carrier, engine=engine, sinks=sinks)
    with _quiet():
        findings = anyio.run(_examine, registry, settings, console)
    problems = sum(finding.level is Level.PROBLEM for finding in findings)
    console.print(f"\n{problems} problem{'' if problems == 1 else 's'}." if problems else "\nReady for calls.")
    if problems:
        sys.exit(1)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """What is refused here is meant to be: nothing of it is logged."""
    log = logging.getLogger("patter")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)


async def _examine(registry: Registry, settings: Settings, console: Console) -> list[CheckResult]:
    findings: list[CheckResult] = []
    async for finding in _all(registry, settings):
        findings.append(finding)
        console.print(f"{_SIGNS[finding.level]} {escape(finding.what)}", highlight=False)
        if finding.remedy:
            console.print(f"  [dim]{escape(finding.remedy)}[/]", highlight=False)
    return findings


async def _all(registry: Registry, settings: Settings) -> AsyncIterator[CheckResult]:
    python = ".".join(map(str, sys.version_info[:3]))
    yield CheckResult(Level.OK, f"Patter {__version__} on Python {python}.")
    for finding in _plugins(registry):
        yield finding
    carrier, finding = _made("carrier", lambda: make_carrier(registry, settings.carrier))
    yield finding
    if carrier is not None:
        yield CheckResult(Level.OK, f"The carrier speaks {carrier.media_codec(_leg(carrier)).output_format}.")
        yield await _strangers_are_refused(registry, carrier)
        for finding in await _contributed(carrier.name, carrier.check):
            yield finding
    engine, finding = _made("engine", lambda: make_engine(registry, settings.engine))
    yield finding
    if engine is not None:
        for finding in await _contributed(engine.name, engine.check):
            yield finding
    sinks, finding = _made("sinks", lambda: make_sinks(registry, settings))
    if settings.sinks:
        yield finding
    for sink in sinks or ():
        for finding in await _contributed(sink.name, sink.check):
            yield finding
        await sink.aclose()
    async for finding in _public(settings):
        yield finding


def _plugins(registry: Registry) -> list[CheckResult]:
    if not registry.plugins:
        return [CheckResult(Level.PROBLEM, "No plugin is installed.", "Try `pip install getpatter`.")]
    return [
        CheckResult(Level.WARNING, f"The plugin {plugin.name} of {plugin.distribution} is not joined: {plugin.problem}")
        for plugin in registry.plugins
        if not plugin.joined
    ] or [CheckResult(Level.OK, f"{len(registry.plugins)} plugins are joined.")]


def _made(what: str, make: Callable[[], _Made]) -> tuple[_Made | None, CheckResult]:
    try:
        made = make()
    except PatterError as error:
        found = problem_of(error)
        return None, CheckResult(found.level, f"The {what}: {found.what}", found.remedy)
    return made, CheckResult(Level.OK, f"The {what} can be made from what is configured.")


async def _contributed(name: str, check: Callable[[], Awaitable[Sequence[CheckResult]]]) -> Sequence[CheckResult]:
    try:
        with anyio.fail_after(_CHECK_TIMEOUT):
            return await check()
    except TimeoutError:
        return [CheckResult(Level.WARNING, f"{name} did not finish its own checks in {_CHECK_TIMEOUT:g} s.")]
    except Exception as error:  # noqa: BLE001 - the plugin boundary: the other findings still count
        return [CheckResult(Level.WARNING, f"{name} failed in its own checks: {type(error).__name__}.")]


def _leg(carrier: Carrier) -> Leg:
    return Leg(carrier=carrier.name, call_id="doctor")


async def _strangers_are_refused(registry: Registry, carrier: Carrier) -> CheckResult:
    """Serve the webhook on loopback, as it will be, and ask it without a signature."""
    phone = Patter(carrier=carrier, registry=registry)
    async with serve_app(phone.asgi()) as url:
        answer = await send_request("POST", f"{url}/webhooks/{carrier.name}/voice", headers={}, body=b"{}")
    if answer.status == 403:
        return CheckResult(Level.OK, "A webhook without the carrier's signature is refused.")
    return CheckResult(Level.PROBLEM, f"A webhook without a signature is answered with {answer.status} instead of 403.")


async def _public(settings: Settings) -> AsyncIterator[CheckResult]:
    if not settings.webhook_url:
        yield CheckResult(
            Level.WARNING,
            "No public address is set, so neither it nor the clock could be checked.",
            "Incoming calls work without one; for outgoing calls set PATTER_WEBHOOK_URL.",
        )
        return
    base = public_base(settings.webhook_url)
    if base.startswith("http:"):
        yield CheckResult(Level.WARNING, "The public address is not https.", "Carriers bring audio over TLS only.")
    began = time.time()
    try:
        answer = await send_request("GET", f"{base}/health/live", headers={})
    except OSError as error:
        yield CheckResult(
            Level.WARNING,
            f"The public address does not answer from here ({error}).",
            "Start `patter serve`, and your tunnel or proxy, and look again.",
        )
        return
    if answer.status == 200 and answer.body == b"live":
        yield CheckResult(Level.OK, "The public address leads to Patter.")
    else:
        yield CheckResult(
            Level.PROBLEM,
            f"Something else than Patter answers at the public address (status {answer.status}).",
            "Point your tunnel or proxy at the port that `patter serve` listens on, and pass the path on as it is.",
        )
    yield _clock(answer.headers.get("date", ""), (began + time.time()) / 2)


def _clock(date: str, now: float) -> CheckResult:
    """What the Date header of an answer tells of this machine's clock; its resolution is a second."""
    try:
        skew = email.utils.parsedate_to_datetime(date).timestamp() + 0.5 - now
    except ValueError:
        return CheckResult(Level.WARNING, "The clock could not be checked: the public address tells no time.")
    if abs(skew) <= _SKEW:
        return CheckResult(Level.OK, "The clock agrees with the public address's.")
    return CheckResult(
        Level.PROBLEM,
        f"The clock is {abs(skew):.0f} s {'behind' if skew > 0 else 'ahead of'} the public address's.",
        "Set it by NTP: signatures and stream tokens have a time in them.",
    )
