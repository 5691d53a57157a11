"""`patter call`: make a call with the agent, and follow it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import click

from patter_core.cli.beside import connect, running_workers, why_no_server
from patter_core.cli.options import app_option, check_app, configuration_options, log_options, start_log
from patter_core.cli.ranges import WholeRange
from patter_core.cli.told_settings import tell_unread
from patter_core.errors import CallError, ConfigurationError
from patter_core.events import CallEnded, Record
from patter_core.observe.log_setup import LogFormat, LogLevel, LogSettings
from patter_core.observe.printing import Printer, Span
from patter_core.patter import Patter
from patter_core.registry import Registry
from patter_core.server.control_messages import Order, control_is_named
from patter_core.server.dialing import check_target
from patter_core.server.routing import Routing
from patter_core.server.serving import bind, serve_app
from patter_core.settings.load import address, load
from patter_core.settings.model import Settings
from patter_core.settings.target import caller_of, open_phone
from patter_core.sinks.console import ConsoleSink, metrics_table
from patter_core.telephony.outcome import FAILURES

__all__ = ["call"]


@click.command()
@click.argument("to", metavar="TO")
@app_option
@configuration_options
@click.option(
    "--from", "from_number", default="", metavar="NUMBER", help="The caller's number. Default: the phone_number."
)
@click.option("--agent", "name", default="", metavar="NAME", help="The agent that calls. Default: the only one.")
@click.option("--first-message", default="", metavar="TEXT", help="What the agent says first in this call.")
@click.option("--voicemail", default="", metavar="TEXT", help="Message for an answering machine, left after its beep.")
@click.option("--ring", default=30.0, show_default=True, metavar="SECONDS", help="How long to let it ring.")
@click.option("--host", default="", help="Address to listen on. Default: PATTER_HOST, the file, or 127.0.0.1.")
@click.option("--port", type=WholeRange(1, 65535), help="Port to listen on. Default: PATTER_PORT, the file, or 8000.")
@log_options
@click.pass_obj
def call(
    registry: Registry,
    *,
    to: str,
    app: str,
    config: Path | None,
    carrier: str,
    engine: str,
    sinks: tuple[str, ...],
    store: str,
    from_number: str,
    name: str,
    first_message: str,
    voicemail: str,
    ring: float,
    host: str,
    port: int | None,
    verbose: int,
    log_level: LogLevel | None,
    log_format: LogFormat,
) -> None:
    """Make a call to TO, a number in E.164 or a SIP address, and follow it. Ctrl-C hangs up.

    Where `patter serve` runs in this folder, on the same port and as the same user, it makes the call: with its own
    settings and agents, within its limits, and with its sinks. A second Ctrl-C leaves the call to it.

    Otherwise this command serves the call itself. When the call is answered, the carrier sends a webhook to the public
    address (PATTER_WEBHOOK_URL; webhook_url of patter.toml, or of a program). During the call that address must lead to
    this command, which listens on the port that `patter serve` uses otherwise.

    Exit code 1 if the call was not answered, or failed.
    """
    start_log(LogSettings(format=log_format, level=log_level or "", verbose=verbose, stories=False), registry)
    check_app(app, config, carrier, engine, sinks, store)
    check_target(to, ring)
    settings = load(config, carrier=carrier, engine=engine, sinks=sinks, store=store)
    place = address(settings, host, port)
    order = Order(
        to=to,
        agent=name,
        first_message=first_message,
        voicemail_message=voicemail,
        ring_timeout=ring,
        from_number=from_number,
        carrier=carrier,
    )
    console = Printer()
    outcome = None
    if workers := running_workers(place[1]):
        outcome = anyio.run(_by_server, workers, order, console, bool(engine or sinks or store))
    if outcome is None:
        if control_is_named():
            console.print(Span(f"{why_no_server(place[1])} This command serves the call itself.", "dim"))
        phone, routing = _opened(registry, settings, app, console)
        outcome = anyio.run(_by_itself, phone, routing, order, place, console)
    answered, ended = outcome
    console.print()
    console.table(metrics_table(ended.metrics))
    if not answered or ended.reason in FAILURES:
        sys.exit(1)


def _opened(registry: Registry, settings: Settings, app: str, console: Printer) -> tuple[Patter, Routing]:
    """Returns the phone of this command, and who answers it."""
    phone, routing = open_phone(registry, settings, app, more_sinks=[ConsoleSink(console, several_workers=False)])
    tell_unread(settings, app, phone)
    return phone, routing


async def _by_itself(
    phone: Patter, routing: Routing, order: Order, place: tuple[str, int], console: Printer
) -> tuple[bool, CallEnded]:
    """Serves the call. Returns whether it was answered, and its end."""
    agent = caller_of(phone, routing, order.agent)
    in_use = (
        f"A server seems to run there. {why_no_server(place[1])} Run `patter call` in that server's folder, set"
        " PATTER_CONTROL to its control socket, or choose another --port"
    )
    async with serve_app(phone.asgi(routing), bind(*place, options="--host and --port", if_in_use=in_use)):
        placed = await phone.call(
            order.to,
            agent=agent,
            first_message=order.first_message,
            voicemail_message=order.voicemail_message,
            ring_timeout=order.ring_timeout,
            from_number=order.from_number,
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_hang_up_on_signal, placed.hang_up, console)
            ended = await placed.wait()
            answered = await placed.wait_answered()
            tasks.cancel_scope.cancel()
        await phone.drain()  # the server stays open for what the carrier requests for the call's last words
    return answered, ended


async def _by_server(
    workers: list[Path], order: Order, console: Printer, with_settings: bool
) -> tuple[bool, CallEnded] | None:
    """Has the server that runs make the call. Returns whether it was answered, and its end; None if none runs."""
    async with connect(workers) as call:
        if call is None:
            return None
        if with_settings:
            raise ConfigurationError(
                "A server runs here, and makes the call with its own settings.",
                expected="`patter call` without --engine, --sink and --store",
                remedy="Or give another --port, with a public address that leads there.",
            )
        console.print(Span("The server that runs here makes the call.", "dim"))
        await call.place(order)
        printed = ConsoleSink(console, several_workers=False)

        async def tell(record: Record) -> None:
            await printed.write([record])

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_hang_up_on_signal, call.hang_up, console, tasks.cancel_scope)
            await call.follow(tell)
            tasks.cancel_scope.cancel()
        if call.ended is not None:
            return call.answered, call.ended
        if call.is_lost:
            raise CallError(
                "The server went away during the call.",
                remedy="The call ends with its worker, unless another one takes it over: see the server's log.",
            )
        raise CallError("The server was asked to hang up.", remedy="`patter calls` tells how the call ends.")


async def _hang_up_on_signal(
    hang_up: Callable[[], Awaitable[object]], console: Printer, follows: anyio.CancelScope | None = None
) -> None:
    """Hangs up on a signal. A second one ends `follows`, where another process hangs up without this command."""
    count = 0
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            count += 1
            if follows is None:
                console.print("Hanging up.")
            elif count == 1:
                console.print("Hanging up. Ctrl-C again leaves that to the server.")
            else:
                follows.cancel()
            await hang_up()
