"""The emulator keeps the service's rules: a client that breaks one is closed as the service would close it."""

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
from patter_elevenlabs import wire
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


# --- one conversation ------------------------------------------------------------------------------------------------


async def test_metadata_follows_the_initiation() -> None:
    behaviour = Behaviour(agent=silent, input_format="pcm_16000", output_format="pcm_44100")
    async with ElevenLabsEmulator(behaviour) as emulator, dial(emulator) as client:
        await client.send(INIT)
        message = json.loads(await client.recv())
    event = message["conversation_initiation_metadata_event"]
    assert message["type"] == "conversation_initiation_metadata"
    assert event["user_input_audio_format"] == "pcm_16000"
    assert event["agent_output_audio_format"] == "pcm_44100"


@pytest.mark.parametrize(
    "message",
    [
        '{"type":"novelty"}',
        "{not json",
        b"\x00\x01",
        '{"user_audio_chunk":"***"}',
        '{"type":"pong","event_id":99}',
        '{"type":"feedback","event_id":1,"score":"meh"}',
        '{"type":"client_tool_result","tool_call_id":"never called","result":"","is_error":false}',
        INIT,
    ],
)
async def test_an_invalid_message_closes_with_1008(message: str | bytes) -> None:
    async with ElevenLabsEmulator(Behaviour(agent=silent)) as emulator, dial(emulator) as client:
        await client.send(INIT)
        await client.recv()
        await client.send(message)
        assert (await closed(client))[0] == 1008
        talk = await emulator.conversation()
        assert (talk.close_code, talk.closed_by) == (1008, "service")


async def test_the_initiation_must_come_first_and_in_time() -> None:
    async with ElevenLabsEmulator(Behaviour(initiation_timeout=0.2)) as emulator:
        async with dial(emulator) as client:
            await client.send('{"user_audio_chunk":"/w=="}')
            assert (await closed(client))[0] == 1008
        async with dial(emulator) as client:
            assert (await closed(client))[0] == 1008


@pytest.mark.parametrize(
    "fields",
    [
        '"user_id":""',
        '"user_id":null',
        '"branch_id":""',
        '"environment":""',
        '"conversation_config_override":null',
        '"conversation_config_override":{"agent":{"language":""}}',
        '"conversation_config_override":{"agent":{"prompt":{"prompt":null}}}',
        '"dynamic_variables":{"system__time":"now"}',
        '"dynamic_variables":{"a":{"b":1}}',
    ],
)
async def test_an_initiation_with_empty_or_reserved_fields_is_refused(fields: str) -> None:
    async with ElevenLabsEmulator(Behaviour(agent=silent)) as emulator, dial(emulator) as client:
        await client.send(f'{{"type":"conversation_initiation_client_data",{fields}}}')
        assert (await closed(client))[0] == 1008


async def test_a_missing_variable_closes_after_the_metadata() -> None:
    behaviour = Behaviour(agent=silent, required_variables=frozenset({"name", "visits"}))
    async with ElevenLabsEmulator(behaviour) as emulator, dial(emulator) as client:
        await client.send(wire.encode(wire.initiation(variables={"visits": 0})).decode())
        assert json.loads(await client.recv())["type"] == "conversation_initiation_metadata"
        assert await closed(client) == (1008, "Missing required dynamic variables: name")


async def test_queue_positions_are_sent_before_the_metadata() -> None:
    behaviour = Behaviour(agent=silent, queue_positions=(2, 1))
    async with ElevenLabsEmulator(behaviour) as emulator, dial(emulator) as client:
        await client.send(INIT)
        kinds = [json.loads(await client.recv())["type"] for _ in range(3)]
    assert kinds == ["queue_status", "queue_status", "conversation_initiation_metadata"]


async def test_a_frame_of_more_than_16_mebibytes_closes_with_1009() -> None:
    async with ElevenLabsEmulator(Behaviour(agent=silent)) as emulator, dial(emulator) as client:
        await client.send(INIT)
        await client.recv()
        with contextlib.suppress(ConnectionClosed):
            await client.send(" " * (16 * 2**20 + 1))
        assert (await closed(client))[0] == 1009


