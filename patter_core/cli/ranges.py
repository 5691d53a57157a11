"""Numbers of a range as options take them: an error says in plain words which ones."""

from __future__ import annotations

from typing import Any

import click

__all__ = ["AboveZero", "WholeRange"]


class WholeRange(click.IntRange):
    """A whole number of a range that includes its ends; without `max`, of any size."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Reads it.

        Raises:
            click.BadParameter: it is no whole number, or outside of the range.
        """
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            numbers = f"from {self.min} to {self.max}" if self.max is not None else f"from {self.min} on"
            self.fail(f"“{value}” is no whole number {numbers}.", param, ctx)


class AboveZero(click.FloatRange):
    """A number above 0."""

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Reads it.

        Raises:
            click.BadParameter: it is no number, or not above 0.
        """
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"“{value}” is no number above 0.", param, ctx)
