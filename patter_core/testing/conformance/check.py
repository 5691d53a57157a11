"""What every check needs: words for a failure, bounds in time, and an eye on what leaks."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import re
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator

import anyio

from patter_core.errors import ConformanceError

__all__ = ["SENTINEL", "Check", "at_once"]

SENTINEL = "nobody-may-repeat-this-4711"
"""Stands in junk where a message would hold something private."""

_NAME = re.compile(r"[a-z][a-z0-9-]*")
_TIDY_WITHIN = 3.0
"""Seconds for sockets and tasks to be gone."""
_FORMATTER = logging.Formatter()
_WIRE_LOGGERS = ("websockets", "httpcore", "httpx", "uvicorn", "asyncio", "hpack")
"""Libraries that write whole messages at DEBUG, for emulators as for plugins: below INFO nobody can tell them apart."""


class Check:
    """One check of one plugin: knows what is being tried, and keeps what may not be shown.

    Args:
        kind: `carrier`, `engine` or `sink`.
        patience: what all bounds in time are multiplied by.
    """

    def __init__(self, kind: str, patience: float = 1.0) -> None:
        self.kind = kind
        self.patience = patience
        self.doing = ""
        """What is being tried, for the error."""
        self._secrets: set[str] = {SENTINEL}
        self._logged: list[str] = []

    def now(self, doing: str) -> None:
        """Say what is being tried from here on."""
        self.doing = doing

    def require(
        self, ok: object, problem: str, *, expected: str = "", got: str = "", mistake: str = "", remedy: str = ""
    ) -> None:
        """Raise if it is not so.

        Raises:
            ConformanceError: `ok` is false.
        """
        if not ok:
            raise self.failed(problem, expected=expected, got=got, mistake=mistake, remedy=remedy)

    def failed(
        self, problem: str, *, expected: str = "", got: str = "", mistake: str = "", remedy: str = ""
    ) -> ConformanceError:
        """The error, to be raised. It shows no secret either, whatever `got` holds."""
        return ConformanceError(
            problem,
            check=f"{self.kind}: {self.doing}",
            expected=expected,
            got=self._redacted(got),
            mistake=mistake,
            remedy=remedy,
        )

    @contextlib.contextmanager
    def within(self, seconds: float, problem: str, *, mistake: str = "", remedy: str = "") -> Iterator[None]:
        """A bound in time: beyond it, `problem` is what is wrong."""
        try:
            with anyio.fail_after(seconds * self.patience):
                yield
        except TimeoutError:
            raise self.failed(
                problem, expected=f"within {seconds:g} s", got="nothing", mistake=mistake, remedy=remedy
            ) from None

    @contextlib.contextmanager
    def raises_only(self, *allowed: type[BaseException], problem: str, mistake: str = "") -> Iterator[None]:
        """Those that are allowed end the block; whatever else is raised, `problem` is what is wrong."""
        try:
            yield
        except (ConformanceError, TimeoutError):
            raise
        except Exception as error:
            self.shows_nothing("the text of an error", "".join(traceback.format_exception(error)))
            if not isinstance(error, allowed):
                names = " or ".join(kind.__name__ for kind in allowed) or "no exception"
                raise self.failed(
                    problem, expected=names, got=f"{type(error).__name__}: {error}", mistake=mistake
                ) from error

    # --- secrets ---------------------------------------------------------------------------------------------------

    def keep_secret(self, values: Iterable[str]) -> None:
        """From here on these may be seen nowhere."""
        self._secrets.update(value for value in values if len(value) >= 4)

    def shows_nothing(self, place: str, text: str) -> None:
        """Raise if the text holds a secret; the error says where, and not what.

        Raises:
            ConformanceError: it does.
        """
        for secret in self._secrets:
            if secret in text:
                raise self.failed(
                    f"A secret or a phone number stands in {place}.",
                    expected="that it is left out",
                    got=self._redacted(text[max(0, text.index(secret) - 60) : text.index(secret) + len(secret)]),
                    mistake="a field that is not repr=False, or a message, header or URL put into a text as it is",
                    remedy="Leave it out, or say only what kind of thing it was.",
                )

    def _redacted(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "[secret]")
        return text

    # --- what leaks ------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def watching_logs(self) -> Iterator[None]:
        """Keep what is logged meanwhile, at every level; at the end it may hold no secret."""
        root = logging.getLogger()
        level = root.level
        factory = logging.getLogRecordFactory()
        root.setLevel(logging.DEBUG)
        logging.setLogRecordFactory(functools.partial(self._keep_record, factory))  # before any filter mends it
        try:
            yield
        finally:
            logging.setLogRecordFactory(factory)
            root.setLevel(level)
        self.now("redaction of logs")
        for line in self._logged:
            self.shows_nothing("a log line", line)

    def _keep_record(
        self, factory: Callable[..., logging.LogRecord], *args: object, **kwargs: object
    ) -> logging.LogRecord:
        record = factory(*args, **kwargs)
        if record.levelno >= logging.INFO or record.name.split(".")[0] not in _WIRE_LOGGERS:
            self._logged.append(_FORMATTER.format(record))
        return record

    @contextlib.asynccontextmanager
    async def leaving_nothing(self, what: str) -> AsyncIterator[None]:
        """All tasks that were started inside must be gone soon after; the emulator's tell of sockets left open."""
        before = asyncio.all_tasks()
        yield
        with anyio.move_on_after(_TIDY_WITHIN):
            while _since(before):  # noqa: ASYNC110 - tasks of others: nothing tells that they are done
                await anyio.sleep(0.01)
        left = _since(before)
        self.require(
            not left,
            f"{what} leaves something open.",
            expected="no task and no socket",
            got=", ".join(sorted(str(task.get_coro()).split(" at ")[0] for task in left)),
            mistake="a task or a connection that nobody ends when its owner is closed, cancelled or fails",
            remedy="Free it in `finally`, shielded from cancellation and bounded in time.",
        )

    def check_class(self, cls: type, version: int) -> None:
        """What the registry would refuse."""
        self.now("the class")
        name = getattr(cls, "name", None)
        self.require(
            isinstance(name, str) and _NAME.fullmatch(name),
            f"{cls.__name__} has no usable name.",
            expected="a class attribute `name` of lower-case letters, digits and hyphens",
            got=repr(name),
        )
        self.require(
            getattr(cls, "api_version", None) == version,
            f"{cls.__name__} is made for another version of the contract.",
            expected=str(version),
            got=repr(getattr(cls, "api_version", None)),
            remedy="Leave `api_version` to the base class, and require the core that it was made for.",
        )


def _since(before: set[asyncio.Task[object]]) -> set[asyncio.Task[object]]:
    return asyncio.all_tasks() - before - {asyncio.current_task()}


async def at_once(*functions: Callable[[], Awaitable[None]]) -> None:
    """Run them side by side; the first that raises ends all of them, and what it raised comes out as it is."""
    failures: list[Exception] = []

    async def run(function: Callable[[], Awaitable[None]]) -> None:
        try:
            await function()
        except Exception as error:  # noqa: BLE001 - raised again below, without a group around it
            failures.append(error)
            tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        for function in functions:
            tasks.start_soon(run, function)
    if failures:
        raise failures[0]
