"""The model's side: requests and drafts, their text, their tools, and what guardrails say of it."""

from __future__ import annotations

from patter_core.history import AgentSaid, HistoryItem
from patter_pipeline.parts import Act, Block, Pass, Replace
from patter_pipeline.turns.core import Core
from patter_pipeline.turns.inputs import AgentJudged, ModelCall, ModelDone, ModelFailed, ModelText
from patter_pipeline.turns.outputs import (
    Ask,
    DropDraft,
    JudgeAgent,
    PartKind,
    StartDraft,
    StopModel,
    TakeDraft,
)
from patter_pipeline.turns.records import Line, Request, same_question
from patter_pipeline.turns.states import Timer
from patter_pipeline.turns.tools import TOOLS_AT_ONCE, run_tool
from patter_pipeline.turns.words import words

__all__ = [
    "GO_ON",
    "agent_judged",
    "ask",
    "check_draft",
    "draft_now",
    "drop_draft",
    "model_called",
    "model_done",
    "model_failed",
    "model_said",
    "model_stalled",
    "no_verdict",
    "pause_in_text",
    "stop_request",
]

_LONGEST_ANSWER = 20_000
"""Characters: a model that repeats itself must fill neither memory nor bill."""
GO_ON = "[Note for you, which the caller did not say: go on. You have said what is above; do not repeat it.]"

_MODEL_TIMERS = (Timer.MODEL, Timer.CLAUSE, Timer.JUDGE_AGENT)


# --- requests ---------------------------------------------------------------------------------------------------------


def ask(core: Core) -> None:
    """Asks the model to answer what is in the memory. A draft that answers the same is taken."""
    stop_request(core)
    history = _question(core, core.memory.items())
    tools = core.rounds < core.settings.rounds
    core.rounds += 1
    core.tools.news = False
    draft = core.draft
    if draft is not None and draft.tools == tools and same_question(draft.history, history):
        _take(core, draft)
        return
    drop_draft(core)
    request = core.request = Request(core.number(), history, tools=tools)
    core.put(Ask(request.n, history, tools))
    core.due(Timer.MODEL, core.now + core.settings.first_token)


def _question(core: Core, history: tuple[HistoryItem, ...]) -> tuple[HistoryItem, ...]:
    """Returns what the model is to answer, with that history. Its last item is of the caller, or of a tool.

    Where the agent has spoken after the tool began, or in an answer that broke off, a note follows: services take an
    answer at the end for one that they are to continue to the letter, or refuse it.
    """
    if history and isinstance(history[-1], AgentSaid):
        return (*history, core.memory.user(GO_ON, core.now))
    return history


def stop_request(core: Core) -> None:
    """The answer is no longer wanted, nor what of it is not with the voice."""
    request, core.request = core.request, None
    core.clear(*_MODEL_TIMERS)
    if request is not None and not request.done:
        core.put(StopModel(request.n))


def draft_now(core: Core, text: str) -> None:
    """Drafts an answer to the caller's turn with that text, if that makes sense, unless there is one.

    What guardrails have not judged is not for the model: where they judge the caller, there are no drafts.
    """
    turn, settings = core.user, core.settings
    if turn is None or not words(text) or core.greeting is not None or core.tools.running:
        return
    history = _question(core, core.memory.items_with(turn.n, text, turn.at))
    if core.draft is not None and same_question(core.draft.history, history):
        return
    drop_draft(core)
    is_allowed = settings.draft and not settings.judges_caller
    if not is_allowed or core.drafts >= settings.drafts or core.now - turn.at > settings.draft_within:
        return
    core.drafts += 1
    core.draft = Request(core.number(), history, tools=True)
    core.put(StartDraft(core.draft.n, history, tools=True))


def check_draft(core: Core) -> None:
    """Drops the draft if the caller's turn is no longer what it answers."""
    turn, draft = core.user, core.draft
    if turn is None or draft is None:
        return
    if not same_question(draft.history, _question(core, core.memory.items_with(turn.n, turn.text, turn.at))):
        drop_draft(core)


def drop_draft(core: Core) -> None:
    """Throws the draft away, if there is one."""
    draft, core.draft = core.draft, None
    if draft is not None:
        core.put(DropDraft(draft.n))


def _take(core: Core, draft: Request) -> None:
    core.draft, core.request = None, draft
    core.put(TakeDraft(draft.n))
    if not draft.done:
        core.due(Timer.MODEL, core.now + core.settings.first_token)
    if draft.judging:
        core.due(Timer.JUDGE_AGENT, core.now + core.settings.judge_agent)
    if draft.sentences.is_waiting:
        core.due(Timer.CLAUSE, core.now + core.settings.clause)
    held, draft.held = draft.held, []
    for call in held:
        run_tool(core, draft, call)


# --- what the model reports -------------------------------------------------------------------------------------------


def model_said(core: Core, event: ModelText) -> None:
    """More text of an answer: its sentences go to the guardrails, or may be spoken."""
    request = _find(core, event.n)
    if request is None or request.done:
        return
    text = event.text[: _LONGEST_ANSWER - request.length]
    request.length += len(text)
    _gather(core, request, request.sentences.add(text))
    if request is core.request and text:
        core.due(Timer.MODEL, core.now + core.settings.token_gap)
        if request.sentences.is_waiting:
            core.due(Timer.CLAUSE, core.now + core.settings.clause)
    if request.length >= _LONGEST_ANSWER:
        _close(core, request)


