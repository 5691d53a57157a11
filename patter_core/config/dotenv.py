"""Reads the `.env` file of a folder."""

from __future__ import annotations

import os
from pathlib import Path

from patter_core.errors import ConfigurationError

__all__ = ["read_dotenv", "variables_of_dotenv"]


def read_dotenv() -> None:
    """Puts the variables of `.env`, if the current folder has one, into the environment, where they are not set.

    Nothing in their values is expanded.

    Raises:
        ConfigurationError: it cannot be read, or a line of it is not understood. The error does not show the line.
    """
    for name, value in variables_of_dotenv().items():
        os.environ.setdefault(name, value)


def variables_of_dotenv() -> dict[str, str]:
    """Returns the variables of `.env`; raises as `read_dotenv`.

    A folder of that name is passed over: it may be a virtual environment. So is a pipe, which could be read only once.
    """
    path = Path(".env")
    if not path.is_file():
        return {}
    from dotenv.parser import parse_stream  # noqa: PLC0415 - most folders have none

    try:
        with path.open(encoding="utf-8-sig") as stream:
            bindings = list(parse_stream(stream))
    except OSError as error:
        raise ConfigurationError(".env cannot be read.", got=error.strerror or type(error).__name__) from None
    except UnicodeDecodeError:
        raise ConfigurationError(".env cannot be read.", expected="text in UTF-8") from None
    found: dict[str, str] = {}
    for binding in bindings:
        if binding.error or (binding.key is not None and binding.value is None):
            raise ConfigurationError(
                f"Line {binding.original.line} of .env is not understood.",
                expected="NAME=value, a comment that begins with #, or nothing",
            )
        if binding.key is not None and binding.value is not None:
            found[binding.key] = binding.value  # the last one of a name, as in a shell
    return found
