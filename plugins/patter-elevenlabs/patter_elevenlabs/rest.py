"""REST requests: signed URLs, and the agent's configuration.

Each raises:

* `EngineRefused`: the key or the agent is unknown, or lacks a permission; see `status`.
* `EngineTimeout`: no response in time.
* `EngineError`: no connection, or an invalid response.
"""

from __future__ import annotations

import time
from typing import NamedTuple, TypeVar

import msgspec

from patter_core.errors import EngineError, EngineRefused, EngineTimeout, NetworkMisconfigured
from patter_core.net.http import send_request
from patter_core.net.retry_after import is_passing, seconds_asked
from patter_elevenlabs.config import Service
from patter_elevenlabs.wire.agent import (
    AgentChange,
    AgentConfig,
    AgentRecord,
    AsrConfig,
    ConversationConfig,
    OverrideSettings,
    PlatformSettings,
    TtsConfig,
    allowed_paths,
)

__all__ = ["AgentSettings", "agent_settings", "set_formats", "signed_url"]

_Answer = TypeVar("_Answer")

_REFUSALS = {
    401: "Check ELEVENLABS_API_KEY, and that it has the permission {permission}.",
    403: "Give the key the permission {permission}.",
    404: "Check ELEVENLABS_AGENT_ID, and that the agent is in the region of base_url.",
    422: "Check ELEVENLABS_AGENT_ID.",
    429: "Try again later: too many requests at once.",
}


class AgentSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of an agent that matter to a phone call."""

    name: str
    input_format: str
    """By the service's name; "" if unknown."""
    output_format: str
    client_events: tuple[str, ...]
    allowed_overrides: tuple[str, ...]
    """Dotted paths, such as `agent.first_message` and `tts.voice_id`."""


async def signed_url(service: Service, *, timeout: float = 10.0) -> str:  # noqa: ASYNC109 - handed to the HTTP client
    """Fetches a URL that opens a conversation within 15 minutes. It is a secret, and opaque."""
    request = _Request("GET", service.signed_url_url, "a signed URL", "convai_write")
    return (await _ask(service, request, _SignedUrl, timeout)).signed_url


async def agent_settings(service: Service, *, timeout: float = 10.0) -> AgentSettings:  # noqa: ASYNC109 - as above
    """Reads the agent's configuration."""
    request = _Request("GET", service.agent_url, "the agent", "convai_read")
    agent = await _ask(service, request, AgentRecord, timeout)
    config = agent.conversation_config or AgentConfig()
    overrides = (agent.platform_settings or PlatformSettings()).overrides or OverrideSettings()
    return AgentSettings(
        name=agent.name or "",
        input_format=(config.asr or AsrConfig()).user_input_audio_format or "",
        output_format=(config.tts or TtsConfig()).agent_output_audio_format or "",
        client_events=tuple((config.conversation or ConversationConfig()).client_events or ()),
        allowed_overrides=tuple(sorted(allowed_paths(overrides.conversation_config_override or {}))),
    )


async def set_formats(service: Service, name: str, *, timeout: float = 10.0) -> None:  # noqa: ASYNC109 - as above
    """Sets both audio formats of the agent, for conversations that start after this."""
    config = AgentConfig(asr=AsrConfig(name), tts=TtsConfig(name))
    request = _Request(
        "PATCH", service.agent_url, "the change", "convai_write", msgspec.json.encode(AgentChange(config))
    )
    await _ask(service, request, AgentRecord, timeout)


class _SignedUrl(msgspec.Struct):
    signed_url: str


class _Request(NamedTuple):
    method: str
    url: str
    thing: str
    """The subject of the request, for errors."""
    permission: str
    """The permission that the key needs."""
    body: bytes = b""


async def _ask(service: Service, request: _Request, kind: type[_Answer], timeout: float) -> _Answer:  # noqa: ASYNC109
    headers = {**service.headers, "content-type": "application/json"} if request.body else service.headers
    try:
        answer = await send_request(
            request.method,
            request.url,
            headers=headers,
            body=request.body,
            connect_timeout=timeout,
            answer_timeout=timeout,
        )
    except TimeoutError:
        raise EngineTimeout(f"ElevenLabs did not answer a request for {request.thing} in time.", retry=True) from None
    except NetworkMisconfigured as error:
        raise EngineError(
            f"ElevenLabs cannot be reached. {error.problem}",
            expected=error.expected,
            got=error.got,
            remedy=error.remedy,
        ) from None
    except ConnectionError as error:
        raise EngineError("ElevenLabs cannot be reached.", retry=True, got=str(error)) from None
    status = answer.status
    if status != 200:
        raise EngineRefused(
            f"ElevenLabs refused {request.thing}.",
            status=status,
            retry=is_passing(status),
            retry_after=seconds_asked(answer.headers.get("retry-after", ""), time.time()),
            got=f"HTTP status {status}",
            remedy=_REFUSALS.get(status, "").format(permission=request.permission),
        )
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except (msgspec.DecodeError, UnicodeError):
        raise EngineError(f"ElevenLabs answered without {request.thing}.", retry=True) from None
