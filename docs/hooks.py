"""What the builder of the pages calls: text from the code, and diagrams without another host.

`<!-- help: serve -->` becomes that command's help. The script that draws diagrams is served with the pages: the
environment variable MERMAID_JS names its file. Without it a diagram is shown as its source.
"""  # noqa: INP001 - the builder loads it by path

from __future__ import annotations

import importlib
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import click

from patter_core.cli.commands import COMMANDS

SCRIPT = "javascripts/mermaid.min.js"


class Page(Protocol):
    """What is used of the builder's."""

    url: str


def on_page_markdown(markdown: str, **_: object) -> str:
    """Replaces the markers of one page; the builder calls it."""
    if not os.environ.get("MERMAID_JS"):
        markdown = re.sub(r"^```mermaid$", "```text", markdown, flags=re.MULTILINE)
    return re.sub(r"<!-- help: (\w+) -->", lambda match: f"```text\n{help_of(match[1])}\n```", markdown)


def on_post_page(output: str, page: Page, **_: object) -> str:
    """Has a page with diagrams load the script: otherwise the theme would load one from another host."""
    if 'class="mermaid"' not in output:
        return output
    script = "../" * page.url.count("/") + SCRIPT
    return output.replace("</head>", f'<script src="{script}"></script></head>', 1)


def on_post_build(config: Mapping[str, str], **_: object) -> None:
    """Puts the script beside the pages."""
    if file := os.environ.get("MERMAID_JS"):
        target = Path(config["site_dir"], SCRIPT)
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(file, target)


def help_of(name: str) -> str:
    """Returns what `patter NAME --help` prints."""
    assert name in COMMANDS
    command = getattr(importlib.import_module(f"patter_core.cli.{name}"), name)
    assert isinstance(command, click.Command)
    context = click.Context(command, info_name=f"patter {name}", terminal_width=100, max_content_width=100)
    return command.get_help(context)
