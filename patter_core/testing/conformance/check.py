"""What every check needs: the words of a failure, bounds in time, and a watch for leaks."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import logging
import re
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence

import anyio

from patter_core.aio.foreign import as_exception
from patter_core.checks import CheckResult
from patter_core.errors import ConformanceError
from patter_core.testing.conformance.secrets import Secrets

__all__ = ["SENTINEL", "Check", "at_once", "beside", "innermost"]

SENTINEL = "must-not-be-repeated-4711"
"""Stands for private text in malformed messages."""

_NAME = re.compile(r"[a-z][a-z0-9-]*")
_TIDY_WITHIN = 3.0
"""Seconds for sockets and tasks to be gone."""
_MOST_NAMED = 4
"""Kinds of tasks that are named, of those that were left."""
_CHECK_WITHIN = 15.0
_FORMATTER = logging.Formatter()
_WIRE_LOGGERS = ("websockets", "httpcore", "httpx", "uvicorn", "asyncio", "hpack")
"""Libraries that log whole messages at DEBUG, of emulators and plugins alike: what they log below INFO is ignored."""

_doing: contextvars.ContextVar[list[str] | None] = contextvars.ContextVar("doing", default=None)
"""What a task and those that it started are trying, where several things are tried side by side."""


class Check:
    """One check of one plugin: what is being tried, and what must not be shown.

    Args:
        kind: `carrier`, `engine`, `sink` or `store`.
        patience: a factor for all bounds in time.
    """

    def __init__(self, kind: str, patience: float = 1.0) -> None:
        self.kind = kind
        self.patience = patience
        self._doing = [""]
        self._secrets = Secrets()
        self._secrets.add([SENTINEL])
        self._logged: list[str] = []

    def now(self, doing: str) -> None:
        """Sets what is being tried from here on, for the error."""
        (_doing.get() or self._doing)[0] = doing

    def now_here(self, doing: str) -> None:
        """As `now`, for this task and those that it starts: others go on with what they are trying."""
        _doing.set([doing])

    def require(
        self, ok: object, problem: str, *, expected: str = "", got: str = "", mistake: str = "", remedy: str = ""
    ) -> None:
        """Checks a condition.

        Raises:
            ConformanceError: `ok` is false.
        """
        if not ok:
            raise self.failed(problem, expected=expected, got=got, mistake=mistake, remedy=remedy)

    def failed(
        self, problem: str, *, expected: str = "", got: str = "", mistake: str = "", remedy: str = ""
    ) -> ConformanceError:
        """Returns the error, to be raised. Secrets in `got` are left out; all of it, if it repeats `expected`."""
        return ConformanceError(
            problem,
            check=f"{self.kind}: {(_doing.get() or self._doing)[0]}",
            expected=expected,
            got=self._secrets.redacted(got) if got != expected else "",
            mistake=mistake,
            remedy=remedy,
        )

    @contextlib.contextmanager
    def within(self, seconds: float, problem: str, *, mistake: str = "", remedy: str = "") -> Iterator[None]:
        """A bound in time: `problem` is what is wrong beyond it."""
        with anyio.move_on_after(seconds * self.patience) as scope:
            yield
        if scope.cancelled_caught:
            raise self.failed(problem, expected=f"within {seconds:g} s", got="nothing", mistake=mistake, remedy=remedy)

    @contextlib.contextmanager
    def raises_only(self, *allowed: type[BaseException], problem: str, mistake: str = "") -> Iterator[None]:
        """A bound for exceptions: those that are allowed end the block; `problem` is what is wrong for all others."""
        try:
            yield
        except BaseException as raised:
            error = innermost(as_exception(raised))
            if isinstance(error, ConformanceError):
                raise error from None
            self.shows_nothing("the text of an error", "".join(traceback.format_exception(error)))
            if not isinstance(error, allowed):
                names = " or ".join(kind.__name__ for kind in allowed) or "no exception"
                raise self.failed(
                    problem, expected=names, got=f"{type(error).__name__}: {error}", mistake=mistake
                ) from raised

    def raises_only_failures(self) -> contextlib.AbstractContextManager[None]:
        """The wall around a whole check: whatever else comes out of the plugin is a failure, too."""
        return self.raises_only(
            problem="Something raises that is expected to raise nothing.",
            mistake="an exception of the plugin or of its emulator that is not caught; the traceback shows where",
        )

    # --- secrets ---------------------------------------------------------------------------------------------------

    def keep_secret(self, values: Iterable[str]) -> None:
        """Adds texts that must be shown nowhere from here on."""
        self._secrets.add(values)

    def shows_nothing(self, place: str, text: str) -> None:
        """Checks that the text holds no secret, also none that is escaped or encoded. The error names the place.

        Raises:
            ConformanceError: it does.
        """
        if found := self._secrets.find(text):
            at = text.index(found)
            raise self.failed(
                f"A secret or a phone number stands in {place}.",
                expected="that it is left out",
                got=text[max(0, at - 60) : at + len(found)],
                mistake="a field that is not repr=False, or a message, header or URL put into a text as it is",
                remedy="Leave it out, or say only what kind of thing it was.",
            )

    # --- leaks -----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def watching_logs(self) -> Iterator[None]:
        """Keeps what is logged inside, at every level, and checks at the end that it holds no secret."""
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
        """Checks that every task started inside is gone soon after. The emulator's tasks tell of sockets left open."""
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
            got=_counted(left),
            mistake="a task or a connection that is not ended when its owner is closed, cancelled or fails",
            remedy="Free it in `finally`, shielded from cancellation and bounded in time.",
        )

    def check_class(self, cls: type, version: int) -> None:
        """Checks what the registry would refuse."""
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

    async def check_own_checks(self, own: Callable[[], Awaitable[Sequence[CheckResult]]], when: str = "") -> None:
        """Checks that a plugin's `check()` returns what `patter doctor` can show."""
        self.now(f"check(){when}")
        with (
            self.within(_CHECK_WITHIN, "check() does not return."),
            self.raises_only(problem="check() raises.", mistake="what it finds belongs into a CheckResult"),
        ):
            results = await own()
            for result in results:
                self.require(isinstance(result, CheckResult), "check() returns no CheckResult.", got=repr(result))
                self.shows_nothing("a CheckResult", f"{result.what} {result.remedy}")


