"""The fields of the turn-taking core, and the few verbs that all of its handlers share."""

from __future__ import annotations

import math
from collections import deque

from patter_core.telephony.outcome import HangUp, Transfer
from patter_pipeline.turns.memory import Memory
from patter_pipeline.turns.outputs import CallerStarted, CallerStopped, Fail, Output, PartKind, UseReserve
from patter_pipeline.turns.records import CallerTurn, Line, Request, Speech, ToolRuns
from patter_pipeline.turns.settings import Settings
from patter_pipeline.turns.states import LIVES, State, Timer
from patter_pipeline.turns.voicing import Voicing

__all__ = ["Core"]


class Core:
    """What is known, and what is due.

    `request`, `speech` and `user` are what goes on; `state` says who has the turn. In the caller's states (USER,
    PAUSED, KEYS) nothing is asked of the model but a draft, and nothing is spoken. In the agent's states the next thing
    that it does follows from the fields: `flow.settle`.
    """

    def __init__(self, settings: Settings, memory: Memory) -> None:
        self.settings = settings
        self.memory = memory
        self.now = 0.0
        self.heard_until = 0.0
        """Up to when the caller was heard: before now, if their audio is held up on its way."""
        self.state = State.LISTENING
        self.out: list[Output] = []
        self.timers: dict[Timer, float] = {}
        self.is_over = False
        """A part failed, and there is no other."""
        # the caller
        self.voicing = Voicing()
        self.caller_speaks = False
        """As it was told."""
        self.user: CallerTurn | None = None
        """The turn that is open."""
        self.last: CallerTurn | None = None
        """The one before: late texts belong to it."""
        self.judged: tuple[int, CallerTurn, bool] | None = None
        """What the guardrails were asked about, by which number, and whether the model is asked then."""
        self.keys = ""
        self.keys_at = 0.0
        self.has_interims = None if settings.stt_interims else False
        """The recognition tells words before the end of speech; None until it has told any."""
        self.deaf = 0
        """Turns in a row of clear speech in which it found no word."""
        self.ignored_until = 0.0
        """When the caller's last murmur was found to be no interruption: its final is none either."""
        # the agent
        self.request: Request | None = None
        self.draft: Request | None = None
        self.speech: Speech | None = None
        self.lines: deque[Line] = deque()
        """What it is to say word for word, one after the other."""
        self.has_greeted = False
        self.greeting: Line | None = None
        """Its first message, while the other side may say hello first."""
        self.cut: dict[int, Speech] = {}
        """Speeches that were interrupted, of which it is not known yet how much was heard."""
        self.spoken = ""
        """The text of the last speech; and when it had been heard."""
        self.spoken_until = 0.0
        self.answered = True
        """The caller heard something, or a tool was run, since their last turn: what they say is a new turn."""
        self.action: HangUp | Transfer | None = None
        self.tools = ToolRuns()
        self._number = 0
        # since the caller's last turn
        self.rounds = self.drafts = 0
        self.filled = 0
        """Fillers that were said."""
        self.switched: set[PartKind] = set()
        """The kinds of which the reserve was taken."""

    def number(self) -> int:
        """Returns the next number."""
        self._number += 1
        return self._number

    def when(self, at: float) -> float:
        """Returns a time that a part told, as far as it can be: not in the future, and a number."""
        return at if -math.inf < at < self.now else self.now

    def put(self, *outputs: Output) -> None:
        """Asks for something."""
        self.out.extend(outputs)

    def caller_starts(self, at: float) -> None:
        """The caller speaks: it is told, once."""
        if not self.caller_speaks:
            self.caller_speaks = True
            self.put(CallerStarted(at))

    def caller_stops(self, at: float) -> None:
        """They stopped: it is told, once."""
        if self.caller_speaks:
            self.caller_speaks = False
            self.put(CallerStopped(at))

    def go(self, state: State) -> None:
        """Goes to a state; the timers of the one before end."""
        if state is self.state:
            return
        if state not in {State.USER, State.DOUBT}:
            self.caller_stops(self.now)
        self.state = state
        for timer in [timer for timer in self.timers if state not in LIVES.get(timer, (state,))]:
            del self.timers[timer]

    def due(self, timer: Timer, at: float) -> None:
        """Sets a timer."""
        self.timers[timer] = at

    def clear(self, *timers: Timer) -> None:
        """Stops timers. Idempotent."""
        for timer in timers:
            self.timers.pop(timer, None)

    def replace(self, part: PartKind, *, stalled: bool) -> bool:
        """A part failed: its reserve takes over, once in a turn. False if there is none: it is all over."""
        if part in self.settings.reserves and part not in self.switched:
            self.switched.add(part)
            self.put(UseReserve(part))
            return True
        self.put(Fail(part, stalled))
        self.is_over = True
        self.timers.clear()
        return False

    def new_turn(self) -> None:
        """The caller has said something: what is counted by their turns begins anew."""
        self.rounds = self.drafts = self.filled = 0
        self.switched.clear()
        self.answered = False
