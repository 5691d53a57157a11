"""One conversation with an engine: a caller who speaks in real time, and what the engine gives."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import anyio

from patter_core.aio import Changes
from patter_core.audio import ULAW_8000, AudioChunk, AudioFormat
from patter_core.audio.gate import SpeechGate
from patter_core.engine import ConversationSetup, Engine, EngineCapability, EngineSession
from patter_core.errors import ConformanceError, EngineError
from patter_core.events import EngineEvent, Usage
from patter_core.telephony.leg import Leg
from patter_core.testing.conformance.check import Check, beside
from patter_core.testing.conformance.earpiece import Earpiece
from patter_core.testing.conformance.pace import Pace
from patter_core.testing.conformance.turn_events import TurnEvents
from patter_core.testing.conformance.watched import WatchedSession
from patter_core.testing.speech import CALLER_LINES

__all__ = ["ANSWER_WITHIN", "QUIET", "Probe", "opened", "setup_for"]

_FRAME_MS = 20
_GAP = 0.1
"""Seconds without caller audio after which silence is given to an engine that needs steady input."""
_OPEN_WITHIN = 15.0
_GREETING_WITHIN = 10.0
_CLOSE_WITHIN = 10.0
ANSWER_WITHIN = 10.0
QUIET = 0.8
"""Seconds without a word, after which a turn of the agent is over."""


def setup_for(format: AudioFormat) -> ConversationSetup:
    """Returns what a conversation is opened with, for a carrier of that format."""
    leg = Leg(carrier="conformance", call_id="leg-1", from_number="+15005550006", to_number="+15005550001")
    return ConversationSetup(leg=leg, preferred_format=format)


class Probe:
    """A conversation, and what the engine gave in it so far.

    Args:
        check: the check.
        engine: whose it is.
        session: of the conversation, as the plugin made it.
        pace: times the session.
    """

    def __init__(self, check: Check, engine: Engine, session: EngineSession, pace: Pace) -> None:
        self.plugins_session = session
        self.session: EngineSession = WatchedSession(session, pace)
        """The same, timed."""
        self.events: list[EngineEvent] = []
        self.audio = bytearray()
        """All agent audio so far; of an engine whose output never stops, what is not silent."""
        self.audio_at_interruption: list[int] = []
        """How many bytes of `audio` had come at each interruption."""
        self.over = False
        """True once `events()` has ended."""
        self.error: EngineError | None = None
        """With which it ended."""
        has_turns = EngineCapability.TURNS in engine.capabilities
        self.turns = TurnEvents(check, has_turns)
        self.pace = pace
        self._check = check
        self._changes = Changes()
        is_continuous = EngineCapability.CONTINUOUS_OUTPUT in engine.capabilities
        self._gate = SpeechGate(session.output_format) if is_continuous else None
        self._earpiece = Earpiece(self.session.heard) if has_turns else None
        self._is_steady = EngineCapability.STEADY_INPUT in engine.capabilities
        self._given = 0
        """Frames that the caller said."""

    async def listen(self) -> None:
        """Takes what the engine gives, to the end of `events()`. Gaps in the caller's audio are filled, if need be."""
        async with beside() as start:
            if self._earpiece is not None:
                start(functools.partial(self._play, self._earpiece))
            if self._is_steady:
                start(self._fill_gaps)
            await self._take_all()

    async def _fill_gaps(self) -> None:
        format = self.session.input_format
        silence, seen = AudioChunk(format.silence * int(format.sample_rate * _GAP), format), -1
        while True:
            if seen == self._given:
                self.session.send_audio(silence)
            seen = self._given
            await anyio.sleep(_GAP)

    async def _play(self, earpiece: Earpiece) -> None:
        """The agent's audio plays in real time."""
        while True:
            earpiece.pass_time(anyio.current_time())
            await anyio.sleep(_FRAME_MS / 1000)

    async def _take_all(self) -> None:
        with self._check.raises_only(
            EngineError,
            problem="events() raises something else than an EngineError.",
            mistake="an exception of the socket, or of the JSON decoder, that is passed on",
        ):
            try:
                async for event in self.session.events():
                    self._take(event)
            except EngineError as error:
                self._check.shows_nothing("an EngineError", f"{error!r} {error}")
                self.error = error
        self.over = True
        self._changes.notify()

    async def while_listening(self, function: Callable[[], Awaitable[None]]) -> None:
        """Takes what the engine gives while the function runs."""
        async with beside() as start:
            start(self.listen)
            await function()

    async def greeted(self) -> None:
        """Waits for the agent's first audio."""
        with self._check.within(
            _GREETING_WITHIN, "The agent does not greet.", mistake="audio messages that are not read"
        ):
            await self.until(lambda: len(self.audio) > 0 or self.over)
        if not self.audio:
            raise self._check.failed("The conversation ends before the agent has greeted.", got=repr(self.error))

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until something that the engine gave makes it true."""
        await self._changes.wait_until(condition)

    async def quiet(self, seconds: float) -> None:
        """Waits until the engine has given nothing for that long."""
        while not self.over:
            given = (len(self.audio), len(self.events))
            with anyio.move_on_after(seconds) as silence:
                await self.until(functools.partial(self._has_more_than, given))
            if silence.cancelled_caught:
                return

    def _has_more_than(self, given: tuple[int, int]) -> bool:
        return self.over or (len(self.audio), len(self.events)) != given

    async def speak(self, audio: bytes) -> None:
        """Says that in real time, in `input_format`, frame by frame."""
        format = self.session.input_format
        size = format.size(_FRAME_MS)
        due = anyio.current_time()
        for start in range(0, len(audio), size):
            self.session.send_audio(AudioChunk(audio[start : start + size], format))
            self._given += 1
            self.pace.require_quick()
            due += _FRAME_MS / 1000
            await anyio.sleep_until(due)

    async def be_silent(self, seconds: float) -> None:
        """Says nothing: frames of silence."""
        format = self.session.input_format
        await self.speak(format.silence * int(format.sample_rate * seconds))

    async def speak_and_hear(self) -> None:
        """Says a line; the agent, who repeats what it hears, answers with all of it, and is done."""
        self._check.now("speech")
        before = len(self.audio)
        said = CALLER_LINES[-1].audio(self.session.input_format)
        with self._check.within(
            ANSWER_WITHIN,
            "The agent does not answer speech.",
            mistake="send_audio() does not reach the engine, or in another format than input_format",
        ):
            await self.speak(said)
            async with beside() as start:
                start(lambda: self.be_silent(ANSWER_WITHIN))
                await self.until(lambda: len(self.audio) > before)
        await self.quiet(QUIET)
        self.turns.require_done()
        answered = self.session.output_format.duration_ms(len(self.audio) - before)
        spoken = self.session.input_format.duration_ms(len(said))
        self._check.require(
            answered >= spoken / 2,
            "The agent, who repeats what it hears, did not hear all of it.",
            expected=f"about {spoken:.0f} ms of speech",
            got=f"{answered:.0f} ms",
            mistake="caller audio that is lost, or sent at another rate than its own",
        )

    def _take(self, event: AudioChunk | EngineEvent) -> None:
        check = self._check
        if isinstance(event, AudioChunk):
            check.require(
                event.format == self.session.output_format,
                "Agent audio is in another format than output_format.",
                expected=str(self.session.output_format),
                got=str(event.format),
            )
            if self._gate is not None:
                self._gate.push(event)
            if self._gate is None or not self._gate.silent:
                self.audio += event.data
        else:
            check.require(
                isinstance(event, EngineEvent),
                "events() gives something else than audio and events.",
                expected="AudioChunk or EngineEvent",
                got=type(event).__name__,
            )
            if event.kind == "interruption":
                self.audio_at_interruption.append(len(self.audio))
            self.events.append(event)
        self.turns.take(event)
        if self._earpiece is not None:
            self._earpiece.take(event, anyio.current_time())
        self.pace.require_quick()
        self._changes.notify()


@contextlib.asynccontextmanager
async def opened(check: Check, engine: Engine, setup: ConversationSetup | None = None) -> AsyncIterator[Probe]:
    """An open conversation; it is closed at the end.

    Args:
        check: the check.
        engine: whose it is.
        setup: what it is opened with; by default that of a carrier of μ-law, without a word to say.

    Raises:
        ConformanceError: it cannot be opened, does not state its formats, or does not close.
    """
    with (
        check.within(_OPEN_WITHIN, "open() does not return.", mistake="a bound in time that is missing"),
        check.raises_only(problem="open() failed on the emulator."),
    ):
        session = await engine.open(setup or setup_for(ULAW_8000))
    try:
        for name in ("input_format", "output_format"):
            value: object = getattr(session, name)
            check.require(
                isinstance(value, AudioFormat),
                f"{name} is not an AudioFormat.",
                expected="one, from the start",
                got=repr(value),
            )
        check.require(isinstance(session.conversation_id, str), "conversation_id is not a str.")
        check.shows_nothing("repr(session)", repr(session))
        pace = Pace(check)
        yield Probe(check, engine, session, pace)
        _check_rest(check, session, pace)
        pace.require_quick()
    except BaseException:
        with contextlib.suppress(ConformanceError):  # the first failure is told
            await _close(check, session)
        raise
    await _close(check, session)


def _check_rest(check: Check, session: EngineSession, pace: Pace) -> None:
    """What a session has used and not told is `Usage`, of amounts that can be added."""
    with check.raises_only(problem="unbilled() raises."):
        rest: object = pace.timed("unbilled()", session.unbilled)
        told = list(rest) if isinstance(rest, Sequence) else [rest]
    for usage in told:
        check.require(
            isinstance(usage, Usage), "unbilled() gives something else than Usage.", expected="Usage", got=repr(usage)
        )
        least = min(usage.amounts.values(), default=0.0) if isinstance(usage, Usage) else 0.0
        check.require(
            least >= 0,
            "unbilled() gives a negative amount.",
            expected="what was used and not told",
            got=repr(usage),
            mistake="a running sum of the vendor that is behind what was reckoned",
        )


async def _close(check: Check, session: EngineSession) -> None:
    with (
        anyio.CancelScope(shield=True),
        check.within(_CLOSE_WITHIN, "aclose() does not return.", mistake="waiting for a peer without a bound"),
        check.raises_only(problem="aclose() raises.", mistake="it was called before, or the socket is gone already"),
    ):
        await session.aclose()
