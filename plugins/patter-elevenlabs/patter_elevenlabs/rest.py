"""REST requests: signed URLs, and the agent's configuration.

Each raises:

* `EngineRefused`: the key or the agent is unknown; see `status`.
* `PermissionLacking`: the key is known, and may not do it.
* `EngineTimeout`: no response in time.
* `EngineError`: no connection, or an invalid response.
"""

from __future__ import annotations

import time
from typing import NamedTuple, TypeVar

import msgspec

from patter_core.errors import EngineError, EngineRefused
from patter_core.net.http import HttpAnswer, send_request
from patter_core.net.peer_name import peer_name
from patter_core.net.retry_after import is_passing, seconds_asked
from patter_core.net.unreached import engine_unreached
from patter_elevenlabs.config import BASE_URL_SETTING, Service
from patter_elevenlabs.refusals import LACKS_PERMISSION, PermissionLacking, lacking, name_of, remedy_for
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

__all__ = ["REMEDIES", "AgentSettings", "agent_settings", "set_formats", "signed_url"]

_Answer = TypeVar("_Answer")

REMEDIES = {
    404: "Check ELEVENLABS_AGENT_ID, and that the agent is in the region of base_url.",
    422: "Check ELEVENLABS_AGENT_ID.",
    429: "Try again later: too many requests at once.",
}
"""What to do about a status that is not about the key."""


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
    request = _Request("GET", service.signed_url_url, "fetch a signed URL", "convai_write")
    return (await _ask(service, request, _SignedUrl, timeout)).signed_url


async def agent_settings(service: Service, *, timeout: float = 10.0) -> AgentSettings:  # noqa: ASYNC109 - as above
    """Reads the agent's configuration."""
    request = _Request("GET", service.agent_url, "read the agent", "convai_read")
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
        "PATCH", service.agent_url, "change the agent", "convai_write", msgspec.json.encode(AgentChange(config))
    )
    await _ask(service, request, AgentRecord, timeout)


class _SignedUrl(msgspec.Struct):
    signed_url: str


class _Request(NamedTuple):
    method: str
    url: str
    action: str
    """What it is for, in errors."""
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
    except (ConnectionError, TimeoutError) as error:
        peer = peer_name("ElevenLabs", service.base_url)
        raise engine_unreached(error, peer, setting=BASE_URL_SETTING, action=request.action) from None
    if answer.status != 200:
        raise _refused(answer, request)
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except (msgspec.DecodeError, UnicodeError):
        raise EngineError(
            f"Could not {request.action}: the answer of ElevenLabs is not as documented.",
            retry=True,
            remedy=f"Check {BASE_URL_SETTING}, if one is set.",
        ) from None


def _refused(answer: HttpAnswer, request: _Request) -> EngineRefused:
    status, permission, lacks = answer.status, request.permission, name_of(answer.body) == LACKS_PERMISSION
    why = f"the ElevenLabs key lacks the permission {permission}" if lacks else "ElevenLabs refused"
    kind = PermissionLacking if lacks or status == 403 else EngineRefused
    return kind(
        f"Could not {request.action}: {why}.",
        status=status,
        retry=is_passing(status),
        retry_after=seconds_asked(answer.headers.get("retry-after", ""), time.time()),
        got=f"HTTP status {status}",
        remedy=lacking(permission) if lacks else remedy_for(status, permission, REMEDIES),
    )
