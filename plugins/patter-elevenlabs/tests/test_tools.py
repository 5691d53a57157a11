from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import math
import pathlib
from collections.abc import Callable
from typing import Annotated

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_core.errors import ConfigurationError
from patter_elevenlabs.tools import ClientTool, Toolbox, stringify


@dataclasses.dataclass
class Group:
    names: list[str]


@dataclasses.dataclass
class Guest:
    name: str
    seats: Annotated[int, msgspec.Meta(ge=1)] = 1


def book(guest: Guest, *, day: dt.date, notes: str = "none") -> str:
    return f"{guest.name} {guest.seats} {day:%d.%m.} {notes}"


def tool(function: Callable[..., object]) -> ClientTool:
    return ClientTool("tool", function, "Thing")


def test_arguments_become_what_the_annotations_say_and_defaults_stay_with_the_function() -> None:
    arguments = tool(book).arguments(b'{"guest":{"name":"Ada","seats":2},"day":"2026-05-01"}')
    assert arguments == {"guest": Guest("Ada", 2), "day": dt.date(2026, 5, 1)}
    assert book(**arguments) == "Ada 2 01.05. none"  # type: ignore[arg-type] # that it fits is what is tested


def test_a_parameter_without_annotation_takes_anything() -> None:
    def look(what, more=None):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202 - the point
        return what, more

    assert tool(look).arguments(b'{"what":[1,{"a":null}]}') == {"what": [1, {"a": None}]}
    assert tool(look).arguments(b'{"what":null,"more":2}') == {"what": None, "more": 2}


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        (b"{}", "guest"),
        (b'{"guest":{"name":"Ada","seats":0},"day":"2026-05-01"}', r"\$\.guest\.seats"),
        (b'{"guest":{"name":7},"day":"2026-05-01"}', r"\$\.guest\.name"),
        (b'{"guest":{"name":"Ada"},"day":"soon"}', r"\$\.day"),
        (b'{"guest":{"name":"Ada"},"day":"2026-05-01","colour":"red"}', "colour"),
        (b"[]", "array"),
        (b"null", "null"),
        (b"{", "truncated"),
    ],
)
def test_wrong_arguments_are_explained(parameters: bytes, told: str) -> None:
    with pytest.raises(msgspec.DecodeError, match=told):
        tool(book).arguments(parameters)


@given(st.binary() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(msgspec.json.encode))
def test_any_parameters_are_decoded_or_refused(parameters: bytes) -> None:
    try:
        arguments = tool(book).arguments(parameters)
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
    with pytest.raises(ConfigurationError, match=r"Thing\(client_tools=…\): tool cannot be a client tool"):
        tool(function)


def test_a_toolbox_takes_functions_or_names_for_them() -> None:
    assert Toolbox("Thing", [book]).get("book") is not None
    named: dict[str, Callable[..., object]] = {"book_table": book, "ask": lambda number: number}
    assert Toolbox("Thing", named).get("book_table") is not None
    assert Toolbox("Thing", [book]).get("cancel") is None
    assert Toolbox().get("book") is None
    assert repr(Toolbox("Thing", [book])) == "<Toolbox book>"


def test_a_toolbox_refuses_invalid_tools_and_timeouts() -> None:
    with pytest.raises(ConfigurationError, match="two tools of the same name"):
        Toolbox("Thing", [book, book])
    with pytest.raises(ConfigurationError, match="not a function"):
        Toolbox("Thing", ["book"])  # type: ignore[list-item] # the mistake under test
    with pytest.raises(ConfigurationError, match="cannot be a client tool"):
        Toolbox("Thing", {"book": 7})  # type: ignore[arg-type] # as above
    for timeout in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ConfigurationError, match="client_tool_timeout"):
            Toolbox("Thing", [], timeout)


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
