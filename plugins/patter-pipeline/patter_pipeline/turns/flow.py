"""What the agent does next, when it has the turn: it follows from what there is to be said, asked, and waited for."""

from __future__ import annotations

from patter_pipeline.turns.barge_in import speech_counts_at, take_turn
from patter_pipeline.turns.caller import arm_end
from patter_pipeline.turns.conversation import act, begin_ending, hello_over
from patter_pipeline.turns.core import Core
from patter_pipeline.turns.model import ask
from patter_pipeline.turns.states import State, Timer
from patter_pipeline.turns.voice import feed

__all__ = ["settle"]

_AGENTS = frozenset({State.LISTENING, State.ANSWERING, State.TOOLS, State.SPEAKING, State.ENDING})
"""The states in which the agent has the turn, or may take it."""


def settle(core: Core) -> None:
    """Does what is to be done after an input or a timer, and sets the timers that follow from the state."""
    if core.state is State.DOUBT and core.speech is None:
        take_turn(core)
    if core.action is not None and core.state not in {State.ENDING, State.HELD}:
        begin_ending(core)
    if core.state is State.ENDING:
        feed(core)
        if core.speech is None:
            act(core)
    if core.state in _AGENTS and core.state is not State.ENDING:
        _go_on(core)
    arm_end(core)
    core.due(Timer.SPEECH, speech_counts_at(core))
    core.due(Timer.QUIET, core.voicing.quiet_at(core.settings.stop))


def _go_on(core: Core) -> None:
    if core.greeting is not None and (Timer.HELLO not in core.timers or not _is_idle(core)):
        hello_over(core)
    feed(core)
    if core.tools.news and not core.tools.running and core.request is None and core.judged is None:
        ask(core)
        feed(core)  # of a draft that is taken
    if core.speech is not None:
        core.go(State.SPEAKING)
    elif core.request is not None or (core.judged is not None and core.judged[2]):
        core.go(State.ANSWERING)
    elif core.tools.running:
        core.go(State.TOOLS)
    else:
        core.go(State.LISTENING)
    settings = core.settings
    if core.state is State.TOOLS and settings.fillers and Timer.FILLER not in core.timers:
        core.due(Timer.FILLER, core.now + (settings.filler_again if core.filled else settings.filler))


def _is_idle(core: Core) -> bool:
    """True if nothing is said, asked or waited for."""
    return not (core.speech or core.lines or core.request or core.judged or core.tools.running or core.tools.news)
