"""A folder and an environment of its own for each test, and modules of users in the folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in list(os.environ):
        if variable.startswith(("PATTER_", "TWILIO_", "TELNYX_", "ELEVENLABS_", "OPENAI_")):
            monkeypatch.delenv(variable)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file of a user's module, `shop`, in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path / "shop.py"
    sys.modules.pop("shop", None)
