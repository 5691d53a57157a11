"""`patter serve`: answer calls with a carrier and an engine by name."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import click

from patter_core.cli.options import app_argument, check_app, configuration_options, log_options, start_log
from patter_core.cli.ranges import WholeRange
from patter_core.cli.supervisor import run_workers
from patter_core.cli.worker import run_worker
from patter_core.config import MOST_WORKERS
from patter_core.errors import ConfigurationError, PatterError
from patter_core.observe.log_setup import LogFormat, LogLevel, LogSettings
from patter_core.registry import Registry
from patter_core.server.service_manager import passed_listener
from patter_core.server.serving import bind
from patter_core.server.ties import WorkerTies
from patter_core.settings.invalid import located
from patter_core.settings.load import address, load
from patter_core.settings.model import Settings
from patter_core.settings.plugins import require_shareable
from patter_core.settings.target import open_phone

__all__ = ["serve"]


@click.command()
@app_argument
@configuration_options
@click.option("--host", default="", help="Address to listen on. Default: PATTER_HOST, the file, or 127.0.0.1.")
@click.option(
    "--port",
    type=WholeRange(0, 65535),
    help="Port to listen on; 0 for any free one. Default: PATTER_PORT, the file, or 8000.",
)
@click.option(
    "--workers",
    type=WholeRange(1, MOST_WORKERS),
    default=1,
    show_default=True,
    help="Processes that share the calls.",
)
@click.option(
    "--apps",
    multiple=True,
    metavar="NAME",
    help="Pages beside the calls, such as dashboard; repeatable. Default: PATTER_APPS, or the file.",
)
@click.option(
    "--apps-port",
    type=WholeRange(0, 65535),
    help="Port of the apps; 0 for any free one. Default: PATTER_APPS_PORT, the file, or 8001.",
)
@log_options
@click.pass_obj
def serve(
    registry: Registry,
    *,
    app: str,
    config: Path | None,
    carrier: str,
    engine: str,
    sinks: tuple[str, ...],
    store: str,
    host: str,
    port: int | None,
    workers: int,
    apps: tuple[str, ...],
    apps_port: int | None,
    verbose: int,
    log_level: LogLevel | None,
    log_format: LogFormat,
) -> None:
    """Answer calls until SIGINT, SIGTERM or SIGHUP. A second one ends the live calls at once.

    With FILE.py or MODULE:PHONE, such as app:phone, it serves the phone of your program, whose only agent answers, or
    who its route() says. Otherwise carrier, engine, sinks and store are named by options, by the environment, or in a
    TOML file. Their credentials come from their own environment variables, or from the file.

    Under systemd, a socket unit's socket is taken in place of host and port, and other instances may share it.
    """
    check_app(app, config, carrier, engine, sinks, store, apps)
    logs = LogSettings(format=log_format, level=log_level or "", verbose=verbose)
    start_log(logs, registry)
    settings = load(config, carrier=carrier, engine=engine, sinks=sinks, store=store, apps=apps)
    if workers > 1:
        require_shareable(registry, settings.sinks)
    passed = passed_listener()
    if passed is not None:
        os.environ.setdefault("PATTER_SEVERAL_WORKERS", "1")  # another instance may be started before this one stops
    listener, shared = passed or _listener(registry, settings, app, host, port), passed is not None
    ties = WorkerTies(apps_port=apps_port)
    if workers == 1:
        run_worker(registry, settings, app, listener=listener, shared_listener=shared, logs=logs, ties=ties)
    elif not run_workers(
        settings, app, count=workers, listener=listener, shared_listener=shared, logs=logs, apps_port=apps_port
    ):
        sys.exit(1)


def _listener(registry: Registry, settings: Settings, app: str, host: str, port: int | None) -> socket.socket:
    """Returns the socket to listen on. Where there can be none, what else is wrong is told with that."""
    try:
        return bind(*address(settings, host, port), options="--host and --port")
    except ConfigurationError as unheard:
        try:
            open_phone(registry, settings, app)
        except PatterError as error:
            raise located(error, str(unheard)) from None
        raise
