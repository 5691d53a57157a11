"""Options that several commands share."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import click
from click.core import ParameterSource

from patter_core.errors import ConfigurationError
from patter_core.observe.log_setup import LogSettings, log_to_stderr
from patter_core.observe.logs import guard, packages_of
from patter_core.registry import Registry

__all__ = [
    "DateType",
    "EnvironmentOption",
    "app_argument",
    "app_option",
    "check_app",
    "configuration_options",
    "log_options",
    "logger_names",
    "start_log",
]


class EnvironmentOption(click.Option):
    """An option with a variable, of which an error names what was set."""

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """Returns the name of the variable, if the value comes from it, else the option's."""
        source = None if ctx is None or self.name is None else ctx.get_parameter_source(self.name)
        if source is ParameterSource.ENVIRONMENT and isinstance(self.envvar, str):
            return f"the environment variable {self.envvar}"
        return super().get_error_hint(ctx)


class DateType(click.DateTime):
    """A day, or a moment of it, in local time."""

    def __init__(self) -> None:
        super().__init__([*click.DateTime().formats, "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"])

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """Returns how it is written; without `ctx` in older versions of click."""
        return "YYYY-MM-DD[THH:MM]"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> dt.datetime:
        """Reads it.

        Raises:
            click.BadParameter: it is written otherwise, or no day of the calendar.
        """
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            form = "YYYY-MM-DD, such as 2026-01-31, or YYYY-MM-DD HH:MM"
            self.fail(f"“{value}” is no date. Expected {form}.", param, ctx)


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


_LOG_OPTIONS = (
    click.option("-v", "--verbose", count=True, help="Log what happens on calls; twice also for tries that failed."),
    click.option(
        "--log-level",
        cls=EnvironmentOption,
        type=click.Choice(["debug", "info", "warning", "error"]),
        envvar="PATTER_LOG_LEVEL",
        help="Default: PATTER_LOG_LEVEL, or warnings and a line for each call.",
    ),
    click.option(
        "--log-format",
        cls=EnvironmentOption,
        type=click.Choice(["text", "json"]),
        envvar="PATTER_LOG_FORMAT",
        default="text",
        help="json: one object a line. Default: PATTER_LOG_FORMAT, or text.",
    ),
)


def configuration_options(command: Callable[_P, _R]) -> Callable[_P, _R]:
    """Adds --config, --carrier, --engine, --sink and --store to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def app_argument(command: Callable[_P, _R]) -> Callable[_P, _R]:
    """Adds the phone of a program, in place of the settings, as an argument of a command."""
    return click.argument("app", default="", metavar="[FILE.py|MODULE:PHONE]")(command)


def app_option(command: Callable[_P, _R]) -> Callable[_P, _R]:
    """Adds --app, which is the same as an option."""
    add = click.option(
        "--app", default="", metavar="FILE.py|MODULE:PHONE", help="The phone of your program, in place of the settings."
    )
    return add(command)


def check_app(app: str, *others: object) -> None:
    """Refuses options for settings beside the phone of a program, which has its own."""
    if app and any(others):
        raise ConfigurationError(
            "The phone of a program has its own settings.",
            expected="FILE.py or MODULE:PHONE without --config, --carrier, --engine, --sink, --store and --apps",
        )


def log_options(command: Callable[_P, _R]) -> Callable[_P, _R]:
    """Adds -v, --log-level and --log-format to a command."""
    for option in reversed(_LOG_OPTIONS):
        command = option(command)
    return command


def start_log(settings: LogSettings, registry: Registry) -> None:
    """Logs to standard error, as the options say."""
    guard()
    log_to_stderr(settings, logger_names(registry))


def logger_names(registry: Registry) -> set[str]:
    """Returns the names of the loggers of Patter and its plugins, from which their other loggers take the level."""
    return {"patter", *packages_of(registry.manager.get_plugins())}
