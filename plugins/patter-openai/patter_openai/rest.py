"""REST requests: the models that a key may use."""

from __future__ import annotations

import re
import time

import msgspec

from patter_core.errors import EngineError, EngineRefused, EngineTimeout, NetworkMisconfigured
from patter_core.net.http import send_request
from patter_core.net.retry_after import is_passing, seconds_asked
from patter_openai.config import Service
from patter_openai.failures import remedied

__all__ = ["voice_models"]


_TALKS = re.compile(r"(gpt-realtime|gpt-live|gpt-4o.*-realtime)(?!.*(transcribe|whisper|translate))")


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model]


async def voice_models(service: Service, *, timeout: float = 10.0) -> list[str]:  # noqa: ASYNC109 - handed on
    """Returns the names of the models that talk, of those that the key may use, sorted.

    Raises:
        EngineRefused: the key is unknown, or lacks the permission; see `status`.
        EngineTimeout: no answer in time.
        EngineError: no connection, or an invalid answer.
    """
    try:
        answer = await send_request(
            "GET", service.models_url, headers=service.headers, connect_timeout=timeout, answer_timeout=timeout
        )
    except TimeoutError:
        raise EngineTimeout("OpenAI did not answer a request for its models in time.", retry=True) from None
    except NetworkMisconfigured as error:
        raise EngineError(
            f"OpenAI cannot be reached. {error.problem}", expected=error.expected, got=error.got, remedy=error.remedy
        ) from None
    except ConnectionError as error:
        raise EngineError("OpenAI cannot be reached.", retry=True, got=str(error)) from None
    if answer.status != 200:
        raise remedied(
            EngineRefused(
                "OpenAI refused to list its models.",
                status=answer.status,
                retry=is_passing(answer.status),
                retry_after=seconds_asked(answer.headers.get("retry-after", ""), time.time()),
                got=f"HTTP status {answer.status}",
            )
        )
    try:
        models = msgspec.json.decode(answer.body, type=_Models)
    except (msgspec.DecodeError, UnicodeError):
        raise EngineError("OpenAI answered without its models.", retry=True) from None
    return sorted(model.id for model in models.data if _TALKS.match(model.id))
