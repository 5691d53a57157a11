"""The environment variables that are read: which there are, and what a user may have meant by another one."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator

__all__ = ["CORE_VARIABLES", "unknown_variables"]

_PREFIX = "PATTER_"
_LIKE = 0.7
"""How alike two names must be, without the prefix that all of them have."""
_NEARLY = 0.9
"""How alike a name that begins as a vendor's must be: other programs read more of those."""
_LETTERS = 2
"""How many letters more or less it may have."""

CORE_VARIABLES = frozenset(
    {
        "PATTER_APPS",
        "PATTER_APPS_HOST",
        "PATTER_APPS_PASSWORD",
        "PATTER_APPS_PORT",
        "PATTER_CARRIER",
        "PATTER_CONFIG",
        "PATTER_CONTROL",
        "PATTER_DB",
        "PATTER_DISABLE",
        "PATTER_ENGINE",
        "PATTER_FIRST_MESSAGE",
        "PATTER_HOST",
        "PATTER_LOG_FORMAT",
        "PATTER_LOG_LEVEL",
        "PATTER_NOTICE",
        "PATTER_PHONE_NUMBER",
        "PATTER_PORT",
        "PATTER_REDACT_NUMBERS",
        "PATTER_REDACT_TRANSCRIPTS",
        "PATTER_SEVERAL_WORKERS",
        "PATTER_SINKS",
        "PATTER_STORE",
        "PATTER_SYSTEM_PROMPT",
        "PATTER_TRACEBACK",
        "PATTER_TRANSPORT",
        "PATTER_WEBHOOK_URL",
        "PATTER_WORKER",
        "PATTER_WORKERS_FOLDER",
        "PATTER_WORKERS_SECRET",
    }
)
"""Those that the core reads. Plugins name theirs by the hook `patter_variables`."""


def unknown_variables(environment: Iterable[str], of_plugins: Collection[str] = ()) -> Iterator[str]:
    """Yields a sentence for each variable that begins with PATTER_ and that nothing reads.

    So it does for one that is nearly spelled as one of a vendor, unless that is set, too.

    Args:
        environment: the names of all variables that are set.
        of_plugins: those that plugins read.
    """
    environment = set(environment)
    known = {name.removeprefix(_PREFIX): name for name in {*CORE_VARIABLES, *of_plugins}}
    for name in sorted(environment - {*known.values()}):
        if name.startswith(_PREFIX):
            near = difflib.get_close_matches(name.removeprefix(_PREFIX).upper(), known, n=1, cutoff=_LIKE)
            hint = f"Did you mean {known[near[0]]}?" if near else "The configuration page lists those that there are."
            yield f"The environment variable {name} is not read by anything. {hint}"
    missing = {name for name in of_plugins if not name.startswith(_PREFIX)} - environment
    for name in sorted(environment - {*of_plugins}):
        if meant := _nearly(name, missing):
            yield f"The environment variable {name} is not read by Patter. Did you mean {meant}?"


def _nearly(name: str, known: Iterable[str]) -> str:
    """Returns the one with the same prefix that this is nearly; "" if there is none."""
    prefix = f"{name.partition('_')[0]}_"
    like = [one for one in known if one.startswith(prefix) and abs(len(one) - len(name)) <= _LETTERS]
    return next(iter(difflib.get_close_matches(name, like, n=1, cutoff=_NEARLY)), "")
