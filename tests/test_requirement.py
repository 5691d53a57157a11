"""Versions and requirements: as pip reads them, as far as releases go."""

from __future__ import annotations

import pytest

from patter_core.requirement import requirement_on, satisfies


@pytest.mark.parametrize(
    ("version", "clauses"),
    [
        ("0.1.0", ""),
        ("0.1.0", ">=0.1,<1"),
        ("0.1.0", ">= 0.1 , < 1"),
        ("0.1", "==0.1.0"),
        ("1.2.3", "~=1.2"),
        ("1.2.3", "~=1.2.0"),
        ("1.2.3", "!=1.2.4"),
        ("0.10.0", ">0.9"),
        ("0.1.0", "@ file:///somewhere"),
        ("0.2.0.dev3", ">=0.2"),
    ],
)
def test_satisfied(version: str, clauses: str) -> None:
    assert satisfies(version, clauses)


@pytest.mark.parametrize(
    ("version", "clauses"),
    [("0.1.0", ">=0.2,<1"), ("1.0.0", ">=0.1,<1"), ("2.0", "~=1.2"), ("1.3", "~=1.2.0"), ("0.1.0", "==0.2")],
)
def test_not_satisfied(version: str, clauses: str) -> None:
    assert not satisfies(version, clauses)


def test_the_requirement_is_found_however_it_is_written() -> None:
    assert requirement_on("patter-core", ["anyio>=4", "patter_core (>=0.1)"]) == ">=0.1"
    assert requirement_on("patter-core", ["Patter.Core>=0.1,<1; python_version > '3'"]) == ">=0.1,<1"
    assert requirement_on("patter-core", ["patter-core[all]~=0.1"]) == "~=0.1"
    assert requirement_on("patter-core", ["patter-core-extras>=2"]) == ""
