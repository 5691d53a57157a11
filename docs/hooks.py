"""Inserts text from the code when the pages are built: `<!-- help: serve -->` becomes that command's help."""  # noqa: INP001 - the builder loads it by path

from __future__ import annotations

import importlib
import re

import click

from patter_core.cli.main import COMMANDS


def on_page_markdown(markdown: str, **_: object) -> str:
    """Replaces the markers of one page; the builder calls it."""
    return re.sub(r"<!-- help: (\w+) -->", lambda match: f"```text\n{help_of(match[1])}\n```", markdown)


def help_of(name: str) -> str:
    """Returns what `patter NAME --help` prints."""
    assert name in COMMANDS
    command = getattr(importlib.import_module(f"patter_core.cli.{name}"), name)
    assert isinstance(command, click.Command)
    context = click.Context(command, info_name=f"patter {name}", terminal_width=100, max_content_width=100)
    return command.get_help(context)
