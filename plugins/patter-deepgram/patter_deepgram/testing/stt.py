"""The emulated service of speech recognition, which recognises what a test tells it to, or lines that it knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket

from patter_core.testing.speech import CALLER_LINES, Line
from patter_deepgram.stt import DeepgramSTT
from patter_deepgram.testing.listening import ENCODINGS, FluxConnection, ListenConnection, NovaConnection
from patter_deepgram.testing.refusals import Parameter, query_problem
from patter_deepgram.testing.server import Server
from patter_pipeline.testing import SttEmulator

__all__ = ["DeepgramSTTEmulator"]

_FLAG = ("true", "false")
_NOVA_MODELS = ("nova-3", "nova-3-general", "nova-3-medical", "nova-2", "nova-2-general", "nova-2-phonecall")
_FLUX_MODELS = ("flux-general-en", "flux-general-multi")
_COMMON = (
    Parameter("encoding", tuple(ENCODINGS)),
    Parameter("sample_rate", least=8_000, most=48_000),
    Parameter("keyterm", repeats=True),
    Parameter("language_hint", repeats=True),
    Parameter("numerals", _FLAG),
    Parameter("profanity_filter", _FLAG),
    Parameter("redact", repeats=True),
    Parameter("tag", repeats=True),
    Parameter("mip_opt_out", _FLAG),
)
_NOVA = (
    *_COMMON,
    Parameter("model", _NOVA_MODELS),
    Parameter("channels", ("1",)),
    Parameter("language"),
    Parameter("version"),
    Parameter("diarize", _FLAG),
    Parameter("dictation", _FLAG),
    Parameter("interim_results", _FLAG),
    Parameter("punctuate", _FLAG),
    Parameter("smart_format", _FLAG),
    Parameter("vad_events", _FLAG),
    Parameter("endpointing", least=10, most=5_000),
    Parameter("utterance_end_ms", least=1_000, most=5_000),
)
_FLUX = (
    *_COMMON,
    Parameter("model", _FLUX_MODELS),
    Parameter("eot_threshold", least=0.5, most=0.9),
    Parameter("eager_eot_threshold", least=0.3, most=0.9),
    Parameter("eot_timeout_ms", least=500, most=10_000),
)
_NEEDED = ("model", "encoding", "sample_rate")


class DeepgramSTTEmulator(Server[ListenConnection], SttEmulator):
    """Emulates `/v1/listen` and `/v2/listen` for one API key.

    Args:
        model: of the part; the emulator itself serves all.
        endpointing_ms: of the part, as there.
        api_key: which it wants.
        idle_seconds: after which a client that sends nothing is cut off.
        refuse: a status with which all upgrades are refused.
        lines: speech that `/v1/listen` recognises when a client asks for its final text; what a test says comes first.
    """

    def __init__(
        self,
        model: str = "nova-3",
        *,
        endpointing_ms: int = 0,
        api_key: str = "emulated-deepgram-key",
        idle_seconds: float = 10.0,
        refuse: int = 0,
        lines: Sequence[Line] = (),
    ) -> None:
        super().__init__(api_key=api_key, refuse=refuse)
        self.lines = tuple(lines)
        self.model = model
        self.endpointing_ms = endpointing_ms
        self.idle_seconds = idle_seconds

    @classmethod
    def for_demo(cls) -> Self | None:
        return cls(lines=CALLER_LINES)

    def part(self) -> DeepgramSTT:
        return DeepgramSTT(self.api_key, self.model, base_url=self.base_url, endpointing_ms=self.endpointing_ms)

    @property
    def routes(self) -> Sequence[BaseRoute]:
        return [WebSocketRoute("/v1/listen", self._nova), WebSocketRoute("/v2/listen", self._flux)]

    @property
    def heard(self) -> Sequence[bytes]:
        return [bytes(connection.heard) for connection in self.connections]

    async def interim(self, text: str) -> None:
        await self._in_both(text, is_final=False, event="Update")

    async def final(self, text: str) -> None:
        if self.model in _FLUX_MODELS:
            raise self._lacks("final")
        await self._in_both(text, is_final=True, event="")

    async def end_turn(self, text: str) -> None:
        await self._in_both(text, is_final=True, event="EndOfTurn", speech_final=True)

    async def eager_end(self, text: str) -> None:
        if self.model not in _FLUX_MODELS:
            raise self._lacks("eager_end")
        await self._in_both(text, is_final=False, event="EagerEndOfTurn")

    async def resume_turn(self) -> None:
        for connection in self.connections:
            if isinstance(connection, FluxConnection) and connection.is_open:
                await connection.turn("TurnResumed", connection.text)

    async def fail(self) -> None:
        for connection in self.connections:
            if isinstance(connection, FluxConnection) and connection.is_open:
                await connection.fail("INTERNAL_SERVER_ERROR", "The emulator fails.")
        await self.close(1011, "The emulator fails: NET-0000")

    async def _in_both(self, text: str, *, is_final: bool, event: str, speech_final: bool = False) -> None:
        for connection in self.connections:
            if isinstance(connection, NovaConnection) and connection.is_open:
                await connection.results(text, is_final=is_final, speech_final=speech_final)
            elif isinstance(connection, FluxConnection) and connection.is_open and event:
                await connection.turn(event, text)

    async def _nova(self, socket: WebSocket) -> None:
        problem = query_problem(socket, _NOVA, _NEEDED) or _contradiction(socket)
        await self.serve(
            socket,
            problem,
            lambda accepted: NovaConnection(accepted, self.idle_seconds, self.lines),
            lambda one: one.host(),
        )

    async def _flux(self, socket: WebSocket) -> None:
        async def host(connection: ListenConnection) -> None:
            if isinstance(connection, FluxConnection):
                await connection.tell("Connected")
            await connection.host()

        problem = query_problem(socket, _FLUX, _NEEDED) or _flux_contradiction(socket)
        await self.serve(socket, problem, lambda accepted: FluxConnection(accepted, self.idle_seconds), host)


def _contradiction(socket: WebSocket) -> str:
    query = socket.query_params
    if "utterance_end_ms" in query and query.get("interim_results") != "true":
        return "utterance_end_ms needs interim_results."
    if "keyterm" in query and not query["model"].startswith("nova-3"):
        return "keyterm needs Nova-3."
    return ""


def _flux_contradiction(socket: WebSocket) -> str:
    query = socket.query_params
    if float(query.get("eager_eot_threshold", "0")) > float(query.get("eot_threshold", "0.7")):
        return "eager_eot_threshold is above eot_threshold."
    if "language_hint" in query and query["model"] != "flux-general-multi":
        return "language_hint needs flux-general-multi."
    return ""
