"""`patter serve`: answer calls, with a carrier and an engine by name."""

from __future__ import annotations

from pathlib import Path

import anyio
import click

from patter_core.cli.options import configuration_options, log_to_stderr
from patter_core.cli.setup import Settings, load, make_agent, make_engine, make_phone
from patter_core.registry import Registry

__all__ = ["serve"]


@click.command()
@configuration_options
@click.option("--host", default="", help="Where to listen; else the file, PATTER_HOST, or 127.0.0.1.")
@click.option("--port", type=click.IntRange(1, 65535), help="Else the file, PATTER_PORT, or 8000.")
@click.option("-v", "--verbose", count=True, help="Log what happens; twice for more.")
@click.pass_obj
def serve(
    registry: Registry,
    *,
    config: Path | None,
    carrier: str,
    engine: str,
    sinks: tuple[str, ...],
    host: str,
    port: int | None,
    verbose: int,
) -> None:
    """Answer calls until SIGINT or SIGTERM.

    Carrier, engine and sinks are named by options, by the environment, or by a TOML file; their credentials come from
    their own environment variables, or from the file.
    """
    log_to_stderr(verbose)
    settings = load(config, carrier=carrier, engine=engine, sinks=sinks)
    run_worker(registry, settings, host=host or settings.host, port=port or settings.port)


def run_worker(registry: Registry, settings: Settings, *, host: str, port: int) -> None:
    """One worker: made of nothing but the settings, so that any process can be one."""
    phone = make_phone(registry, settings)
    agent = make_agent(phone, make_engine(registry, settings.engine), settings.agent)

    async def main() -> None:
        await phone.serve(agent, host=host, port=port)

    anyio.run(main)
