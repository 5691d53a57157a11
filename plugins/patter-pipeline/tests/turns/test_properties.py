"""What holds for every sequence of inputs, however nasty: a machine feeds whatever it likes, at whatever time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from patter_core.events import ToolCall
from patter_core.history import AgentSaid, ToolState, ToolUsed
from patter_core.telephony.outcome import HangUp
from patter_pipeline.parts import PASS, Act, Block, Replace
from patter_pipeline.turns import Settings, State, Turns, inputs, outputs
from patter_pipeline.turns.outputs import PartKind

TEXTS = (
    "yes",
    "mhm",
    "no wait",
    "what time is it",
    "my number is five five five",
    "",
    "…",
    "we open at nine",
    "Sì, certo",
    "是的，我明白",
)
ANSWERS = ("We open at nine. ", "Let me see, ", "one moment please! Is that all?", "1. ", "", "你好。", "\n", "a" * 400)
VERDICTS = (PASS, Replace("Something else."), Replace(""), Block("I cannot say that."), Block(), Act(action=HangUp()))
TIMES = st.sampled_from([0.0, 0.01, 0.1, 0.25, 0.7, 1.5])
NASTY = st.one_of(TIMES, st.sampled_from([math.nan, math.inf, -math.inf, 1e9, -5.0]))
"""How long ago something was, by a part that may be wrong."""
SELDOM = st.integers(0, 9).map(lambda number: not number)
IDLE = frozenset({State.LISTENING, State.HELD})
CALLERS = frozenset({State.USER, State.PAUSED, State.KEYS})
UNKNOWN = 99_999
"""A number that is never given."""


class Conversation(RuleBasedStateMachine):
    """All inputs, with numbers that were given before, late and early, in any order."""

    @initialize(
        settings=st.builds(
            Settings,
            stt_ends_turns=st.booleans(),
            has_detector=st.booleans(),
            judges_caller=st.booleans(),
            judges_agent=st.booleans(),
            reserves=st.sampled_from([frozenset(), frozenset(PartKind)]),
            draft=st.booleans(),
            fillers=st.sampled_from([(), ("One moment.", "Still looking.")]),
        )
    )
    def begin(self, settings: Settings) -> None:
        self.turns = Turns(settings)
        self.now = 100.0
        self.requests, self.speeches, self.questions = [UNKNOWN], [UNKNOWN], [UNKNOWN]
        self.drafts: set[int] = set()
        self.called: dict[str, set[int]] = {}
        self.run: list[str] = []
        self.texts: dict[int, str] = {}
        self.restated = False
        self.interrupted: set[int] = set()
        self.ended: set[int] = set()
        self.audio: dict[int, float] = {}
        self.ears: dict[int, list[float]] = {}
        self.over: set[int] = set()
        self.is_failed = self.told_of_speech = False

    # --- inputs ------------------------------------------------------------------------------------------------------

    @rule(seconds=TIMES)
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.give(inputs.TimePassed())

    @rule()
    def deadline_passes(self) -> None:
        if self.turns.deadline() < math.inf:
            self.now = max(self.now, self.turns.deadline())
            self.give(inputs.TimePassed())

    @rule(begins=st.booleans(), ago=NASTY)
    def edge(self, begins: bool, ago: float) -> None:
        kind = inputs.SpeechBegan if begins else inputs.SpeechEnded
        self.give(kind(self.now - ago))

    @rule(text=st.sampled_from(TEXTS), ago=NASTY, length=NASTY, kind=st.sampled_from(["interim", "final", "turn"]))
    def recognition(self, text: str, ago: float, length: float, kind: str) -> None:
        at = self.now - ago
        if kind == "interim":
            self.give(inputs.SttInterim(text, at))
        elif kind == "final":
            self.give(inputs.SttFinal(text, at, at + length))
        else:
            self.give(inputs.SttEndOfTurn(text, at))

    @rule(text=st.sampled_from(TEXTS), kind=st.sampled_from(["eager", "resumed"]))
    def turn_signs(self, text: str, kind: str) -> None:
        self.give(inputs.SttEagerEnd(text) if kind == "eager" else inputs.SttResumed())

    @rule(data=st.data(), text=st.sampled_from(ANSWERS))
    def model_text(self, data: st.DataObject, text: str) -> None:
        self.give(inputs.ModelText(self.one_of(data, self.requests), text), again=False)

    @rule(data=st.data(), id_=st.sampled_from(["a", "b", "c", "d"]))
    def model_call(self, data: st.DataObject, id_: str) -> None:
        n = self.one_of(data, self.requests)
        self.called.setdefault(id_, set()).add(n)
        self.give(inputs.ModelCall(n, ToolCall(id_, "look_up")))

    @rule(data=st.data(), failed=SELDOM)
    def model_ends(self, data: st.DataObject, failed: bool) -> None:
        n = self.one_of(data, self.requests)
        self.give(inputs.ModelFailed(n) if failed else inputs.ModelDone(n))

    @rule(id_=st.sampled_from(["a", "b", "c", "d"]), failed=st.booleans())
    def tool_answers(self, id_: str, failed: bool) -> None:
        self.give(inputs.ToolAnswered(id_, f"of {id_}", failed))

    @rule(data=st.data(), ms=st.sampled_from([20.0, 400.0, 3_000.0, 0.0, -1.0, math.nan, math.inf]))
    def audio_comes(self, data: st.DataObject, ms: float) -> None:
        n = self.one_of(data, self.speeches)
        if 0 < ms < math.inf:
            self.audio[n] = self.audio.get(n, 0.0) + ms
        self.give(inputs.VoiceAudio(n, ms), again=False)

    @rule(data=st.data())
    def voice_ends(self, data: st.DataObject) -> None:
        n = self.one_of(data, self.speeches)
        if n in self.ended and n not in self.audio:
            self.over.add(n)  # it had nothing that can be spoken
        self.give(inputs.VoiceDone(n))

    @rule(data=st.data(), seldom=SELDOM)
    def voice_fails(self, data: st.DataObject, seldom: bool) -> None:
        if seldom:
            self.give(inputs.VoiceFailed(self.one_of(data, self.speeches)), again=False)

    @rule(data=st.data(), why=st.sampled_from(inputs.Ear), ms=st.sampled_from([0.0, 100.0, 1_000.0, 50_000.0]))
    def heard(self, data: st.DataObject, why: inputs.Ear, ms: float) -> None:
        n = self.one_of(data, self.speeches)
        self.ears.setdefault(n, []).append(math.inf if why is inputs.Ear.WHOLE else ms)
        if why is inputs.Ear.CUT:
            self.over.add(n)
        self.give(inputs.PlayedBack(n, ms, why))

    @rule(data=st.data(), verdict=st.sampled_from(VERDICTS), agent=st.booleans())
    def judged(self, data: st.DataObject, verdict: outputs.Output, agent: bool) -> None:
        n = self.one_of(data, self.questions)
        self.give((inputs.AgentJudged if agent else inputs.CallerJudged)(n, verdict))  # type: ignore[arg-type] # sampled

    @rule(data=st.data(), probability=st.sampled_from([0.1, 0.9]))
    def detected(self, data: st.DataObject, probability: float) -> None:
        self.give(inputs.Detected(self.one_of(data, self.questions), probability))

    @rule(
        event=st.sampled_from(
            [
                inputs.Say("A line."),
                inputs.Say("A notice.", protected=True),
                inputs.Say(""),
                inputs.UserMessage("I typed this."),
                inputs.Context("They are late."),
                inputs.Key("5"),
                inputs.Key("#"),
                inputs.ActRequested(HangUp(), "Goodbye."),
                inputs.ActRequested(HangUp()),
            ]
        )
    )
    def act(self, event: inputs.Input) -> None:
        self.give(event, again=False)

    @rule(
        event=st.sampled_from(
            [
                inputs.Greet("Hello, this is Patter."),
                inputs.Greet("Hello.", waits=True),
                inputs.Hold(),
                inputs.Resume(),
                inputs.Resume("I am back."),
            ]
        )
    )
    def call(self, event: inputs.Input) -> None:
        self.give(event)

    @rule(text=st.sampled_from(TEXTS), seconds=st.sampled_from([0.25, 0.6, 2.5]))
    def caller_speaks(self, text: str, seconds: float) -> None:
        began = self.now
        self.give(inputs.SpeechBegan(began))
        self.time_passes(seconds)
        self.give(inputs.SttInterim(text, began))
        self.give(inputs.SpeechEnded(self.now))
        self.time_passes(0.25)
        self.give(inputs.SttFinal(text, began, self.now - 0.25))

    @rule(text=st.sampled_from(ANSWERS), done=st.booleans())
    def agent_answers(self, text: str, done: bool) -> None:
        self.give(inputs.ModelText(self.requests[-1], text), again=False)
        if done:
            self.give(inputs.ModelDone(self.requests[-1]))
        self.audio[self.speeches[-1]] = self.audio.get(self.speeches[-1], 0.0) + 4_000
        self.give(inputs.VoiceAudio(self.speeches[-1], 4_000), again=False)

    @rule(text=st.sampled_from(["We open at nine on all days.", "Shall I book a table at nine?"]), done=st.booleans())
    def agent_speaks(self, text: str, done: bool) -> None:
        self.give(inputs.Say(text), again=False)
        n = self.speeches[-1]
        self.audio[n] = self.audio.get(n, 0.0) + 4_000
        self.give(inputs.VoiceAudio(n, 4_000), again=False)
        if done:
            self.give(inputs.VoiceDone(n))
        self.time_passes(1.2)

    @rule(text=st.sampled_from(["", "mhm", "no wait", "open at nine"]), ms=st.sampled_from([0.0, 900.0]))
    def caller_barges_in(self, text: str, ms: float) -> None:
        self.give(inputs.SpeechBegan(self.now))
        self.time_passes(0.35)
        self.ears.setdefault(self.speeches[-1], []).append(ms)
        self.give(inputs.PlayedBack(self.speeches[-1], ms, inputs.Ear.PAUSED))
        self.give(inputs.SttInterim(text, self.now - 0.35))

    @rule(seldom=SELDOM)
    def nothing_more_comes(self, seldom: bool) -> None:
        """Whatever is going on ends, or a part is found to have failed: nothing stays set for ever."""
        if not seldom:
            return
        for _ in range(200):
            if (self.turns.state in IDLE and self.turns.deadline() == math.inf) or self.is_failed:
                return
            self.deadline_passes()
        raise AssertionError(f"still {self.turns.state}")

    # --- outputs -----------------------------------------------------------------------------------------------------

    def one_of(self, data: st.DataObject, numbers: Sequence[int]) -> int:
        """The latest, as a rule."""
        return data.draw(st.one_of(st.just(numbers[-1]), st.sampled_from(numbers[-6:])))

    def give(self, event: inputs.Input, *, again: bool = True) -> None:
        before = self.turns.state
        out = self.turns.step(event, self.now)
        assert not (self.is_failed and out)
        for one in out:
            self.check(one)
        if before in CALLERS and self.turns.state is before:
            wanted = (outputs.Ask, outputs.TakeDraft, outputs.Speak, outputs.RunTool)
            assert event.__class__ is inputs.TimePassed or not [one for one in out if isinstance(one, wanted)]
        if again:
            seen = self.seen()
            assert self.turns.step(event, self.now) == []
            assert self.seen() == seen

    def seen(self) -> tuple[object, ...]:
        return self.turns.state, self.turns.history, self.turns.deadline()

    def check(self, out: outputs.Output) -> None:
        match out:
            case outputs.RunTool(call=call):
                assert call.id not in self.run
                assert self.called[call.id] - self.drafts
                self.run.append(call.id)
            case outputs.Speak():
                self.check_spoken(out)
            case outputs.AgentHeard():
                self.check_heard(out)
            case outputs.CallerStarted() | outputs.CallerStopped():
                assert self.told_of_speech is isinstance(out, outputs.CallerStopped), "each once, in turn"
                self.told_of_speech = not self.told_of_speech
            case outputs.Fail():
                self.is_failed = True
            case _:
                self.note(out)

    def note(self, out: outputs.Output) -> None:
        match out:
            case outputs.Ask(n=n, history=history) | outputs.StartDraft(n=n, history=history):
                assert not history or not isinstance(history[-1], AgentSaid), "there is nothing to be answered"
                self.requests.append(n)
                if isinstance(out, outputs.StartDraft):
                    self.drafts.add(n)
            case outputs.TakeDraft(n=n):
                self.drafts.discard(n)
            case outputs.JudgeAgent(n=n) | outputs.JudgeCaller(n=n) | outputs.Detect(n=n):
                self.questions.append(n)
            case outputs.UseReserve(part=PartKind.TTS):
                self.restated = True
            case outputs.EndSpeech(n=n):
                self.ended.add(n)
            case outputs.Interrupt(n=n):
                self.interrupted.add(n)
                self.over.add(n)

    def check_spoken(self, out: outputs.Speak) -> None:
        n = out.n
        assert out.text.strip()
        assert n not in self.interrupted, "spoken after its interruption"
        if n not in self.texts:
            unheard = [one for one in self.texts if one not in self.over and self.audio.get(one)]
            assert not unheard, f"{n} begins while {unheard} can be heard"
            self.speeches.append(n)
        text = self.texts.get(n, "")
        assert not out.again or (self.restated and text.endswith(out.text)), "said again, and it was not said"
        self.texts[n] = text + ("" if out.again else out.text)

    def check_heard(self, out: outputs.AgentHeard) -> None:
        self.over.add(out.n)
        spoken = self.texts[out.n].strip()
        assert out.text
        assert spoken.startswith(out.text)
        if out.interrupted:
            assert out.n in self.ears
            longest = max(self.ears[out.n])
            assert longest > 0, "nothing was heard of it"
        else:
            assert out.text == spoken

    # --- at any time -------------------------------------------------------------------------------------------------

    @invariant()
    def the_deadline_is_ahead(self) -> None:
        assert self.turns.deadline() > self.now
        assert self.is_failed or self.turns.state in IDLE or self.turns.deadline() < math.inf
        assert self.is_failed or self.told_of_speech == (self.turns.state in {State.USER, State.DOUBT})

    @invariant()
    def the_history_is_in_order(self) -> None:
        times = [item.started_ms for item in self.turns.history]
        assert times == sorted(times)

    @invariant()
    def each_call_has_one_result(self) -> None:
        used = [item for item in self.turns.history if isinstance(item, ToolUsed)]
        assert sorted(item.id for item in used) == sorted(self.run[-200:])
        for item in used:
            assert item.result in {"", f"of {item.id}", "No result came in time."}
            assert (item.state is ToolState.RUNNING) == (not item.result)

    @invariant()
    def what_belongs_to_nothing_changes_nothing(self) -> None:
        seen = self.seen()
        strays: list[inputs.Input] = [
            inputs.ModelText(UNKNOWN, "Text."),
            inputs.ModelCall(UNKNOWN, ToolCall("stray", "look_up")),
            inputs.ModelDone(UNKNOWN),
            inputs.ModelFailed(UNKNOWN),
            inputs.VoiceAudio(UNKNOWN, 20),
            inputs.VoiceDone(UNKNOWN),
            inputs.VoiceFailed(UNKNOWN),
            inputs.PlayedBack(UNKNOWN, 100, inputs.Ear.CUT),
            inputs.AgentJudged(UNKNOWN, PASS),
            inputs.CallerJudged(UNKNOWN, PASS),
            inputs.Detected(UNKNOWN, 1.0),
            inputs.ToolAnswered("stray", ""),
        ]
        assert [self.turns.step(stray, self.now) for stray in strays] == [[] for _ in strays]
        assert self.seen() == seen


Conversation.TestCase.settings = hypothesis_settings(max_examples=60, stateful_step_count=60, deadline=None)
TestConversation: Callable[..., object] = Conversation.TestCase
