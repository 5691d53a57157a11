from __future__ import annotations

import contextlib
import json

import anyio
import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from patter_core.audio import ULAW_8000
from patter_core.engine import ConversationSetup
from patter_core.telephony.leg import Leg
from patter_elevenlabs.testing import Behaviour, Conversation, ElevenLabsEmulator

pytestmark = pytest.mark.anyio

PATH = "/v1/convai/conversation"
INIT = '{"type":"conversation_initiation_client_data"}'


def dial(emulator: ElevenLabsEmulator, agent_id: str = "agent_emulated", key: str = "emulated-key") -> connect:
    url = f"ws{emulator.base_url.removeprefix('http')}{PATH}?agent_id={agent_id}"
    return connect(url, additional_headers={"xi-api-key": key})


async def closed(client: ClientConnection) -> tuple[int, str]:
    """How the service closes."""
    with anyio.fail_after(5), contextlib.suppress(ConnectionClosed):
        while True:
            await client.recv()
    assert client.close_code is not None
    return client.close_code, client.close_reason or ""


async def silent(_: Conversation) -> None:
    """Say nothing."""


async def test_it_makes_an_engine_for_itself() -> None:
    async with ElevenLabsEmulator(Behaviour(agent=silent)) as emulator:
        setup = ConversationSetup(leg=Leg(carrier="test", call_id="c1"), preferred_format=ULAW_8000)
        session = await emulator.engine().open(setup)
        assert session.conversation_id == emulator.conversations[0].conversation_id
        await session.aclose()


@pytest.mark.parametrize(("agent_id", "key"), [("agent_wrong", "emulated-key"), ("agent_emulated", "wrong")])
async def test_a_wrong_agent_or_key_closes_with_3000(agent_id: str, key: str) -> None:
    async with ElevenLabsEmulator() as emulator, dial(emulator, agent_id, key) as client:
        assert (await closed(client))[0] == 3000


async def test_a_public_agent_needs_no_key() -> None:
    async with ElevenLabsEmulator(Behaviour(agent=silent, private=False)) as emulator, dial(emulator, key="") as client:
        await client.send(INIT)
        assert "metadata" in str(await client.recv())


async def test_an_assertion_in_a_script_fails_the_test() -> None:
    async def agent(_: Conversation) -> None:
        raise AssertionError("This is told.")

    emulator = ElevenLabsEmulator(Behaviour(agent=agent))
    await emulator.start()
    async with dial(emulator) as client:
        await client.send(INIT)
        assert (await closed(client))[0] == 1011
    with pytest.raises(ExceptionGroup) as faults:
        await emulator.stop()
    assert faults.group_contains(AssertionError, match=r"This is told\.")


async def test_signed_urls_need_the_key_and_open_a_conversation() -> None:
    async with ElevenLabsEmulator(Behaviour(agent=silent)) as emulator, httpx.AsyncClient() as http:
        url = f"{emulator.base_url}{PATH}/get-signed-url?agent_id=agent_emulated"
        assert (await http.get(url)).status_code == 401
        answer = await http.get(url, headers={"xi-api-key": "emulated-key"})
        async with connect(answer.json()["signed_url"]) as client:
            await client.send(INIT)
            assert json.loads(await client.recv())["type"] == "conversation_initiation_metadata"


async def test_an_upgrade_can_be_refused() -> None:
    async with ElevenLabsEmulator(Behaviour(refuse_upgrade=429)) as emulator:
        with pytest.raises(InvalidStatus) as error:
            await dial(emulator)
        assert error.value.response.status_code == 429


async def test_conversations_can_be_waited_for_by_number() -> None:
    async with ElevenLabsEmulator(Behaviour(agent=silent)) as emulator:
        found: list[Conversation] = []

        async def wait() -> None:
            found.append(await emulator.conversation(1))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            async with dial(emulator), dial(emulator):
                with anyio.fail_after(5):
                    await emulator.conversation(1)
        assert found == emulator.conversations[1:]
