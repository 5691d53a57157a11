"""What the guardrails say of the caller's turn, and what becomes of it."""

from __future__ import annotations

from patter_pipeline.parts import Act, Block, Pass, Replace
from patter_pipeline.turns.core import Core
from patter_pipeline.turns.inputs import CallerJudged
from patter_pipeline.turns.model import ask, drop_draft
from patter_pipeline.turns.outputs import CallerSaid, JudgeCaller
from patter_pipeline.turns.records import CallerTurn, Line
from patter_pipeline.turns.states import Timer

__all__ = ["caller_judged", "judge", "no_caller_verdict", "said"]


def judge(core: Core, turn: CallerTurn, *, asks: bool) -> None:
    """The guardrails look at a turn that is complete; then it is in the memory, and the model is asked if it should."""
    if not core.settings.judges_caller:
        _accept(core, turn, turn.text, asks=asks)
        return
    n = core.number()
    core.judged = n, turn, asks
    core.put(JudgeCaller(n, turn.text))
    core.due(Timer.JUDGE_CALLER, core.now + core.settings.judge_caller)


def caller_judged(core: Core, event: CallerJudged) -> None:
    """The guardrails have judged the caller's turn."""
    if core.judged is None or core.judged[0] != event.n:
        return
    _, turn, asks = core.judged
    core.judged = None
    core.clear(Timer.JUDGE_CALLER)
    match event.verdict:
        case Pass():
            _accept(core, turn, turn.text, asks=asks)
        case Replace(text=text) if not text.strip():
            _refuse(core, turn, "")
        case Replace(text=text):
            turn.is_fixed = True
            _accept(core, turn, text, asks=asks)
        case Block(say=say):
            _refuse(core, turn, say)
        case Act(action=action, say=say):
            _refuse(core, turn, say)
            core.action = core.action or action


def no_caller_verdict(core: Core, _: object) -> None:
    """They did not judge it in time: it passes."""
    if core.judged is not None:
        caller_judged(core, CallerJudged(core.judged[0], Pass()))


def _refuse(core: Core, turn: CallerTurn, say: str) -> None:
    """The model is not told what the caller said."""
    turn.is_fixed = True
    core.memory.put_user(turn.n, "", turn.at)
    drop_draft(core)
    if say.strip():
        core.lines.append(Line(say))


def _accept(core: Core, turn: CallerTurn, text: str, *, asks: bool) -> None:
    core.memory.put_user(turn.n, text, turn.at)
    core.put(said(turn, text))
    if asks and core.greeting is None and not any(line.greeting for line in core.lines):
        ask(core)
    elif asks:  # what they said was a hello: the greeting answers it
        drop_draft(core)


def said(turn: CallerTurn, text: str) -> CallerSaid:
    """Returns what tells of a turn."""
    return CallerSaid(turn.n, text, turn.at, max(turn.at, turn.ended_at))