def pause_in_text(core: Core, _: object) -> None:
    """No text has come for a moment: the first clause is spoken."""
    if core.request is not None:
        _gather(core, core.request, core.request.sentences.clause())


def model_called(core: Core, event: ModelCall) -> None:
    """The model calls a tool: it runs at once, unless this is a draft. One that calls without end has called enough."""
    request = _find(core, event.n)
    if request is None or request.done or not request.tools:
        return
    request.calls += 1
    if request.calls > TOOLS_AT_ONCE:
        _close(core, request)
    elif request is core.request:
        core.due(Timer.MODEL, core.now + core.settings.token_gap)
        run_tool(core, request, event.call)
    elif all(call.id != event.call.id for call in request.held):
        request.held.append(event.call)


def model_done(core: Core, event: ModelDone) -> None:
    """The answer is complete. One without text and without a tool call is a normal end: nothing is said."""
    request = _find(core, event.n)
    if request is not None and not request.done:
        _end_text(core, request)


def model_failed(core: Core, event: ModelFailed) -> None:
    """The answer broke off."""
    request = _find(core, event.n)
    if request is None or request.done:
        return
    if request is core.draft:
        core.draft = None  # the model is asked in earnest later
    else:
        _ask_reserve(core, request, stalled=False)


def model_stalled(core: Core, _: object) -> None:
    """The model does not begin, or does not go on."""
    request = core.request
    if request is not None and not request.done:
        core.put(StopModel(request.n))
        _ask_reserve(core, request, stalled=True)


def _ask_reserve(core: Core, request: Request, *, stalled: bool) -> None:
    """Asks the other model. Whole sentences of the first are spoken all the same, and are not said again.

    After a tool call the answer counts as complete: the model is asked anyway, with the result.
    """
    request.done = True
    core.clear(Timer.MODEL, Timer.CLAUSE)
    if not core.replace(PartKind.LLM, stalled=stalled) or request.called:
        return
    kept = [*request.ready, *request.unjudged]
    said = frozenset(" ".join(words(piece)) for piece in kept)
    if core.speech is not None and core.speech.request is request:
        said |= {" ".join(words(piece)) for piece in core.speech.pieces}
    after = Request(core.number(), _question(core, core.memory.items()), tools=request.tools)
    after.ready, after.unjudged, after.judging = request.ready, request.unjudged, request.judging
    after.said, after.spoke = request.said | said, request.spoke
    if core.speech is not None and core.speech.request is request:
        core.speech.request = after
    core.request = after
    core.put(Ask(after.n, after.history, after.tools))
    core.due(Timer.MODEL, core.now + core.settings.first_token)


def _find(core: Core, n: int) -> Request | None:
    return next((one for one in (core.request, core.draft) if one is not None and one.n == n), None)


def _end_text(core: Core, request: Request) -> None:
    request.done = True
    if request is core.request:
        core.clear(Timer.MODEL, Timer.CLAUSE)
    _gather(core, request, request.sentences.end())


def _close(core: Core, request: Request) -> None:
    """No more of it is wanted; what has come is."""
    core.put(StopModel(request.n))
    _end_text(core, request)


# --- sentences and guardrails -----------------------------------------------------------------------------------------


def _gather(core: Core, request: Request, pieces: list[str]) -> None:
    if pieces and request is core.request:
        core.clear(Timer.CLAUSE)
    for piece in pieces:
        if request.said and " ".join(words(piece)) in request.said:
            continue
        (request.unjudged if core.settings.judges_agent else request.ready).append(piece)
    _judge_next(core, request)


def _judge_next(core: Core, request: Request) -> None:
    if request.unjudged and not request.judging:
        request.judging = core.number()
        core.put(JudgeAgent(request.judging, request.unjudged[0]))
        if request is core.request:
            core.due(Timer.JUDGE_AGENT, core.now + core.settings.judge_agent)


def agent_judged(core: Core, event: AgentJudged) -> None:
    """The guardrails have judged a sentence: the next one is theirs."""
    for request in (core.request, core.draft):
        if request is not None and event.n == request.judging:
            _apply(core, request, event.verdict)
            return


def no_verdict(core: Core, _: object) -> None:
    """They did not judge it in time: it is not said, nor what follows it."""
    if core.request is not None and core.request.judging:
        _apply(core, core.request, Block())


def _apply(core: Core, request: Request, verdict: Pass | Replace | Block | Act) -> None:
    request.judging = 0
    sentence = request.unjudged.popleft()
    if request is core.request:
        core.clear(Timer.JUDGE_AGENT)
    match verdict:
        case Pass():
            request.ready.append(sentence)
        case Replace(text=text):
            blank = sentence[len(sentence.rstrip()) :]
            request.ready.extend([text.rstrip() + blank] if text.strip() else [])
        case Block(say=say):
            _block(core, request, say)
        case Act(action=action, say=say):
            if request is core.draft:
                drop_draft(core)  # its words are not the agent's yet: the model is asked in earnest
                return
            _block(core, request, "")
            core.action = core.action or action
            core.lines.extend([Line(say, protected=True)] if say.strip() else [])
    _judge_next(core, request)


def _block(core: Core, request: Request, say: str) -> None:
    if not request.done:
        core.put(StopModel(request.n))
        request.done = True
        if request is core.request:
            core.clear(Timer.MODEL, Timer.CLAUSE)
    request.unjudged.clear()
    request.ready.extend([say] if say.strip() else [])
