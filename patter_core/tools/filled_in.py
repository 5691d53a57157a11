"""Marks what a tool is given by Patter, and not by the agent."""

from __future__ import annotations

__all__ = ["FilledIn"]


class FilledIn:
    """The base of classes of which Patter has the instance: a parameter annotated with one is filled in.

    It is not in the schema, so that no agent knows of it.
    """
