"""`patter doctor`: checks what calls need, and says how to fix what is missing."""

from __future__ import annotations

import contextlib
import email.utils
import logging
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import anyio
import click
from rich.console import Console
from rich.text import Text

from patter_core import __version__
from patter_core.aio.foreign import as_exception, run_foreign
from patter_core.carrier import Carrier
from patter_core.checks import CheckResult, Level, problem_of
from patter_core.cli.options import app_argument, check_app, configuration_options, logger_names
from patter_core.errors import PatterError
from patter_core.net.http import send_request
from patter_core.observe.terminal import one_line
from patter_core.patter import Patter
from patter_core.registry import Registry
from patter_core.server.descriptors import REMEDY, raise_limit, room_in
from patter_core.server.serving import serve_app
from patter_core.server.urls import public_base
from patter_core.settings.load import load
from patter_core.settings.model import Settings
from patter_core.settings.plugins import make_carrier, make_engine, make_sinks, make_store
from patter_core.settings.target import phone_at
from patter_core.sink import EventSink
from patter_core.store import CallStore
from patter_core.telephony.leg import Leg
from patter_core.telephony.numbers import voice_path

__all__ = ["doctor"]

_SKEW = 5.0
"""Seconds by which the clock may be off. Signatures hold a time, and carriers accept some minutes."""
_CHECK_TIMEOUT = 30.0
_SIGNS = {Level.OK: ("✓", "green"), Level.WARNING: ("!", "yellow"), Level.PROBLEM: ("✗", "red")}

_Part = TypeVar("_Part")


@click.command()
@app_argument
@configuration_options
@click.pass_obj
def doctor(
    registry: Registry,
    *,
    app: str,
    config: Path | None,
    carrier: str,
    engine: str,
    sinks: tuple[str, ...],
    store: str,
) -> None:
    """Check what calls need, and say how to fix what is missing.

    With MODULE:PHONE, such as app:phone, it checks the phone of your program: its carriers, and the engine or the parts
    of each agent. Exit code 1 if there is a problem. Nothing is changed, and no call is made.
    """
    check_app(app, config, carrier, engine, sinks, store)
    console = Console(soft_wrap=True)
    settings = load(config, carrier=carrier, engine=engine, sinks=sinks, store=store)
    with _no_logs(registry):
        results = anyio.run(_run_checks, registry, settings, app, console)
    problems = sum(result.level is Level.PROBLEM for result in results)
    console.print(f"\n{problems} problem{'' if problems == 1 else 's'}." if problems else "\nReady for calls.")
    if problems:
        sys.exit(1)


@contextlib.contextmanager
def _no_logs(registry: Registry) -> Iterator[None]:
    """Logs nothing of Patter and its plugins inside: the checks cause refusals on purpose."""
    levels = {log: log.level for log in map(logging.getLogger, logger_names(registry))}
    for log in levels:
        log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for log, level in levels.items():
            log.setLevel(level)


async def _run_checks(registry: Registry, settings: Settings, app: str, console: Console) -> list[CheckResult]:
    results: list[CheckResult] = []
    async for result in _checks(registry, settings, app):
        results.append(result)
        sign, style = _SIGNS[result.level]
        console.print(Text(sign, style).append(f" {one_line(result.what)}", "default"))
        if result.remedy:
            console.print(Text(f"  {one_line(result.remedy)}", "dim"))
    return results


async def _checks(registry: Registry, settings: Settings, app: str) -> AsyncIterator[CheckResult]:
    python = ".".join(map(str, sys.version_info[:3]))
    yield CheckResult(Level.OK, f"Patter {__version__} on Python {python}.")
    for result in _check_plugins(registry):
        yield result
    yield _check_descriptors(settings.limits.calls)
    async for result in _check_program(registry, app) if app else _check_settings(registry, settings):
        yield result
    async for result in _check_public_address(settings):
        yield result


async def _check_settings(registry: Registry, settings: Settings) -> AsyncIterator[CheckResult]:
    carrier, result = _make("carrier", lambda: make_carrier(registry, settings.carrier))
    yield result
    if carrier is not None:
        async for result in _check_carrier(registry, carrier):
            yield result
    engine, result = _make("engine", lambda: make_engine(registry, settings.engine))
    yield result
    if engine is not None:
        for result in await _own_checks(engine.name, engine.check):
            yield result
    async for result in _check_sinks_and_store(registry, settings):
        yield result


async def _check_program(registry: Registry, app: str) -> AsyncIterator[CheckResult]:
    """Checks the phone of a program. The check of an engine that is made of parts asks each of them."""
    phone, result = _make("program", lambda: phone_at(app))
    yield result
    if phone is None:
        return
    for carrier in phone.carriers:
        async for result in _check_carrier(registry, carrier):
            yield result
    engines = {id(agent.engine): agent.engine for agent in phone.agents}
    if not engines:
        yield CheckResult(Level.WARNING, "The phone has no agent.", "Make one by phone.agent(…), where it is made.")
    for engine in engines.values():
        for result in await _own_checks(engine.name, engine.check):
            yield result


async def _check_carrier(registry: Registry, carrier: Carrier) -> AsyncIterator[CheckResult]:
    yield CheckResult(Level.OK, f"The carrier speaks {carrier.media_codec(_leg(carrier)).output.format}.")
    yield await _check_unsigned_webhook(registry, carrier)
    for result in await _own_checks(carrier.name, carrier.check):
        yield result