async def test_reading_can_be_stopped_and_resumed() -> None:
    async def agent(talk: Conversation) -> None:
        talk.stop_reading()
        await talk.send(wire.Error(message="stopped"))

    async with ElevenLabsEmulator(Behaviour(agent=agent, ping_interval=60)) as emulator, dial(emulator) as client:
        await client.send(INIT)
        while "stopped" not in str(await client.recv()):
            pass
        talk = await emulator.conversation()
        for text in ("one", "two", "three"):
            await client.send(json.dumps({"type": "user_message", "text": text}))
        async with httpx.AsyncClient() as http:  # the service is alive, and has had its chance to read
            await http.get(f"{emulator.base_url}/v1/convai/agents/{emulator.agent_id}")
        assert wire.UserMessage(text="three") not in talk.messages
        talk.resume_reading()
        with anyio.fail_after(5):
            await talk.until(lambda: wire.UserMessage(text="three") in talk.messages)


async def test_the_connection_can_be_dropped() -> None:
    async def agent(talk: Conversation) -> None:
        talk.abort()

    async with ElevenLabsEmulator(Behaviour(agent=agent)) as emulator, dial(emulator) as client:
        await client.send(INIT)
        assert await closed(client) == (1006, "")
        talk = await emulator.conversation()
        assert (talk.close_code, talk.closed_by) == (1006, "service")


async def test_audio_before_the_metadata_is_refused() -> None:
    async def slow(_: Conversation) -> None:
        await anyio.sleep_forever()

    async with ElevenLabsEmulator(Behaviour(before_metadata=slow)) as emulator, dial(emulator) as client:
        await client.send(INIT)
        await client.send('{"user_audio_chunk":"/w=="}')
        assert (await closed(client))[0] == 1008


async def test_an_override_that_is_not_allowed_closes_after_the_metadata() -> None:
    behaviour = Behaviour(agent=silent, allowed_overrides=frozenset({"language"}))
    async with ElevenLabsEmulator(behaviour) as emulator, dial(emulator) as client:
        await client.send(wire.encode(wire.initiation(language="it", voice="v1")).decode())
        assert json.loads(await client.recv())["type"] == "conversation_initiation_metadata"
        assert await closed(client) == (1008, "Override for field 'voice_id' is not allowed by config.")


async def test_a_missing_pong_ends_the_conversation() -> None:
    behaviour = Behaviour(agent=silent, ping_interval=0.05, pong_timeout=0.1)
    async with ElevenLabsEmulator(behaviour) as emulator, dial(emulator) as client:
        await client.send(INIT)
        assert (await closed(client))[0] == 1002


async def test_pings_tell_the_latency_that_was_measured() -> None:
    async with ElevenLabsEmulator(Behaviour(agent=silent, ping_interval=0.05)) as emulator, dial(emulator) as client:
        await client.send(INIT)
        await client.recv()
        latencies: list[float | None] = []
        with anyio.fail_after(5):
            while latencies[-1:] in ([], [None]):
                event = json.loads(await client.recv())["ping_event"]
                latencies.append(event.get("ping_ms"))
                await client.send(json.dumps({"type": "pong", "event_id": event["event_id"]}))
    assert latencies[0] is None
    assert (latencies[-1] or 0) > 0


async def test_the_close_of_the_client_is_recorded() -> None:
    async with ElevenLabsEmulator(Behaviour(agent=silent)) as emulator:
        async with dial(emulator) as client:
            await client.send(INIT)
            await client.recv()
            await client.close(4001, "Enough")
        talk = await emulator.conversation()
        with anyio.fail_after(5):
            await talk.until(lambda: talk.close_code is not None)
        assert (talk.close_code, talk.close_reason, talk.closed_by) == (4001, "Enough", "client")


async def test_only_the_agent_s_client_events_are_sent() -> None:
    async def agent(talk: Conversation) -> None:
        await talk.send(wire.UserTranscript(wire.UserTranscriptEvent(text="not sent", event_id=1)))
        await talk.send(wire.Error(message="sent"))
        await talk.close(1000)

    behaviour = Behaviour(agent=agent, client_events=frozenset({"conversation_initiation_metadata"}))
    async with ElevenLabsEmulator(behaviour) as emulator, dial(emulator) as client:
        await client.send(INIT)
        kinds = [json.loads(message)["type"] async for message in client]
    assert kinds == ["conversation_initiation_metadata", "error"]
