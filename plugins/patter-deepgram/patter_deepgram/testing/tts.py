"""The emulated voices."""

from __future__ import annotations

import re
from collections.abc import Sequence

from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket

from patter_deepgram.testing.listening import ENCODINGS
from patter_deepgram.testing.refusals import Parameter, query_problem
from patter_deepgram.testing.server import Server
from patter_deepgram.testing.speaking import Manner, SpeakConnection
from patter_deepgram.tts import DeepgramTTS
from patter_pipeline.testing import TtsEmulator

__all__ = ["DeepgramTTSEmulator"]

_VOICE = re.compile(r"aura(-2)?-[a-z]+-[a-z]{2}")
_PARAMETERS = (
    Parameter("model"),
    Parameter("encoding", tuple(ENCODINGS)),
    Parameter("sample_rate", ("8000", "16000", "24000", "32000", "48000")),
    Parameter("speed", least=0.7, most=1.5),
    Parameter("tag", repeats=True),
    Parameter("mip_opt_out", ("true", "false")),
)
_NEEDED = ("model", "encoding", "sample_rate")
_G711_RATES = {"8000", "16000"}


class DeepgramTTSEmulator(Server[SpeakConnection], TtsEmulator):
    """Emulates `/v1/speak` for one API key: a voice of tones, 50 ms a character.

    Args:
        manner: how the voice behaves.
        api_key: which it wants.
        refuse: a status with which all upgrades are refused.
    """

    def __init__(
        self, manner: Manner | None = None, *, api_key: str = "emulated-deepgram-key", refuse: int = 0
    ) -> None:
        super().__init__(api_key=api_key, refuse=refuse)
        self.manner = manner or Manner()

    def part(self) -> DeepgramTTS:
        return DeepgramTTS(self.api_key, base_url=self.base_url)

    @property
    def routes(self) -> Sequence[BaseRoute]:
        return [WebSocketRoute("/v1/speak", self._voice)]

    @property
    def given(self) -> Sequence[str]:
        return [text for connection in self.connections for text in connection.utterances]

    async def fail(self) -> None:
        await self.close(1011, "The emulator fails: NET-0000")

    async def _voice(self, socket: WebSocket) -> None:
        query = socket.query_params
        problem = query_problem(socket, _PARAMETERS, _NEEDED)
        if not problem and not _VOICE.fullmatch(query["model"]):
            problem = "No such model/language/tier combination found."
        if not problem and query["encoding"] != "linear16" and query["sample_rate"] not in _G711_RATES:
            problem = "The encoding has no such sample rate."
        await self.serve(
            socket, problem, lambda accepted: SpeakConnection(accepted, self.manner, self.lines), lambda one: one.host()
        )
