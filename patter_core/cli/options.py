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
        help="A TOML file; else PATTER_CONFIG; else patter.toml, if there is one.",
    ),
    click.option("--carrier", default="", metavar="NAME", help="Else PATTER_CARRIER, the file, or the only one."),
    click.option("--engine", default="", metavar="NAME", help="Else PATTER_ENGINE, the file, or the only one."),
    click.option(
        "--sink", "sinks", multiple=True, metavar="NAME", help="May be repeated. Else PATTER_SINKS, or the file."
    ),
)


def configuration_options(command: Callable[_P, _R]) -> Callable[_P, _R]:
    """Add --config, --carrier, --engine and --sink."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def log_to_stderr(verbose: int) -> None:
    """Warnings, or with -v what happens, or with -vv everything of ours."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    if verbose:
        logging.getLogger("patter").setLevel(logging.INFO if verbose == 1 else logging.DEBUG)
