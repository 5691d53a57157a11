"""Parley as an engine."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import anyio

from patter_core.config import Setting, from_environment
from patter_core.engine import ConversationSetup, Engine, EngineCapability, EngineSession
from patter_core.errors import EngineError, EngineTimeout
from patter_core.net.websocket import EngineSocket
from patter_parley import wire
from patter_parley.items import items_of
from patter_parley.session import ParleySession

__all__ = ["Parley"]

_READY_WITHIN = 10.0


@dataclasses.dataclass(frozen=True)
class Parley(Engine):
    """Conversations at Parley.

    Args:
        api_key: by default PARLEY_API_KEY.
        url: by default PARLEY_URL.

    Raises:
        ConfigurationError: a value is missing.
    """

    name: ClassVar[str] = "parley"
    emulator: ClassVar[str] = "patter_parley.testing:ParleyEmulator"
    capabilities: ClassVar[frozenset[EngineCapability]] = frozenset(
        {
            EngineCapability.TURNS,
            EngineCapability.SPEECH,
            EngineCapability.TOOLS,
            EngineCapability.PROMPT,
            EngineCapability.USER_MESSAGE,
            EngineCapability.HISTORY,
        }
    )

    api_key: str = dataclasses.field(default="", repr=False)
    url: str = ""

    def __post_init__(self) -> None:
        key = Setting(self.api_key, "Parley(api_key=…)", "PARLEY_API_KEY").required("in your account")
        object.__setattr__(self, "api_key", key)
        object.__setattr__(self, "url", from_environment(self.url, "PARLEY_URL") or "wss://api.parley.example/realtime")

    async def open(self, setup: ConversationSetup) -> EngineSession:
        """Connects, tells what was said on this call before, and asks the agent to begin if it has something to say."""
        socket = await EngineSocket.open(self.url, headers={"authorization": f"Bearer {self.api_key}"})
        try:
            name = next((name for name, format in wire.FORMATS.items() if format == setup.preferred_format), "pcm")
            tools = tuple(wire.Function(tool.name, tool.description, tool.parameters) for tool in setup.tools)
            socket.send(wire.encode(wire.UpdateSession(name, setup.system_prompt, tools)))
            with anyio.fail_after(_READY_WITHIN):
                ready = await _ready(socket)
            for item in items_of(setup.history):
                socket.send(wire.encode(wire.CreateItem(item)))
            if setup.first_message or not setup.resumed:
                socket.send(wire.encode(wire.CreateResponse(setup.first_message)))
            return ParleySession(socket, ready.session_id, wire.FORMATS[ready.format])
        except TimeoutError:
            await socket.aclose()
            raise EngineTimeout("Parley did not start the conversation in time.", retry=True) from None
        except KeyError:
            await socket.aclose()
            raise EngineError("Parley uses an unknown audio format.") from None
        except BaseException:
            await socket.aclose()
            raise


async def _ready(socket: EngineSocket) -> wire.Updated:
    while True:
        message = wire.read_server(await socket.receive())
        if isinstance(message, wire.Updated):
            return message
