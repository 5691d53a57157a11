"""Objects of the user's own code, named as `module:name`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from patter_core.config import did_you_mean
from patter_core.errors import ConfigurationError

__all__ = ["function_at", "object_at"]


def object_at(path: str, *, where: str) -> object:
    """Returns the object of that name. Modules in the current folder are found, as Python does for a script there.

    What the module raises when it is imported is raised as it is: its traceback says where.

    Args:
        path: `module:name`, where the name may have dots.
        where: the setting, for errors.

    Raises:
        ConfigurationError: the path has another form, or there is no such module or name.
    """
    module_name, colon, name = path.partition(":")
    if not (colon and name and module_name):
        raise ConfigurationError(f"{where} is no path of an object.", expected="module:name", got=repr(path))
    found: object = _module(module_name, where)
    for part in name.split("."):
        if not hasattr(found, part):
            raise ConfigurationError(
                f"{where}: {module_name} has no {name}.",
                remedy=did_you_mean(part, [known for known in dir(found) if not known.startswith("_")]),
            )
        found = getattr(found, part)
    return found


def function_at(path: str, *, where: str) -> Callable[..., Any]:
    """Returns the function of that name, or what else can be called; raises as `object_at`."""
    found = object_at(path, where=where)
    if not callable(found):
        raise ConfigurationError(f"{where}: {path} is no function.", got=type(found).__name__)
    return found


def _module(name: str, where: str) -> object:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise  # the module is there, and imports something that is not
        remedy = "Leave out .py, and write dots for slashes." if name.endswith(".py") or "/" in name else ""
        raise ConfigurationError(
            f"{where}: there is no module {name}.",
            expected="a module in the current folder, or an installed one",
            remedy=remedy,
        ) from None
