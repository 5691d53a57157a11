from __future__ import annotations

import contextlib

import anyio
import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from patter_elevenlabs.testing import Behaviour, Conversation, ElevenLabsEmulator

pytestmark = pytest.mark.anyio

INIT = '{"type":"conversation_initiation_client_data"}'


async def silent(_: Conversation) -> None:
    """Say nothing."""


async def signed_url(emulator: ElevenLabsEmulator, **more: str) -> str:
    async with httpx.AsyncClient(headers={"xi-api-key": emulator.api_key}) as http:
        answer = await http.get(
            f"{emulator.base_url}/v1/convai/conversation/get-signed-url",
            params={"agent_id": emulator.agent_id, **more},
        )
    url = answer.json()["signed_url"]
    assert isinstance(url, str)
    return url


async def first_word(url: str) -> str:
    """What the service says to an initiation; its close code where it says nothing."""
    async with connect(url) as client:
        with anyio.fail_after(5), contextlib.suppress(ConnectionClosed):
            await client.send(INIT)
            return str(await client.recv())
        return str(client.close_code)


async def test_a_signed_url_begins_conversations_until_it_expires() -> None:
    async with ElevenLabsEmulator(Behaviour(agent=silent)) as emulator:
        url = await signed_url(emulator)
        assert "metadata" in await first_word(url)
        assert "metadata" in await first_word(url)
        emulator.behaviour = Behaviour(agent=silent, signed_url_life=0)
        assert await first_word(await signed_url(emulator)) == "3000"


async def test_one_that_includes_the_conversation_s_id_is_for_one_conversation() -> None:
    async with ElevenLabsEmulator(Behaviour(agent=silent)) as emulator:
        url = await signed_url(emulator, include_conversation_id="true")
        assert "metadata" in await first_word(url)
        assert await first_word(url) == "3000"


async def test_all_can_be_for_single_use() -> None:
    async with ElevenLabsEmulator(Behaviour(agent=silent, signed_url_single_use=True)) as emulator:
        url = await signed_url(emulator)
        assert "metadata" in await first_word(url)
        assert await first_word(url) == "3000"


async def test_requests_can_be_refused() -> None:
    async with ElevenLabsEmulator(Behaviour(refuse_rest=503)) as emulator, httpx.AsyncClient() as http:
        answer = await http.get(f"{emulator.base_url}/v1/convai/agents/{emulator.agent_id}")
        assert answer.status_code == 503


async def test_a_change_sets_its_fields_only_and_an_invalid_one_is_refused() -> None:
    async with ElevenLabsEmulator() as emulator, httpx.AsyncClient(headers={"xi-api-key": "emulated-key"}) as http:
        url = f"{emulator.base_url}/v1/convai/agents/{emulator.agent_id}"
        change = {"conversation_config": {"tts": {"agent_output_audio_format": "pcm_44100"}}}
        answer = await http.patch(url, json=change)
        assert answer.json()["conversation_config"]["tts"]["agent_output_audio_format"] == "pcm_44100"
        assert (emulator.behaviour.input_format, emulator.behaviour.output_format) == ("ulaw_8000", "pcm_44100")
        change = {"conversation_config": {"tts": {"agent_output_audio_format": "mp3"}}}
        assert (await http.patch(url, json=change)).status_code == 422
        assert (await http.patch(url, content=b"[]")).status_code == 422
