"""The workflows run what the repository has, with no more rights than they need."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def sessions() -> set[str]:
    """The names of all nox sessions, of one for several Pythons also with the version."""
    text = (ROOT / "noxfile.py").read_text()
    named = set(re.findall(r"^@nox\.session(?:\(.*\))?\ndef (\w+)", text, re.MULTILINE))
    (pythons,) = re.findall(r"^PYTHONS = \[(.*)\]$", text, re.MULTILINE)
    return named | {f"{name}-{python}" for name in named for python in re.findall(r'"([\d.]+)"', pythons)}


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_they_run_what_there_is(file: Path) -> None:
    text = file.read_text()
    matrix = re.findall(r"session: \[(.*)\]", text)
    asked = [name for names in matrix for name in names.split(", ")] + re.findall(r"nox -s ([\w.-]+)", text)
    assert set(asked) <= sessions()
    assert asked or ".ci/run" in text


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_they_have_no_more_rights_than_they_need(file: Path) -> None:
    text = file.read_text()
    assert re.search(r"^permissions: \{\}$", text, re.MULTILINE)
    assert "pull_request_target" not in text
    assert text.count("actions/checkout@") == text.count("persist-credentials: false")
    assert set(re.findall(r": (write\b.*)", text)) <= {"write  # trusted publishing, with attestations"}
