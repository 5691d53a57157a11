"""An engine whose output never stops: full duplex, binary audio at real-time pace, silence included, and no turns."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import ClassVar

import anyio
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from patter_core.audio import PCM16_16000, AudioChunk, AudioFormat
from patter_core.engine import ConversationSetup, Engine, EngineCapability, EngineSession
from patter_core.errors import AudioError, SocketClosed
from patter_core.events import EngineEvent
from patter_core.net.websocket import BinaryMessage, EngineSocket
from patter_core.server.serving import serve_app
from patter_core.testing.echo_agent import EchoAgent, EchoVoice
from patter_core.testing.emulator import EngineEmulator

__all__ = ["Flow", "FlowEmulator"]

_FRAME_MS = 20
_FRAME = PCM16_16000.size(_FRAME_MS)


class FlowSession(EngineSession):
    def __init__(self, socket: EngineSocket) -> None:
        self._socket = socket
        self._closed = False

    @property
    def conversation_id(self) -> str:
        return ""

    @property
    def input_format(self) -> AudioFormat:
        return PCM16_16000

    @property
    def output_format(self) -> AudioFormat:
        return PCM16_16000

    @property
    def dropped(self) -> int:
        return self._socket.dropped

    def send_audio(self, chunk: AudioChunk) -> None:
        self._socket.send_audio(chunk.data, binary=True)

    async def events(self) -> AsyncIterator[AudioChunk | EngineEvent]:
        while True:
            try:
                message = await self._socket.receive()
            except SocketClosed as closed:
                if closed.code == 1000 or self._closed:
                    return
                raise
            if isinstance(message, BinaryMessage):
                with contextlib.suppress(AudioError):
                    yield AudioChunk(bytes(message), PCM16_16000)

    async def aclose(self) -> None:
        self._closed = True
        await self._socket.aclose()


class Flow(Engine):
    name: ClassVar[str] = "flow"
    capabilities: ClassVar[frozenset[EngineCapability]] = frozenset(
        {EngineCapability.CONTINUOUS_OUTPUT, EngineCapability.STEADY_INPUT}
    )

    def __init__(self, url: str) -> None:
        self._url = url

    async def open(self, setup: ConversationSetup) -> EngineSession:
        return FlowSession(await EngineSocket.open(self._url))


class FlowEmulator(EngineEmulator):
    def __init__(self, *, is_mute: bool = False) -> None:
        self._is_mute = is_mute
        self._url = ""
        self._sockets: set[WebSocket] = set()
        self._open = contextlib.AsyncExitStack()

    async def start(self) -> None:
        app = Starlette(routes=[WebSocketRoute("/", self._converse)])
        self._url = (await self._open.enter_async_context(serve_app(app))).replace("http", "ws", 1)

    async def stop(self) -> None:
        await self._open.aclose()

    def engine(self) -> Flow:
        return Flow(self._url)

    async def end(self) -> None:
        await self._close(1000)

    async def fail(self) -> None:
        await self._close(1011)

    async def interrupt(self) -> None:
        """Does nothing: the model falls silent by itself."""

    async def inject(self, message: str | bytes) -> None:
        for socket in list(self._sockets):
            await (socket.send_text(message) if isinstance(message, str) else socket.send_bytes(message))

    async def _close(self, code: int) -> None:
        for socket in list(self._sockets):
            await socket.close(code)

    async def _converse(self, socket: WebSocket) -> None:
        await socket.accept()
        self._sockets.add(socket)
        voice = _Voice(self._is_mute)
        agent = EchoAgent(voice, PCM16_16000, PCM16_16000)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(agent.run)
                tasks.start_soon(_flow, socket, voice)
                while True:
                    message = await _receive(socket)
                    agent.hear(message)
        except* WebSocketDisconnect:
            pass
        finally:
            self._sockets.discard(socket)


class _Voice(EchoVoice):
    """What is said, and not sent yet."""

    def __init__(self, is_mute: bool) -> None:
        self.audio = b""
        self._is_mute = is_mute

    @property
    def speaking(self) -> bool:
        return bool(self.audio)

    async def say(self, text: str, audio: bytes) -> None:
        self.audio += bytes(len(audio)) if self._is_mute else audio

    async def interrupt(self) -> None:
        self.audio = b""

    async def user_said(self, text: str) -> None:
        """There are no transcripts."""


async def _flow(socket: WebSocket, voice: _Voice) -> None:
    due = anyio.current_time()
    while True:
        _require_open(socket)
        frame, voice.audio = voice.audio[:_FRAME], voice.audio[_FRAME:]
        await socket.send_bytes(frame.ljust(_FRAME, b"\0"))
        due += _FRAME_MS / 1000
        await anyio.sleep_until(due)


async def _receive(socket: WebSocket) -> bytes:
    _require_open(socket)
    return await socket.receive_bytes()


def _require_open(socket: WebSocket) -> None:
    if socket.application_state is not WebSocketState.CONNECTED:
        raise WebSocketDisconnect
