"""The environment variables that begin with PATTER_: which there are, and what a user may have meant by another one."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator

__all__ = ["CORE_VARIABLES", "unknown_variables"]

_PREFIX = "PATTER_"
_LIKE = 0.7
"""How alike two names must be, without the prefix that all of them have."""

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

    Args:
        environment: the names of all variables.
        of_plugins: those that plugins read.
    """
    known = {name.removeprefix(_PREFIX): name for name in {*CORE_VARIABLES, *of_plugins}}
    for name in sorted(environment):
        short = name.removeprefix(_PREFIX)
        if name.startswith(_PREFIX) and short not in known:
            near = difflib.get_close_matches(short, known, n=1, cutoff=_LIKE)
            hint = f"Did you mean {known[near[0]]}?" if near else "The configuration page lists those that there are."
            yield f"The environment variable {name} is not read by anything. {hint}"
