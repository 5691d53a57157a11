"""`patter doctor`: checks what calls need, and says how to fix what is missing."""

from __future__ import annotations

import contextlib
import functools
import logging
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import anyio
import click
import msgspec

from patter_core import __version__
from patter_core.agent import Agent
from patter_core.aio.foreign import as_exception, run_foreign
from patter_core.audio import ULAW_8000
from patter_core.carrier import Carrier
from patter_core.checks import CheckResult, Level, problem_of
from patter_core.cli.environment_checks import check_descriptors, check_foreign, check_plugins, check_public_address
from patter_core.cli.options import app_argument, check_app, configuration_options, logger_names
from patter_core.cli.told import shows_traceback
from patter_core.errors import PatterError
from patter_core.net.http import send_request
from patter_core.observe.printing import Printer, Span, Style
from patter_core.observe.secrets import conceal
from patter_core.observe.terminal import counted
from patter_core.patter import Patter
from patter_core.registry import Registry
from patter_core.server.agents import hints_of, setup_of
from patter_core.server.phone_parts import PhoneParts
from patter_core.server.serving import serve_app
from patter_core.settings.agents import make_agents
from patter_core.settings.load import load
from patter_core.settings.model import Settings
from patter_core.settings.phone import make_carriers
from patter_core.settings.plugins import make_sinks, make_store
from patter_core.settings.target import open_phone
from patter_core.settings.unread import unread
from patter_core.settings.user_code import PROGRAM_LOG
from patter_core.sink import EventSink
from patter_core.store import CallStore
from patter_core.telephony.leg import Leg
from patter_core.telephony.numbers import voice_path
from patter_core.testing.fakes import FakeCarrier

__all__ = ["doctor"]

_CHECK_TIMEOUT = 30.0
_SIGNS: dict[Level, tuple[str, Style]] = {
    Level.OK: ("✓", "green"),
    Level.WARNING: ("!", "yellow"),
    Level.UNKNOWN: ("?", "yellow"),
    Level.PROBLEM: ("✗", "red"),
}

_Part = TypeVar("_Part")
_Found = tuple[PhoneParts | None, Sequence[Agent], Sequence[CheckResult]]
"""The parts of a phone, unless it could not be made; its agents; and what trying has shown."""


@click.command()
@app_argument
@configuration_options
@click.pass_obj
def doctor(
    registry: Registry, *, app: str, config: Path | None, carrier: str, engine: str, sinks: tuple[str, ...], store: str
) -> None:
    """Check what calls need, and say how to fix what is missing.

    With FILE.py or MODULE:PHONE, such as app:phone, it checks the phone of your program and all of its agents.

    Exit code 0 if calls will work, 1 if there is a problem, 2 if something could not be checked. Nothing is changed,
    and no call is made.
    """
    console = Printer()
    check_app(app, config, carrier, engine, sinks, store)
    settings = load(config, carrier=carrier, engine=engine, sinks=sinks, store=store)
    with _no_logs(registry):
        found = _found(registry, settings, app)  # outside of an event loop: the user's code may run its own
        results = anyio.run(_run_checks, registry, found, app, console)
    problems, unknown = (sum(result.level is level for result in results) for level in (Level.PROBLEM, Level.UNKNOWN))
    if problems:
        console.print()
        console.print(f"{counted(problems, 'problem')}.")
        sys.exit(1)
    if unknown:
        console.print()
        console.print(f"No problem was found, but {counted(unknown, 'thing')} could not be checked.")
        sys.exit(2)
    console.print()
    console.print("Ready for calls.")


@contextlib.contextmanager
def _no_logs(registry: Registry) -> Iterator[None]:
    """Logs nothing of Patter and its plugins inside, but of the program: the checks cause refusals on purpose."""
    levels = {log: log.level for log in (PROGRAM_LOG, *map(logging.getLogger, logger_names(registry)))}
    for log in levels:
        log.setLevel(logging.WARNING if log is PROGRAM_LOG else logging.CRITICAL)
    try:
        yield
    finally:
        for log, level in levels.items():
            log.setLevel(level)


async def _run_checks(registry: Registry, found: _Found, app: str, console: Printer) -> list[CheckResult]:
    results: list[CheckResult] = []
    async for result in _checks(registry, found, app):
        results.append(result)
        sign, style = _SIGNS[result.level]
        console.print(Span(sign, style), f" {result.what}")
        if result.remedy:
            console.print(Span(f"  {result.remedy}", "dim"))
        for detail in result.details:
            console.print(Span(f"  {detail}", "dim"))
    return results


async def _checks(registry: Registry, found: _Found, app: str) -> AsyncIterator[CheckResult]:
    python = ".".join(map(str, sys.version_info[:3]))
    yield CheckResult(Level.OK, f"Patter {__version__} on Python {python}.")
    parts, agents, results = found
    for result in (*check_plugins(registry), *check_foreign(), *results):
        yield result
    if parts is None:
        return
    yield check_descriptors(parts.limits.calls)
    async for result in _check_parts(registry, parts, agents):
        yield result
    async for result in check_public_address(parts.base, _public_setting(app)):
        yield result


def _public_setting(app: str) -> str:
    """Returns what sets the public address of a phone."""
    return "webhook_url= of Patter(…) in the program" if app else "PATTER_WEBHOOK_URL, or webhook_url in patter.toml"


