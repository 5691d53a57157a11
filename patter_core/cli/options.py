"""Options that several commands share."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import click

__all__ = ["configuration_options", "log_to_stderr"]

_P = ParamSpec("_P")
_R = TypeVar("_R")

_OPTIONS = (
    click.option(
        "--config",
        type=click.Path(dir_okay=False, path_type=Path),
        help="TOML file. Default: PATTER_CONFIG, or patter.toml if it exists.",
    ),
    click.option(
        "--carrier", default="", metavar="NAME", help="Default: PATTER_CARRIER, the file, or the only one installed."
    ),
    click.option(
        "--engine", default="", metavar="NAME", help="Default: PATTER_ENGINE, the file, or the only one installed."
    ),
    click.option(
        "--sink",
        "sinks",
        multiple=True,
        metavar="NAME",
        help="Sink for the calls' events; repeatable. Default: PATTER_SINKS, or the file.",
    ),
    click.option(
        "--store",
        default="",
        metavar="NAME",
        help="Store that workers share for what was said on calls. Default: PATTER_STORE, or the file.",
    ),
)


def configuration_options(command: Callable[_P, _R]) -> Callable[_P, _R]:
    """Adds --config, --carrier, --engine, --sink and --store to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def log_to_stderr(verbose: int) -> None:
    """Logs warnings; with -v also what happens, and with -vv everything of Patter."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    if verbose:
        logging.getLogger("patter").setLevel(logging.INFO if verbose == 1 else logging.DEBUG)
