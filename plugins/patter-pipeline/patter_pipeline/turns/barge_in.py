"""The caller speaks while the agent has the turn. Speech makes the agent fall silent at once; words decide.

A pause costs little: the agent goes on at the word that it was saying. So it falls silent on mere sound, and takes the
turn as the caller's only at a word that is more than a murmur. Where the caller is likely to murmur, or to speak by
chance, even a pause is left out: at the edges of a speech, and after two false alarms in it.
"""

from __future__ import annotations

import math

from patter_pipeline.turns.backchannels import is_backchannel
from patter_pipeline.turns.caller import merge, open_turn, stopped
from patter_pipeline.turns.conversation import leave_keys
from patter_pipeline.turns.core import Core
from patter_pipeline.turns.outputs import Finalize, Pause, Replay
from patter_pipeline.turns.recognition import NoWords, Words, add_words
from patter_pipeline.turns.records import CallerTurn, Speech
from patter_pipeline.turns.states import State, Timer
from patter_pipeline.turns.voice import interrupt, watch_speech, withdraw
from patter_pipeline.turns.words import is_echo, words

__all__ = [
    "barged_in",
    "doubt_no_words",
    "doubt_over",
    "doubt_quiet",
    "doubt_spoken",
    "doubt_words",
    "speech_counts_at",
    "spoke",
    "spoke_early",
    "spoke_in_keys",
    "take_turn",
    "words_in_answer",
    "words_in_keys",
    "words_in_silence",
    "words_in_speech",
    "words_in_tools",
]

_ALARMS = 2
"""False alarms in a speech after which only words interrupt it: it is noise, or an echo."""
_QUESTION_MARKS = ("?", "？", "؟")


# --- when speech counts -----------------------------------------------------------------------------------------------


def speech_counts_at(core: Core) -> float:
    """Returns when the speech that goes on will be long enough to count, in the present state; infinity for never."""
    settings, voicing = core.settings, core.voicing
    match core.state:
        case State.LISTENING | State.PAUSED | State.ANSWERING | State.KEYS:
            return voicing.reaches(settings.start)
        case State.SPEAKING if core.speech is not None:
            return _barges_in_at(core, core.speech)
        case State.DOUBT if core.has_interims is False:
            return voicing.reaches(settings.barge_in_wordless)
    return math.inf


def _barges_in_at(core: Core, speech: Speech) -> float:
    settings = core.settings
    at = core.voicing.reaches(settings.barge_in)
    if speech.is_protected or (speech.alarms >= _ALARMS and speech.audio_ms):
        return math.inf
    if not speech.audio_ms:
        return at
    at = max(at, speech.first_audio_at + (settings.greeting if speech.is_greeting else settings.edge))
    return at if not speech.voice_done or at < speech.play_end - settings.edge else math.inf


# --- while nothing is said --------------------------------------------------------------------------------------------


def spoke(core: Core, _: object) -> None:
    """The caller speaks: it is their turn."""
    open_turn(core, core.voicing.began_at)


def spoke_in_keys(core: Core, _: object) -> None:
    """The caller speaks while they press keys: what they pressed is answered with what they say."""
    leave_keys(core)
    spoke(core, None)


def spoke_early(core: Core, _: object) -> None:
    """The caller speaks, and has not heard anything of the answer: their turn goes on."""
    withdraw(core)
    open_turn(core, core.voicing.began_at)


def words_in_silence(core: Core, event: Words) -> None:
    """Words came, and no speech was found: they count as speech, unless they are left from before."""
    is_old = event.at < core.ignored_until and is_backchannel(event.text, core.settings.language)
    if not is_old and not (event.at <= core.spoken_until and is_echo(event.text, core.spoken)):
        _open(core, event)


def words_in_keys(core: Core, event: Words) -> None:
    """The same, while keys are pressed."""
    leave_keys(core)
    words_in_silence(core, event)


def words_in_answer(core: Core, event: Words) -> None:
    """The same, while the model is asked."""
    if not is_backchannel(event.text, core.settings.language):
        withdraw(core)
        _open(core, event)


def words_in_tools(core: Core, event: Words) -> None:
    """The same, while tools run: an "ok" is no reason to stop waiting. The tools go on."""
    if not is_backchannel(event.text, core.settings.language) and not is_echo(event.text, core.spoken):
        _open(core, event)


def _open(core: Core, event: Words) -> None:
    open_turn(core, event.at, by_words=True)
    add_words(core, event)


# --- while the agent speaks -------------------------------------------------------------------------------------------


