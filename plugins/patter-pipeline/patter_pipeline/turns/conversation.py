"""What comes from the call itself: the greeting, lines to say, keys, context, hold, and the end."""

from __future__ import annotations

from patter_pipeline.turns.caller import close_turn
from patter_pipeline.turns.core import Core
from patter_pipeline.turns.inputs import ActRequested, Context, Greet, Key, Resume, Say, SttFailed, UserMessage
from patter_pipeline.turns.model import ask, drop_draft, stop_request
from patter_pipeline.turns.outputs import Act, CallerSaid, PartKind, Pause
from patter_pipeline.turns.records import Line
from patter_pipeline.turns.states import State, Timer
from patter_pipeline.turns.tools import overtake_tools
from patter_pipeline.turns.voice import add_line, interrupt, split_answer, withdraw

__all__ = [
    "act",
    "act_requested",
    "begin_ending",
    "context",
    "fill",
    "greet",
    "hello_over",
    "hold",
    "key",
    "keys_over",
    "last_word_over",
    "leave_keys",
    "resume",
    "say",
    "stt_failed",
    "user_message",
]

_MOST_KEYS = 64


# --- lines ------------------------------------------------------------------------------------------------------------


def greet(core: Core, event: Greet) -> None:
    """The agent greets, or lets the other side say hello first: then the greeting is the answer to that."""
    if core.has_greeted or not event.text.strip():
        return
    core.has_greeted = True
    line = Line(event.text, greeting=True)
    if event.waits:
        core.greeting = line
        if core.state is State.LISTENING:
            core.due(Timer.HELLO, core.now + core.settings.hello)
    else:
        add_line(core, line)


def hello_over(core: Core) -> None:
    """The other side has said hello, or waits for the agent."""
    line, core.greeting = core.greeting, None
    if line is not None:
        add_line(core, line)


def say(core: Core, event: Say) -> None:
    """The agent says a line: at once if it is silent, else after the sentences that it is saying.

    While the caller has the turn it waits: nothing is said into what they say.
    """
    split_answer(core)
    add_line(core, Line(event.text, protected=event.protected))


def fill(core: Core, _: object) -> None:
    """A tool takes its time: a filler is said."""
    fillers = core.settings.fillers
    add_line(core, Line(fillers[core.filled % len(fillers)], filler=True))
    core.filled += 1


# --- text and keys in the caller's place ------------------------------------------------------------------------------


def user_message(core: Core, event: UserMessage) -> None:
    """Text in the caller's place: it is answered, at once or with the turn that is open."""
    if not event.text.strip():
        return
    core.memory.put_user(core.number(), event.text, core.now)
    if core.state in {State.LISTENING, State.ANSWERING, State.TOOLS, State.SPEAKING}:
        split_answer(core)
        overtake_tools(core)
        core.new_turn()
        core.answered = True  # what the caller says next is another turn
        ask(core)


def context(core: Core, event: Context) -> None:
    """The agent knows something more, the next time that it is asked."""
    if event.text.strip():
        core.memory.put_user(core.number(), f"[Note for you, which the caller did not say: {event.text}]", core.now)


def key(core: Core, event: Key) -> None:
    """A key is pressed: it interrupts, and ends what the caller was saying."""
    core.voicing.forget(core.now)  # its tone is no speech
    if core.state is not State.KEYS:
        _begin_keys(core)
    if event.digit == "#":
        keys_over(core, None)
        return
    core.keys += event.digit[:1]
    core.due(Timer.KEYS, core.now + core.settings.keys)
    if len(core.keys) >= _MOST_KEYS:
        keys_over(core, None)


def _begin_keys(core: Core) -> None:
    if core.judged is not None:  # it is answered with the keys
        core.judged = (*core.judged[:2], False)
    if core.state is State.DOUBT:
        core.user = None
    if core.speech is not None and core.speech.audio_ms and core.state is not State.DOUBT:
        core.put(Pause(core.speech.n))
    if core.speech is not None and not core.speech.audio_ms:
        withdraw(core)
    interrupt(core)
    drop_draft(core)
    close_turn(core)
    overtake_tools(core)
    core.keys, core.keys_at = "", core.now
    core.go(State.KEYS)


def keys_over(core: Core, _: object) -> None:
    """The entry is complete: the agent answers it."""
    _put_keys(core)
    core.new_turn()
    core.answered = True
    core.last = None
    ask(core)
    core.go(State.ANSWERING)


def leave_keys(core: Core) -> None:
    """The caller speaks: the entry is over, and is answered with what they say."""
    if core.keys:
        _put_keys(core)
    core.answered = True
    core.go(State.LISTENING)


def _put_keys(core: Core) -> None:
    n, text = core.number(), f"keys: {core.keys or '#'}"
    core.keys = ""
    core.memory.put_user(n, text, core.keys_at)
    core.put(CallerSaid(n, text, core.keys_at, core.now, is_keys=True))


# --- hold, and the end ------------------------------------------------------------------------------------------------


def hold(core: Core, _: object) -> None:
    """The caller cannot hear the agent: what was not heard is void, and nothing is due."""
    _fall_silent(core)
    core.lines.clear()
    core.greeting = None
    core.go(State.HELD)


def resume(core: Core, event: Resume) -> None:
    """They are back: they are told so, or are listened to."""
    core.voicing.forget(core.now)
    core.go(State.LISTENING)
    add_line(core, Line(event.text))


def _fall_silent(core: Core) -> None:
    if core.judged is not None:
        core.judged = (*core.judged[:2], False)
    if core.state is State.KEYS and core.keys:
        _put_keys(core)
    if core.state is State.DOUBT:
        core.user = None
    if core.speech is not None and core.speech.audio_ms and core.state is not State.DOUBT:
        core.put(Pause(core.speech.n))
    interrupt(core)
    drop_draft(core)
    close_turn(core)
    core.answered = True


def act_requested(core: Core, event: ActRequested) -> None:
    """The call is to end: what the agent is saying is heard, and the line, and then it ends."""
    if core.action is None:
        core.action = event.action
        if event.say.strip():
            core.lines.append(Line(event.say, protected=True))


def begin_ending(core: Core) -> None:
    """There is something to be done at the end: no new turn of the caller is answered."""
    if core.state is State.DOUBT:
        _fall_silent(core)
    stop_request(core)
    drop_draft(core)
    split_answer(core)
    close_turn(core)
    core.greeting = None
    core.voicing.forget(core.now)
    core.go(State.ENDING)
    core.due(Timer.LAST_WORD, core.now + core.settings.last_word)


def act(core: Core) -> None:
    """The agent was heard. If the call goes on all the same, it is listened to."""
    action, core.action = core.action, None
    if action is not None:
        core.put(Act(action))
    core.answered = True
    core.go(State.LISTENING)


def last_word_over(core: Core, _: object) -> None:
    """It takes too long: the call ends."""
    core.lines.clear()
    interrupt(core)
    act(core)


def stt_failed(core: Core, _: SttFailed) -> None:
    """The recognition is gone: the other one takes over."""
    core.replace(PartKind.STT, stalled=False)
