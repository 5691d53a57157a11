"""The engine without a call: a conversation that takes bytes and gives events, for programs with audio of their own."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Generator
from types import TracebackType
from typing import Self, TypedDict, Unpack

from patter_core.audio import AudioChunk
from patter_core.audio.converter import Converter, make_converter
from patter_core.errors import EngineError
from patter_core.events import EngineEvent, Interruption, ResponseDone, ResponseStart, ToolCall, ToolResult
from patter_core.tools.runner import ToolRunner
from patter_core.tools.tool import Tools, as_tools
from patter_core.tools.use import ToolUse
from patter_elevenlabs import wire
from patter_elevenlabs.config import Service
from patter_elevenlabs.formats import audio_format, conversion_hint
from patter_elevenlabs.handshake import open_session
from patter_elevenlabs.session import ConvAISession

__all__ = ["AdapterOptions", "ElevenLabsConvAIAdapter"]

_log = logging.getLogger("patter.elevenlabs")


class AdapterOptions(TypedDict, total=False):
    """The options of the factories: those of the class except the formats."""

    voice_id: str
    model_id: str
    language: str
    first_message: str
    use_signed_url: bool
    base_url: str
    client_tools: Tools


class ElevenLabsConvAIAdapter:
    """One conversation with an agent, in audio formats of the user's choice.

    The agent's own formats are part of its configuration, and known when the conversation starts. Audio is converted
    where they differ.

    Args:
        api_key: from ELEVENLABS_API_KEY if empty.
        agent_id: from ELEVENLABS_AGENT_ID if empty.
        voice_id: overrides the agent's voice.
        model_id: kept for introspection; the service accepts no model from a client.
        language: overrides the agent's language.
        first_message: overrides the agent's first message.
        use_signed_url: fetch a short-lived URL for the conversation, so that the socket itself carries no key.
        base_url: http(s)://host of a region or an emulator; from ELEVENLABS_BASE_URL if empty.
        client_tools: functions, sync or async, for the client tools of the same names. There is no call here, so none
            is filled in, and none ends.
        output_audio_format: of the audio in `receive_events`: `pcm_16000`, `ulaw_8000` or another of the service.
        input_audio_format: of the audio for `send_audio`.

    Raises:
        ConfigurationError: the key or the agent's id is missing, or an option is invalid.
    """

    def __init__(
        self,
        api_key: str = "",
        agent_id: str = "",
        *,
        voice_id: str = "",
        model_id: str = "",
        language: str = "",
        first_message: str = "",
        use_signed_url: bool = False,
        base_url: str = "",
        client_tools: Tools = (),
        output_audio_format: str = "pcm_16000",
        input_audio_format: str = "pcm_16000",
    ) -> None:
        self._service = Service.resolve(
            type(self).__name__, api_key=api_key, agent_id=agent_id, base_url=base_url, use_signed_url=use_signed_url
        )
        tools = as_tools(client_tools, f"{type(self).__name__}(client_tools=…)")
        self._tools = {tool.spec.name: tool for tool in tools}
        self._runner: ToolRunner | None = None
        self.agent_id = self._service.agent_id
        self.base_url = self._service.base_url
        self.use_signed_url = use_signed_url
        self.voice_id = voice_id
        self.model_id = model_id
        self.language = language
        self.first_message = first_message
        self.input_format = audio_format(input_audio_format)
        self.output_format = audio_format(output_audio_format)
        self._session: ConvAISession | None = None
        self._inbound: Converter | None = None
        self._outbound: Converter | None = None

    @classmethod
    def for_twilio(cls, api_key: str = "", agent_id: str = "", **options: Unpack[AdapterOptions]) -> Self:
        """For Twilio's media streams: μ-law, 8 kHz, both ways."""
        return cls(api_key, agent_id, output_audio_format="ulaw_8000", input_audio_format="ulaw_8000", **options)

    @classmethod
    def for_telnyx(cls, api_key: str = "", agent_id: str = "", **options: Unpack[AdapterOptions]) -> Self:
        """For Telnyx's streams with PCMU, the default: μ-law, 8 kHz, both ways. For L16, use the constructor."""
        return cls(api_key, agent_id, output_audio_format="ulaw_8000", input_audio_format="ulaw_8000", **options)

    @property
    def output_audio_format(self) -> str:
        """The format of the audio in `receive_events`, by the service's name."""
        return str(self.output_format)

    @property
    def input_audio_format(self) -> str:
        """The format of the audio for `send_audio`, by the service's name."""
        return str(self.input_format)

    @property
    def session(self) -> ConvAISession:
        """The conversation.

        Raises:
            EngineError: not connected.
        """
        if self._session is None:
            raise EngineError("The adapter is not connected.", remedy="Await connect() first, or use `async with`.")
        return self._session

    async def connect(self) -> None:
        """Opens a conversation. Returns once the agent is ready for audio. After `close`, opens another.

        Raises:
            EngineError: already connected; or the service could not be reached in time, or refused.
            AudioError: there is no conversion between the agent's format and the chosen one.
        """
        if self._session is not None:
            raise EngineError("The adapter is already connected.", remedy="Close it first, or create a second adapter.")
        initiation = wire.initiation(
            voice=self.voice_id, language=self.language, first_message=self.first_message or None
        )
        session = await open_session(self._service, initiation)
        agent, wanted = (session.input_format, session.output_format), (self.input_format, self.output_format)
        if hint := conversion_hint(agent, wanted):
            _log.warning(hint)
            try:
                self._inbound = make_converter(self.input_format, session.input_format)
                self._outbound = make_converter(session.output_format, self.output_format)
            except BaseException:
                await session.aclose()
                raise
        else:
            self._inbound = self._outbound = None
        self._session = session

    def send_audio(self, audio: bytes) -> Awaitable[None]:
        """Sends the user's audio, in `input_audio_format`, at real-time pace and without gaps, silence included.

        Never waits, so awaiting the result is optional. Audio that the service does not take in time is dropped, the
        oldest first.

        Raises:
            EngineError: not connected.
            AudioError: `audio` ends in the middle of a sample.
        """
        session = self.session
        chunk: AudioChunk | None = AudioChunk(audio, self.input_format)
        if self._inbound is not None and chunk is not None:
            chunk = self._inbound.convert(chunk)
        if chunk is not None:
            session.send_audio(chunk)
        return _Sent()

    def receive_events(self) -> AsyncIterator[AudioChunk | EngineEvent]:
        """Returns the agent's audio and events, each of which unpacks as `(type, payload)`, to the conversation's end.

        A turn that is interrupted is done, too: its `response_done` follows the `interruption`.

        Raises:
            EngineError: not connected; or, while iterating: the conversation failed.
        """
        events = _with_every_end(self._with_tools(self.session))
        return events if self._outbound is None else _converted(events, self._outbound)

    def add_context(self, text: str) -> None:
        """Gives the agent information, without making it speak.

        Raises:
            EngineError: not connected. The three methods below raise it, too.
        """
        self.session.add_context(text)

    def send_user_message(self, text: str) -> None:
        """Sends text in the user's place. The agent answers it."""
        self.session.send_user_message(text)

    def user_activity(self) -> None:
        """Tells the agent that the user is present, so that it does not prompt them."""
        self.session.user_activity()

    def send_feedback(self, *, like: bool, turn: str = "") -> None:
        """Rates a turn of the agent: the one of a `TranscriptOutput`, or the latest."""
        self.session.send_feedback(like=like, turn=turn)

    async def close(self) -> None:
        """Ends the conversation. Idempotent."""
        session, self._session = self._session, None
        runner, self._runner = self._runner, None
        if session is not None:
            await session.aclose()
        if runner is not None:
            await runner.aclose()

    async def _with_tools(self, session: ConvAISession) -> AsyncIterator[AudioChunk | EngineEvent]:
        """Runs what the agent calls, as a call does."""

        def answer(_: ToolUse, result: ToolResult) -> None:
            session.send_tool_result(result)
            session.report(result)

        runner = self._runner = ToolRunner(begin=_nothing_to_do, fill_in=lambda _: (), answer=answer)
        async for event in session.events():
            yield event
            if isinstance(event, ToolCall):
                runner.start(event, self._tools.get(event.name), session)

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.agent_id} {'connected' if self._session else 'not connected'}>"


async def _with_every_end(
    events: AsyncIterator[AudioChunk | EngineEvent],
) -> AsyncIterator[AudioChunk | EngineEvent]:
    is_open = False
    async for event in events:
        yield event
        if isinstance(event, ResponseStart):
            is_open = True
        elif isinstance(event, ResponseDone):
            is_open = False
        elif isinstance(event, Interruption) and is_open:
            is_open = False
            yield ResponseDone(event.turn)


async def _converted(
    events: AsyncIterator[AudioChunk | EngineEvent], outbound: Converter
) -> AsyncIterator[AudioChunk | EngineEvent]:
    async for event in events:
        if isinstance(event, AudioChunk):
            if (chunk := outbound.convert(event)) is not None:
                yield chunk
            continue
        if isinstance(event, Interruption):
            outbound.flush()  # the tail in the filter is void, too
        elif isinstance(event, ResponseDone) and (rest := outbound.flush()) is not None:
            yield rest
        yield event


async def _nothing_to_do(_: ToolUse) -> None:
    """There is no history."""


class _Sent:
    """Makes `await adapter.send_audio(…)` valid, although sending never waits."""

    def __await__(self) -> Generator[None, None, None]:
        yield from ()
