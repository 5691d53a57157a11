"""`patter dev`: talk to an agent in the browser while it is written."""

from __future__ import annotations

import os
import secrets
import socket
import sys
from pathlib import Path

import anyio
import click

from patter_core.apps.phone_apps import apps_port as port_of_apps
from patter_core.cli.dev_tunnel import own_terminal, run_tunnelled
from patter_core.cli.dev_worker import DevSpec
from patter_core.cli.options import check_app, configuration_options, log_options, start_log
from patter_core.cli.ranges import WholeRange
from patter_core.cli.reloader import run_reloading
from patter_core.cli.tunnel_worker import TunnelSpec
from patter_core.cli.tunnels import PROGRAMS, find_program
from patter_core.cli.useless_variables import useless_variables
from patter_core.cli.watched_files import WatchedFiles
from patter_core.config import environment_of_workers, from_environment, port_number, variables_of_dotenv
from patter_core.observe.log_setup import LogFormat, LogLevel, LogSettings
from patter_core.patter import DEFAULT_PORT
from patter_core.registry import Registry
from patter_core.server.serving import bind
from patter_core.settings.file import DEFAULT_FILE
from patter_core.settings.objects import folder_of
from patter_core.settings.target import path_of_phone

__all__ = ["dev"]

_HERE = "127.0.0.1"


@click.command()
@click.argument("app", default="", metavar="[FILE.py|MODULE:PHONE]")
@configuration_options
@click.option("--port", type=WholeRange(0, 65535), help="Port of carriers' calls. Default: PATTER_PORT, or 8000.")
@click.option("--apps-port", type=WholeRange(0, 65535), help="Port of the pages. Default: PATTER_APPS_PORT, or 8001.")
@click.option("--open/--no-open", "opens_page", default=True, help="Open the page to talk from. Default: open it.")
@click.option("--tunnel", is_flag=True, help="Have a public address, by cloudflared or ngrok.")
@click.option("--tunnel-program", type=click.Choice(PROGRAMS), help="Which of them. Default: the first installed.")
@click.option("--yes", is_flag=True, help="With a tunnel: point the phone's numbers there without asking.")
@log_options
@click.pass_obj
def dev(
    registry: Registry,
    *,
    app: str,
    config: Path | None,
    carrier: str,
    engine: str,
    sinks: tuple[str, ...],
    store: str,
    port: int | None,
    apps_port: int | None,
    opens_page: bool,
    tunnel: bool,
    tunnel_program: str | None,
    yes: bool,
    verbose: int,
    log_level: LogLevel | None,
    log_format: LogFormat,
) -> None:
    """Talk to your agent in the browser, while you write it.

    It serves the phone of a Python file (its variable `phone`, or that of MODULE:PHONE), or that of patter.toml and the
    environment, as `patter serve` does. Without either, the echo agent answers, which needs no account. A page to talk
    from and the dashboard are added, where they are installed. All of it is on this machine only.

    When a Python file, patter.toml or .env changes, the new version is loaded, and takes over once the live calls of
    the old one are over, which have 5 s. If it cannot be loaded, the old one goes on. Ctrl-C ends it, with exit code
    130 where nothing is served.

    With --tunnel, carriers reach it: cloudflared or ngrok gives it a public address for that time. You are asked
    whether to point the phone's numbers there, and they are put back at the end.
    """
    check_app(app, config, carrier, engine, sinks, store)
    if app:
        path_of_phone(app)  # checked here, as no change of a file mends another form
    level = log_level or ("" if verbose else "warning")  # the calls are printed anyway
    logs = LogSettings(format=log_format, level=level, verbose=verbose, stories=False)
    start_log(logs, registry)
    program = find_program(tunnel_program or "") if tunnel or tunnel_program else None
    with bind(_HERE, port_number(port, default=DEFAULT_PORT), options="--port") as listener:
        spec = DevSpec(
            listener=listener.fileno(),
            app=app,
            config=str(config or ""),
            carrier=carrier,
            engine=engine,
            sinks=sinks,
            store=store,
            apps_port=_free_port(port_of_apps(apps_port), listener),
            apps_key=secrets.token_bytes(32),
            logs=logs,
            opens_page=opens_page,
            told=tuple(useless_variables(registry)),
        )
        if program is None:
            sys.exit(anyio.run(run_reloading, spec, _watched(app, config), _environment()))
        held = TunnelSpec(
            listener=spec.listener, serving=spec, program=program, terminal=-1 if yes else own_terminal(), agrees=yes
        )
        sys.exit(anyio.run(run_tunnelled, held, _watched(app, config), _environment()))


def _free_port(port: int, calls: socket.socket) -> int:
    """Returns a port beside that of calls that every version can listen on; 0 becomes a free one."""
    with bind(_HERE, port, options="--apps-port", beside=calls) as listener:
        found: int = listener.getsockname()[1]
    return found


def _watched(app: str, config: Path | None) -> WatchedFiles:
    file = config or Path(from_environment("", "PATTER_CONFIG") or DEFAULT_FILE)
    folders = [Path.cwd()]
    own = folder_of(app) if app else None
    if own is not None and not own.is_relative_to(folders[0]):
        folders.append(own)
    return WatchedFiles(folders, [file, Path(".env")])


def _environment() -> dict[str, str]:
    """Returns the environment of the processes that serve, without what comes from `.env`: each reads that itself."""
    of_file = variables_of_dotenv()
    return environment_of_workers({name: value for name, value in os.environ.items() if of_file.get(name) != value})
