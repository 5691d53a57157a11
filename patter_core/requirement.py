"""Does a version satisfy a requirement such as `patter-core>=0.1,<1`? As much of PEP 440 as releases need. Sans-IO."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping

__all__ = ["requirement_on", "satisfies"]

_Release = tuple[int, ...]

_OPERATORS: Mapping[str, Callable[[_Release, _Release], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
_CLAUSE = re.compile(r"(>=|<=|==|!=|~=|>|<)\s*([0-9]+(?:\.[0-9]+)*)")
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)\s*(?:\[[^]]*\])?\s*\(?([^;)]*)\)?")


def requirement_on(name: str, requirements: Iterable[str]) -> str:
    """The version clauses of the requirement on that distribution: `>=0.1,<1`; "" if there is none."""
    for requirement in requirements:
        match = _REQUIREMENT.match(requirement)
        if match and re.sub(r"[-_.]+", "-", match[1]).lower() == name:
            return match[2].strip()
    return ""


def satisfies(version: str, clauses: str) -> bool:
    """Does a release satisfy all clauses? One that is not understood counts as satisfied: pip has seen it, too."""
    found = _release(re.match(r"[0-9.]*", version)[0])  # type: ignore[index] # it matches always
    return all(_one(found, match[1], _release(match[2])) for match in _CLAUSE.finditer(clauses))


def _one(found: _Release, sign: str, wanted: _Release) -> bool:
    size = max(len(found), len(wanted))
    if sign == "~=":
        return _one(found, ">=", wanted) and found[: len(wanted) - 1] == wanted[:-1]
    return _OPERATORS[sign](_padded(found, size), _padded(wanted, size))


def _padded(release: _Release, size: int) -> _Release:
    return release + (0,) * (size - len(release))


def _release(text: str) -> _Release:
    return tuple(int(part) for part in text.split(".") if part)
