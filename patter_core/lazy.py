"""What a plugin's package loads on first use, for its `__getattr__`: its version alone needs no library."""

from __future__ import annotations

from importlib import import_module

__all__ = ["load_lazily"]

_OURS = "patter_"
"""What the packages of plugins begin with. Their distributions are called so, too, with hyphens."""


def load_lazily(package: str, module: str, name: str) -> object:
    """Returns the attribute of that name of `package.module`.

    Raises:
        ModuleNotFoundError: the module needs a plugin that is not installed; the error says what to install.
    """
    try:
        found: object = getattr(import_module(f"{package}.{module}"), name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if not missing.startswith(_OURS) or "." in missing or missing == package:
            raise
        owner, distribution = package.replace("_", "-"), missing.replace("_", "-")
        text = f"{name} of {owner} needs {distribution}: pip install {distribution}"
        raise ModuleNotFoundError(text, name=missing) from None
    return found
