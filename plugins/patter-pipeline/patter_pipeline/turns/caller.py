"""The caller's turn: how it is opened, when it is complete, and what belongs to it.

Two clocks run from the end of speech: one for the caller, who may go on, and one for the recognition, whose final text
may be late. The turn ends when the first is over and a final is in, or when the second is over.
"""

from __future__ import annotations

from patter_pipeline.turns.core import Core
from patter_pipeline.turns.dictation import is_dictating
from patter_pipeline.turns.inputs import Detected, SttEagerEnd, SttResumed
from patter_pipeline.turns.judging import judge, said
from patter_pipeline.turns.model import ask, check_draft, draft_now, drop_draft
from patter_pipeline.turns.outputs import (
    Detect,
    Finalize,
    PartKind,
    Renew,
)
from patter_pipeline.turns.records import CallerTurn
from patter_pipeline.turns.states import State, Timer
from patter_pipeline.turns.tools import overtake_tools
from patter_pipeline.turns.unfinished import is_unfinished
from patter_pipeline.turns.voice import withdraw
from patter_pipeline.turns.words import words

__all__ = [
    "arm_end",
    "close_turn",
    "complete_last",
    "detected",
    "eager_end",
    "end_turn",
    "final_wait_over",
    "goes_on",
    "heard_more",
    "merge",
    "open_turn",
    "quiet",
    "resumed",
    "stopped",
    "too_long",
    "try_end",
    "wordless",
]

_CLEAR_SPEECH = 1.0
"""Seconds of speech in which a recognition that works finds a word."""
_LOOK_AGAIN = 0.02
"""Seconds, while audio is held up."""
_DEAF = 3
"""Turns in a row in which it found none: it is stuck."""


# --- the turn opens ---------------------------------------------------------------------------------------------------


def open_turn(core: Core, at: float, *, by_words: bool = False) -> CallerTurn:
    """Opens a turn of the caller, or the last one again, if they have heard nothing since.

    Args:
        core: the core.
        at: when they began to speak.
        by_words: it is known from recognition, and no speech was found in the audio.
    """
    turn = core.user = CallerTurn(core.number(), min(at, core.now))
    merge(core)
    if core.judged is not None:  # it is not answered by itself
        core.judged = (*core.judged[:2], False)
    overtake_tools(core)
    core.caller_starts(turn.at)
    core.go(State.USER)
    core.due(Timer.TURN, core.now + core.settings.longest_turn)
    if by_words and not core.voicing.is_burst:
        core.user.by_words = True
        core.user.said_until = None  # they have said more: the words come next
        stopped(core, core.now)
    return core.user


def merge(core: Core) -> None:
    """The open turn continues the last one, if the caller heard nothing since: both are one message for the model."""
    turn, last = core.user, core.last
    if turn is None or last is None or core.answered or last.is_full or last.is_fixed:
        return
    text, ended_at = turn.text, last.ended_at
    last.reopen()
    if not turn.by_words and not words(text):
        _note_sound(core, last, ended_at)
    last.hears(text)
    last.ended_at, last.by_words = turn.ended_at, turn.by_words
    core.memory.put_user(last.n, "", last.at)
    core.user, core.last, core.judged = last, None, None
    core.clear(Timer.JUDGE_CALLER)


# --- the caller falls silent, and goes on -----------------------------------------------------------------------------


def stopped(core: Core, at: float) -> None:
    """The caller stopped speaking: the recognition is asked for its final text, and the detector for its opinion."""
    turn = core.user
    assert turn is not None
    turn.ended_at = min(at, core.now)
    turn.spoken += core.voicing.has_spoken(core.now)
    turn.probability = None
    core.caller_stops(turn.ended_at)
    core.go(State.PAUSED)
    if not core.settings.stt_ends_turns:
        core.put(Finalize())
        if core.settings.has_detector:
            turn.detection = core.number()
            turn.detect_until = core.now + core.settings.detector_wait
            core.put(Detect(turn.detection, turn.text, turn.at))
    if turn.is_known:
        draft_now(core, turn.text)
        try_end(core)


def quiet(core: Core, _: object) -> None:
    """The caller is silent: they may be done."""
    if core.user is not None:
        core.user.by_words = False
    stopped(core, core.voicing.ended_at)


def goes_on(core: Core, _: object) -> None:
    """They speak again: the same turn goes on. A draft stays until they have said something else."""
    core.go(State.USER)
    if core.user is not None:
        _note_sound(core, core.user, core.user.ended_at)
    core.caller_starts(min(core.voicing.began_at, core.now))


def _note_sound(core: Core, turn: CallerTurn, ended_at: float) -> None:
    """There is sound after what was said: a word, or a cough. Where words are told as they come, that shows soon."""
    if not core.has_interims or core.settings.stt_ends_turns:
        return
    if turn.said_until is None:
        turn.said_until, turn.sound_at = ended_at, core.voicing.began_at
    core.due(Timer.WORDLESS, _ends_at(core, turn, sound_goes_on=True))


def detected(core: Core, event: Detected) -> None:
    """The detector has its opinion; one that is late, or of another pause, is ignored."""
    turn = core.user
    if turn is not None and turn.detection == event.n and core.now <= turn.detect_until and turn.probability is None:
        turn.probability = event.probability
        try_end(core)


def arm_end(core: Core) -> None:
    """Sets the timers of the end of the turn; none runs while there is speech, which may be a word or a click.

    Where the audio of that silence is held up, the turn waits for it: the caller may have gone on in it.
    """
    turn = core.user
    core.clear(Timer.END, Timer.FINAL)
    if turn is None or core.state is not State.PAUSED or core.voicing.is_on:
        return
    end = _ends_at(core, turn)
    if core.heard_until < end:
        core.due(Timer.END, end if core.now < end else core.now + _LOOK_AGAIN)
    else:
        core.due(Timer.FINAL, max(end, turn.ended_at + core.settings.final_p99))


