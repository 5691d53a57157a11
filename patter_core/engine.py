"""The engine contract: what a plugin implements to let one vendor listen and talk."""

from __future__ import annotations

import abc
import enum
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import ClassVar, Protocol

import msgspec

from patter_core.audio import AudioChunk, AudioFormat
from patter_core.checks import CheckResult
from patter_core.config import Configured
from patter_core.events import EngineEvent, ToolResult, Usage
from patter_core.history import HistoryItem
from patter_core.telephony.leg import Leg
from patter_core.tools.spec import ToolSpec
from patter_core.tools.tool import Tool

__all__ = [
    "ENGINE_API_VERSION",
    "ConversationSetup",
    "Engine",
    "EngineCapability",
    "EngineSession",
    "Heard",
    "HeardItem",
    "Playback",
]

ENGINE_API_VERSION = 1


class EngineCapability(enum.StrEnum):
    """What an engine does beside listening and talking, and what it needs. The core does or leaves the rest."""

    TURNS = "turns"
    """It reports `ResponseStart` and `ResponseDone`. For others a turn begins with audio, and is done half a second
    after the last."""
    SPEECH = "speech"
    """It reports `SpeechStarted` and `SpeechStopped`."""
    CORRECTS = "corrects"
    """After an interruption it reports what it really said, by `TranscriptCorrection`."""
    CONTINUOUS_OUTPUT = "continuous_output"
    """Its audio never stops, silence included, at real-time pace: turns are found by loudness, and a session that gives
    no audio for `Deadlines.reply` has frozen."""
    STEADY_INPUT = "steady_input"
    """It must be given audio at real-time pace: gaps in the caller's audio are filled with silence."""
    TOOLS = "tools"
    """It calls the tools of `ConversationSetup.tools` by `ToolCall`, and takes each result by `send_tool_result`."""
    OWN_TOOLS = "own_tools"
    """It calls the tools of `Engine.own_tools` by `ToolCall`, and takes each result by `send_tool_result`. Its agent is
    told of them where it is configured."""
    SAY = "say"
    """`say` is spoken word for word."""
    PROMPT = "prompt"
    """`say` is what the agent is asked to say, in its own words."""
    USER_MESSAGE = "user_message"
    """It takes text in the user's place."""
    ACTIVITY = "activity"
    """It can be told that the user is still there."""
    HISTORY = "history"
    """Its service has `ConversationSetup.history` before the agent's first word. For others the core tells the history
    by `add_context` after the start."""
    HOLD = "hold"
    """It can be told that the caller is on hold."""
    OWN_DEADLINES = "own_deadlines"
    """It fails by itself if it does not answer in time. What it leaves without an answer was noise to it; for others
    the core waits `Deadlines.reply`, and then takes the session to be frozen."""


class HeardItem(msgspec.Struct, frozen=True, kw_only=True):
    """How much of an item was heard, in ms of that item's own audio."""

    item: str
    """As in `SpeechItem`; "" for audio before the first of a turn."""
    heard_ms: float
    sent_ms: float
    """What of it the carrier got."""


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a turn of the agent was heard."""

    turn: str
    """As in `ResponseStart`."""
    items: tuple[HeardItem, ...]
    """In playing order."""
    interrupted: bool = False
    """The rest of it is void: by an interruption, a hold, or because the caller's audio broke off."""
    paused: bool = False
    """By `PausePlayback`: more of it may follow."""


class Playback(Protocol):
    """The agent's audio on its way to the caller: a view that is true whenever it is looked at, and costs little."""

    @property
    def audible(self) -> bool:
        """True if there is audio that the caller has not heard."""

    @property
    def ahead_ms(self) -> float:
        """How much that is, in ms: more than some 30 s need not be made in advance."""

    @property
    def is_open(self) -> bool:
        """True while the caller can hear: the carrier's stream is open. False while it rings, or is lost."""


class _NothingPlayed:
    audible = False
    ahead_ms = 0.0
    is_open = True


