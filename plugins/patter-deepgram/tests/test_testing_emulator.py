"""The emulated services are as strict as the real ones: what a client may not do, they do not bear."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import anyio
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from patter_deepgram.testing import DeepgramSTTEmulator, DeepgramTTSEmulator, Manner
from patter_deepgram.testing.server import Server

pytestmark = pytest.mark.anyio

NOVA = "/v1/listen?model=nova-3&encoding=mulaw&sample_rate=8000"
LINEAR = "/v1/listen?model=nova-3&encoding=linear16&sample_rate=16000"
FLUX = "/v2/listen?model=flux-general-en&encoding=mulaw&sample_rate=8000"
SPEAK = "/v1/speak?model=aura-2-thalia-en&encoding=mulaw&sample_rate=8000"


@contextlib.asynccontextmanager
async def client(emulator: Server[Any], path: str) -> AsyncIterator[ClientConnection]:
    url = f"ws{emulator.base_url.removeprefix('http')}{path}"
    async with connect(url, additional_headers={"Authorization": f"Token {emulator.api_key}"}) as connection:
        yield connection


async def quiet(connection: ClientConnection) -> AsyncIterator[str | bytes]:
    with contextlib.suppress(ConnectionClosed):
        async for message in connection:
            yield message


async def closed(connection: ClientConnection) -> tuple[int, str, list[str | bytes]]:
    """Reads to the end. Returns code, reason and messages."""
    messages: list[str | bytes] = []
    with anyio.fail_after(10):
        messages += [message async for message in quiet(connection)]
        await connection.wait_closed()
    return connection.close_code or 0, connection.close_reason or "", messages


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (f"{NOVA}&colour=blue", "Unknown query parameter colour."),
        (f"{NOVA}&model=nova-2", "model is there twice."),
        ("/v1/listen?model=nova-9&encoding=mulaw&sample_rate=8000", "model is none of"),
        ("/v1/listen?model=nova-3&encoding=mulaw", "sample_rate is missing."),
        (f"{NOVA}&utterance_end_ms=1000", "utterance_end_ms needs interim_results."),
        (f"{NOVA}&utterance_end_ms=900&interim_results=true", "utterance_end_ms is not within"),
        (f"{NOVA}&endpointing=soon", "endpointing is not a number."),
        (f"{NOVA}&punctuate=yes", "punctuate is none of true, false."),
        (f"{NOVA}&language=", "language is empty."),
        ("/v1/listen?model=nova-2&encoding=mulaw&sample_rate=8000&keyterm=a", "keyterm needs Nova-3."),
        (f"{FLUX}&interim_results=true", "Unknown query parameter interim_results."),
        (f"{FLUX}&eager_eot_threshold=0.8", "eager_eot_threshold is above eot_threshold."),
        (f"{FLUX}&language_hint=it", "language_hint needs flux-general-multi."),
        (FLUX.replace("flux-general-en", "nova-3"), "model is none of flux-general-en"),
    ],
)
async def test_a_query_that_is_wrong_is_refused_in_header_and_body(path: str, reason: str) -> None:
    async with DeepgramSTTEmulator() as emulator:
        with pytest.raises(InvalidStatus) as caught:
            async with client(emulator, path):
                pass
    response = caught.value.response
    assert response.status_code == 400
    assert response.headers["dg-error"].startswith(reason)
    assert json.loads(response.body or b"{}")["err_msg"] == response.headers["dg-error"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (f"{SPEAK}&container=none", "Unknown query parameter container."),
        (SPEAK.replace("8000", "24000"), "The encoding has no such sample rate."),
        (SPEAK.replace("aura-2-thalia-en", "thalia"), "No such model"),
    ],
)
async def test_a_voice_that_does_not_exist_is_refused(path: str, reason: str) -> None:
    async with DeepgramTTSEmulator() as emulator:
        with pytest.raises(InvalidStatus) as caught:
            async with client(emulator, path):
                pass
    assert caught.value.response.headers["dg-error"].startswith(reason)


@pytest.mark.parametrize(
    ("path", "sent", "code", "reason"),
    [
        (NOVA, [b'{"type":"KeepAlive"}'], 1008, "DATA-0000"),
        (LINEAR, [b"\x00\x01\x02"], 1008, "DATA-0000"),
        (NOVA, [b""], 1000, ""),
        (FLUX, ['{"type":"KeepAlive"}'], 1011, "UNPARSABLE_CLIENT_MESSAGE"),
        (FLUX, ["no json"], 1011, "UNPARSABLE_CLIENT_MESSAGE"),
        (FLUX, ['{"type":"CloseStream"}'], 1000, ""),
    ],
)
async def test_what_is_no_audio_and_no_command_ends_a_session(
    path: str, sent: Sequence[str | bytes], code: int, reason: str
) -> None:
    async with DeepgramSTTEmulator() as emulator, client(emulator, path) as connection:
        for message in sent:
            await connection.send(message)
        told = await closed(connection)
    assert told[0] == code
    assert reason in told[1]


async def test_nova_bears_a_command_that_it_does_not_know() -> None:
    async with DeepgramSTTEmulator() as emulator, client(emulator, NOVA) as connection:
        await connection.send('{"type":"ForceEndTurn"}')
        assert json.loads(await connection.recv())["variant"] == "SchemaError"
        await connection.send('{"type":"CloseStream"}')
        code, _, messages = await closed(connection)
    assert code == 1000
    assert json.loads(messages[-1])["type"] == "Metadata"


@pytest.mark.parametrize("with_audio", [False, True])
async def test_a_session_without_audio_ends_unless_it_is_kept_alive_after_some(with_audio: bool) -> None:
    async with DeepgramSTTEmulator(idle_seconds=0.3) as emulator, client(emulator, NOVA) as connection:
        if with_audio:
            await connection.send(b"\xff" * 160)
        began = anyio.current_time()
        for _ in range(6):
            with contextlib.suppress(ConnectionClosed):
                await connection.send('{"type":"KeepAlive"}')
            await anyio.sleep(0.1)
        code, reason, _ = await closed(connection)
        took = anyio.current_time() - began
    assert (code, "net0001" in reason) == (1011, True)
    assert (took > 0.75) is with_audio


@pytest.mark.parametrize(
    ("sent", "code", "reason"),
    [
        (b"audio", 1003, "MESSAGE-0000"),
        ("no json", 1008, "DATA-0000"),
        ('{"type":"Odd"}', 1008, "DATA-0000"),
        ('{"type":"Speak"}', 1008, "DATA-0000"),
        (json.dumps({"type": "Speak", "text": "x" * 2_001}), 1009, "BIG-0000"),
        ('{"type":"Close"}', 1000, ""),
    ],
)
async def test_the_voice_bears_nothing_but_its_messages(sent: str | bytes, code: int, reason: str) -> None:
    async with DeepgramTTSEmulator() as emulator, client(emulator, SPEAK) as connection:
        await connection.send(sent)
        told = await closed(connection)
    assert told[0] == code
    assert reason in told[1]


async def test_text_waits_for_a_flush_or_the_end_of_a_sentence() -> None:
    async with DeepgramTTSEmulator() as emulator, client(emulator, SPEAK) as connection:
        await connection.send('{"type":"Speak","text":"One"}')
        with anyio.move_on_after(0.1):
            await connection.recv()
            raise AssertionError("It is spoken too early.")
        await connection.send('{"type":"Speak","text":" and two."}')
        assert isinstance(await connection.recv(), bytes)
        await connection.send('{"type":"Close"}')
        code, _, messages = await closed(connection)
    assert code == 1000
    assert all(isinstance(message, bytes) for message in messages)


async def test_beyond_the_limit_a_flush_is_only_warned_of_until_the_window_is_over() -> None:
    manner = Manner(flush_limit=1, flush_window=0.3)
    async with DeepgramTTSEmulator(manner) as emulator, client(emulator, SPEAK) as connection:
        types = []
        for _ in range(2):
            await connection.send('{"type":"Flush"}')
            types.append(json.loads(await connection.recv())["type"])
        await anyio.sleep(0.35)
        await connection.send('{"type":"Flush"}')
        types.append(json.loads(await connection.recv())["type"])
    assert types == ["Flushed", "Warning", "Flushed"]
