"""Reads `patter.toml`."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from patter_core.config import from_environment
from patter_core.errors import ConfigurationError
from patter_core.settings.invalid import invalid, located
from patter_core.settings.model import Settings

__all__ = ["DEFAULT_FILE", "path_of", "read_file"]

DEFAULT_FILE = "patter.toml"
_DEEPEST = 10
"""No setting is in more tables than that."""
_QUOTED = re.compile(r"'[^']{2,}'")
"""More than one character that tomllib quotes."""


def read_file(file: Path | None) -> Settings:
    """Returns what a file says; without one, PATTER_CONFIG's, or that of patter.toml if it exists.

    Raises:
        ConfigurationError: it cannot be read, or has an unknown or invalid setting.
    """
    path = path_of(file)
    if not _requested(file) and not path.exists():
        return Settings()
    tables: dict[str, object] = {}
    try:
        tables = msgspec.toml.decode(path.read_bytes().decode("utf-8-sig"), type=dict[str, object])
        return msgspec.convert(tables, Settings)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read.", got=error.strerror or type(error).__name__) from None
    except msgspec.ValidationError as error:
        raise invalid(path, str(error), tables, _wrong_keys(tables, lambda part: part, error)) from None
    except ConfigurationError as error:  # of a value that only its own class checks
        place = ".".join(_wrong_keys(tables, lambda part: part, error))
        raise located(error, f"It is set in {path}{place and f', at {place}'}.") from None
    except RecursionError:
        raise ConfigurationError(f"{path} is not valid TOML.", got="brackets nested too deep") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not valid TOML.", expected="text in UTF-8") from None
    except ValueError as error:  # of tomllib, whose text may quote the line, and so a secret
        raise ConfigurationError(f"{path} is not valid TOML.", got=_cause(str(error))) from None


def path_of(file: Path | None) -> Path:
    """Returns the path of the file: the one that is given, else PATTER_CONFIG's, else patter.toml."""
    return Path(_requested(file) or DEFAULT_FILE)


def _requested(file: Path | None) -> str:
    return str(file) if file is not None else from_environment("", "PATTER_CONFIG")


def _wrong_keys(
    table: Mapping[str, object],
    whole: Callable[[dict[str, object]], dict[str, object]],
    fault: Exception,
    depth: int = _DEEPEST,
) -> list[str]:
    """Returns the keys that lead to what is wrong, as deep as a part of the file is wrong in the same way by itself.

    Args:
        table: where to look.
        whole: returns the file's contents of which a part of this table is all there is.
        fault: what is wrong with the whole file.
        depth: how many tables below this one are looked into.
    """
    for key, value in table.items():
        try:
            msgspec.convert(whole({key: value}), Settings)
        except (ConfigurationError, msgspec.ValidationError) as error:
            if str(error) != str(fault):  # the rest of the table is needed
                continue
            deeper = functools.partial(_in_table, whole, key)
            below = _wrong_keys(value, deeper, fault, depth - 1) if depth and isinstance(value, dict) else []
            return [key, *below]
    return []


def _in_table(
    whole: Callable[[dict[str, object]], dict[str, object]], key: str, part: dict[str, object]
) -> dict[str, object]:
    return whole({key: part})


def _cause(text: str) -> str:
    """Returns tomllib's message, without what it may quote of the line: `unclosed array, at line 3, column 8`."""
    said, _, place = text.rpartition(" (")
    what = "an error" if _QUOTED.search(said) else f"{said[:1].lower()}{said[1:]}"
    return f"{what}, {place.rstrip(')')}" if said else "an error"