async def _check_sinks_and_store(registry: Registry, settings: Settings) -> AsyncIterator[CheckResult]:
    sinks, result = _make("sinks", lambda: make_sinks(registry, settings.sinks))
    if settings.sinks:
        yield result
    for sink in sinks or ():
        for result in await _own_checks(sink.name, sink.check):
            yield result
        await _close(sink)
    store, result = _make("store", lambda: make_store(registry, settings.store))
    if store is not None or result.level is not Level.OK:
        yield result
    if store is not None:
        for result in await _own_checks(store.name, store.check):
            yield result
        await _close(store)


def _check_plugins(registry: Registry) -> list[CheckResult]:
    if not registry.plugins:
        return [CheckResult(Level.PROBLEM, "No plugin is installed.", "The README says how to install them.")]
    return [
        CheckResult(Level.WARNING, f"The plugin {plugin.name} of {plugin.distribution} is not joined: {plugin.problem}")
        for plugin in registry.plugins
        if not plugin.joined
    ] or [CheckResult(Level.OK, f"{len(registry.plugins)} plugins are joined.")]


def _check_descriptors(calls: int) -> CheckResult:
    room = room_in(raise_limit())
    what = f"{room.calls} calls at once fit into {room.descriptors} file descriptors."
    if room.calls < calls:
        return CheckResult(Level.WARNING, f"Only {what} Limits.calls is {calls}.", REMEDY)
    return CheckResult(Level.OK, f"At least {calls} calls at once fit into {room.descriptors} file descriptors.")


def _make(what: str, make: Callable[[], _Part]) -> tuple[_Part | None, CheckResult]:
    """Returns what `make` makes from the settings, or None, and the result of trying."""
    try:
        made = make()
    except PatterError as error:
        problem = problem_of(error)
        return None, CheckResult(problem.level, f"The {what}: {problem.what}", problem.remedy)
    except BaseException as raised:  # noqa: BLE001 - the plugin boundary: the other results still count
        return None, CheckResult(Level.PROBLEM, f"The {what} cannot be made: {type(as_exception(raised)).__name__}.")
    return made, CheckResult(Level.OK, f"The {what}: configuration complete.")


async def _own_checks(
    name: str, check: Callable[[], Coroutine[object, object, Sequence[CheckResult]]]
) -> Sequence[CheckResult]:
    try:
        return tuple(await run_foreign(check, _CHECK_TIMEOUT))
    except TimeoutError:
        return [CheckResult(Level.WARNING, f"{name} did not finish its own checks in {_CHECK_TIMEOUT:g} s.")]
    except Exception as error:  # noqa: BLE001 - the plugin boundary: the other results still count
        return [CheckResult(Level.WARNING, f"{name} failed in its own checks: {type(error).__name__}.")]


async def _close(checked: EventSink | CallStore) -> None:
    with contextlib.suppress(Exception):  # the plugin boundary: what is wrong was found by its checks
        await run_foreign(checked.aclose, _CHECK_TIMEOUT)


def _leg(carrier: Carrier) -> Leg:
    return Leg(carrier=carrier.name, call_id="doctor")


async def _check_unsigned_webhook(registry: Registry, carrier: Carrier) -> CheckResult:
    """Serves the webhook on loopback, and sends it a request without a signature."""
    phone = Patter(carrier=carrier, registry=registry)
    async with serve_app(phone.asgi()) as url:
        answer = await send_request("POST", url + voice_path(carrier.name), headers={}, body=b"{}")
    if answer.status == 403:
        return CheckResult(Level.OK, "A webhook without the carrier's signature is refused.")
    return CheckResult(Level.PROBLEM, f"A webhook without a signature is answered with {answer.status} instead of 403.")


async def _check_public_address(settings: Settings) -> AsyncIterator[CheckResult]:
    if not settings.webhook_url:
        yield CheckResult(
            Level.WARNING,
            "No public address is set, so neither it nor the clock could be checked.",
            "Incoming calls work without one; for outgoing calls set PATTER_WEBHOOK_URL.",
        )
        return
    base = public_base(settings.webhook_url)
    if base.startswith("http:"):
        yield CheckResult(Level.WARNING, "The public address is not https.", "Carriers stream audio over TLS only.")
    began = time.time()
    try:
        answer = await send_request("GET", f"{base}/health/live", headers={})
    except OSError as error:
        yield CheckResult(
            Level.WARNING,
            f"The public address does not answer from here ({error}).",
            "Start `patter serve`, and your tunnel or proxy, and run this again.",
        )
        return
    if answer.status == 200 and answer.body == b"live":
        yield CheckResult(Level.OK, "The public address leads to Patter.")
    else:
        yield CheckResult(
            Level.PROBLEM,
            f"Something other than Patter answers at the public address (status {answer.status}).",
            "Point your tunnel or proxy at the port that `patter serve` listens on, without changing the path.",
        )
    yield _check_clock(answer.headers.get("date", ""), (began + time.time()) / 2)


def _check_clock(date: str, now: float) -> CheckResult:
    """Compares this machine's clock with the Date header of an answer, whose resolution is a second."""
    try:
        skew = email.utils.parsedate_to_datetime(date).timestamp() + 0.5 - now
    except ValueError:
        return CheckResult(Level.WARNING, "The clock could not be checked: the public address sends no Date header.")
    if abs(skew) <= _SKEW:
        return CheckResult(Level.OK, "The clock agrees with the public address's.")
    return CheckResult(
        Level.PROBLEM,
        f"The clock is {abs(skew):.0f} s {'behind' if skew > 0 else 'ahead of'} the public address's.",
        "Synchronize it with NTP: signatures and stream tokens hold a time.",
    )
