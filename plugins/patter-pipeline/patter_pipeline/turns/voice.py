"""The voice's side: speeches, one after the other, and how much of each was heard."""

from __future__ import annotations

import math

from patter_pipeline.turns.core import Core
from patter_pipeline.turns.inputs import Ear, PlayedBack, VoiceAudio, VoiceDone, VoiceFailed
from patter_pipeline.turns.model import drop_draft, stop_request
from patter_pipeline.turns.outputs import AgentHeard, EndSpeech, Interrupt, PartKind, Speak, StopModel, StopVoice
from patter_pipeline.turns.records import Line, Speech
from patter_pipeline.turns.states import State, Timer

__all__ = [
    "add_line",
    "feed",
    "interrupt",
    "not_heard",
    "played_back",
    "split_answer",
    "voice_came",
    "voice_done",
    "voice_failed",
    "voice_stalled",
    "watch_speech",
    "withdraw",
]

_MOST_LINES = 20
_MOST_CUT = 8


# --- what is spoken ---------------------------------------------------------------------------------------------------


def feed(core: Core) -> None:
    """Gives the voice what is to be spoken: a line, or the answer as far as it has come.

    A speech begins only when the one before was heard, so two never have unheard audio at once.
    """
    if core.speech is None and core.lines:
        line = core.lines.popleft()
        _begin(core, Speech(core.number(), core.now, line=line))
        _speak(core, line.text)
        _end(core)
    request = core.request
    if request is None:
        return
    if core.speech is None and request.ready:
        _begin(core, Speech(core.number(), core.now, request=request))
    speech = core.speech
    is_its = speech is not None and speech.request is request and not speech.ended
    while is_its and request.ready:
        _speak(core, request.ready.popleft())
        request.spoke = True
    if request.is_finished:
        core.request = None
        if is_its:
            _end(core)


def add_line(core: Core, line: Line) -> None:
    """The agent is to say that, after what it is saying."""
    if len(core.lines) < _MOST_LINES and line.text.strip():
        core.lines.append(line)


def split_answer(core: Core) -> None:
    """The speech ends with the sentences that the voice has: something else is said before the rest of the answer."""
    speech = core.speech
    if speech is not None and speech.request is not None and not speech.ended:
        _end(core)


def _begin(core: Core, speech: Speech) -> None:
    core.speech = speech
    core.clear(Timer.VOICE, Timer.HEARD)


def _speak(core: Core, text: str) -> None:
    speech = core.speech
    assert speech is not None
    speech.pieces.append(text)
    core.memory.put_agent(speech.n, speech.text.strip(), speech.at)
    core.put(Speak(speech.n, text))
    if core.state is not State.DOUBT and Timer.VOICE not in core.timers:
        core.due(Timer.VOICE, max(core.now + core.settings.first_audio, speech.play_end))


def _end(core: Core) -> None:
    speech = core.speech
    assert speech is not None
    speech.ended = True
    core.put(EndSpeech(speech.n))
    watch_speech(core)


def watch_speech(core: Core) -> None:
    """Sets what is due of the speech: more audio, or that it was heard. A caller who still hears audio misses none."""
    speech, settings = core.speech, core.settings
    if speech is None or core.state is State.DOUBT:
        return
    if speech.voice_done:
        core.clear(Timer.VOICE)
        core.due(Timer.HEARD, max(core.now, speech.play_end) + settings.unheard)
    elif not speech.audio_ms:
        if Timer.VOICE not in core.timers:
            core.due(Timer.VOICE, core.now + settings.first_audio)
    elif speech.ended:
        core.due(Timer.VOICE, max(core.now + settings.audio_gap, speech.play_end))
    else:  # it may have spoken all that it has
        core.clear(Timer.VOICE)


# --- what the voice reports -------------------------------------------------------------------------------------------


def voice_came(core: Core, event: VoiceAudio) -> None:
    """Audio of the speech came."""
    speech = core.speech
    if speech is not None and speech.n == event.n and not speech.voice_done and 0 < event.ms < math.inf:
        speech.came(event.ms, event.words, core.now)
        watch_speech(core)


def voice_done(core: Core, event: VoiceDone) -> None:
    """All audio of the speech is here. It lasts until the caller has heard it."""
    speech = core.speech
    if speech is None or speech.n != event.n or not speech.ended or speech.voice_done:
        return
    speech.voice_done = True
    if speech.audio_ms:
        watch_speech(core)
    else:  # it had nothing that can be spoken
        _finish(core, speech, 0.0)


def voice_failed(core: Core, event: VoiceFailed) -> None:
    """The voice broke off: the other one speaks the rest of the text."""
    if core.speech is not None and core.speech.n == event.n and not core.speech.voice_done:
        _use_reserve(core, core.speech, stalled=False)


