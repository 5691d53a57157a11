"""The messages of both sides are those of the vendor's own Python SDK, which is the oracle here and nothing else."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable
from typing import Any

import anyio
import pytest
from deepgram import AsyncDeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.environment import DeepgramClientEnvironment
from deepgram.listen.v1.client import AsyncV1Client as ListenV1
from deepgram.listen.v1.types.listen_v1close_stream import ListenV1CloseStream
from deepgram.listen.v1.types.listen_v1error import ListenV1Error
from deepgram.listen.v1.types.listen_v1finalize import ListenV1Finalize
from deepgram.listen.v1.types.listen_v1keep_alive import ListenV1KeepAlive
from deepgram.listen.v1.types.listen_v1metadata import ListenV1Metadata
from deepgram.listen.v1.types.listen_v1results import ListenV1Results
from deepgram.listen.v1.types.listen_v1utterance_end import ListenV1UtteranceEnd
from deepgram.listen.v2.client import AsyncV2Client as ListenV2
from deepgram.listen.v2.types.listen_v2close_stream import ListenV2CloseStream
from deepgram.listen.v2.types.listen_v2connected import ListenV2Connected
from deepgram.listen.v2.types.listen_v2fatal_error import ListenV2FatalError
from deepgram.listen.v2.types.listen_v2turn_info import ListenV2TurnInfo
from deepgram.speak.v1.client import AsyncV1Client as SpeakV1
from deepgram.speak.v1.types.speak_v1clear import SpeakV1Clear
from deepgram.speak.v1.types.speak_v1cleared import SpeakV1Cleared
from deepgram.speak.v1.types.speak_v1close import SpeakV1Close
from deepgram.speak.v1.types.speak_v1flush import SpeakV1Flush
from deepgram.speak.v1.types.speak_v1flushed import SpeakV1Flushed
from deepgram.speak.v1.types.speak_v1text import SpeakV1Text
from deepgram.speak.v1.types.speak_v1warning import SpeakV1Warning

from patter_core.audio import ULAW_8000, AudioChunk
from patter_deepgram import DeepgramSTT
from patter_deepgram.testing import (
    Connection,
    DeepgramSTTEmulator,
    DeepgramTTSEmulator,
    FluxConnection,
    Manner,
    NovaConnection,
)
from patter_deepgram.testing.server import Server

pytestmark = pytest.mark.anyio

SECOND = b"\x00" * 8_000

Models = dict[str, Any]

LISTEN_V1: Models = {
    "Results": ListenV1Results,
    "Metadata": ListenV1Metadata,
    "UtteranceEnd": ListenV1UtteranceEnd,
    "Error": ListenV1Error,
}
LISTEN_V1_COMMANDS: Models = {
    "KeepAlive": ListenV1KeepAlive,
    "Finalize": ListenV1Finalize,
    "CloseStream": ListenV1CloseStream,
}
LISTEN_V2: Models = {"Connected": ListenV2Connected, "TurnInfo": ListenV2TurnInfo, "Error": ListenV2FatalError}
LISTEN_V2_COMMANDS: Models = {"CloseStream": ListenV2CloseStream}
SPEAK: Models = {"Flushed": SpeakV1Flushed, "Cleared": SpeakV1Cleared, "Warning": SpeakV1Warning}
SPEAK_COMMANDS: Models = {"Speak": SpeakV1Text, "Flush": SpeakV1Flush, "Clear": SpeakV1Clear, "Close": SpeakV1Close}


def client(emulator: Server[Any], api_key: str = "") -> AsyncDeepgramClient:
    sockets = f"ws{emulator.base_url.removeprefix('http')}"
    environment = DeepgramClientEnvironment(
        base=emulator.base_url, production=sockets, agent=sockets, agent_rest=emulator.base_url
    )
    return AsyncDeepgramClient(api_key=api_key or emulator.api_key, environment=environment)


def validate(models: Models, messages: Iterable[str]) -> set[str]:
    """Validates messages, which may hold no field that the SDK does not know. Returns their types."""
    types = set()
    for message in messages:
        kind = json.loads(message)["type"]
        checked = models[kind].model_validate_json(message)
        assert not checked.model_extra, (message, checked.model_extra)
        types.add(kind)
    return types


def names_of(connection: Connection) -> set[str]:
    return {name for name, _ in connection.query}


async def test_the_sdk_listens_to_nova() -> None:
    async with DeepgramSTTEmulator() as emulator:
        options: Models = {"model": "nova-3", "encoding": "mulaw", "sample_rate": 8000, "interim_results": "true"}
        async with client(emulator).listen.v1.connect(**options) as socket:
            await socket.send_media(SECOND)
            service = await emulator.connection()
            assert isinstance(service, NovaConnection)
            await service.until(lambda: len(service.heard) == len(SECOND))
            service.to_finalize.append("For two.")
            await emulator.interim("A table")
            await emulator.final("A table, please.")
            await service.utterance_end()
            await socket.send_keep_alive()
            await socket.send_finalize()
            await socket.send_close_stream()
            received: list[Any] = [message async for message in socket]
        assert [message.type for message in received] == ["Results"] * 2 + ["UtteranceEnd", "Results", "Metadata"]
        assert [message.channel.alternatives[0].transcript for message in (received[1], received[3])] == [
            "A table, please.",
            "For two.",
        ]
        assert received[1].channel.alternatives[0].words[0].punctuated_word == "A"
        assert received[-1].duration == 1.0
        await service.send('{"type":"Odd"}')
        assert validate(LISTEN_V1, service.sent) == {"Results", "UtteranceEnd", "Metadata"}


async def test_the_sdk_listens_to_flux() -> None:
    async with DeepgramSTTEmulator("flux-general-en") as emulator:
        options: Models = {"model": "flux-general-en", "encoding": "mulaw", "sample_rate": 8000}
        async with client(emulator).listen.v2.connect(**options) as socket:
            await socket.send_media(SECOND)
            service = await emulator.connection()
            assert isinstance(service, FluxConnection)
            await service.until(lambda: len(service.heard) == len(SECOND))
            await emulator.interim("A table")
            await emulator.eager_end("A table")
            await emulator.resume_turn()
            await socket.send_force_end_turn()
            await service.until(lambda: service.turn_index == 1)
            await emulator.end_turn("For two.")
            received: list[Any] = [await socket.recv() for _ in range(8)]
            await emulator.fail()
            received.append(await socket.recv())
        events = ["StartOfTurn", "Update", "EagerEndOfTurn", "TurnResumed", "EndOfTurn", "StartOfTurn", "EndOfTurn"]
        assert [message.event for message in received[1:-1]] == events
        assert received[0].type == "Connected"
        assert received[-1].code == "INTERNAL_SERVER_ERROR"
        assert validate(LISTEN_V2, service.sent) == {"Connected", "TurnInfo", "Error"}


async def test_the_sdk_has_the_voice_speak() -> None:
    async with DeepgramTTSEmulator(Manner(flush_limit=1)) as emulator:
        options: Models = {"model": "aura-2-thalia-en", "encoding": "mulaw", "sample_rate": 8000}
        async with client(emulator).speak.v1.connect(**options) as socket:
            await socket.send_text(SpeakV1Text(text="Good evening."))
            await socket.send_flush()
            received: list[Any] = []
            while not received or isinstance(received[-1], bytes):
                received.append(await socket.recv())
            assert sum(len(audio) for audio in received[:-1]) == 13 * 50 * 8
            await socket.send_flush()
            await socket.send_text(SpeakV1Text(text="And more."))
            await socket.send_clear()
            rest: list[Any] = []
            while not rest or rest[-1] != "Cleared":
                message: Any = await socket.recv()
                rest.append("audio" if isinstance(message, bytes) else message.type)
            await socket.send_close()
        assert received[-1].type == "Flushed"
        assert rest[0] == "Warning"
        assert emulator.given == ["Good evening.", "And more."]
        assert validate(SPEAK, emulator.connections[0].sent) == {"Flushed", "Warning", "Cleared"}


async def test_the_sdk_is_refused_as_the_service_would() -> None:
    async with DeepgramSTTEmulator() as emulator:
        options: Models = {"model": "nova-3", "encoding": "mulaw", "sample_rate": 8000}
        with pytest.raises(ApiError) as caught:
            async with client(emulator, "wrong").listen.v1.connect(**options):
                pass
        assert caught.value.status_code == 401


async def test_our_sessions_send_what_the_sdk_could() -> None:
    async with DeepgramSTTEmulator() as emulator:
        part = DeepgramSTT(
            emulator.api_key,
            base_url=emulator.base_url,
            language="en-US",
            keyterms=["Patter", "maître d'"],
            numerals=True,
            endpointing_ms=300,
            parameters={"redact": "pci"},
        )
        session = await part.open(preferred_format=ULAW_8000, language="")
        session.send_audio(AudioChunk(SECOND, ULAW_8000))
        session.finalize()
        service = await emulator.connection()
        await service.until(lambda: bool(service.commands))
        await session.aclose()
        await service.until(lambda: not service.is_open)
        assert validate(LISTEN_V1_COMMANDS, service.commands) == {"Finalize", "CloseStream"}
        assert names_of(service) <= set(inspect.signature(ListenV1.connect).parameters)
        assert dict(service.query)["language"] == "en-US"
        assert [value for name, value in service.query if name == "keyterm"] == ["Patter", "maître d'"]

        part = DeepgramSTT(
            emulator.api_key,
            "flux-general-multi",
            base_url=emulator.base_url,
            language="it",
            eot_threshold=0.8,
            eager_eot_threshold=0.4,
            eot_timeout_ms=3_000,
        )
        session = await part.open(preferred_format=ULAW_8000, language="")
        await session.aclose()
        service = await emulator.connection(1)
        await service.until(lambda: not service.is_open)
        assert validate(LISTEN_V2_COMMANDS, service.commands) == {"CloseStream"}
        assert names_of(service) <= set(inspect.signature(ListenV2.connect).parameters)
        assert dict(service.query)["eager_eot_threshold"] == "0.4"


async def test_our_voice_sends_what_the_sdk_could() -> None:
    async with DeepgramTTSEmulator(Manner(pace=2.0)) as emulator:
        session = await emulator.part().open(preferred_format=ULAW_8000, voice="aura-2-zeus-en", language="en")
        events = session.events()
        session.speak("first", "Good evening.")
        session.finish("first")
        await anext(events)
        session.cancel("first")
        session.speak("second", "Yes.")
        session.finish("second")
        service = await emulator.connection()
        with anyio.fail_after(5):
            await service.until(lambda: len(service.commands) == 5)
        await session.aclose()
        assert [json.loads(command)["type"] for command in service.commands] == [
            "Speak",
            "Flush",
            "Clear",
            "Speak",
            "Flush",
        ]
        validate(SPEAK_COMMANDS, service.commands)
        assert names_of(service) <= set(inspect.signature(SpeakV1.connect).parameters)
        assert dict(service.query)["model"] == "aura-2-zeus-en"