def _found(registry: Registry, settings: Settings, app: str) -> _Found:
    """Makes the phone of a program, or the parts of that of the settings."""
    if not app:
        return _from_settings(registry, settings)
    made, result = _make("phone", lambda: open_phone(registry, settings, app)[0])
    if made is None:
        return None, (), [result]
    passed_over = [CheckResult(Level.WARNING, sentence) for sentence in unread(settings, made)]
    return made.parts, made.agents, [result, *passed_over]


def _from_settings(registry: Registry, settings: Settings) -> _Found:
    """Makes each part of the phone by itself, so that all that is missing is told at once."""
    carriers, carrier_result = _make("carrier", lambda: make_carriers(registry, settings))
    sinks, sinks_result = _make("sinks", lambda: make_sinks(registry, settings.sinks))
    store, store_result = _make("store", lambda: make_store(registry, settings.store))
    phone = Patter(carrier=FakeCarrier(), registry=registry)  # whose agents they are until there is a carrier
    _, agents_result = _make("agents", lambda: make_agents(phone, registry, settings))
    results = [carrier_result, agents_result]
    if settings.sinks:
        results.append(sinks_result)
    if store is not None or store_result.level is not Level.OK:
        results.append(store_result)
    made, phone_result = _make(
        "phone",
        lambda: Patter(
            carrier=carriers or FakeCarrier(),
            phone_number=settings.phone_number if carriers else "",
            webhook_url=settings.webhook_url,
            limits=settings.limits,
            registry=registry,
        ),
    )
    if made is None:
        results.append(phone_result)
    parts = (made or phone).parts
    return (
        msgspec.structs.replace(parts, carriers=tuple(carriers or ()), sinks=tuple(sinks or ()), store=store),
        phone.agents,
        results,
    )


async def _check_parts(registry: Registry, parts: PhoneParts, agents: Sequence[Agent]) -> AsyncIterator[CheckResult]:
    format = ULAW_8000
    for carrier in parts.carriers:
        format = carrier.media_codec(_leg(carrier.name)).output.format
        yield CheckResult(Level.OK, f"The carrier {carrier.name} speaks {format}.")
        yield await _check_unsigned_webhook(registry, carrier)
        number = parts.numbers.get(carrier.name, "")
        for result in await _own_checks(carrier.name, functools.partial(carrier.check, parts.base, number)):
            yield result
    for agent in agents:
        setup = setup_of(agent, _leg("doctor"), format)
        for hint in hints_of(agent, setup):
            yield CheckResult(Level.WARNING, f"Agent {agent.name}: {hint}")
        for result in await _own_checks(agent.engine.name, functools.partial(agent.engine.check, setup)):
            what = result.what if len(agents) == 1 else f"Agent {agent.name}: {result.what}"
            yield msgspec.structs.replace(result, what=what)
    written: list[tuple[str, EventSink | CallStore]] = [("Sink", sink) for sink in parts.sinks]
    if parts.store:
        written.append(("Store", parts.store))
    for kind, part in written:
        for result in await _own_checks(part.name, part.check):
            yield msgspec.structs.replace(result, what=f"{kind} {part.name}: {result.what}")
        await _close(part)


def _make(what: str, make: Callable[[], _Part]) -> tuple[_Part | None, CheckResult]:
    """Returns what `make` makes from the settings, or None, and the result of trying."""
    try:
        made = make()
    except PatterError as error:
        if shows_traceback():
            sys.excepthook(type(error), error, error.__traceback__)
        problem = problem_of(error)
        return None, msgspec.structs.replace(problem, what=f"The {what}: {problem.what}")
    except BaseException as raised:  # noqa: BLE001 - the plugin boundary: the other results still count
        failure = as_exception(raised)
        said = f"{type(failure).__name__}: {conceal(str(failure))}" if what == "phone" else type(failure).__name__
        return None, CheckResult(Level.PROBLEM, f"The {what} cannot be made: {said}.")
    return made, CheckResult(Level.OK, f"The {what}: configuration complete.")


async def _own_checks(
    name: str, check: Callable[[], Coroutine[object, object, Sequence[CheckResult]]]
) -> Sequence[CheckResult]:
    try:
        return tuple(await run_foreign(check, _CHECK_TIMEOUT))
    except TimeoutError:
        return [CheckResult(Level.UNKNOWN, f"{name} did not finish its own checks in {_CHECK_TIMEOUT:g} s.")]
    except Exception as error:  # noqa: BLE001 - the plugin boundary: the other results still count
        return [CheckResult(Level.UNKNOWN, f"{name} failed in its own checks: {type(error).__name__}.")]


async def _close(checked: EventSink | CallStore) -> None:
    with contextlib.suppress(Exception):  # the plugin boundary: what is wrong was found by its checks
        await run_foreign(checked.aclose, _CHECK_TIMEOUT)


def _leg(carrier: str) -> Leg:
    return Leg(carrier=carrier, call_id="doctor")


async def _check_unsigned_webhook(registry: Registry, carrier: Carrier) -> CheckResult:
    """Serves the webhook on loopback, and sends it a request without a signature."""
    phone = Patter(carrier=carrier, registry=registry)
    async with serve_app(phone.asgi()) as url:
        answer = await send_request("POST", url + voice_path(carrier.name), headers={}, body=b"{}")
    if carrier.own_page and answer.status == 404:
        return CheckResult(Level.OK, "Calls come by the carrier's own page: nothing of it is at the public address.")
    if answer.status == 403:
        return CheckResult(Level.OK, "A webhook without the carrier's signature is refused.")
    return CheckResult(Level.PROBLEM, f"A webhook without a signature is answered with {answer.status} instead of 403.")
