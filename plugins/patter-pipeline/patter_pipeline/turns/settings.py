"""The times of the turn-taking core, and what it must know of the parts. All times are in seconds."""

from __future__ import annotations

import msgspec

from patter_pipeline.turns.outputs import PartKind

__all__ = ["Settings"]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How turns are taken. The defaults are for the telephone."""

    # What the parts are.
    language: str = ""
    """Of the call: chooses the words that are no interruption, and those that are dictated. "" for all languages."""
    stt_ends_turns: bool = False
    """The recognition says when a turn ends: neither pauses nor a detector do."""
    stt_interims: bool = True
    """The recognition tells words while the caller speaks: `SpeechToText.interims`."""
    final_p99: float = 1.0
    """From the end of speech to its final text, which 99 of 100 keep: `SpeechToText.final_p99`."""
    has_detector: bool = False
    """There is a turn detector to ask."""
    judges_caller: bool = False
    """There are guardrails for what the caller says."""
    judges_agent: bool = False
    """There are guardrails for what the agent says."""
    reserves: frozenset[PartKind] = frozenset()
    """The kinds of which there is a second part."""
    draft: bool = True
    """The model is asked before the caller's turn is certain to be complete."""
    fillers: tuple[str, ...] = ()
    """What the agent says while a tool runs, in turn; none for silence."""

    # The caller's turn.
    start: float = 0.2
    """Of speech before it is a turn: 50 ms react to clicks."""
    stop: float = 0.2
    """Of silence before speech has stopped. It is short because the end timer follows; alone it cuts people off."""
    end: float = 0.6
    """From the end of speech to the end of the turn, where no detector is asked."""
    detector_wait: float = 0.15
    """For the detector's answer; later ones are ignored."""
    likely: float = 0.7
    """The detector's probability from which a turn is taken to be complete."""
    end_likely: float = 0.3
    """From the end of speech to the end of the turn, if the detector takes it to be complete."""
    end_unlikely: float = 3.0
    """The same, if it does not."""
    end_unfinished: float = 1.5
    """The same, where no detector is asked and the last word is one after which more follows: "because", "um"."""
    end_wordless: float = 0.4
    """From the end of a sound after the caller's words to the end of the turn, if no word of it was told: a cough."""
    end_dictating: float = 1.5
    """The same, after digits or spelling: people pause between groups."""
    end_dictating_unlikely: float = 5.0
    """The same, if the detector does not take it to be complete."""
    stt_end: float = 6.0
    """The same, where the recognition ends turns: beyond the cap of those services, which then have missed it."""
    wordless: float = 3.0
    """Of sound without a new word before it is taken to be noise, and the turn to be over."""
    wordless_after: float = 1.0
    """The same, of sound that began after words that were complete: a first word would have been told."""
    longest_turn: float = 60.0
    """A radio in the background must fill neither memory nor bill."""
    hello: float = 2.0
    """For the other side to say hello first on an outbound call: people do within 2 to 3 s, or wait for us."""
    keys: float = 2.0
    """From the last key to the end of an entry without `#`."""

    # Interruptions.
    barge_in: float = 0.3
    """Of speech before the agent falls silent, while it speaks."""
    barge_in_wordless: float = 0.5
    """Of speech that interrupts, where the recognition tells no words before the end of speech."""
    false_interruption: float = 2.0
    """Without a word before the agent goes on where it was."""
    edge: float = 1.0
    """At the beginning and the end of a speech, where only words interrupt: people say "mhm", or begin to answer."""
    greeting: float = 1.0
    """From the first audio of the greeting, where nothing interrupts: "hello?" at pick-up is no barge-in."""
    step_back: float = 0.4
    """Of audio that is repeated when the agent goes on, where the voice tells no word times: about a word."""

    # The agent's turn.
    first_token: float = 5.0
    """For the model to begin: the 95th percentile in production is 2.2 s."""
    token_gap: float = 5.0
    """Between two pieces of an answer."""
    first_audio: float = 3.0
    """For the voice to begin: usual are 0.15 to 0.45 s."""
    audio_gap: float = 2.0
    """Between two pieces of audio, while the voice has text that it has not spoken."""
    clause: float = 0.3
    """Without a new token before an unfinished first sentence is spoken up to its last clause."""
    judge_caller: float = 0.3
    """For guardrails on the caller's turn; then it passes."""
    judge_agent: float = 2.0
    """For guardrails on a sentence; then it is blocked: what was not judged is not said."""
    unheard: float = 5.0
    """After the time when a speech should have been heard, for the carrier to say so; then it counts as heard."""
    filler: float = 1.2
    """Of silence in a tool before the first filler: nothing under 1 s."""
    filler_again: float = 7.0
    """Of silence before the next one."""
    tool: float = 120.0
    """For a tool's result. The core bounds tools, and answers each; this is for an answer that got lost."""
    rounds: int = 3
    """Requests with tools to one turn of the caller; then the model answers without."""
    drafts: int = 3
    """Drafts to one turn of the caller."""
    draft_within: float = 10.0
    """Of speech up to which there are drafts: after more, the turn is rarely complete at the first pause."""
    last_word: float = 10.0
    """For what is said before the call ends."""