def voice_stalled(core: Core, _: object) -> None:
    """The voice does not begin, or does not go on."""
    if core.speech is not None:
        core.put(StopVoice(core.speech.n))
        _use_reserve(core, core.speech, stalled=True)


def _use_reserve(core: Core, speech: Speech, *, stalled: bool) -> None:
    if not core.replace(PartKind.TTS, stalled=stalled):
        return
    rest = speech.unspoken()
    if rest.strip():
        core.put(Speak(speech.n, rest, again=True))
    elif speech.ended:
        speech.voice_done = True
        watch_speech(core)
        return
    core.clear(Timer.VOICE)
    if core.state is not State.DOUBT:
        core.due(Timer.VOICE, max(core.now + core.settings.first_audio, speech.play_end))
    if speech.ended:
        core.put(EndSpeech(speech.n))


# --- the caller's ear -------------------------------------------------------------------------------------------------


def played_back(core: Core, event: PlayedBack) -> None:
    """It is known how much of a speech was heard."""
    speech = core.speech
    if speech is None or speech.n != event.n:
        cut = core.cut.pop(event.n, None)
        if cut is not None and event.why is not Ear.PAUSED:
            _remember(core, cut, event.ms)
        elif cut is not None:
            core.cut[event.n] = cut
    elif event.why is Ear.PAUSED:
        if core.state is State.DOUBT:
            speech.heard_ms = event.ms
    elif event.why is Ear.CUT:  # the call has made it void: the caller's audio broke off
        _void(core, speech, event.ms)
    elif speech.voice_done:
        _finish(core, speech, None)


def not_heard(core: Core, _: object) -> None:
    """The carrier does not say that the speech was heard: it was, by the clock."""
    if core.speech is not None:
        _finish(core, core.speech, None)


def _finish(core: Core, speech: Speech, ms: float | None) -> None:
    core.speech = None
    core.clear(Timer.VOICE, Timer.HEARD)
    core.spoken, core.spoken_until = speech.text, core.now
    _remember(core, speech, ms)


def _remember(core: Core, speech: Speech, ms: float | None) -> None:
    """Puts what was heard into the memory; all of it if `ms` is None."""
    text = speech.text.strip() if ms is None else speech.heard_text(ms)
    core.memory.put_agent(speech.n, text, speech.at, interrupted=ms is not None)
    if text:
        core.answered = True
        core.put(AgentHeard(speech.n, text, speech.at, interrupted=ms is not None))


def _void(core: Core, speech: Speech, ms: float) -> None:
    if not speech.voice_done:
        core.put(StopVoice(speech.n))
    stop_request(core)
    _finish(core, speech, ms)


def interrupt(core: Core) -> None:
    """What was not heard of the speech is void, and the answer is over. Lines that wait are said later."""
    speech = core.speech
    stop_request(core)
    core.lines = type(core.lines)(line for line in core.lines if not line.filler)
    if speech is None:
        return
    core.put(Interrupt(speech.n))
    if speech.heard_ms is not None:
        if not speech.voice_done:
            core.put(StopVoice(speech.n))
        _finish(core, speech, speech.heard_ms)
        return
    _let_go(core, speech)
    core.answered = True
    core.cut[speech.n] = speech
    if len(core.cut) > _MOST_CUT:
        del core.cut[next(iter(core.cut))]


def withdraw(core: Core) -> None:
    """The caller speaks before they have heard anything: it is as if the agent had not begun.

    The answer becomes a draft, to be taken if it was a noise, or the caller says nothing new.
    """
    speech, request = core.speech, core.request
    pieces: list[str] = []
    if speech is not None:
        core.put(Interrupt(speech.n))
        if speech.line is not None and not speech.line.filler:
            core.lines.appendleft(speech.line)
        elif speech.request is not None and request in {None, speech.request}:
            request, pieces = speech.request, speech.pieces
        _let_go(core, speech)
    core.request = None
    core.clear(Timer.MODEL, Timer.CLAUSE, Timer.JUDGE_AGENT)
    if request is None:
        return
    if request.called:
        if not request.done:
            core.put(StopModel(request.n))
        return
    drop_draft(core)
    request.ready.extendleft(reversed(pieces))
    core.draft = request


def _let_go(core: Core, speech: Speech) -> None:
    if not speech.voice_done:
        core.put(StopVoice(speech.n))
    core.memory.put_agent(speech.n, "", speech.at)
    core.speech = None
    core.clear(Timer.VOICE, Timer.HEARD)
    core.spoken, core.spoken_until = speech.text, core.now
