"""The table of docs/explanation/reliability.md: each behaviour names tests or scenarios of the kit, and these exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from patter_core.call.limits import Limits
from patter_core.call.timeouts import Deadlines

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "explanation" / "reliability.md").read_text()
ROWS = [
    pytest.param(tests, id=behaviour)
    for behaviour, tests in re.findall(r"^\| ([^|]+) \| (`\S+::[^|]+) \|$", PAGE, re.MULTILINE)
]
BEHAVIOURS = 33


def test_no_behaviour_is_left_out() -> None:
    assert len(ROWS) == BEHAVIOURS


@pytest.mark.parametrize("tests", ROWS)
def test_what_shows_a_behaviour_exists(tests: str) -> None:
    names = re.findall(r"`([^`]+)`", tests)
    assert names
    for name in names:
        path, _, function = name.partition("::")
        assert re.search(rf"^(async )?def {function}\(", (ROOT / path).read_text(), re.MULTILINE), name


def test_the_deadlines_and_limits_are_those_of_the_code() -> None:
    told = {
        name: float(value.replace(",", ""))
        for name, value in re.findall(r"^\| [^|]+ \| `(\w+)` \| ([\d.,]+) \|", PAGE, re.MULTILINE)
    }
    deadlines, limits = Deadlines(), Limits()
    true = {name: getattr(deadlines, name) for name in Deadlines.__struct_fields__}
    true |= {name: getattr(limits, name) for name in told if name in Limits.__struct_fields__}
    assert told == true
