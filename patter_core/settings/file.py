"""Reads `patter.toml`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from patter_core.config import did_you_mean, from_environment
from patter_core.errors import ConfigurationError
from patter_core.settings.model import Settings

__all__ = ["DEFAULT_FILE", "read_file"]

DEFAULT_FILE = "patter.toml"

_UNKNOWN = re.compile(r"Object contains unknown field `(?P<field>.*?)`(?: - at `\$(?P<place>.*)`)?", re.DOTALL)
_STEP = re.compile(r"\.(?P<field>\w+)|\[[^\]]*\]")


def read_file(file: Path | None) -> Settings:
    """Returns what a file says; without one, PATTER_CONFIG's, or that of patter.toml if it exists.

    Raises:
        ConfigurationError: it cannot be read, or has an unknown or invalid setting.
    """
    requested = str(file) if file is not None else from_environment("", "PATTER_CONFIG")
    path = Path(requested or DEFAULT_FILE)
    if not requested and not path.exists():
        return Settings()
    try:
        return msgspec.toml.decode(path.read_bytes().decode("utf-8-sig"), type=Settings)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read.", got=error.strerror or type(error).__name__) from None
    except msgspec.ValidationError as error:
        raise _invalid(path, str(error)) from None
    except RecursionError:
        raise ConfigurationError(f"{path} is not valid TOML.", got="brackets nested too deep") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not valid TOML.", expected="text in UTF-8") from None
    except ValueError as error:  # of tomllib, whose text may quote the line, and so a secret
        raise ConfigurationError(f"{path} is not valid TOML.", got=f"an error {_end_of(str(error))}") from None


def _end_of(text: str) -> str:
    """Returns the end of tomllib's message: `at line 3, column 8`."""
    _, _, place = text.rpartition("(")
    return place.rstrip(")") or "at an unknown line"


def _invalid(path: Path, message: str) -> ConfigurationError:
    unknown = _UNKNOWN.fullmatch(message)
    if unknown is None:
        return ConfigurationError(f"{path} has an invalid setting.", got=message)
    place, field = unknown["place"] or "", unknown["field"]
    known = sorted({name for struct in _structs_at(place) for name in struct.__struct_fields__})
    table = place.lstrip(".")
    return ConfigurationError(
        f"{path} has an unknown setting “{field}”{f' in {table}' if table else ''}.",
        expected=", ".join(known),
        remedy=did_you_mean(field, known),
    )


def _structs_at(place: str) -> Iterator[type[msgspec.Struct]]:
    """Yields the structs that may stand at a place in the file, such as `.agents[...].fallback`."""
    here = [msgspec.inspect.type_info(Settings)]
    for step in _STEP.finditer(place):
        here = [part for one in here for part in _below(one, step["field"])]
    yield from (one.cls for one in here if isinstance(one, msgspec.inspect.StructType))


def _below(kind: msgspec.inspect.Type, field: str | None) -> Iterator[msgspec.inspect.Type]:
    match kind:
        case msgspec.inspect.StructType(fields=fields):
            below = [one.type for one in fields if one.encode_name == field]
        case msgspec.inspect.DictType(value_type=value):
            below = [value]
        case msgspec.inspect.ListType(item_type=item):
            below = [item]
        case _:
            below = []
    for one in below:
        yield from one.types if isinstance(one, msgspec.inspect.UnionType) else (one,)
