"""The REST side of the emulated service: signed URLs, and the agent's configuration."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol
from urllib.parse import quote

import anyio
import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from patter_elevenlabs.formats import FORMATS
from patter_elevenlabs.testing.behaviour import Behaviour
from patter_elevenlabs.wire.agent import (
    AgentChange,
    AgentConfig,
    AgentRecord,
    AsrConfig,
    ConversationConfig,
    OverrideSettings,
    PlatformSettings,
    TtsConfig,
)

__all__ = ["CONVERSATION_PATH", "Account", "RestSide"]

CONVERSATION_PATH = "/v1/convai/conversation"

_Endpoint = Callable[[Request], Awaitable[Response]]


class Account(Protocol):
    """The part of the emulator that the REST interface needs."""

    api_key: str
    agent_id: str
    base_url: str
    behaviour: Behaviour


class _Signed(msgspec.Struct):
    expires_at: float
    single_use: bool


class RestSide:
    """Answers REST requests that have the API key."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._signed: dict[str, _Signed] = {}
        self.queries: list[Mapping[str, str]] = []
        """Of the requests for signed URLs that were answered with one."""

    def routes(self) -> list[Route]:
        """Returns the routes."""
        return [
            Route(f"{CONVERSATION_PATH}/get-signed-url", self._checked(self._sign)),
            Route("/v1/convai/agents/{agent_id}", self._checked(self._read), methods=["GET"]),
            Route("/v1/convai/agents/{agent_id}", self._checked(self._change), methods=["PATCH"]),
        ]

    def redeem(self, signature: str) -> bool:
        """True if this signature may start a conversation now. A single-use one may do so once."""
        found = self._signed.get(signature)
        if found is None or found.expires_at <= anyio.current_time():
            return False
        if found.single_use:
            del self._signed[signature]
        return True

    def _checked(self, endpoint: _Endpoint) -> _Endpoint:
        async def checked(request: Request) -> Response:
            account = self._account
            await anyio.sleep(account.behaviour.rest_delay)
            if account.behaviour.refuse_rest:
                return _refusal(account.behaviour.refuse_rest, "refused", "Refused by the test")
            if request.headers.get("xi-api-key") != account.api_key:
                return _refusal(401, "invalid_api_key", "Invalid API key")
            agent_id = request.path_params.get("agent_id") or request.query_params.get("agent_id")
            if agent_id != account.agent_id:
                return _refusal(404, "document_not_found", "No agent of that id")
            return await endpoint(request)

        return checked

    async def _sign(self, request: Request) -> Response:
        account, query_given = self._account, dict(request.query_params)
        behaviour = account.behaviour
        for kind, name, known in (
            ("branch", query_given.get("branch_id"), behaviour.branches),
            ("environment", query_given.get("environment"), behaviour.environments),
        ):
            if name is not None and name not in known:
                return _refusal(404, "document_not_found", f"No such {kind}")
        self.queries.append(query_given)
        signature = secrets.token_urlsafe()
        with_id = request.query_params.get("include_conversation_id") == "true"
        self._signed[signature] = _Signed(
            expires_at=anyio.current_time() + account.behaviour.signed_url_life,
            single_use=with_id or account.behaviour.signed_url_single_use,
        )
        query = f"agent_id={quote(account.agent_id)}&conversation_signature={signature}"
        if with_id:
            query += f"&conversation_id=conv_{secrets.token_hex(8)}"
        return JSONResponse({"signed_url": f"ws{account.base_url.removeprefix('http')}{CONVERSATION_PATH}?{query}"})

    async def _read(self, _: Request) -> Response:
        return _json(self._agent())

    async def _change(self, request: Request) -> Response:
        try:
            change = msgspec.json.decode(await request.body(), type=AgentChange)
        except msgspec.DecodeError as error:
            return _refusal(422, "unprocessable_entity", str(error))
        config = change.conversation_config or AgentConfig()
        behaviour = self._account.behaviour
        heard = (config.asr or AsrConfig()).user_input_audio_format or behaviour.input_format
        spoken = (config.tts or TtsConfig()).agent_output_audio_format or behaviour.output_format
        if not {heard, spoken} <= FORMATS.keys():
            return _refusal(422, "unprocessable_entity", "No such audio format")
        self._account.behaviour = dataclasses.replace(behaviour, input_format=heard, output_format=spoken)
        return _json(self._agent())

    def _agent(self) -> AgentRecord:
        behaviour = self._account.behaviour
        allowed = behaviour.allowed_overrides
        tree: dict[str, object] = {
            "agent": {
                "first_message": "first_message" in allowed,
                "language": "language" in allowed,
                "prompt": {"prompt": "prompt" in allowed},
            },
            "tts": {"voice_id": "voice_id" in allowed},
        }
        return AgentRecord(
            agent_id=self._account.agent_id,
            name="The emulated agent",
            conversation_config=AgentConfig(
                asr=AsrConfig(behaviour.input_format),
                tts=TtsConfig(behaviour.output_format),
                conversation=ConversationConfig(sorted(behaviour.client_events)),
            ),
            platform_settings=PlatformSettings(OverrideSettings(tree)),
        )


def _json(record: AgentRecord) -> Response:
    return Response(msgspec.json.encode(record), media_type="application/json")


def _refusal(status: int, kind: str, message: str) -> Response:
    detail: Mapping[str, Mapping[str, str]] = {"detail": {"status": kind, "message": message}}
    return JSONResponse(detail, status_code=status)
