"""`{worker}` in a text is the number of a worker, wherever the text comes from."""

from __future__ import annotations

import pytest

from patter_core.config import MOST_WORKERS, names_worker, of_all_workers, of_worker
from patter_core.errors import ConfigurationError


def test_it_is_the_number_of_this_worker_or_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    assert of_worker("{worker}/calls-{worker}") == "0/calls-0"
    monkeypatch.setenv("PATTER_WORKER", "3")
    assert of_worker("calls-{worker}") == "calls-3"
    assert of_worker("calls-{worker}", 0) == "calls-0"


def test_a_text_without_it_needs_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATTER_WORKER", "w1")
    assert of_worker("calls-{workers}") == "calls-{workers}"
    with pytest.raises(ConfigurationError, match="PATTER_WORKER is not a number"):
        of_worker("calls-{worker}")


def test_all_workers_have_one_text_or_one_each() -> None:
    assert of_all_workers("calls") == ["calls"]
    assert of_all_workers("calls-{worker}") == [f"calls-{number}" for number in range(MOST_WORKERS)]


def test_only_a_text_names_a_worker() -> None:
    assert [names_worker(one) for one in ("{worker}", "worker", 5, None)] == [True, False, False, False]