def barged_in(core: Core, _: object) -> None:
    """The caller speaks while the agent does: it falls silent, and may go on."""
    speech = core.speech
    assert speech is not None
    if not speech.audio_ms:
        spoke_early(core, None)
        return
    core.user = CallerTurn(core.number(), min(core.voicing.began_at, core.now))
    speech.heard_ms = None
    core.put(Pause(speech.n))
    core.caller_starts(core.user.at)
    core.clear(Timer.VOICE, Timer.HEARD)
    core.go(State.DOUBT)
    speech.left_at_pause = speech.left_ms(core.now)
    core.due(Timer.DOUBT, core.now + core.settings.false_interruption)


def words_in_speech(core: Core, event: Words) -> None:
    """Words came while the agent speaks: it is interrupted, unless it is a murmur or the agent's own voice."""
    speech = core.speech
    assert speech is not None
    is_early = speech.is_greeting and event.at < speech.first_audio_at + core.settings.greeting
    if speech.is_protected or (is_early and speech.audio_ms) or _is_its_own(event, speech):
        return
    if _is_murmur(core, speech, event.text):
        return
    (interrupt if speech.audio_ms else withdraw)(core)
    _open(core, event)


# --- in doubt ---------------------------------------------------------------------------------------------------------


def doubt_words(core: Core, event: Words) -> None:
    """Words came: they decide, unless they are a murmur or the agent's own voice."""
    speech = core.speech
    assert speech is not None
    add_words(core, event)
    if not _is_its_own(event, speech) and not _is_murmur(core, speech, _said(core)):
        _confirm(core)
        if event.is_turn:  # it is complete already
            add_words(core, Words(event.text, event.at, event.until, is_turn=True))


def doubt_no_words(core: Core, _: NoWords) -> None:
    """There were none: if the caller is silent, the agent goes on."""
    turn = core.user
    if turn is not None and turn.hears("") and not core.voicing.is_burst:
        _go_on(core)


def doubt_spoken(core: Core, _: object) -> None:
    """The caller speaks on, and this recognition tells no words before they stop: it is an interruption."""
    _confirm(core)


def doubt_quiet(core: Core, _: object) -> None:
    """The caller stopped: after a murmur the agent goes on; a noise is one when no words come for it."""
    if not core.settings.stt_ends_turns:
        core.put(Finalize())
    if words(_said(core)):
        _go_on(core)
    else:
        wait = core.now + core.settings.final_p99
        core.due(Timer.DOUBT, min(wait, core.timers.get(Timer.DOUBT, wait)))


def doubt_over(core: Core, _: object) -> None:
    """No word came for the sound: the agent goes on."""
    _go_on(core)


def take_turn(core: Core) -> None:
    """The turn is the caller's: the speech was interrupted, or was heard to its end in the meantime."""
    merge(core)
    core.go(State.USER)
    core.due(Timer.TURN, core.now + core.settings.longest_turn)
    if words(_said(core)) and core.has_interims:
        core.due(Timer.WORDLESS, core.now + core.settings.wordless)
    if not core.voicing.is_burst:
        stopped(core, max(core.voicing.ended_at, core.user.at if core.user else core.now))


def _said(core: Core) -> str:
    return core.user.text if core.user is not None else ""


def _is_its_own(event: Words, speech: Speech) -> bool:
    """True for the agent's own voice. A single word of it may be that, too, as long as more may follow."""
    own = words(event.text)
    is_first = event.until is None and len(own) == 1 and own[0] in words(speech.text)
    return is_first or is_echo(event.text, speech.text)


def _is_murmur(core: Core, speech: Speech, text: str) -> bool:
    """True for words that are no interruption. A "yes" is none, but to a question of which the end is being heard."""
    if not words(text):
        return True
    if not is_backchannel(text, core.settings.language):
        return False
    is_question = speech.voice_done and speech.text.rstrip().endswith(_QUESTION_MARKS)
    left = speech.left_at_pause if core.state is State.DOUBT else speech.left_ms(core.now)
    return not (is_question and left <= core.settings.edge * 1000)


def _confirm(core: Core) -> None:
    interrupt(core)
    take_turn(core)


def _go_on(core: Core) -> None:
    """It was no interruption: the agent goes on at the word that it was saying."""
    speech, settings = core.speech, core.settings
    assert speech is not None
    heard_ms = speech.audio_ms - speech.left_at_pause if speech.heard_ms is None else speech.heard_ms
    from_ms = speech.word_start(min(heard_ms, speech.audio_ms), settings.step_back * 1000)
    speech.alarms += 1
    speech.heard_ms = None
    speech.play_end = core.now + (speech.audio_ms - from_ms) / 1000
    core.caller_stops(core.now)
    core.put(Replay(speech.n, from_ms))
    core.user = None
    core.ignored_until = core.now
    core.voicing.forget(core.now)
    core.go(State.SPEAKING)
    watch_speech(core)
    if not speech.voice_done and Timer.VOICE not in core.timers:
        core.due(Timer.VOICE, max(core.now + settings.first_audio, speech.play_end))
