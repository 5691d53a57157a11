"""Options with a range: what is no number of it is told in plain words."""

from __future__ import annotations

import click
import pytest

from patter_core.cli.ranges import WholeRange


@pytest.mark.parametrize("wrong", ["abc", "0", "-1", "1.5", ""])
def test_what_is_no_whole_number_of_the_range_is_told(wrong: str) -> None:
    for kind, numbers in ((WholeRange(1, 64), "from 1 to 64"), (WholeRange(1), "from 1 on")):
        with pytest.raises(click.BadParameter, match=f"^“{wrong}” is no whole number {numbers}\\.$"):
            kind.convert(wrong, None, None)


def test_the_ends_belong_to_the_range() -> None:
    assert [WholeRange(0, 9).convert(value, None, None) for value in ("0", "9")] == [0, 9]
