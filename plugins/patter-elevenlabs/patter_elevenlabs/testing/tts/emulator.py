"""Text to speech, emulated: strict with its clients, and it speaks what they write in tones whose times are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import anyio
import msgspec
from starlette.websockets import WebSocket

from patter_elevenlabs.testing.speech import Refused, SpeechService
from patter_elevenlabs.testing.tts.connection import Connection
from patter_elevenlabs.testing.tts.context import Context
from patter_elevenlabs.testing.tts.protocol import OPTIONS
from patter_elevenlabs.tts.part import ElevenLabsTTS
from patter_pipeline.testing import TtsEmulator

__all__ = ["ElevenLabsTTSEmulator"]

_PATH = "/v1/text-to-speech/{voice_id}"


class ElevenLabsTTSEmulator(SpeechService, TtsEmulator):
    """Emulates both sockets of text to speech. Inside its context the port is open.

    Args:
        api_key: of the account.
        voice: the only one of the account.
        pace: of speaking, as a multiple of real time.
    """

    def __init__(self, *, api_key: str = "emulated-key", voice: str = "voice_emulated", pace: float = 20.0) -> None:
        super().__init__(api_key=api_key)
        self.voice = voice
        self.pace = pace
        """May be changed at any time."""
        self.most_contexts = 5
        """At once on one socket; one more ends it."""
        self.text_timeout = 0.0
        """Seconds without text that end a socket; 0 for those of its query, 20 if it has none."""
        self.timings = True
        """Audio comes with alignments."""
        self.contexts: list[Context] = []
        """All of them, in the order of their opening, of all sockets."""

    def part(self) -> ElevenLabsTTS:
        return ElevenLabsTTS(self.api_key, self.voice, base_url=self.base_url)

    @property
    def given(self) -> Sequence[str]:
        return [context.text for context in self.contexts if context.text.strip()]

    async def fail(self) -> None:
        await self.fail_with(Refused("internal_error", "Something went wrong.", 1011))

    def has_voice(self, voice_id: str) -> bool:
        return voice_id == self.voice

    @property
    def paths(self) -> Sequence[str]:
        return (f"{_PATH}/stream-input", f"{_PATH}/multi-stream-input")

    @property
    def options(self) -> Mapping[str, frozenset[str] | None]:
        return OPTIONS

    async def tell(self, socket: WebSocket, refused: Refused) -> None:
        error = {"message": refused.text, "error": refused.name, "code": refused.code}
        await self.send(socket, msgspec.json.encode(error).decode())

    async def converse(self, socket: WebSocket) -> None:
        voice_id = str(socket.path_params["voice_id"])
        if not self.has_voice(voice_id):
            raise Refused("voice_id_does_not_exist", f"A voice with voice_id {voice_id} does not exist.")
        async with anyio.create_task_group() as tasks:
            one = Connection(self, socket, tasks)
            tasks.start_soon(one.time_out)
            await (one.take_single() if socket.url.path.endswith("/stream-input") else one.take_many())
            tasks.cancel_scope.cancel()
