"""Objects of the user's own code, named as `module:name`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from patter_core.config import did_you_mean
from patter_core.errors import ConfigurationError
from patter_core.server.importing import importing
from patter_core.settings.user_code import from_user_code

__all__ = ["folder_of", "function_at", "object_at", "parts_of"]


def object_at(path: str, *, where: str, remedy: str = "") -> object:
    """Returns the object of that name. Modules in the current folder are found, as Python does for a script there.

    Args:
        path: `module:name`, or `file.py:name`; the name may have dots.
        where: the setting, for errors; "" for what the command was given.
        remedy: where the module has no such name, nor one like it.

    Raises:
        ConfigurationError: the path has another form, there is no such module or name, or importing it raised.
    """
    module_name, name = parts_of(path, where=where)
    found: object = _module(module_name, where)
    for part in name.split("."):
        if not hasattr(found, part):
            raise ConfigurationError(
                f"{_after(where)}“{module_name}” has no “{name}”.",
                remedy=did_you_mean(part, [known for known in dir(found) if not known.startswith("_")]) or remedy,
            )
        found = getattr(found, part)
    return found


def parts_of(path: str, *, where: str) -> tuple[str, str]:
    """Returns the module, or its file, and the name in it.

    Args:
        path: as for `object_at`.
        where: as for `object_at`.

    Raises:
        ConfigurationError: the path has another form.
    """
    module, _, name = path.partition(":")
    if not (module and name):
        raise ConfigurationError(
            f"{_after(where)}“{path}” names no object.",
            expected="module:name" if where else "FILE.py or MODULE:NAME",
            remedy=_file_like(path),
        )
    return module, name


def function_at(path: str, *, where: str) -> Callable[..., Any]:
    """Returns the function of that name, or what else can be called; raises as `object_at`."""
    found = object_at(path, where=where)
    if not callable(found):
        raise ConfigurationError(f"{_after(where)}“{path}” is no function.", got=type(found).__name__)
    return found


def _after(where: str) -> str:
    return f"{where}: " if where else ""


def _file_like(path: str) -> str:
    """Returns the file in the current folder that may have been meant, as a question; "" if there is none."""
    near = did_you_mean(path.partition(":")[0].removesuffix(".py"), [one.stem for one in Path().glob("*.py")])
    return near.replace("?", ".py?")


def folder_of(path: str) -> Path | None:
    """Returns the folder in which the modules of an object's file are found; None for `module:name`."""
    name = path.partition(":")[0]
    return _place_of(Path(name))[0] if name.endswith(".py") else None


def _place_of(file: Path) -> tuple[Path, str]:
    """Returns the folder from which a file is imported, and its name from there: packages are imported as a whole."""
    folder, names = file.resolve().parent, [file.stem]
    while (folder / "__init__.py").exists() and folder.parent != folder:
        names.insert(0, folder.name)
        folder = folder.parent
    return folder, ".".join(names)


def _module(name: str, where: str) -> object:
    folder = Path.cwd()
    if name.endswith(".py"):
        if not Path(name).is_file():
            raise ConfigurationError(
                f"{_after(where)}“{name}” is no file.",
                expected="a Python file, or module:name",
                remedy=_file_like(name),
            )
        folder, name = _place_of(Path(name))
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    with from_user_code(folder), importing(name):
        return _imported(name, where)


def _imported(name: str, where: str) -> object:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise  # the module is there, and imports something that is not
        raise ConfigurationError(
            f"{_after(where)}“{name}” is no module.",
            expected="a module in the current folder, or an installed one",
            remedy="Write dots for slashes." if "/" in name else _file_like(name),
        ) from None
