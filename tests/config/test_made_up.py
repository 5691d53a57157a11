"""Secrets that are made up where none are set."""

from __future__ import annotations

import pytest

from patter_browser import Browser
from patter_core.config import environment_of_workers, made_up_secret
from patter_core.errors import ConfigurationError
from patter_core.patter import Patter
from patter_core.testing.fakes import FakeCarrier


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


def test_a_common_secret_that_is_too_short_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATTER_WORKERS_SECRET", " fifteen letters ")
    for use in (environment_of_workers, Browser, lambda: made_up_secret("page"), lambda: Patter(carrier=FakeCarrier())):
        with pytest.raises(ConfigurationError, match=r"PATTER_WORKERS_SECRET is too short\. .*at least 16") as error:
            use()
        assert "fifteen" not in str(error.value)
        assert "secrets.token_urlsafe(32)" in error.value.remedy
    monkeypatch.setenv("PATTER_WORKERS_SECRET", "sixteen letters!")
    assert environment_of_workers()["PATTER_WORKERS_SECRET"] == "sixteen letters!"


def test_an_empty_common_secret_is_none() -> None:
    assert len(environment_of_workers({"PATTER_WORKERS_SECRET": " "})["PATTER_WORKERS_SECRET"]) > 16