def innermost(error: Exception) -> Exception:
    """Returns the first exception of a group, at any depth; another exception as it is."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def _counted(tasks: Iterable[asyncio.Task[object]]) -> str:
    names = Counter(getattr(task.get_coro(), "__qualname__", "a task") for task in tasks)
    most = [f"{count} × {name}" for name, count in names.most_common(_MOST_NAMED)]
    total = names.total()
    return f"{total} task{'s' * (total > 1)}: {', '.join(most)}{', …' if len(names) > _MOST_NAMED else ''}"


def _since(before: set[asyncio.Task[object]]) -> set[asyncio.Task[object]]:
    return asyncio.all_tasks() - before - {asyncio.current_task()}


@contextlib.asynccontextmanager
async def beside() -> AsyncIterator[Callable[[Callable[[], Awaitable[object]]], anyio.Event]]:
    """Gives `start(function)`, which runs a function beside the block and returns an event of its end.

    At the end of the block they are cancelled. The first exception, of the block or of a function, ends all of them and
    is raised as it is, without a group around it.
    """
    failures: list[Exception] = []

    async def run(function: Callable[[], Awaitable[object]], ended: anyio.Event) -> None:
        try:
            await function()
        except BaseException as error:  # noqa: BLE001 - raised again below, without a group around it
            failures.append(as_exception(error))
            tasks.cancel_scope.cancel()
        ended.set()

    def start(function: Callable[[], Awaitable[object]]) -> anyio.Event:
        ended = anyio.Event()
        tasks.start_soon(run, function, ended)
        return ended

    async with anyio.create_task_group() as tasks:
        try:
            yield start
        except BaseException as error:  # noqa: BLE001 - as above
            failures.append(as_exception(error))
        tasks.cancel_scope.cancel()
    if failures:
        raise failures[0]


async def at_once(*functions: Callable[[], Awaitable[object]]) -> None:
    """Runs functions side by side, to the end. The first exception ends all of them, and is raised as it is."""
    async with beside() as start:
        for ended in [start(function) for function in functions]:
            await ended.wait()
