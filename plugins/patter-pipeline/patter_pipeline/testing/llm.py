"""`check_llm`: what a language model must do, in the order in which it is tried.

1. **The class** has a usable name and implements this version of the contract. Its `repr` shows no secret.
2. **Preparing** is quick, leaves nothing open when it is cancelled, and fails with an `EngineError` at most.
3. **An answer** is given as the service gives it, piece by piece; two at once are not mixed up. One without a word, and
   without a tool, is a normal end.
4. **The request** reaches the service whole: instructions, what was said and done, and the tools.
5. **Calls of tools** are whole, several in one answer, each with an id of its own and its arguments in JSON.
6. **Giving up** an answer, by `aclose` or by cancelling the task, at any moment, gives up its connection.
7. **A failure** of the service is an `EngineError`, before the first piece and after it; so is an absent service.

No log line, error or `repr` shows a secret, and nothing is left open at the end.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence

import anyio

from patter_core.errors import EngineError
from patter_core.events import ToolCall, Usage
from patter_core.history import AgentSaid, HistoryItem, ToolState, ToolUsed, UserSaid
from patter_core.testing.conformance.check import Check, at_once
from patter_core.tools.spec import ToolSpec
from patter_pipeline.parts import LLM_API_VERSION, LanguageModel, LlmEvent, LlmRequest, TextDelta
from patter_pipeline.testing.emulators import Ending, LlmEmulator
from patter_pipeline.testing.sessions import REPORT_WITHIN, check_usage, failing_only
from patter_pipeline.testing.steps import check_class

__all__ = ["check_llm"]

_ANSWER = ("Certainly, ", "a table for two", " at seven.")
_TOOL = ToolSpec(
    name="book_table",
    description="Books a table.",
    parameters={"type": "object", "properties": {"people": {"type": "integer"}}, "required": ["people"]},
)
_CALLS = (
    ToolCall(id="call_1", name="book_table", arguments='{"people": 2}'),
    ToolCall(id="call_2", name="book_table", arguments='{"people": 3}'),
)
_HISTORY: tuple[HistoryItem, ...] = (
    AgentSaid(text="greeting-of-the-agent", started_ms=1_000),
    UserSaid(text="question-of-the-caller", started_ms=2_000),
    ToolUsed(
        id="call_0",
        name="book_table",
        arguments='{"people": 4}',
        started_ms=3_000,
        result="result-of-the-tool",
        state=ToolState.DONE,
    ),
    ToolUsed(id="call_9", name="book_table", arguments='{"people": 5}', started_ms=3_500),
    AgentSaid(text="part-that-was-heard", started_ms=4_000, interrupted=True),
    UserSaid(text="answer-to-be-answered", started_ms=5_000),
)
_MARKS = ("instructions-of-the-agent", "greeting-of-the-agent", "question-of-the-caller", "result-of-the-tool")
_MARKS_AFTER = ("part-that-was-heard", "answer-to-be-answered", "book_table", "Books a table.", "people")
_GONE_WITHIN = 3.0


async def check_llm(make_emulator: Callable[[], LlmEmulator], *, patience: float = 1.0) -> None:
    """Tries a language model against the whole of its contract. It takes a few seconds.

    Args:
        make_emulator: makes the emulator of `Part.emulator`, whose `part()` is what is tried.
        patience: a factor for all bounds in time: more for a slow machine.

    Raises:
        ConformanceError: the contract is not kept; the error says what was tried, expected and got.
    """
    check = Check("llm", patience)
    with check.raises_only_failures(), check.watching_logs():
        async with check.leaving_nothing("The part, or its emulator,"):
            async with make_emulator() as emulator:
                check.keep_secret(emulator.secrets)
                part = emulator.part()
                await check_class(check, part, LLM_API_VERSION)
                await _check_prepared(check, part)
                await _check_answers(check, emulator, part)
                await _check_request(check, emulator, part)
                await _check_calls(check, emulator, part)
                await _check_given_up(check, emulator, part)
                await _check_failures(check, emulator, part)
            await check.check_own_checks(part.check, " without the service")
            check.now("a service that cannot be reached")
            await _prepare(check, part)
            with failing_only(check, "An answer of a service that is not there"):
                await _read(check, part, request())


def request(history: Sequence[HistoryItem] = _HISTORY, tools: tuple[ToolSpec, ...] = (_TOOL,)) -> LlmRequest:
    """Returns a request to try."""
    return LlmRequest(instructions="instructions-of-the-agent", history=tuple(history), tools=tools)


async def _read(check: Check, part: LanguageModel, asked: LlmRequest, into: list[LlmEvent] | None = None) -> str:
    """Takes one answer to its end. Returns its text.

    Raises:
        EngineError: it failed.
        ConformanceError: it does not end, or holds what it may not.
    """
    events = [] if into is None else into
    with check.within(REPORT_WITHIN, "An answer never ends.", mistake="the end of the stream that is not seen"):
        async with contextlib.aclosing(part.stream(asked)) as answer:
            async for event in answer:
                check.require(
                    isinstance(event, TextDelta | ToolCall | Usage),
                    "stream() gives something else than the contract says.",
                    expected="TextDelta, ToolCall or Usage",
                    got=type(event).__name__,
                )
                if isinstance(event, Usage):
                    check_usage(check, event, "llm")
                events.append(event)
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def _check_prepared(check: Check, part: LanguageModel) -> None:
    check.now("prepare()")
    await _prepare(check, part)
    async with check.leaving_nothing("A cancelled prepare()"):
        with anyio.move_on_after(0):
            await part.prepare()


async def _prepare(check: Check, part: LanguageModel) -> None:
    """Prepares in time; an `EngineError` says that the service is not there."""
    with (
        check.within(REPORT_WITHIN, "prepare() does not return.", mistake="a bound in time that is missing"),
        check.raises_only(EngineError, problem="prepare() raises something else than an EngineError."),
    ):
        try:
            await part.prepare()
        except EngineError as error:
            check.shows_nothing("the text of an error", f"{error!r} {error}")


async def _check_answers(check: Check, emulator: LlmEmulator, part: LanguageModel) -> None:
    check.now("an answer")
    events: list[LlmEvent] = []
    emulator.answer(*_ANSWER)
    with check.raises_only(problem="stream() failed on the emulator."):
        text = await _read(check, part, request(), events)
    check.require(
        text == "".join(_ANSWER),
        "An answer is not what the service gave.",
        expected="its text with all blanks",
        got=repr(text),
    )
    check.require(
        sum(isinstance(event, TextDelta) for event in events) > 1,
        "An answer is given in one piece.",
        expected="the pieces as they come",
        mistake="an answer that is gathered before it is given",
    )
    check.now("an answer without a word")
    emulator.answer()
    with check.raises_only(problem="An answer without a word raises.", mistake="no text and no tool is a normal end"):
        text = await _read(check, part, request())
    check.require(not text, "An answer without a word has text.", got=repr(text))
    check.now("two answers at once")
    texts: list[str] = []
    for number in range(2):
        emulator.answer(f"{number}", f"{number}" * 9)

    async def read() -> None:
        texts.append(await _read(check, part, request()))

    await at_once(read, read)
    check.require(sorted(texts) == ["0" * 10, "1" * 10], "Two answers are mixed up.", got=repr(sorted(texts)))


async def _check_request(check: Check, emulator: LlmEmulator, part: LanguageModel) -> None:
    check.now("the request")
    emulator.answer("Yes.")
    await _read(check, part, request())
    asked = emulator.asked[-1]
    for mark in (*_MARKS, *_MARKS_AFTER):
        check.require(
            mark in asked,
            "Something of the request does not reach the service.",
            expected=f"{mark!r} in what it was asked",
        )
    places = [asked.index(mark) for mark in (*_MARKS[1:], *_MARKS_AFTER[:2])]
    check.require(places == sorted(places), "The history reaches the service out of order.")
    check.now("a request without history and tools")
    emulator.answer("Yes.")
    with check.raises_only(problem="A request without history and tools fails.", mistake="an empty list of tools"):
        await _read(check, part, request((), ()))


async def _check_calls(check: Check, emulator: LlmEmulator, part: LanguageModel) -> None:
    check.now("calls of tools")
    for pieces in (("One moment.",), ()):
        events: list[LlmEvent] = []
        emulator.answer(*pieces, *_CALLS)
        with check.raises_only(problem="An answer with calls of tools raises."):
            text = await _read(check, part, request(), events)
        check.require(text == "".join(pieces), "The text beside calls of tools is not what the service gave.")
        calls = [event for event in events if isinstance(event, ToolCall)]
        told = [(call.name, _decoded(check, call.arguments)) for call in calls]
        check.require(
            told == [(call.name, json.loads(call.arguments)) for call in _CALLS],
            "Calls of tools are not what the service gave.",
            expected="each whole, once, in order",
            got=repr([(call.name, call.arguments) for call in calls]),
            mistake="pieces of arguments that are told, or joined across calls",
        )
        check.require(
            all(call.id for call in calls) and len({call.id for call in calls}) == len(calls),
            "Calls of tools have no id of their own.",
            got=repr([call.id for call in calls]),
        )


def _decoded(check: Check, arguments: str) -> object:
    try:
        decoded: object = json.loads(arguments)
    except ValueError:
        raise check.failed("The arguments of a tool are no JSON.", expected="a whole object", got=arguments) from None
    return decoded


async def _check_given_up(check: Check, emulator: LlmEmulator, part: LanguageModel) -> None:
    check.now("giving an answer up")
    async with check.leaving_nothing("An answer that is given up"):
        for ending in (Ending.STALL, Ending.DONE):
            emulator.answer(*_ANSWER, ending=ending)
            answer = part.stream(request())
            await anext(answer)
            with check.within(5, "aclose() of an answer does not return."):
                await answer.aclose()
            await _gone(check, emulator)
        for pieces in (_ANSWER, ()):  # before the first piece, too
            emulator.answer(*pieces, ending=Ending.STALL)
            with anyio.move_on_after(0.3):
                await _read(check, part, request())
            await _gone(check, emulator)
    emulator.answer("Yes.")
    check.require(await _read(check, part, request()) == "Yes.", "After an answer was given up, the next one fails.")


async def _gone(check: Check, emulator: LlmEmulator) -> None:
    with check.within(
        _GONE_WITHIN,
        "An answer that is given up goes on at the service.",
        mistake="a connection that is kept for later, or a task that reads on: the answer is billed to its end",
    ):
        while emulator.answering:  # noqa: ASYNC110 - nothing tells of it
            await anyio.sleep(0.01)


async def _check_failures(check: Check, emulator: LlmEmulator, part: LanguageModel) -> None:
    check.now("a failure of the service")
    async with check.leaving_nothing("An answer that failed"):
        for pieces in ((), _ANSWER[:2]):
            for _ in range(5):  # it may be asked again, before the first event
                emulator.answer(*pieces, ending=Ending.FAILURE)
            where = "after its first words" if pieces else "before its first word"
            events: list[LlmEvent] = []
            with failing_only(check, f"An answer that fails {where}"):
                await _read(check, part, request(), events)
            check.require(
                len([event for event in events if isinstance(event, TextDelta)]) <= len(pieces),
                "An answer that fails is asked for again after its first words.",
                expected="an EngineError: what was given cannot be taken back",
            )
            emulator.answers.clear()
