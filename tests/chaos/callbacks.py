"""Callbacks of the user's that raise, hang, block, or leave threads behind."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable

import anyio

__all__ = ["CALLBACKS", "raise_fault"]


def raise_fault(*_: object) -> None:
    raise LookupError("the user's own fault")


async def _hang(*_: object) -> None:
    await anyio.sleep_forever()


def _block(*_: object) -> None:
    time.sleep(30)


async def _cancel(*_: object) -> None:
    task = asyncio.create_task(asyncio.sleep(60))
    task.cancel()
    await task


async def _exit(*_: object) -> None:
    sys.exit("the user's own fault")


async def _leave_threads(*_: object) -> None:
    """As a client of a database does, or a queue of the user's own."""
    asyncio.get_running_loop().run_in_executor(None, time.sleep, 60)
    threading.Thread(target=time.sleep, args=(60,), name="the user's own").start()


CALLBACKS: dict[str, Callable[..., object]] = {
    "raise": raise_fault,
    "hang": _hang,
    "block": _block,
    "cancel": _cancel,
    "exit": _exit,
    "threads": _leave_threads,
}
