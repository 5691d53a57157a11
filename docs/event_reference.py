"""The reference of events: a JSON Schema and a table, made from the structs, and a check of what changes in them.

`python docs/event_reference.py docs/reference` writes both into that folder. It refuses a change that would break a
reader of older events.
"""  # noqa: INP001 - a script, which the tests import

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import get_args

import msgspec

from patter_core.errors import PatterError
from patter_core.events import SCHEMA_VERSION, CallEvent, Event, Record

__all__ = ["Schema", "breaking_changes", "event_schema", "event_table", "write_pages"]

_PAGE = "events.md"
_BEGIN, _END = "<!-- made by `python docs/event_reference.py` -->", "<!-- end -->"


class Schema(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The part of a JSON Schema that msgspec writes and that matters to a reader of events."""

    type: str | list[str] = ""
    ref: str = msgspec.field(default="", name="$ref")
    properties: Mapping[str, Schema] = {}
    required: list[str] = []
    any_of: list[Schema] = msgspec.field(default_factory=list, name="anyOf")
    enum: list[str | int | None] = []
    items: Schema | bool = True
    additional: Schema | bool = msgspec.field(default=True, name="additionalProperties")
    format: str = ""
    defs: Mapping[str, Schema] = msgspec.field(default={}, name="$defs")


def event_schema() -> bytes:
    """Returns the JSON Schema of a record, with all events, as it is stored in `docs/`."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **_plain(msgspec.json.schema(Record))}
    return msgspec.json.format(msgspec.json.encode(schema, order="sorted"), indent=1) + b"\n"


def breaking_changes(old: bytes, new: bytes) -> list[str]:
    """Returns what a reader of the old schema would miss or misread in the new one: removed structs, fields and types.

    Additions break no reader: readers ignore what they do not know.
    """
    before, after = (msgspec.json.decode(text, type=Schema).defs for text in (old, new))
    found: list[str] = []
    for name, schema in before.items():
        if name not in after:
            found.append(f"{name} is gone")
            continue
        now = after[name]
        found += [f"{name}: the value {value!r} is gone" for value in schema.enum if value not in now.enum]
        for field, kind in schema.properties.items():
            if field not in now.properties:
                found.append(f"{name}.{field} is gone")
            elif not _accepts(_kind(kind), _kind(now.properties[field])):
                found.append(f"{name}.{field} has another type")
        found += [
            f"{name}.{field} may be missing now"
            for field in schema.required
            if field in now.properties and field not in now.required
        ]
    return found


def event_table() -> str:
    """Returns all events as a Markdown table: tag, when, and fields."""
    rows = [f"| `{_tag(kind)}` | {_first_sentence(kind)} | {_fields(kind)} |" for kind in _kinds()]
    return "\n".join(["| event | when | fields |", "|---|---|---|", *rows])


def write_pages(folder: Path) -> None:
    """Brings the schema and the table in `folder` up to date.

    Raises:
        PatterError: the new schema of this version would break readers of the stored one.
    """
    stored = folder / f"events-v{SCHEMA_VERSION}.schema.json"
    schema = event_schema()
    if stored.exists() and (changes := breaking_changes(stored.read_bytes(), schema)):
        raise PatterError(
            f"This breaks readers of events: {'; '.join(changes)}.",
            remedy="Add instead of changing, or raise SCHEMA_VERSION.",
        )
    stored.write_bytes(schema)
    page = folder / _PAGE
    before, _, rest = page.read_text(encoding="utf-8").partition(_BEGIN)
    _, _, after = rest.partition(_END)
    page.write_text(f"{before}{_BEGIN}\n\n{event_table()}\n\n{_END}{after}", encoding="utf-8")


def _kinds() -> Iterator[type[Event]]:
    for kind in sorted(get_args(CallEvent), key=_tag):
        assert issubclass(kind, Event)  # the union holds nothing else
        yield kind


def _plain(schema: dict[str, object]) -> dict[str, object]:
    """Returns the schema as each version makes it: docstrings unindented (Python 3.13), null last (msgspec 0.22)."""
    return {key: _plain_value(key, value) for key, value in schema.items()}


def _plain_value(key: str, value: object) -> object:
    match value:
        case str() if key == "description":
            return inspect.cleandoc(value)
        case list() if key == "anyOf":
            return sorted(value, key=lambda alternative: alternative == {"type": "null"})
        case dict():
            return _plain(value)
        case _:
            return value


def _tag(kind: type[Event]) -> str:
    return str(kind.__struct_config__.tag)


def _kind(schema: Schema) -> frozenset[str]:
    """Returns what a value may be, as words that can be compared."""
    if schema.any_of:
        return frozenset().union(*map(_kind, schema.any_of))
    if schema.ref:
        return frozenset({schema.ref})
    if schema.enum:
        return frozenset(f"={value}" for value in schema.enum)
    names = [schema.type] if isinstance(schema.type, str) else schema.type
    inner = [sorted(_kind(part)) for part in (schema.items, schema.additional) if isinstance(part, Schema)]
    return frozenset(f"{name} {schema.format} {inner}" for name in names)


def _accepts(old: frozenset[str], new: frozenset[str]) -> bool:
    """True if a reader of the old kinds can read the new: a union may gain tagged members, nothing else may change."""
    return old <= new if all(kind.startswith("#") for kind in old) and len(old) > 1 else old == new


def _first_sentence(kind: type[Event]) -> str:
    return " ".join((inspect.getdoc(kind) or "").split("\n\n")[0].split())


def _fields(kind: type[Event]) -> str:
    notes = _notes()[kind.__name__]
    return "<br>".join(
        f"`{name}`: {notes[name]}" if name in notes else f"`{name}`" for name in kind.__struct_fields__
    ) or "none"  # fmt: skip


def _notes() -> dict[str, dict[str, str]]:
    """Returns the docstring below each field, which Python itself does not keep: by class and field."""
    modules = {inspect.getmodule(kind) for kind in _kinds()}
    trees = [ast.parse(inspect.getsource(module)) for module in modules if module is not None]
    nodes = [node for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)]
    return {node.name: dict(_notes_of(node)) for node in nodes}


def _notes_of(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, note in zip(node.body, node.body[1:], strict=False):
        match field, note:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, " ".join(text.split())
            case _:
                pass


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]))
