"""Instances of plugins' classes, made with the options of the settings."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TypeVar

from patter_core.app import WebApp
from patter_core.carrier import Carrier
from patter_core.config import check_names
from patter_core.engine import Engine
from patter_core.errors import ConfigurationError
from patter_core.kinds import Part
from patter_core.settings.model import Option
from patter_core.sink import EventSink
from patter_core.store import CallStore

__all__ = ["make"]

_Offered = TypeVar("_Offered", Carrier, Engine, EventSink, CallStore, WebApp, Part)


def make(cls: type[_Offered], options: Mapping[str, Option]) -> _Offered:
    """Returns an instance of a plugin's class with options; raises `ConfigurationError` for a wrong one."""
    check_names(cls.__name__, options, inspect.signature(cls))
    try:
        return cls(**options)
    except (TypeError, ValueError, AttributeError) as error:  # what a constructor makes of a wrong type
        raise ConfigurationError(
            f"{cls.__name__} does not accept these options.", got=str(error), remedy="Check their types."
        ) from error
