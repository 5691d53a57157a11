"""The behaviour of the emulated service, as far as a test may change it."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable

from patter_elevenlabs.testing.conversation import Conversation
from patter_elevenlabs.testing.echo_agent import EchoAgent

__all__ = ["DEFAULT_CLIENT_EVENTS", "AgentScript", "Behaviour"]

AgentScript = Callable[[Conversation], Awaitable[None]]
"""An agent: its part in a conversation. After it returns, the conversation stays open until one side closes it."""

DEFAULT_CLIENT_EVENTS = frozenset(
    {
        "agent_response",
        "audio",
        "conversation_initiation_metadata",
        "interruption",
        "ping",
        "tentative_user_transcript",
        "user_transcript",
    }
)
"""The messages that an agent sends by default, as the vendor documents them. Errors and tool calls are always sent."""


async def _nothing(_: Conversation) -> None:
    """Starts at once."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Behaviour:
    """The behaviour of the emulated service."""

    agent: AgentScript = dataclasses.field(default_factory=EchoAgent)
    """The agent. The built-in one greets, and repeats what it hears."""
    before_metadata: AgentScript = _nothing
    """Runs between the initiation and the metadata: a delay, an error, a close."""
    private: bool = True
    """A client needs the key or a signed URL. If False, the agent is public: its id is enough."""
    input_format: str = "ulaw_8000"
    output_format: str = "ulaw_8000"
    client_events: frozenset[str] = DEFAULT_CLIENT_EVENTS
    allowed_overrides: frozenset[str] = frozenset({"first_message", "language", "prompt", "voice_id"})
    """Others end the conversation with 1008, after the metadata. The service itself allows none by default."""
    ping_interval: float = 2.0
    """Seconds between pings."""
    pong_timeout: float = 10.0
    """Seconds until a missing pong ends the conversation with 1002."""
    queue_positions: tuple[int, ...] = ()
    """Sent as `queue_status`, one after another, before the metadata."""
    required_variables: frozenset[str] = frozenset()
    """Dynamic variables of the agent's prompt. A missing one ends the conversation with 1008."""
    branches: frozenset[str] = frozenset()
    """The ids of the agent's branches. Another one ends the conversation with 1008, after the metadata, and has no
    signed URL. How the service refuses it is not documented: unconfirmed."""
    environments: frozenset[str] = frozenset({"production"})
    """The environments of the account's variables. Another one is refused as a branch is."""
    initiation_timeout: float = 10.0
    """Seconds until a missing initiation ends the conversation with 1008."""
    chunk_ms: float = 250.0
    """Length of the speech in one message."""
    pace: float = 5.0
    """Speed of sending speech, as a multiple of its playing speed."""
    refuse_upgrade: int = 0
    """An HTTP status to refuse the upgrade with; 0 accepts it."""
    refuse_rest: int = 0
    """An HTTP status to refuse REST requests with; 0 answers them."""
    rest_delay: float = 0.0
    """Seconds before REST requests are answered."""
    signed_url_life: float = 900.0
    """Seconds for which a signed URL is valid: 15 minutes at the service."""
    signed_url_single_use: bool = False
    """Every signed URL starts one conversation only. At the service, only those with a conversation id are limited."""
