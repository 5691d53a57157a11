"""The commands that the pages tell users to run: where they stand, and which of them tests run, or why not."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import NamedTuple

__all__ = ["FOLLOWED", "NOT_RUN", "ROOT", "Command", "commands", "pages", "reason", "spans"]

ROOT = Path(__file__).parents[2]

FOLLOWED = {
    "docs/quickstart/answer.md",
    "docs/quickstart/openai.md",
    "docs/quickstart/pipeline.md",
    "docs/quickstart/production.md",
    "docs/quickstart/tools.md",
    "docs/how-to/call-somebody.md",
    "docs/how-to/elevenlabs.md",
    "docs/how-to/observe.md",
}
"""Pages whose commands `test_consoles.py` runs, in order, in one folder; emulators play the vendors."""

NOT_RUN = {
    r"(\S*/)?pip install .*": "the sessions wheels, thirdparty and tutorial install, from wheels and from folders",
    r"export .*": "of a page that is not followed: it sets what the next line needs",
    r"nox .*": "a session runs by itself; that it exists is tested",
    r"pre-commit install": "it changes the clone",
    r"patter dev.*": "tests/cli/test_dev.py and tests/cli/test_dev_tunnel.py run it",
    r"patter plugins": "tests/cli/test_plugins.py and the sessions thirdparty and tutorial run it",
    r"patter new .* acme": "the session thirdparty runs it for every kind, with other names",
    r"pytest patter-acme": "as above",
    r"patter demo --(carrier|engine) acme": "as above",
    r"patter demo --pipeline": "tests/cli/test_demo.py runs it",
    r"LEDGER=.* patter serve --sink ledger": "tests/test_plugin_page.py installs this sink, and writes with it",
    r"PATTER_TRANSPORT=\w+ .*": "the session transports runs the tests with it",
    r"PATTER_WORKERS_FOLDER=.*": "the tests of patter-otel have several workers with one folder",
    r"OTEL_.* patter serve --sink otel": "the tests of patter-otel have a collector",
    r"(docker|kubectl|helm) .*": "it needs a daemon or a cluster; tests/deploy lints, renders and validates the files",
    r"(systemctl|cp|install|python3 -m venv) .*": "it needs root and systemd; tests/deploy verifies the units",
}
"""Patterns of commands that are not run here, each with the reason."""
TUTORIAL = "docs/tutorial/first-call.md"
"""`nox -s tutorial` follows it, and compares what is shown."""


class Command(NamedTuple):
    """A command, without its prompt and comment."""

    page: str
    text: str


def pages() -> list[Path]:
    return sorted(
        [
            *ROOT.glob("docs/**/*.md"),
            *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
            *ROOT.glob("plugins/*/README.md"),
        ]
    )


def commands(page: Path) -> list[Command]:
    """Those of its console blocks. In a block with prompts (`$ `), other lines are what is shown."""
    found: list[Command] = []
    for block in re.findall(r"^ *```console\n(.*?)^ *```", page.read_text(), re.DOTALL | re.MULTILINE):
        lines = textwrap.dedent(block).splitlines()
        prompted = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        for line in prompted or lines:
            parts = re.sub(r"\s+# .*", "", line).split(" && ")
            found += [Command(str(page.relative_to(ROOT)), text.strip()) for text in parts]
    return found


def reason(command: Command) -> str:
    """Why it is not run here; "" if it has to be."""
    if command.page == TUTORIAL:
        return "nox -s tutorial runs it"
    return next((why for pattern, why in NOT_RUN.items() if re.fullmatch(pattern, command.text)), "")


def spans(page: Path) -> list[Command]:
    """Commands of ours in the middle of a text: `patter serve --workers 4`."""
    prose = re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    found = [" ".join(text.split()) for text in re.findall(r"`(patter [a-z][^`]*)`", prose)]
    return [Command(str(page.relative_to(ROOT)), text) for text in found]
