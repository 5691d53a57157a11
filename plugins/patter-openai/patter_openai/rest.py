"""REST requests: the models that a key may use."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

import msgspec

from patter_core.errors import EngineError, EngineRefused
from patter_core.net.http import send_request
from patter_core.net.json import UNREADABLE
from patter_core.net.peer_name import peer_name
from patter_core.net.retry_after import is_passing, seconds_asked
from patter_core.net.unreached import engine_unreached
from patter_openai.config import Service
from patter_openai.failures import remedied

__all__ = ["Model", "all_models", "voice_models"]


_TALKS = re.compile(r"(gpt-realtime|gpt-live|gpt-4o.*-realtime)(?!.*(transcribe|whisper|translate))")


class Model(msgspec.Struct):
    """A model that a key may use."""

    id: str
    shutdown_date: object = None
    """`YYYY-MM-DD` where the vendor has announced its end."""


class _Models(msgspec.Struct):
    data: list[Model]


async def voice_models(service: Service, *, timeout: float = 10.0) -> list[str]:  # noqa: ASYNC109 - handed on
    """Returns the names of the models that talk, of those that the key may use, sorted.

    Raises:
        EngineRefused: the key is unknown, or lacks the permission; see `status`.
        EngineTimeout: no answer in time.
        EngineError: no connection, or an invalid answer.
    """
    models = await all_models("OpenAI", service.models_url, service.headers, timeout=timeout)
    return sorted(model.id for model in models if _TALKS.match(model.id))


async def all_models(
    server: str,
    url: str,
    headers: Mapping[str, str],
    *,
    timeout: float = 10.0,  # noqa: ASYNC109 - handed on
) -> list[Model]:
    """Returns the models that a server lists.

    Args:
        server: its name.
        url: of the list.
        headers: that authenticate the request.
        timeout: s, for each step.

    Raises:
        EngineError: as `voice_models`.
    """
    peer = peer_name(server, url)
    try:
        answer = await send_request("GET", url, headers=headers, connect_timeout=timeout, answer_timeout=timeout)
    except (ConnectionError, TimeoutError) as error:
        setting = "base_url or OPENAI_BASE_URL"
        raise engine_unreached(error, peer, setting=setting, action="list the models") from None
    if answer.status != 200:
        raise remedied(
            EngineRefused(
                f"{server} refused to list its models.",
                status=answer.status,
                retry=is_passing(answer.status),
                retry_after=seconds_asked(answer.headers.get("retry-after", ""), time.time()),
                got=f"HTTP status {answer.status}",
            )
        )
    try:
        return msgspec.json.decode(answer.body, type=_Models).data
    except UNREADABLE:
        raise EngineError(f"{server} answered without its models.", retry=True) from None
