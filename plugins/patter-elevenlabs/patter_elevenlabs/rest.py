"""The few REST calls that a conversation needs."""

from __future__ import annotations

import msgspec

from patter_core.errors import EngineError, EngineRefused, EngineTimeout
from patter_elevenlabs.config import Service

__all__ = ["signed_url"]


class _SignedUrl(msgspec.Struct):
    signed_url: str


_REFUSALS = {
    401: "Check ELEVENLABS_API_KEY and its permission convai_write.",
    404: "Check ELEVENLABS_AGENT_ID, and that the agent is of the same region as base_url.",
}


async def signed_url(service: Service, *, timeout: float = 10.0) -> str:  # noqa: ASYNC109 - handed to the HTTP client
    """Fetch a URL that opens one conversation within 15 minutes. It is a secret, and opaque.

    Raises:
        EngineRefused: the key or the agent is not known; `status` says which.
        EngineTimeout: no answer in time.
        EngineError: no connection, or an answer that makes no sense.
    """
    import httpx  # noqa: PLC0415 - only those who use signed URLs pay for an HTTP client

    try:
        async with httpx.AsyncClient(timeout=timeout) as client:
            answer = await client.get(service.signed_url_url, headers=service.headers)
    except httpx.TimeoutException:
        raise EngineTimeout("ElevenLabs gave no signed URL in time.", retry=True) from None
    except httpx.HTTPError as error:
        raise EngineError("ElevenLabs cannot be reached.", retry=True, got=type(error).__name__) from None
    if answer.status_code != 200:
        raise EngineRefused(
            "ElevenLabs refused a signed URL.",
            status=answer.status_code,
            retry=answer.status_code >= 500,
            got=f"HTTP status {answer.status_code}",
            remedy=_REFUSALS.get(answer.status_code, ""),
        )
    try:
        return msgspec.json.decode(answer.content, type=_SignedUrl).signed_url
    except (msgspec.DecodeError, UnicodeError):
        raise EngineError("ElevenLabs answered without a signed URL.", retry=True) from None
