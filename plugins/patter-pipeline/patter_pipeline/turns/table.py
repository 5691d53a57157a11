"""The table of turn taking: in which state, on which input or timer, what is done.

The handlers say where it goes from there. In the agent's states (LISTENING, ANSWERING, TOOLS, SPEAKING, ENDING) that
follows from what there is: a greeting that is due, a speech that is not heard yet, a request of the model, tools that
run, or nothing; see `flow.settle`. What has no row is ignored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from patter_pipeline.turns import barge_in, caller, conversation, inputs, judging, model, recognition, tools, voice
from patter_pipeline.turns.core import Core
from patter_pipeline.turns.recognition import NoWords, Words
from patter_pipeline.turns.states import State, Timer

__all__ = ["TABLE", "Handler"]

Handler = Callable[[Core, object], None]
"""Takes the core, and the input; None for a timer."""
_Trigger = type[object] | Timer
_Row = tuple[tuple[State, ...], _Trigger, Handler]
Given = TypeVar("Given")


def _on(states: tuple[State, ...], trigger: type[Given], handler: Callable[[Core, Given], None]) -> _Row:
    """A row for an input: its handler takes what the trigger says, and nothing else."""

    def handle(core: Core, event: object) -> None:
        if isinstance(event, trigger):
            handler(core, event)

    return states, trigger, handle


def _at(states: tuple[State, ...], timer: Timer, handler: Callable[[Core, None], None]) -> _Row:
    """A row for a timer."""
    return states, timer, lambda core, _: handler(core, None)


LISTENING, USER, PAUSED = State.LISTENING, State.USER, State.PAUSED
ANSWERING, TOOLS, SPEAKING, DOUBT = State.ANSWERING, State.TOOLS, State.SPEAKING, State.DOUBT
KEYS, HELD, ENDING = State.KEYS, State.HELD, State.ENDING
ANY = tuple(State)
TALKING = (LISTENING, USER, PAUSED, ANSWERING, TOOLS, SPEAKING, DOUBT, KEYS)
"""All but HELD and ENDING."""

# fmt: off
_ROWS: tuple[_Row, ...] = (
    # Nothing is said.
    _at((LISTENING,),       Timer.SPEECH,              barge_in.spoke),
    _on((LISTENING,),       Words,                     barge_in.words_in_silence),
    # The caller speaks, and pauses.
    _at((USER,),            Timer.QUIET,               caller.quiet),
    _at((USER,),            Timer.WORDLESS,            caller.wordless),
    _at((USER, PAUSED),     Timer.TURN,                caller.too_long),
    _on((USER, PAUSED),     Words,                     recognition.add_words),
    _on((USER, PAUSED),     NoWords,                   recognition.take_back),
    _on((USER, PAUSED),     inputs.SttEagerEnd,        caller.eager_end),
    _on((USER, PAUSED),     inputs.SttResumed,         caller.resumed),
    _at((PAUSED,),          Timer.SPEECH,              caller.goes_on),
    _on((PAUSED,),          inputs.Detected,           caller.detected),
    _at((PAUSED,),          Timer.END,                 caller.try_end),
    _at((PAUSED,),          Timer.FINAL,               caller.final_wait_over),
    # The model is asked, and tools run.
    _at((ANSWERING,),       Timer.SPEECH,              barge_in.spoke_early),
    _on((ANSWERING,),       Words,                     barge_in.words_in_answer),
    _on((TOOLS,),           Words,                     barge_in.words_in_tools),
    _at((TOOLS,),           Timer.FILLER,              conversation.fill),
    # The agent speaks.
    _at((SPEAKING,),        Timer.SPEECH,              barge_in.barged_in),
    _on((SPEAKING,),        Words,                     barge_in.words_in_speech),
    # It fell silent, since the caller may be interrupting.
    _on((DOUBT,),           Words,                     barge_in.doubt_words),
    _on((DOUBT,),           NoWords,                   barge_in.doubt_no_words),
    _at((DOUBT,),           Timer.SPEECH,              barge_in.doubt_spoken),
    _at((DOUBT,),           Timer.QUIET,               barge_in.doubt_quiet),
    _at((DOUBT,),           Timer.DOUBT,               barge_in.doubt_over),
    # The caller presses keys.
    _on(TALKING,            inputs.Key,                conversation.key),
    _at((KEYS,),            Timer.KEYS,                conversation.keys_over),
    _at((KEYS,),            Timer.SPEECH,              barge_in.spoke_in_keys),
    _on((KEYS,),            Words,                     barge_in.words_in_keys),
    # The call.
    _on((*TALKING, ENDING), inputs.Hold,               conversation.hold),
    _on((HELD,),            inputs.Resume,             conversation.resume),
    _on((*TALKING, ENDING), inputs.Say,                conversation.say),
    _on(TALKING,            inputs.Greet,              conversation.greet),
    _on((*TALKING, HELD),   inputs.UserMessage,        conversation.user_message),
    _on(ANY,                inputs.Context,            conversation.context),
    _on(ANY,                inputs.ActRequested,       conversation.act_requested),
    _at((ENDING,),          Timer.LAST_WORD,           conversation.last_word_over),
    # The parts, in all states: what they report is of a request or a speech, or is ignored.
    _on(ANY,                inputs.SttFailed,          conversation.stt_failed),
    _on(ANY,                inputs.ModelText,          model.model_said),
    _on(ANY,                inputs.ModelCall,          model.model_called),
    _on(ANY,                inputs.ModelDone,          model.model_done),
    _on(ANY,                inputs.ModelFailed,        model.model_failed),
    _at(ANY,                Timer.MODEL,               model.model_stalled),
    _at(ANY,                Timer.CLAUSE,              model.pause_in_text),
    _on(ANY,                inputs.AgentJudged,        model.agent_judged),
    _at(ANY,                Timer.JUDGE_AGENT,         model.no_verdict),
    _on(ANY,                inputs.CallerJudged,       judging.caller_judged),
    _at(ANY,                Timer.JUDGE_CALLER,        judging.no_caller_verdict),
    _on(ANY,                inputs.ToolAnswered,       tools.tool_answered),
    _at(ANY,                Timer.TOOL,                tools.tool_lost),
    _on(ANY,                inputs.VoiceAudio,         voice.voice_came),
    _on(ANY,                inputs.VoiceDone,          voice.voice_done),
    _on(ANY,                inputs.VoiceFailed,        voice.voice_failed),
    _at(ANY,                Timer.VOICE,               voice.voice_stalled),
    _on(ANY,                inputs.PlayedBack,         voice.played_back),
    _at(ANY,                Timer.HEARD,               voice.not_heard),
)
# fmt: on

TABLE: dict[tuple[State, _Trigger], Handler] = {
    (state, trigger): handler for states, trigger, handler in _ROWS for state in states
}
"""By state and input, or timer."""