def _ends_at(core: Core, turn: CallerTurn, *, sound_goes_on: bool = False) -> float:
    """Returns when the end timer is over. A cough does not start it anew, but gives time to tell a word of it."""
    after = _end_after(core, turn)
    if turn.said_until is None:
        return turn.ended_at + after
    told_at = turn.sound_at + core.settings.wordless_after
    if not sound_goes_on:
        told_at = min(told_at, turn.ended_at + core.settings.end_wordless)
    return max(turn.said_until + after, told_at)


def _end_after(core: Core, turn: CallerTurn) -> float:
    settings = core.settings
    if settings.stt_ends_turns:
        return settings.stt_end if turn.has_words else settings.final_p99  # a noise has no end that it could miss
    if is_dictating(turn.text, settings.language):
        is_unlikely = turn.probability is not None and turn.probability < settings.likely
        return settings.end_dictating_unlikely if is_unlikely else settings.end_dictating
    if turn.probability is None:
        has_more = is_unfinished(turn.text, settings.language)
        return max(settings.end, settings.end_unfinished) if has_more else settings.end
    return settings.end_likely if turn.probability >= settings.likely else settings.end_unlikely


# --- what was said ----------------------------------------------------------------------------------------------------


def heard_more(core: Core) -> None:
    """The text of the open turn has changed."""
    turn = core.user
    if turn is None:
        return
    core.deaf = 0
    check_draft(core)
    if core.state is State.USER and core.has_interims and turn.said_until is None:
        core.due(Timer.WORDLESS, core.now + core.settings.wordless)
    if core.state is not State.PAUSED:
        return
    if turn.by_words:
        turn.ended_at = core.now
    if turn.is_known:
        draft_now(core, turn.text)
        try_end(core)


def eager_end(core: Core, event: SttEagerEnd) -> None:
    """The recognition takes the turn to be complete, probably: an answer is drafted."""
    if core.user is not None:
        core.user.has_paused = True
    draft_now(core, event.text)


def resumed(core: Core, _: SttResumed) -> None:
    """It was not."""
    drop_draft(core)
    if core.user is not None and core.state is State.PAUSED:
        core.user.ended_at = core.now


# --- the turn ends ----------------------------------------------------------------------------------------------------


def try_end(core: Core, _: object = None) -> None:
    """The turn ends if the end timer is over, and all that was said is known."""
    turn = core.user
    if turn is None or core.state is not State.PAUSED or core.voicing.is_on:
        return
    if core.heard_until >= _ends_at(core, turn) and turn.is_known:
        end_turn(core)


def final_wait_over(core: Core, _: object) -> None:
    """No final came in time: an interim is taken for it; without one it was a noise, and is forgotten."""
    turn = core.user
    assert turn is not None
    if words(turn.text):
        end_turn(core)
    else:
        _forget(core, turn)


def wordless(core: Core, _: object) -> None:
    """There is sound, and no words have come for long: it is noise, and the turn was over before it."""
    turn = core.user
    if turn is None or not words(turn.text):
        return
    if turn.said_until is not None and not turn.is_known:
        core.due(Timer.WORDLESS, core.now + core.settings.wordless)
    else:
        core.voicing.forget(core.now)
        core.caller_stops(core.now)
        end_turn(core)


def too_long(core: Core, _: object) -> None:
    """The caller has been speaking for too long: this is the end of the turn. What follows is another one."""
    turn = core.user
    assert turn is not None
    turn.is_full = True
    core.caller_stops(core.now)
    turn.ended_at = core.now
    core.voicing.forget(core.now)
    final_wait_over(core, None)


def _forget(core: Core, turn: CallerTurn) -> None:
    core.user = None
    core.go(State.LISTENING)
    if turn.spoken >= _CLEAR_SPEECH:
        core.deaf += 1
        if core.deaf < _DEAF:
            core.put(Renew(turn.at))
    if core.deaf >= _DEAF:
        core.deaf = 0
        if not core.replace(PartKind.STT, stalled=True):
            return
    draft = core.draft
    if draft is not None and draft.history == core.memory.items():  # it was an answer before the noise
        ask(core)
    else:
        drop_draft(core)


def close_turn(core: Core) -> bool:
    """The open turn is over, and is not answered by itself. True if something was said in it."""
    turn, core.user = core.user, None
    if turn is None or not words(turn.text):
        return False
    _close(core, turn)
    core.memory.put_user(turn.n, turn.text, turn.at)
    core.put(said(turn, turn.text))
    return True


def end_turn(core: Core) -> None:
    """The turn is complete: the guardrails look at it, and the model answers it."""
    turn, core.user = core.user, None
    assert turn is not None
    _close(core, turn)
    core.new_turn()
    core.go(State.ANSWERING)
    judge(core, turn, asks=True)


def _close(core: Core, turn: CallerTurn) -> None:
    turn.closed_at = core.now
    core.last = turn


def complete_last(core: Core, *, is_new: bool) -> None:
    """A late text completes the last turn. The model is asked again, if the caller heard nothing of an answer yet.

    Args:
        core: the core.
        is_new: other words were said than were known.
    """
    turn, speech = core.last, core.speech
    if turn is None or not words(turn.text):
        return
    is_pending = core.judged is not None and core.judged[1] is turn and core.judged[2]
    is_unheard = core.state is State.ANSWERING or (core.state is State.SPEAKING and not (speech and speech.audio_ms))
    asks = is_new and not core.answered and is_unheard
    if asks:
        withdraw(core)
        core.go(State.ANSWERING)
    judge(core, turn, asks=asks or is_pending)
