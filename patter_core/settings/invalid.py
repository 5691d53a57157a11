"""What is wrong in `patter.toml`, in the words of its users: the place, what is expected there, and what came."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from patter_core.config import did_you_mean, from_environment
from patter_core.config.variables import CORE_VARIABLES
from patter_core.errors import ConfigurationError, PatterError, PluginError
from patter_core.settings.model import OptionName, PluginConfig, Settings

__all__ = ["IN_TABLES", "invalid", "located", "named_by"]

_PLACE = re.compile(r"(?P<said>.*?)(?: - at `\$\.?(?P<place>.*)`)?", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<field>.*?)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<field>.*?)`")
_TYPES = re.compile(r"Expected `(?P<expected>.*?)`, got `(?P<got>.*?)`")
_VALUE = re.compile(r"Invalid (?:enum )?value (?P<got>.*)", re.DOTALL)
_STEP = re.compile(r"(?P<field>\w+)|\[[^\]]*\]")
_WORDS = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "object": "a table",
    "array": "a list",
    "date": "a date",
    "datetime": "a date and time",
    "time": "a time",
}
"""Of TOML's types, by msgspec's names. A value that may be absent is `null`, too, which TOML has not."""

IN_TABLES = {
    "PATTER_APPS_HOST": "listen in [apps_access]",
    "PATTER_APPS_PASSWORD": "password in [apps_access]",
    "PATTER_FIRST_MESSAGE": "first_message in [agent]",
    "PATTER_REDACT_NUMBERS": "numbers in [redaction]",
    "PATTER_REDACT_TRANSCRIPTS": "transcripts in [redaction]",
    "PATTER_SYSTEM_PROMPT": "system_prompt in [agent]",
}
"""What a variable sets that is no setting at the top of the file, under its own name."""
_OPTIONS = {"workers": "It is the option --workers of `patter serve`."}
"""What is set by an option of a command alone, under the option's name."""
_CREDENTIAL = re.compile(r"(^|_)(token|secret|key|password|sid)$", re.IGNORECASE)

_OF_VARIABLE = re.compile(r"[A-Z0-9]+_[A-Z0-9_]+\b")
"""What errors of a variable begin with."""

_Error = TypeVar("_Error", bound=PatterError)


def located(error: _Error, where: str) -> _Error:
    """Returns the error with a sentence that says where the value is set."""
    error.details = [*error.details, where]
    return error


@contextlib.contextmanager
def named_by(config: PluginConfig, table: str, variable: str = "") -> Iterator[None]:
    """Lets errors of what a configuration names say what names it, but for those of a variable, which has its own name.

    Args:
        config: may be empty, and then names nothing.
        table: of the file, such as `[[sinks]]`; or a place in one.
        variable: names it, too, if it is set. Options stand in the file alone.
    """
    try:
        yield
    except (ConfigurationError, PluginError) as error:
        if _OF_VARIABLE.match(error.problem):
            raise
        in_file = f"{table} in the TOML file"
        if isinstance(config.name, OptionName):
            option = variable.removeprefix("PATTER_").lower().replace("sinks", "sink")
            located(error, f"“{config.name}” is named by the option --{option}.")
        elif config.name:
            is_named = variable and not config.options and from_environment("", variable)
            located(error, f"“{config.name}” is named by {variable if is_named else in_file}.")
        elif config.options:
            located(error, f"Its options are set in {in_file}.")
        raise


def invalid(path: Path, message: str, tables: Mapping[str, object], keys: Sequence[str]) -> ConfigurationError:
    """Returns the error for one of msgspec's.

    Args:
        path: of the file.
        message: the error.
        tables: what the file holds.
        keys: that lead to the place: msgspec does not tell those of tables with free names.
    """
    found = _PLACE.fullmatch(message)
    said, place = (found["said"], found["place"] or "") if found else (message, "")
    shown = _with_keys(place, keys)
    here = f" in {shown}" if place else ""
    if unknown := _UNKNOWN.fullmatch(said):
        structs = _structs_of_type(_structs_at(place), _value_at(tables, place, keys))
        known = sorted({name for struct in structs for name in struct.__struct_fields__})
        return ConfigurationError(
            f"{path} has an unknown setting “{unknown['field']}”{here}.",
            expected=", ".join(known),
            remedy=(place and did_you_mean(unknown["field"], known))
            or _elsewhere(place, unknown["field"])
            or did_you_mean(unknown["field"], known),
        )
    if missing := _MISSING.fullmatch(said):
        field = missing["field"]
        values = _values_at(f"{place}.{field}")
        return ConfigurationError(f"{path} lacks the setting “{field}”{here}.", expected=_or(values))
    if types := _TYPES.fullmatch(said):
        expected = [_WORDS.get(word, word) for word in types["expected"].split(" | ") if word != "null"]
        if "a number" in expected:
            expected = [word for word in expected if word != "a whole number"]
        values = _values_at(place)
        got = _WORDS.get(types["got"], types["got"])
        return ConfigurationError(
            f"{path} has a value of the wrong type at {shown}.",
            expected=_or(values or expected),
            got=got,
            remedy=_other_brackets(place, shown, types["got"]),
        )
    value = _VALUE.fullmatch(said)
    values = _values_at(place)
    return ConfigurationError(
        f"{path} has an invalid value{f' at {shown}' if place else ''}.",
        expected=_or(values),
        got=value["got"] if value else said.rstrip("."),
        remedy=did_you_mean(value["got"].strip("'"), [one.strip('"') for one in values]) if value else "",
    )


