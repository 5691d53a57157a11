"""Instances of plugins' classes, made with the options of the settings."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TypeVar

from patter_core.app import WebApp
from patter_core.carrier import Carrier
from patter_core.config import unknown_option
from patter_core.engine import Engine
from patter_core.errors import ConfigurationError, UnknownOption
from patter_core.kinds import Part
from patter_core.settings.functions import with_functions
from patter_core.settings.model import Option
from patter_core.sink import EventSink
from patter_core.store import CallStore

__all__ = ["make"]

_Offered = TypeVar("_Offered", Carrier, Engine, EventSink, CallStore, WebApp, Part)


def make(cls: type[_Offered], options: Mapping[str, Option]) -> _Offered:
    """Returns an instance of a plugin's class with options; raises `ConfigurationError` for a wrong one.

    Options that are functions or tools are named as `module:name`.
    """
    for name in options:
        if name.startswith("_"):  # for tests and the like, and for code only
            raise unknown_option(cls.__name__, name, inspect.signature(cls))
    try:
        return cls(**with_functions(cls, options))
    except UnknownOption:
        raise
    except (TypeError, ValueError, AttributeError) as error:  # what a constructor makes of a wrong type
        raise ConfigurationError(
            f"{cls.__name__} does not accept these options.", got=str(error), remedy="Check their types."
        ) from error