class ConversationSetup(msgspec.Struct, frozen=True, kw_only=True):
    """What a session is opened with: the agent's settings, and the call."""

    leg: Leg
    preferred_format: AudioFormat
    """The carrier's: an engine that can speak it saves all conversion."""
    system_prompt: str = ""
    first_message: str = ""
    """What to say now; "" where nothing is to be said, as on a resumed call without a `resume_message`."""
    resumed: bool = False
    """True if there was a conversation on this call before: what would be said first by itself must not be said."""
    history: tuple[HistoryItem, ...] = ()
    """What was said and done on this call, as far as it is known. It is data, never an instruction: it belongs into the
    roles of user and assistant."""
    tools: tuple[ToolSpec, ...] = ()
    """What the agent may call; given only to an engine with `TOOLS`."""
    language: str = ""
    """A code such as `it` or `pt-br`; "" for the engine's own."""
    voice: str = ""
    """The vendor's id of a voice; "" for the engine's own."""
    engine_options: Mapping[str, str | int | float | bool] = {}
    """What this call sets of `Engine.call_options`, in place of what the engine has."""
    playback: Playback = _NothingPlayed()
    """What becomes of what the session says."""
    variables: Mapping[str, str | int | float | bool] = {}

    def __repr__(self) -> str:
        return f"<ConversationSetup {self.leg!r} {self.preferred_format}>"


class Engine(Configured, abc.ABC):
    """One vendor that listens and talks. The class is the spec; an instance holds the user's frozen configuration.

    Constructing it with missing or wrong values raises `ConfigurationError`; its `repr` shows no secret.
    """

    api_version: ClassVar[int] = ENGINE_API_VERSION
    """The version of this contract that the class implements."""
    name: ClassVar[str]
    """Lower-case, in the registry: letters, digits and hyphens."""
    emulator: ClassVar[str] = ""
    """`module:Class` of a `patter_core.testing.emulator.EngineEmulator`, for tests and the demo; "" if none."""
    credentials: ClassVar[tuple[str, ...]] = ()
    """The environment variables without which it cannot be made, unless they are given as parameters: what `patter
    doctor` tells of where no engine is named."""
    demo_rank: ClassVar[int] = 100
    """Of several with an emulator, `patter demo` plays that of the lowest rank; of one rank, the first by name."""
    capabilities: ClassVar[frozenset[EngineCapability]] = frozenset()
    """What it does, and what it needs."""
    prewarm: ClassVar[bool] = True
    """True if a session may be opened before the caller's audio is here; False where an open session is billed."""
    call_options: ClassVar[Mapping[str, type[str | int | float | bool]]] = {}
    """Options of its own that one call may set, and the type of each."""
    tools_hint: ClassVar[str] = ""
    """A sentence for users who give an agent `tools=`: where this engine has its tools; "" if it has none."""

    @abc.abstractmethod
    async def open(self, setup: ConversationSetup) -> EngineSession:
        """Connects, and returns once the engine is ready for audio. Cancelling it leaves nothing open.

        It may be called before the caller's audio is here. What the agent says then is kept until it is; if it never
        comes, the session is closed.

        Raises:
            EngineError: it could not be reached in time, or refused; `retry` says whether to try again.
        """

    @property
    def own_tools(self) -> tuple[Tool, ...]:
        """The user's functions that this configuration has for its agent (`OWN_TOOLS`). The core runs them."""
        return ()

    async def check(self, setup: ConversationSetup | None = None) -> Sequence[CheckResult]:
        """Checks what this configuration needs, for `patter doctor`: keys, settings at the vendor, reachability.

        Never raises for what it finds; costs nothing, and changes nothing at the vendor.

        Args:
            setup: what a session of an agent would be opened with, whose settings the vendor must allow; None: only
                the engine's own configuration is checked.
        """
        return ()

    def hints(self, setup: ConversationSetup) -> Sequence[str]:
        """Returns what may surprise a user about an agent with these settings: sentences, each with the way out.

        They are logged as warnings when the agent is made. By default there are none. Does no input or output.
        """
        return ()


