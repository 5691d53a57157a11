"""One tree of errors, each of which says what was expected, what came, and what to do."""

from __future__ import annotations

import inspect

from patter_core import errors
from patter_core.errors import CarrierRequestFailed, EngineRefused, PatterError, SocketClosed


def test_every_error_is_in_the_tree_and_in_its_picture() -> None:
    classes = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if cls.__module__ == errors.__name__]
    assert {cls.__name__ for cls in classes} == set(errors.__all__)
    for cls in classes:
        assert issubclass(cls, PatterError)
        assert f"`{cls.__name__}`" in (errors.__doc__ or "")
        assert cls.__doc__


def test_an_error_reads_as_sentences() -> None:
    error = PatterError("That is wrong.", expected="this", got="that", remedy="Do so.")
    assert str(error) == "That is wrong. Expected this. Got that. Do so."
    assert str(PatterError("That is wrong.")) == "That is wrong."


def test_errors_that_programs_decide_by_carry_what_they_need() -> None:
    assert SocketClosed(1008, "no").code == 1008
    assert SocketClosed(1006).retry
    assert not EngineRefused("No.", status=401).retry
    assert CarrierRequestFailed("No.", status=404, code="20404").code == "20404"
