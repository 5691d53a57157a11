"""The import of a user's program by a command, to find its phone in it: nothing may serve there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

from patter_core.errors import ConfigurationError

__all__ = ["importing", "refuse_while_imported"]


class _Import:
    """One that goes on."""

    def __init__(self, module: str) -> None:
        self.module = module
        self.refused: ConfigurationError | None = None
        self.is_over = False
        """Contexts that were copied meanwhile, as those of tasks are, have it still."""


_going_on: ContextVar[_Import | None] = ContextVar("_going_on", default=None)


@contextlib.contextmanager
def importing(module: str) -> Iterator[None]:
    """Has what would serve in the block refused.

    Raises:
        ConfigurationError: it was, and the block has ended by that: servers end the process, or raise their own error.
    """
    one = _Import(module)
    token = _going_on.set(one)
    try:
        yield
    except (Exception, SystemExit) as error:
        if one.refused is None or one.refused is error:
            raise
        if isinstance(error, SystemExit) or one.refused in _with_causes(error):
            raise one.refused from error
        raise
    finally:
        one.is_over = True
        _going_on.reset(token)


def _with_causes(error: BaseException) -> list[BaseException]:
    """Returns an error, what led to it, and what those of them that are groups consist of."""
    found: list[BaseException] = []
    more: list[BaseException | None] = [error]
    while more:
        one = more.pop()
        if one is not None and one not in found:
            found.append(one)
            more += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]
    return found


def refuse_while_imported() -> None:
    """Checks that no program is being imported: what serves there would never let the import end.

    Raises:
        ConfigurationError: one is.
    """
    one = _going_on.get()
    if one is not None and not one.is_over:
        one.refused = ConfigurationError(
            f"“{one.module}” serves its phone when it is imported.",
            expected="a module with the phone and its agents, which the command then serves",
            remedy='Put the line that serves below: if __name__ == "__main__":',
        )
        raise one.refused