class EngineSession(abc.ABC):
    """One conversation. Its formats are known from the start, and audio flows in both directions at once."""

    @property
    @abc.abstractmethod
    def conversation_id(self) -> str:
        """The engine's own id; "" if it has none."""

    @property
    @abc.abstractmethod
    def input_format(self) -> AudioFormat:
        """What `send_audio` takes."""

    @property
    @abc.abstractmethod
    def output_format(self) -> AudioFormat:
        """What the audio in `events()` is."""

    @property
    @abc.abstractmethod
    def dropped(self) -> int:
        """How many chunks of caller audio were dropped, oldest first, because the engine did not take them in time."""

    @abc.abstractmethod
    def send_audio(self, chunk: AudioChunk) -> None:
        """Takes caller audio, in `input_format`. Never waits and never raises: a carrier's frames cannot wait.

        What the engine cannot take at once is kept within a bound; beyond it the oldest goes, and is counted.
        After the end of the conversation it does nothing.
        """

    @abc.abstractmethod
    def events(self) -> AsyncIterator[AudioChunk | EngineEvent]:
        """What the engine says, in order; iterated once. It ends when the agent ended the conversation.

        With `TURNS`, each turn of the agent is a `ResponseStart`, its audio, and a `ResponseDone` or an `Interruption`,
        each once: without a `ResponseDone` nothing tells when the caller has heard the turn.

        After an `Interruption`, no audio of what was interrupted follows. An engine that knows when the user spoke says
        so by `SpeechStarted` and `SpeechStopped`.

        Raises:
            EngineError: it ended in another way.
        """

    def send_dtmf(self, digit: str) -> None:  # noqa: B027 - an engine without a text side has nothing to do
        """Tells the agent which key was pressed. Never waits."""

    def add_context(self, text: str) -> None:  # noqa: B027 - as above
        """Tells the agent something without making it speak. Never waits."""

    def heard(self, heard: Heard) -> None:  # noqa: B027 - an engine that does not want to know
        """Tells how much of a turn was heard. Never waits.

        Called once for each turn that had audio: when it was heard to its end, or when the rest of it is void; and once
        more for each `PausePlayback`. At an `Interruption` all turns that were not heard to their end are told, the
        oldest first, before the next event is read.
        """

    def speaking(self, turn: str) -> None:  # noqa: B027 - as above
        """The first audio of a turn was written to the carrier's socket now; again when it goes on. Never waits."""

    def say(self, text: str) -> None:
        """Has the agent say something now: word for word with `SAY`, in its own words with `PROMPT`. Never waits."""
        raise NotImplementedError("this engine does not declare SAY or PROMPT")

    def send_tool_result(self, result: ToolResult) -> None:
        """Answers a `ToolCall` (`TOOLS`, `OWN_TOOLS`), once: not one that is remote or was cancelled. Never waits."""
        raise NotImplementedError("this engine declares neither TOOLS nor OWN_TOOLS")

    def send_user_message(self, text: str) -> None:
        """Sends text in the user's place, which the agent answers (`USER_MESSAGE`). Never waits."""
        raise NotImplementedError("this engine does not declare USER_MESSAGE")

    def user_activity(self) -> None:  # noqa: B027 - as above
        """Tells the agent that the caller is there, although they say nothing (`ACTIVITY`). Never waits."""

    def hold(self, on: bool) -> None:  # noqa: B027 - as above
        """Tells the agent that the caller is on hold, or is back (`HOLD`). Never waits."""

    def unbilled(self) -> Sequence[Usage]:
        """Returns what was used and is in no `Usage` that was taken from `events()`. Never waits.

        Called once, before `aclose`, when nothing of `events()` is taken any more. What the vendor has not told yet is
        reckoned, such as the seconds since its last report.
        """
        return ()

    @abc.abstractmethod
    async def aclose(self) -> None:
        """Ends the session and frees what it holds. Idempotent; also while `events()` is being read."""