def _elsewhere(place: str, field: str) -> str:
    """Returns where that is set which is no setting at the place; "" if it is not known."""
    if place and field in Settings.__struct_fields__:
        return f"“{field}” is a setting of the phone: write it before the first table."
    setting = field.lower().removeprefix("patter_")
    variable = f"PATTER_{setting.upper()}"
    if not place and setting in Settings.__struct_fields__:
        return f"Write {setting}."
    if not place and variable in CORE_VARIABLES:
        table = IN_TABLES.get(variable, "")
        return f"It is set by the environment variable {variable}{f', or by {table}' if table else ''}."
    if not place and setting in _OPTIONS:
        return _OPTIONS[setting]
    if tables := _tables_with(field):
        return f"It is a setting of {_or(tables)}."
    if _CREDENTIAL.search(field):
        return "A vendor's credential is an environment variable, which `patter doctor` names, or an option."
    return ""


def _tables_with(field: str) -> list[str]:
    """Returns the tables that have such a setting, each as its head is written."""
    return [
        f"[{one}]"
        for one in Settings.__struct_fields__
        for struct in _structs_at(one)
        if field in struct.__struct_fields__
    ]


def _other_brackets(place: str, shown: str, got: str) -> str:
    """Returns how the head of a table is written there, if a list of tables was taken for a table, or the reverse."""
    if "[" in shown:  # the names of tables in between are not known
        return ""
    kinds = _types_at(place)
    if got == "array" and any(isinstance(one, msgspec.inspect.StructType) for one in kinds):
        return f"Write [{shown}]."
    lists = [one for one in kinds if isinstance(one, msgspec.inspect.ListType)]
    if got == "object" and any(isinstance(one.item_type, msgspec.inspect.StructType) for one in lists):
        return f"Write [[{shown}]]."
    return ""


def _with_keys(place: str, keys: Sequence[str]) -> str:
    """Returns the place with the keys of tables with free names, where they are known."""
    shown = ""
    for number, step in enumerate(_STEP.finditer(place)):
        is_key = step[0] == "[...]" and number < len(keys)
        field = keys[number] if is_key else step["field"]
        shown += step[0] if field is None else f"{'.' if shown else ''}{field}"
    return shown


def _or(words: Sequence[str]) -> str:
    *first, last = words or [""]
    return f"{', '.join(first)} or {last}" if first else last


def _values_at(place: str) -> list[str]:
    """Returns the values that may stand at a place, as they are written; none if they are not a few that are known."""
    literals = [one for one in _types_at(place) if isinstance(one, msgspec.inspect.LiteralType)]
    return sorted(f'"{value}"' for literal in literals for value in literal.values)


def _structs_at(place: str) -> Iterator[type[msgspec.Struct]]:
    """Yields the structs that may stand at a place in the file, such as `agents[...].fallback`."""
    yield from (one.cls for one in _types_at(place) if isinstance(one, msgspec.inspect.StructType))


def _structs_of_type(structs: Iterable[type[msgspec.Struct]], value: object) -> list[type[msgspec.Struct]]:
    """Returns those of the type that a table says it has, such as `type = "hang_up"`; all, if it says none of them."""
    found, table = list(structs), value if isinstance(value, dict) else {}
    configs = {struct: struct.__struct_config__ for struct in found}
    return [one for one in found if configs[one].tag and configs[one].tag == table.get(configs[one].tag_field)] or found


def _value_at(tables: Mapping[str, object], place: str, keys: Sequence[str]) -> object:
    """Returns what stands at a place; None where a list is on the way."""
    here: object = tables
    for number, step in enumerate(_STEP.finditer(place)):
        key = keys[number] if step["field"] is None and number < len(keys) else step["field"]
        here = here.get(key) if isinstance(here, dict) else None
    return here


def _types_at(place: str) -> list[msgspec.inspect.Type]:
    here = [msgspec.inspect.type_info(Settings)]
    for step in _STEP.finditer(place):
        here = [part for one in here for part in _below(one, step["field"])]
    return here


def _below(kind: msgspec.inspect.Type, field: str | None) -> Iterator[msgspec.inspect.Type]:
    match kind:
        case msgspec.inspect.StructType(tag_field=tag_field, tag=tag) if field is not None and field == tag_field:
            below: list[msgspec.inspect.Type] = [msgspec.inspect.LiteralType((tag,))]
        case msgspec.inspect.StructType(fields=fields):
            below = [one.type for one in fields if one.encode_name == field]
        case msgspec.inspect.DictType(value_type=value):
            below = [value]
        case msgspec.inspect.ListType(item_type=item) | msgspec.inspect.VarTupleType(item_type=item):
            below = [item]
        case _:
            below = []
    for one in below:
        yield from one.types if isinstance(one, msgspec.inspect.UnionType) else (one,)
