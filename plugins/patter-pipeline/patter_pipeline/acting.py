"""Does what the turn-taking core asks for: gives it to the parts, and tells the call."""

from __future__ import annotations

from collections.abc import Callable

from patter_core.errors import EngineError, EngineFrozen, EngineLost
from patter_core.events import ActionRequested, SpeechStarted, SpeechStopped, TranscriptInput
from patter_core.net.inbox import EngineInbox
from patter_pipeline.answering import Answers
from patter_pipeline.detecting import Detector
from patter_pipeline.heard import Speeches
from patter_pipeline.hearing import Ear
from patter_pipeline.judging import Judge
from patter_pipeline.listening import Listener
from patter_pipeline.speaking import Speaker
from patter_pipeline.timings import Timings
from patter_pipeline.turns import inputs, outputs
from patter_pipeline.turns.outputs import PartKind

__all__ = ["Actor"]


class Actor:
    """What acts in one session.

    Args:
        inbox: what the core takes.
        ear: knows the caller's audio.
        listener: speech recognition.
        answers: the model.
        speaker: the voice.
        speeches: what the caller hears.
        judge: guardrails.
        detector: of ends of turns.
        take: is told what is known at once.
        fail: ends the session.
        clock: monotonic, in s.
    """

    def __init__(
        self,
        inbox: EngineInbox[int],
        *,
        ear: Ear,
        listener: Listener,
        answers: Answers,
        speaker: Speaker,
        speeches: Speeches,
        judge: Judge,
        detector: Detector,
        take: Callable[[inputs.Input], None],
        fail: Callable[[EngineError], None],
        clock: Callable[[], float],
    ) -> None:
        self.timings = Timings()
        self._inbox = inbox
        self._ear = ear
        self._listener = listener
        self._answers = answers
        self._speaker = speaker
        self._speeches = speeches
        self._judge = judge
        self._detector = detector
        self._take = take
        self._fail = fail
        self._clock = clock

    def do(self, output: outputs.Output) -> None:
        """Does one thing."""
        match output:
            case outputs.Speak(n=n, text=text, again=again):
                self.timings.speaks(n, self._clock())
                self._speeches.said(n, "" if again else text)
                self._speaker.speak(n, text)
            case outputs.EndSpeech(n=n):
                self._speaker.finish(n)
            case outputs.StopVoice(n=n):
                self._speaker.cancel(n)
            case outputs.Pause() | outputs.Replay() | outputs.Interrupt() | outputs.AgentHeard():
                self._do_playback(output)
            case outputs.CallerStarted() | outputs.CallerStopped() | outputs.CallerSaid() | outputs.Finalize():
                self._do_caller(output)
            case outputs.Detect() | outputs.JudgeCaller() | outputs.JudgeAgent():
                self._do_question(output)
            case outputs.Act() | outputs.Renew() | outputs.UseReserve() | outputs.Fail():
                self._do_end(output)
            case _:
                self._do_model(output)

    def note(self, given: inputs.Input) -> None:
        """Takes the times of what is reported, before the core does."""
        if isinstance(given, inputs.ModelText):
            self.timings.token(given.n, self._clock())
        elif isinstance(given, inputs.VoiceAudio):
            self.timings.audio(given.n, self._clock())

    def noted(self, given: inputs.Input) -> None:
        """Does what is due after the core has taken it."""
        if isinstance(given, inputs.VoiceDone):
            if not self._speeches.complete(given.n):
                self._take(inputs.PlayedBack(given.n, 0.0, inputs.Ear.WHOLE))
        elif isinstance(given, inputs.PlayedBack) and given.why is not inputs.Ear.PAUSED:
            if given.why is inputs.Ear.CUT:  # of which the core has told nothing, if nothing was heard
                self._speeches.corrected(given.n, "")
            self._speeches.forget(given.n)

    def speaking(self, n: int) -> None:
        """The carrier gets the first audio of a speech."""
        timings = self.timings.sent(n, self._clock())
        if timings is not None:
            self._inbox.put(timings)

    # --- by kind -----------------------------------------------------------------------------------------------------

    def _do_caller(
        self, output: outputs.CallerStarted | outputs.CallerStopped | outputs.CallerSaid | outputs.Finalize
    ) -> None:
        match output:
            case outputs.CallerStarted(at=at):
                self._inbox.put(SpeechStarted(self._ear.audio_ms(at)))
            case outputs.CallerStopped(at=at):
                self._inbox.put(SpeechStopped(self._ear.audio_ms(at)))
            case outputs.CallerSaid(n=n, text=text, at=at, until=until, is_keys=is_keys):
                self.timings.caller_said(until, self._clock())
                if not is_keys:  # which are often secrets
                    self._inbox.put(TranscriptInput(text, str(n), self._ear.audio_ms(at)))
            case outputs.Finalize():
                self._listener.finalize()

    def _do_playback(self, output: outputs.Pause | outputs.Replay | outputs.Interrupt | outputs.AgentHeard) -> None:
        match output:
            case outputs.Pause(n=n):
                self._speeches.pause(n)
            case outputs.Replay(n=n, from_ms=from_ms):
                self._speeches.replay(n, from_ms)
            case outputs.Interrupt(n=n):
                if not self._speeches.interrupt(n):
                    self._take(inputs.PlayedBack(n, 0.0, inputs.Ear.CUT))
            case outputs.AgentHeard(n=n, text=text, interrupted=interrupted):
                if interrupted:
                    self._speeches.corrected(n, text)

    def _do_question(self, output: outputs.Detect | outputs.JudgeCaller | outputs.JudgeAgent) -> None:
        match output:
            case outputs.Detect(n=n, text=text, since=since):
                self._detector.ask(n, text, (self._clock() - since) * 1000)
            case outputs.JudgeCaller(n=n, text=text):
                self._judge.caller(n, text)
            case outputs.JudgeAgent(n=n, text=text):
                self._judge.agent(n, text)

    def _do_end(self, output: outputs.Act | outputs.Renew | outputs.UseReserve | outputs.Fail) -> None:
        match output:
            case outputs.Act(action=action):
                self._inbox.put(ActionRequested(action))
            case outputs.Renew(since=since):
                self._listener.renew((self._clock() - since) * 1000)
            case outputs.UseReserve(part=PartKind.STT):
                self._listener.use_reserve()
            case outputs.UseReserve(part=PartKind.LLM):
                self._answers.use_reserve()
            case outputs.UseReserve(part=PartKind.TTS):
                self._speaker.use_reserve()
            case outputs.Fail(part=part, stalled=stalled):
                self._fail(self._failure(part, stalled=stalled))

    def _do_model(self, output: outputs.Output) -> None:
        match output:
            case outputs.Ask(n=n, history=history, tools=tools):
                self.timings.asked(n, self._clock())
                self._answers.ask(n, history, with_tools=tools)
            case outputs.StartDraft(n=n, history=history, tools=tools):
                self._answers.ask(n, history, with_tools=tools)
            case outputs.TakeDraft(n=n):
                self.timings.asked(n, self._clock())
            case outputs.DropDraft(n=n) | outputs.StopModel(n=n):
                self._answers.stop(n)
            case outputs.RunTool(call=call):
                self._inbox.put(call)

    def _failure(self, part: PartKind, *, stalled: bool) -> EngineError:
        parts: dict[PartKind, Listener | Answers | Speaker] = {
            PartKind.STT: self._listener,
            PartKind.LLM: self._answers,
            PartKind.TTS: self._speaker,
        }
        failed = parts[part]
        if stalled:
            return EngineFrozen(f"{failed.what} no longer answers.", retry=True)
        return failed.error or EngineLost(f"{failed.what} failed.", retry=True)
