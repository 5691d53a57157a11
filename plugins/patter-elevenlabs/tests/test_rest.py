from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from patter_core.errors import EngineError, EngineRefused, EngineTimeout
from patter_core.server.serving import serve_app
from patter_elevenlabs.config import Service
from patter_elevenlabs.refusals import PermissionLacking
from patter_elevenlabs.rest import agent_settings, set_formats, signed_url
from patter_elevenlabs.testing import DEFAULT_CLIENT_EVENTS, Behaviour, ElevenLabsEmulator

pytestmark = pytest.mark.anyio


async def test_a_fresh_url_for_each_attempt() -> None:
    async with ElevenLabsEmulator() as emulator:
        service = Service(emulator.api_key, emulator.agent_id, emulator.base_url)
        first, second = await signed_url(service), await signed_url(service)
    assert first.startswith("ws://127.0.0.1:")
    assert first != second
    assert emulator.api_key not in first


@pytest.mark.parametrize(
    ("api_key", "agent_id", "status", "remedy"),
    [("wrong", "agent_emulated", 401, "ELEVENLABS_API_KEY"), ("emulated-key", "wrong", 404, "ELEVENLABS_AGENT_ID")],
)
async def test_a_refusal_says_what_to_check(api_key: str, agent_id: str, status: int, remedy: str) -> None:
    async with ElevenLabsEmulator() as emulator:
        with pytest.raises(EngineRefused, match=remedy) as error:
            await signed_url(Service(api_key, agent_id, emulator.base_url))
    assert (error.value.status, error.value.retry) == (status, False)


@pytest.mark.parametrize(
    ("status", "retry", "remedy"),
    [(403, False, "convai_read"), (404, False, "ELEVENLABS_AGENT_ID"), (429, True, "later"), (500, True, "500")],
)
async def test_each_refusal_has_its_remedy(status: int, retry: bool, remedy: str) -> None:
    async with ElevenLabsEmulator(Behaviour(refuse_rest=status)) as emulator:
        with pytest.raises(EngineRefused, match=remedy) as error:
            await agent_settings(Service(emulator.api_key, emulator.agent_id, emulator.base_url))
    assert (error.value.status, error.value.retry) == (status, retry)


PERMISSIONS: dict[str, tuple[Callable[[Service], Awaitable[object]], str]] = {
    "fetch a signed URL": (signed_url, "convai_write"),
    "read the agent": (agent_settings, "convai_read"),
    "change the agent": (lambda service: set_formats(service, "ulaw_8000"), "convai_write"),
}


@pytest.mark.parametrize("action", PERMISSIONS)
async def test_the_permission_that_the_key_lacks_is_named_for_each_request(action: str) -> None:
    async def lacking(_: Request) -> Response:
        return JSONResponse({"detail": {"status": "missing_permissions", "message": "No."}}, status_code=401)

    request, permission = PERMISSIONS[action]
    routes = [Route("/{rest:path}", lacking, methods=["GET", "PATCH"])]
    async with serve_app(Starlette(routes=routes)) as base_url:
        with pytest.raises(PermissionLacking) as error:
            await request(Service("key", "agent", base_url))
    assert str(error.value) == (
        f"Could not {action}: the ElevenLabs key lacks the permission {permission}. Got HTTP status 401."
        f" Give the key the permission {permission} in the ElevenLabs dashboard under Developers, API keys."
    )


async def test_an_agent_s_settings_are_read_and_its_formats_changed() -> None:
    behaviour = Behaviour(input_format="pcm_16000", allowed_overrides=frozenset({"prompt", "voice_id"}))
    async with ElevenLabsEmulator(behaviour) as emulator:
        service = Service(emulator.api_key, emulator.agent_id, emulator.base_url)
        settings = await agent_settings(service)
        assert (settings.input_format, settings.output_format) == ("pcm_16000", "ulaw_8000")
        assert settings.allowed_overrides == ("agent.prompt.prompt", "tts.voice_id")
        assert set(settings.client_events) == DEFAULT_CLIENT_EVENTS
        await set_formats(service, "ulaw_8000")
        settings = await agent_settings(service)
    assert (settings.input_format, settings.output_format) == ("ulaw_8000", "ulaw_8000")


async def test_an_invalid_response_is_an_error() -> None:
    async def nonsense(_: Request) -> Response:
        return PlainTextResponse("hello")

    path = "/v1/convai/conversation/get-signed-url"
    async with serve_app(Starlette(routes=[Route(path, nonsense)])) as base_url:
        with pytest.raises(
            EngineError, match="Could not fetch a signed URL: the answer of ElevenLabs is not as documented"
        ):
            await signed_url(Service("key", "agent", base_url))


async def test_a_late_response_is_a_timeout() -> None:
    async with ElevenLabsEmulator(Behaviour(rest_delay=0.3)) as emulator:
        with pytest.raises(EngineTimeout, match="signed URL"):
            await signed_url(Service(emulator.api_key, emulator.agent_id, emulator.base_url), timeout=0.1)


async def test_a_service_that_is_down_is_an_error() -> None:
    async with ElevenLabsEmulator() as emulator:
        base_url = emulator.base_url
    with pytest.raises(EngineError) as error:
        await signed_url(Service("key", "agent", base_url))
    assert error.value.problem == "Could not fetch a signed URL: ElevenLabs at 127.0.0.1 cannot be reached."
    assert error.value.remedy == "Check the network, and base_url or ELEVENLABS_BASE_URL, if one is set."
    assert error.value.retry
