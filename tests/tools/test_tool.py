from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import functools
import math
import pathlib
from collections.abc import Callable
from typing import Annotated, Literal, Optional

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_core.call.handle import OutboundCall, PhoneCall
from patter_core.errors import ConfigurationError
from patter_core.telephony.outcome import HangUp
from patter_core.tools import FilledIn, Tool, ToolSpec, as_tools
from patter_core.tools.arguments import Parameters
from patter_core.tools.results import stringify


@dataclasses.dataclass
class Group:
    names: list[str]


@dataclasses.dataclass
class Guest:
    name: str
    seats: Annotated[int, msgspec.Meta(ge=1)] = 1


def book(guest: Guest, *, day: dt.date, notes: str = "none") -> str:
    return f"{guest.name} {guest.seats} {day:%d.%m.} {notes}"


def tool(function: Callable[..., object]) -> Parameters:
    return Tool.of(function, name="tool").parameters


def test_arguments_become_what_the_annotations_say_and_defaults_stay_with_the_function() -> None:
    arguments = tool(book).read('{"guest":{"name":"Ada","seats":2},"day":"2026-05-01"}')
    assert arguments == {"guest": Guest("Ada", 2), "day": dt.date(2026, 5, 1)}
    assert book(**arguments) == "Ada 2 01.05. none"  # type: ignore[arg-type] # that it fits is what is tested


def test_a_parameter_without_annotation_takes_anything() -> None:
    def look(what, more=None):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202 - the point
        return what, more

    assert tool(look).read('{"what":[1,{"a":null}]}') == {"what": [1, {"a": None}]}
    assert tool(look).read('{"what":null,"more":2}') == {"what": None, "more": 2}


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ("{}", "guest"),
        ('{"guest":{"name":"Ada","seats":0},"day":"2026-05-01"}', r"\$\.guest\.seats"),
        ('{"guest":{"name":7},"day":"2026-05-01"}', r"\$\.guest\.name"),
        ('{"guest":{"name":"Ada"},"day":"soon"}', r"\$\.day"),
        ('{"guest":{"name":"Ada"},"day":"2026-05-01","colour":"red"}', "colour"),
        ("[]", "array"),
        ("null", "null"),
        ("{", "truncated"),
    ],
)
def test_wrong_arguments_are_explained(parameters: str, told: str) -> None:
    with pytest.raises(msgspec.DecodeError, match=told):
        tool(book).read(parameters)


@given(
    st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(msgspec.json.encode).map(bytes.decode)
)
def test_any_parameters_are_decoded_or_refused(parameters: str) -> None:
    try:
        arguments = tool(book).read(parameters)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return
    assert set(arguments) <= {"guest", "day", "notes"}


def positional(number: int, /) -> int:
    return number


def any_number(*numbers: int) -> int:
    return sum(numbers)


def anything(**things: int) -> int:
    return sum(things.values())


def unknown_type(thing: Nowhere) -> None:  # type: ignore[name-defined] # noqa: F821 - the mistake under test
    """Annotated with what is not there."""


def no_telling(thing: Guest | Group) -> None:
    """Takes one of two things that no reader of JSON can tell apart."""


@pytest.mark.parametrize("function", [positional, any_number, anything, unknown_type, no_telling])
def test_a_function_that_an_agent_cannot_call_is_refused_at_once(function: Callable[..., object]) -> None:
    with pytest.raises(ConfigurationError, match="tool cannot be a tool"):
        tool(function)


def test_tools_are_given_as_functions_or_under_names() -> None:
    assert [tool.spec.name for tool in as_tools([book, Tool.of(book, name="reserve")], "tools=")] == ["book", "reserve"]
    named: dict[str, Callable[..., object] | Tool] = {
        "book_table": book,
        "ask": lambda number: number,
        "again": Tool.of(book, description="Books."),
    }
    tools = as_tools(named, "tools=", timeout=3.0)
    assert [tool.spec.name for tool in tools] == ["book_table", "ask", "again"]
    assert [tool.timeout for tool in tools] == [3.0, 3.0, 15.0]
    assert tools[2].spec.description == "Books."
    assert as_tools((), "tools=") == ()


