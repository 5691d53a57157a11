"""The table of turn taking: in which state, on which input or timer, what is done.

The handlers say where it goes from there. In the agent's states (LISTENING, ANSWERING, TOOLS, SPEAKING, ENDING) that
follows from what there is: a greeting that is due, a speech that is not heard yet, a request of the model, tools that
run, or nothing; see `flow.settle`. What has no row is ignored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from patter_pipeline.turns import barge_in, caller, conversation, inputs, judging, model, voice
from patter_pipeline.turns.core import Core
from patter_pipeline.turns.recognition import Words, add_words
from patter_pipeline.turns.states import State, Timer

__all__ = ["TABLE", "Handler"]

Handler = Callable[[Core, Any], None]
"""Takes the core, and the input; None for a timer."""
_Trigger = type[object] | Timer

LISTENING, USER, PAUSED = State.LISTENING, State.USER, State.PAUSED
ANSWERING, TOOLS, SPEAKING, DOUBT = State.ANSWERING, State.TOOLS, State.SPEAKING, State.DOUBT
KEYS, HELD, ENDING = State.KEYS, State.HELD, State.ENDING
ANY = tuple(State)
TALKING = (LISTENING, USER, PAUSED, ANSWERING, TOOLS, SPEAKING, DOUBT, KEYS)
"""All but HELD and ENDING."""

# fmt: off
_ROWS: tuple[tuple[tuple[State, ...], _Trigger, Handler], ...] = (
    # Nothing is said.
    ((LISTENING,),       Timer.SPEECH,              barge_in.spoke),
    ((LISTENING,),       Words,                     barge_in.words_in_silence),
    # The caller speaks, and pauses.
    ((USER,),            Timer.QUIET,               caller.quiet),
    ((USER,),            Timer.WORDLESS,            caller.wordless),
    ((USER, PAUSED),     Timer.TURN,                caller.too_long),
    ((USER, PAUSED),     Words,                     add_words),
    ((USER, PAUSED),     inputs.SttEagerEnd,        caller.eager_end),
    ((USER, PAUSED),     inputs.SttResumed,         caller.resumed),
    ((PAUSED,),          Timer.SPEECH,              caller.goes_on),
    ((PAUSED,),          inputs.Detected,           caller.detected),
    ((PAUSED,),          Timer.END,                 caller.try_end),
    ((PAUSED,),          Timer.FINAL,               caller.final_wait_over),
    # The model is asked, and tools run.
    ((ANSWERING,),       Timer.SPEECH,              barge_in.spoke_early),
    ((ANSWERING,),       Words,                     barge_in.words_in_answer),
    ((TOOLS,),           Words,                     barge_in.words_in_tools),
    ((TOOLS,),           Timer.FILLER,              conversation.fill),
    # The agent speaks.
    ((SPEAKING,),        Timer.SPEECH,              barge_in.barged_in),
    ((SPEAKING,),        Words,                     barge_in.words_in_speech),
    # It fell silent, since the caller may be interrupting.
    ((DOUBT,),           Words,                     barge_in.doubt_words),
    ((DOUBT,),           Timer.SPEECH,              barge_in.doubt_spoken),
    ((DOUBT,),           Timer.QUIET,               barge_in.doubt_quiet),
    ((DOUBT,),           Timer.DOUBT,               barge_in.doubt_over),
    # The caller presses keys.
    (TALKING,            inputs.Key,                conversation.key),
    ((KEYS,),            Timer.KEYS,                conversation.keys_over),
    ((KEYS,),            Timer.SPEECH,              barge_in.spoke_in_keys),
    ((KEYS,),            Words,                     barge_in.words_in_keys),
    # The call.
    ((*TALKING, ENDING), inputs.Hold,               conversation.hold),
    ((HELD,),            inputs.Resume,             conversation.resume),
    ((*TALKING, ENDING), inputs.Say,                conversation.say),
    (TALKING,            inputs.Greet,              conversation.greet),
    ((*TALKING, HELD),   inputs.UserMessage,        conversation.user_message),
    (ANY,                inputs.Context,            conversation.context),
    (ANY,                inputs.ActRequested,       conversation.act_requested),
    ((ENDING,),          Timer.LAST_WORD,           conversation.last_word_over),
    # The parts, in all states: what they report is of a request or a speech, or is ignored.
    (ANY,                inputs.SttFailed,          conversation.stt_failed),
    (ANY,                inputs.ModelText,          model.model_said),
    (ANY,                inputs.ModelCall,          model.model_called),
    (ANY,                inputs.ModelDone,          model.model_done),
    (ANY,                inputs.ModelFailed,        model.model_failed),
    (ANY,                Timer.MODEL,               model.model_stalled),
    (ANY,                Timer.CLAUSE,              model.pause_in_text),
    (ANY,                inputs.AgentJudged,        model.agent_judged),
    (ANY,                Timer.JUDGE_AGENT,         model.no_verdict),
    (ANY,                inputs.CallerJudged,       judging.caller_judged),
    (ANY,                Timer.JUDGE_CALLER,        judging.no_caller_verdict),
    (ANY,                inputs.ToolAnswered,       model.tool_answered),
    (ANY,                Timer.TOOL,                model.tool_lost),
    (ANY,                inputs.VoiceAudio,         voice.voice_came),
    (ANY,                inputs.VoiceDone,          voice.voice_done),
    (ANY,                inputs.VoiceFailed,        voice.voice_failed),
    (ANY,                Timer.VOICE,               voice.voice_stalled),
    (ANY,                inputs.PlayedBack,         voice.played_back),
    (ANY,                Timer.HEARD,               voice.not_heard),
)
# fmt: on

TABLE: dict[tuple[State, _Trigger], Handler] = {
    (state, trigger): handler for states, trigger, handler in _ROWS for state in states
}
"""By state and input, or timer."""
