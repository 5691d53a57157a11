from __future__ import annotations

import logging

import anyio
import pytest

from patter_core.errors import EngineError, EngineRefused, EngineTimeout
from patter_elevenlabs import wire
from patter_elevenlabs.config import Service
from patter_elevenlabs.handshake import open_session
from patter_elevenlabs.testing import Behaviour, Conversation, ElevenLabsEmulator

pytestmark = pytest.mark.anyio


def service(emulator: ElevenLabsEmulator, *, api_key: str = "", agent_id: str = "", signed: bool = False) -> Service:
    return Service(api_key or emulator.api_key, agent_id or emulator.agent_id, emulator.base_url, signed)


async def test_the_initiation_goes_first_even_if_it_is_empty() -> None:
    async with ElevenLabsEmulator() as emulator:
        session = await open_session(service(emulator), wire.initiation())
        talk = await emulator.conversation()
        assert talk.initiation_json == b'{"type":"conversation_initiation_client_data"}'
        await session.aclose()


async def test_with_a_signed_url_the_socket_carries_no_key() -> None:
    async with ElevenLabsEmulator() as emulator:
        session = await open_session(service(emulator, signed=True), wire.initiation())
        await session.aclose()
        assert len(emulator.conversations) == 1


async def test_a_signed_url_that_came_too_late_is_refused() -> None:
    async with ElevenLabsEmulator(Behaviour(signed_url_life=-1)) as emulator:
        with pytest.raises(EngineRefused, match="3000"):
            await open_session(service(emulator, signed=True), wire.initiation())


async def test_each_attempt_fetches_a_signed_url_of_its_own() -> None:
    async with ElevenLabsEmulator(Behaviour(signed_url_single_use=True)) as emulator:
        for _ in range(2):
            session = await open_session(service(emulator, signed=True), wire.initiation())
            await session.aclose()
        assert len(emulator.conversations) == 2


@pytest.mark.parametrize("signed", [False, True])
async def test_no_log_at_any_level_shows_a_key_or_a_signed_url(signed: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with ElevenLabsEmulator() as emulator:
        session = await open_session(service(emulator, signed=signed), wire.initiation())
        await session.aclose()
    told = "\n".join(record.getMessage() for record in caplog.records if not record.name.startswith("uvicorn"))
    assert emulator.api_key not in told
    assert "conversation_signature" not in told


async def test_a_missing_variable_is_an_error_with_its_name() -> None:
    async with ElevenLabsEmulator(Behaviour(required_variables=frozenset({"name"}))) as emulator:
        session = await open_session(service(emulator), wire.initiation())
        with anyio.fail_after(5), pytest.raises(EngineRefused, match="name"):
            async for _ in session.events():
                pass
        await session.aclose()
        session = await open_session(service(emulator), wire.initiation(variables={"name": ""}))
        await session.aclose()


async def test_queue_positions_before_the_metadata_are_ignored() -> None:
    async with ElevenLabsEmulator(Behaviour(queue_positions=(3, 2, 1))) as emulator:
        session = await open_session(service(emulator), wire.initiation())
        assert not session.anomalies
        await session.aclose()


async def test_a_wrong_key_or_agent_is_refused_with_what_to_check() -> None:
    async with ElevenLabsEmulator() as emulator:
        for wrong in (service(emulator, api_key="sk_wrong"), service(emulator, agent_id="agent_wrong")):
            with pytest.raises(EngineRefused, match="ELEVENLABS_API_KEY") as error:
                await open_session(wrong, wire.initiation())
            assert not error.value.retry
            assert "sk_wrong" not in str(error.value)
        assert not emulator.conversations


async def test_a_refused_upgrade_tells_the_status() -> None:
    async with ElevenLabsEmulator(Behaviour(refuse_upgrade=503)) as emulator:
        with pytest.raises(EngineRefused) as error:
            await open_session(service(emulator), wire.initiation())
        assert (error.value.status, error.value.retry) == (503, True)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_upgrade_names_the_host_and_the_permission_that_the_key_needs(status: int) -> None:
    async with ElevenLabsEmulator(Behaviour(refuse_upgrade=status)) as emulator:
        with pytest.raises(EngineRefused) as error:
            await open_session(service(emulator), wire.initiation())
    assert error.value.problem == "ElevenLabs at 127.0.0.1 refused the connection."
    assert (error.value.status, error.value.retry) == (status, False)
    assert "permission convai_write" in error.value.remedy
    assert "Developers, API keys" in error.value.remedy


async def test_a_service_that_is_down_is_an_error() -> None:
    async with ElevenLabsEmulator() as emulator:
        gone = service(emulator)
    with pytest.raises(EngineError) as error:
        await open_session(gone, wire.initiation())
    assert error.value.retry


async def test_messages_before_the_metadata_are_ignored_and_pings_answered() -> None:
    async def first(talk: Conversation) -> None:
        await talk.send('{"type":"queue_status","queue_status_event":{"position":1}}')
        await talk.ping()
        await talk.until(lambda: len(talk.pongs) == 1)

    async with ElevenLabsEmulator(Behaviour(before_metadata=first)) as emulator:
        with anyio.fail_after(5):
            session = await open_session(service(emulator), wire.initiation())
        await session.aclose()


async def test_missing_metadata_is_a_timeout_and_leaves_nothing_open() -> None:
    async def stall(talk: Conversation) -> None:
        await talk.send(wire.Error(message="Busy"))
        await anyio.sleep_forever()

    async with ElevenLabsEmulator(Behaviour(before_metadata=stall)) as emulator:
        with pytest.raises(EngineTimeout, match=r"metadata within 0\.2 s.*Busy"):
            await open_session(service(emulator), wire.initiation(), metadata_timeout=0.2)
        talk = await emulator.conversation()
        with anyio.fail_after(5):
            await talk.until(lambda: talk.closed_by == "client")


async def test_being_cancelled_leaves_nothing_open() -> None:
    async def stall(_: Conversation) -> None:
        await anyio.sleep_forever()

    async with ElevenLabsEmulator(Behaviour(before_metadata=stall)) as emulator:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(open_session, service(emulator), wire.initiation())
            talk = await emulator.conversation()
            tasks.cancel_scope.cancel()
        with anyio.fail_after(5):
            await talk.until(lambda: talk.closed_by == "client")


@pytest.mark.parametrize(("code", "retry"), [(1000, False), (1011, True), (1008, False)])
async def test_a_close_before_the_metadata_is_an_error_with_any_code(code: int, retry: bool) -> None:
    async def end(talk: Conversation) -> None:
        await talk.close(code)

    async with ElevenLabsEmulator(Behaviour(before_metadata=end)) as emulator:
        with pytest.raises(EngineError) as error:
            await open_session(service(emulator), wire.initiation())
        assert error.value.retry is retry


async def test_an_unknown_format_is_refused() -> None:
    async def odd(talk: Conversation) -> None:
        await talk.send(
            '{"type":"conversation_initiation_metadata","conversation_initiation_metadata_event":'
            '{"conversation_id":"c","agent_output_audio_format":"opus_48000","user_input_audio_format":"pcm_16000"}}'
        )

    async with ElevenLabsEmulator(Behaviour(before_metadata=odd)) as emulator:
        with pytest.raises(EngineRefused, match="opus_48000"):
            await open_session(service(emulator), wire.initiation())
