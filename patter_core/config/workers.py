"""The number of a worker, and texts in which `{worker}` stands for it, such as the name of a file."""

from __future__ import annotations

from patter_core.config.environment import from_environment
from patter_core.errors import ConfigurationError

__all__ = ["MOST_WORKERS", "names_worker", "of_all_workers", "of_worker", "worker_number"]

MOST_WORKERS = 64
"""Of one server, numbered from 0."""

_PLACE = "{worker}"


def worker_number() -> int:
    """Returns the number of this worker, which `patter serve --workers` gives; 0 for the only one.

    Raises:
        ConfigurationError: PATTER_WORKER is not a number.
    """
    value = from_environment("", "PATTER_WORKER") or "0"
    if not (value.isascii() and value.isdecimal()):
        raise ConfigurationError("PATTER_WORKER is not a number.", expected="0 or more", got=repr(value))
    return int(value)


def names_worker(text: object) -> bool:
    """True if it is a text with `{worker}` in it: each worker has another one then."""
    return isinstance(text, str) and _PLACE in text


def of_worker(text: str, number: int | None = None) -> str:
    """Returns the text with the number of a worker in place of `{worker}`.

    Args:
        text: as the user wrote it.
        number: of the worker; by default, of this one.

    Raises:
        ConfigurationError: as `worker_number`; a text without `{worker}` needs no number.
    """
    if not names_worker(text):
        return text
    return text.replace(_PLACE, str(worker_number() if number is None else number))


def of_all_workers(text: str) -> list[str]:
    """Returns the texts of all workers that a command may start; one, if they all have the same."""
    return list(dict.fromkeys(of_worker(text, number) for number in range(MOST_WORKERS)))
