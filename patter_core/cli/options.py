"""Options that several commands share."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import click

from patter_core.errors import ConfigurationError
from patter_core.observe.log_writer import BackgroundHandler
from patter_core.observe.logs import guard, packages_of
from patter_core.registry import Registry

__all__ = ["app_argument", "app_option", "check_app", "configuration_options", "log_to_stderr", "logger_names"]

_P = ParamSpec("_P")
_R = TypeVar("_R")

_OPTIONS = (
    click.option(
        "--config",
        type=click.Path(dir_okay=False, path_type=Path),
        help="TOML file. Default: PATTER_CONFIG, or patter.toml if it exists.",
    ),
    click.option(
        "--carrier", default="", metavar="NAME", help="Default: PATTER_CARRIER, the file, or the one with credentials."
    ),
    click.option(
        "--engine", default="", metavar="NAME", help="Default: PATTER_ENGINE, the file, or the one with credentials."
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


def app_argument(command: Callable[_P, _R]) -> Callable[_P, _R]:
    """Adds the phone of a program, in place of the settings, as an argument of a command."""
    return click.argument("app", default="", metavar="[MODULE:PHONE]")(command)


def app_option(command: Callable[_P, _R]) -> Callable[_P, _R]:
    """Adds --app, which is the same as an option."""
    add = click.option(
        "--app", default="", metavar="MODULE:PHONE", help="The phone of your program, in place of the settings."
    )
    return add(command)


def check_app(app: str, *others: object) -> None:
    """Refuses options for settings beside the phone of a program, which has its own."""
    if app and any(others):
        raise ConfigurationError(
            "The phone of a program has its own settings.",
            expected="MODULE:PHONE without --config, --carrier, --engine, --sink and --store",
        )


def log_to_stderr(verbose: int, registry: Registry) -> None:
    """Logs warnings; with -v also what happens, and with -vv everything of Patter and its plugins.

    A thread writes them, so that a reader that stalls or goes away stops no call.
    """
    guard()
    logging.basicConfig(
        format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING, handlers=[BackgroundHandler()]
    )
    if verbose:
        for name in logger_names(registry):
            logging.getLogger(name).setLevel(logging.INFO if verbose == 1 else logging.DEBUG)


def logger_names(registry: Registry) -> set[str]:
    """Returns the names of the loggers of Patter and its plugins, from which their other loggers take the level."""
    return {"patter", *packages_of(registry.manager.get_plugins())}
