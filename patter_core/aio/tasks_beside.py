"""Tasks that run as long as a context lasts."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import anyio
import anyio.abc

__all__ = ["tasks_beside"]


@contextlib.asynccontextmanager
async def tasks_beside() -> AsyncIterator[anyio.abc.TaskGroup]:
    """A task group whose tasks are cancelled at the end of the context.

    What the block raises is raised as it is, and not in a group of errors.
    """
    fault: Exception | None = None
    async with anyio.create_task_group() as tasks:
        try:
            yield tasks
        except Exception as error:  # noqa: BLE001 - raised below
            fault = error
        finally:
            tasks.cancel_scope.cancel()
    if fault is not None:
        raise fault
