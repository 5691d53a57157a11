"""Secrets that are made up where none are set."""

from __future__ import annotations

import pytest

from patter_browser import Browser
from patter_core.config import environment_of_workers, made_up_secret


def test_workers_of_one_command_have_the_same_and_each_purpose_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = {made_up_secret("page"), made_up_secret("page"), Browser().secret}
    for name, value in environment_of_workers().items():
        monkeypatch.setenv(name, value)
    assert environment_of_workers()["PATTER_WORKERS_SECRET"] not in {made_up_secret("page"), made_up_secret("other")}
    assert len({*alone, made_up_secret("page"), made_up_secret("page"), made_up_secret("other")}) == 5
    assert Browser().token_secret() == Browser().token_secret()


def test_another_command_has_others() -> None:
    first, second = environment_of_workers({}), environment_of_workers({})
    assert first != second
