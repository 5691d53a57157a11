"""`patter call`: make a call with the agent, and follow it."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import anyio
import click
from rich.console import Console

from patter_core.call.handle import OutboundCall
from patter_core.cli.options import app_option, check_app, configuration_options, log_options, start_log
from patter_core.events import CallEnded
from patter_core.observe.log_setup import LogFormat, LogLevel, LogSettings
from patter_core.registry import Registry
from patter_core.server.serving import bind, serve_app
from patter_core.settings.load import address, load
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
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Port to listen on. Default: PATTER_PORT, the file, or 8000."
)
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

    When the call is answered, the carrier sends a webhook to the public address (PATTER_WEBHOOK_URL). During the call
    that address must lead to this command, which listens on the port that `patter serve` uses otherwise.

    Exit code 1 if the call was not answered, or failed.
    """
    start_log(LogSettings(format=log_format, level=log_level or "", verbose=verbose), registry)
    check_app(app, config, carrier, engine, sinks, store)
    settings = load(config, carrier=carrier, engine=engine, sinks=sinks, store=store)
    console = Console()
    phone, routing = open_phone(registry, settings, app, more_sinks=[ConsoleSink(console)])
    agent = caller_of(phone, routing, name)

    async def main() -> tuple[bool, CallEnded]:
        async with serve_app(phone.asgi(routing), bind(*address(settings, host, port))):
            placed = await phone.call(
                to,
                agent=agent,
                first_message=first_message,
                voicemail_message=voicemail,
                ring_timeout=ring,
                from_number=from_number,
            )
            return await _follow(placed)

    answered, ended = anyio.run(main)
    console.print()
    console.print(metrics_table(ended.metrics))
    if not answered or ended.reason in FAILURES:
        sys.exit(1)


async def _follow(placed: OutboundCall) -> tuple[bool, CallEnded]:
    """Waits for the call's end, and hangs up on a signal. Returns whether the call was answered, and its end."""

    async def hang_up_on_signal() -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                await placed.hang_up()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hang_up_on_signal)
        ended = await placed.wait()
        answered = await placed.wait_answered()
        tasks.cancel_scope.cancel()
    return answered, ended
