"""A conversation with an engine, in which a caller speaks in real time and everything that is said is kept."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio

from patter_core.audio import AudioChunk, AudioFormat
from patter_core.engine import ConversationSetup, Engine, EngineSession
from patter_core.errors import EngineError
from patter_core.events import EngineEvent
from patter_core.telephony.leg import Leg
from patter_core.testing.conformance.check import Check, at_once

__all__ = ["Probe", "open_talk", "setup_for"]

_FRAME_MS = 20
_OPEN_WITHIN = 15.0
_GREETING_WITHIN = 10.0
_CLOSE_WITHIN = 10.0


def setup_for(format: AudioFormat) -> ConversationSetup:
    """What a conversation is opened with, on behalf of a carrier of that format."""
    leg = Leg(carrier="conformance", call_id="leg-1", from_number="+15005550006", to_number="+15005550001")
    return ConversationSetup(leg=leg, preferred_format=format)


class Probe:
    """A conversation, and what was said in it."""

    def __init__(self, check: Check, session: EngineSession) -> None:
        self.session = session
        self.events: list[EngineEvent] = []
        self.audio = bytearray()
        """All agent audio so far."""
        self.audio_at_interruption: list[int] = []
        """How much of `audio` had come when each interruption did."""
        self.over = False
        self.error: EngineError | None = None
        self._trial = check
        self._changed = anyio.Event()

    async def listen(self) -> None:
        """Take what the engine says, to its end."""
        with self._trial.raises_only(
            problem="events() raises something else than an EngineError.",
            mistake="an exception of the socket, or of the JSON decoder, that is passed on",
        ):
            try:
                async for event in self.session.events():
                    self._take(event)
            except EngineError as error:
                self._trial.shows_nothing("an EngineError", f"{error!r} {error}")
                self.error = error
        self.over = True
        self._note_change()

    async def while_listening(self, function: Callable[[], Awaitable[None]]) -> None:
        """Take what the engine says while the function runs."""
        listening = anyio.CancelScope()

        async def listen() -> None:
            with listening:
                await self.listen()

        async def act() -> None:
            await function()
            listening.cancel()

        await at_once(listen, act)

    async def greeted(self) -> None:
        """Wait for the agent's first audio."""
        with self._trial.within(
            _GREETING_WITHIN, "The agent does not greet.", mistake="audio messages that are not read"
        ):
            await self.until(lambda: len(self.audio) > 0 or self.over)
        if not self.audio:
            raise self._trial.failed("The conversation ends before the agent has greeted.", got=repr(self.error))

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something that was said makes it true."""
        while not condition():
            await self._changed.wait()

    async def quiet(self, seconds: float) -> None:
        """Wait until nothing has been said for that long."""
        while not self.over:
            with anyio.move_on_after(seconds) as silence:
                await self._changed.wait()
            if silence.cancelled_caught:
                return

    async def speak(self, audio: bytes) -> None:
        """Say it in real time, in `input_format`, frame by frame."""
        format = self.session.input_format
        size = format.size(_FRAME_MS)
        due = anyio.current_time()
        for start in range(0, len(audio), size):
            self.session.send_audio(AudioChunk(audio[start : start + size], format))
            due += _FRAME_MS / 1000
            await anyio.sleep_until(due)

    async def be_silent(self, seconds: float) -> None:
        """A caller who says nothing: frames come all the same."""
        format = self.session.input_format
        await self.speak(format.silence * int(format.sample_rate * seconds))

    def _take(self, event: AudioChunk | EngineEvent) -> None:
        check = self._trial
        if isinstance(event, AudioChunk):
            check.require(
                event.format == self.session.output_format,
                "Agent audio is in another format than output_format.",
                expected=str(self.session.output_format),
                got=str(event.format),
            )
            self.audio += event.data
        else:
            check.require(
                isinstance(event, EngineEvent),
                "events() gives something that is no event.",
                expected="AudioChunk or EngineEvent",
                got=type(event).__name__,
            )
            if event.kind == "interruption":
                self.audio_at_interruption.append(len(self.audio))
            self.events.append(event)
        self._note_change()

    def _note_change(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


@contextlib.asynccontextmanager
async def open_talk(check: Check, engine: Engine, format: AudioFormat) -> AsyncIterator[Probe]:
    """Open a conversation; at the end of the context it is closed. Its `listen` is the caller's to run.

    Raises:
        ConformanceError: it cannot be opened, says nothing of its formats, or does not close.
    """
    with (
        check.within(_OPEN_WITHIN, "open() does not return.", mistake="a bound in time that is missing"),
        check.raises_only(problem="open() failed on the emulator."),
    ):
        session = await engine.open(setup_for(format))
    try:
        for name in ("input_format", "output_format"):
            value: object = getattr(session, name)
            check.require(
                isinstance(value, AudioFormat),
                f"{name} is no AudioFormat.",
                expected="one, from the start",
                got=repr(value),
            )
        check.require(isinstance(session.conversation_id, str), "conversation_id is no str.")
        check.shows_nothing("repr(session)", repr(session))
        yield Probe(check, session)
    finally:
        with (
            anyio.CancelScope(shield=True),
            check.within(_CLOSE_WITHIN, "aclose() does not return.", mistake="waiting for a peer without a bound"),
        ):
            await session.aclose()