def test_invalid_tools_and_timeouts_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="two tools of the same name"):
        as_tools([book, book], "tools=")
    for wrong in ([7], {"book": 7}, ["book"]):
        with pytest.raises(ConfigurationError, match="not a function"):
            as_tools(wrong, "tools=")  # type: ignore[arg-type] # the mistake under test
    with pytest.raises(ConfigurationError, match="tools= is not a list"):
        as_tools(book, "tools=")  # type: ignore[arg-type] # as above
    for timeout in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ConfigurationError, match="timeout of the tool book"):
            Tool.of(book, timeout=timeout)
    for name in ("", "a b", "é", "x" * 65):
        with pytest.raises(ConfigurationError, match="no usable name"):
            Tool(spec=ToolSpec(name=name, parameters={}), function=book)
    with pytest.raises(ConfigurationError, match="no usable name"):
        Tool.of(lambda: 7)


def reserve(
    call: PhoneCall,
    day: dt.date,
    seats: Annotated[int, msgspec.Meta(ge=1, description="How many there are.")] = 2,
    where: Literal["in", "out"] = "in",
    guest: Guest | None = None,
    *,
    maybe: OutboundCall | None = None,
    also: Optional["PhoneCall"] = None,  # noqa: UP045, UP037 - a string in a string
) -> HangUp:
    """Reserves a table
    in the restaurant.

    Which is full on Mondays.

    Args:
        call: is filled in.
        day (date): on which they come,
            in the caller's own calendar.
        seats: does not win.
        where: inside or outside.

    Returns:
        day: not this one.
    """
    return HangUp(f"{call} {day} {seats} {where} {guest} {maybe} {also}")


def test_the_schema_has_descriptions_and_defaults_and_not_what_is_filled_in() -> None:
    assert Tool.of(reserve).spec == ToolSpec(
        name="reserve",
        description="Reserves a table in the restaurant.",
        parameters={
            "type": "object",
            "properties": {
                "day": {
                    "type": "string",
                    "format": "date",
                    "description": "on which they come, in the caller's own calendar.",
                },
                "seats": {"type": "integer", "minimum": 1, "description": "How many there are.", "default": 2},
                "where": {"enum": ["in", "out"], "description": "inside or outside.", "default": "in"},
                "guest": {"anyOf": [{"$ref": "#/$defs/Guest"}, {"type": "null"}]},
            },
            "required": ["day"],
            "additionalProperties": False,
            "$defs": {
                "Guest": {
                    "title": "Guest",
                    "type": "object",
                    "properties": {
                        "name": {"type": "string"},
                        "seats": {"type": "integer", "minimum": 1, "default": 1},
                    },
                    "required": ["name"],
                }
            },
        },
    )
    msgspec.json.encode(Tool.of(reserve).spec)


def test_a_description_that_is_given_wins_and_a_partial_has_that_of_its_function() -> None:
    assert Tool.of(reserve, description="Other.").spec.description == "Other."
    assert Tool.of(functools.partial(reserve, where="out"), name="x").spec.description.startswith("Reserves")
    assert Tool.of(book).spec.description == ""


class Line(FilledIn):
    pass


def two_kinds(thing: Line | Guest) -> None:
    """Filled in, or given by the agent: one cannot tell."""


def test_a_parameter_that_may_be_filled_in_or_given_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="what is filled in may be that, or that and None"):
        Tool.of(two_kinds)


def test_a_name_that_only_type_checkers_see_is_refused_with_the_remedy() -> None:
    with pytest.raises(ConfigurationError, match="Import what the annotations name"):
        Tool.of(unknown_type)


def test_annotations_that_raise_anything_are_a_mistake_in_the_configuration() -> None:
    def odd(thing: int) -> None:
        """Has an annotation that is code."""

    odd.__annotations__["thing"] = "1 / 0"
    with pytest.raises(ConfigurationError, match="ZeroDivisionError"):
        Tool.of(odd)


class Colour(str, enum.Enum):  # noqa: UP042 - the kind whose str() is its name
    RED = "red"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("", ""),
        ("sunny", "sunny"),
        ('"quoted"', '"quoted"'),
        (0, "0"),
        (False, "false"),
        (None, "null"),
        (1.5, "1.5"),
        ([], "[]"),
        ({"a": [1, None]}, '{"a":[1,null]}'),
        (Guest("Ada"), '{"name":"Ada","seats":1}'),
        (dt.date(2026, 5, 1), '"2026-05-01"'),
        (pathlib.PurePosixPath("/a"), '"/a"'),
        (Colour.RED, "red"),
    ],
)
def test_a_result_is_text_or_json(value: object, text: str) -> None:
    assert stringify(value) == text
