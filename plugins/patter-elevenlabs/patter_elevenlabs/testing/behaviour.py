"""How the emulated service behaves: what a test may change about it."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable

from patter_elevenlabs.testing.conversation import Conversation
from patter_elevenlabs.testing.echo_agent import EchoAgent

__all__ = ["DEFAULT_CLIENT_EVENTS", "AgentScript", "Behaviour"]

AgentScript = Callable[[Conversation], Awaitable[None]]
"""What an agent does in a conversation. When it returns, the conversation stays open until somebody closes it."""

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
"""Which messages an agent sends unless its configuration says otherwise, as the vendor documents. Errors and tool calls
come in any case."""


async def _nothing(_: Conversation) -> None:
    """Begin at once."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Behaviour:
    """How the emulated service behaves."""

    agent: AgentScript = dataclasses.field(default_factory=EchoAgent)
    """The agent. The built-in one greets, and then repeats what it hears."""
    before_metadata: AgentScript = _nothing
    """What happens between the initiation and the metadata: a delay, an error, a close."""
    private: bool = True
    """Who has no key needs a signed URL; a public agent talks to whoever knows its id."""
    input_format: str = "ulaw_8000"
    output_format: str = "ulaw_8000"
    client_events: frozenset[str] = DEFAULT_CLIENT_EVENTS
    allowed_overrides: frozenset[str] = frozenset({"first_message", "language", "prompt", "voice_id"})
    """Others end the conversation with 1008, after the metadata. The service itself allows none unless told to."""
    ping_interval: float = 2.0
    """Seconds between pings."""
    pong_patience: float = 10.0
    """Seconds until a missing pong ends the conversation with 1002."""
    queue_positions: tuple[int, ...] = ()
    """Told as `queue_status`, one after another, before the metadata."""
    required_variables: frozenset[str] = frozenset()
    """Dynamic variables that the agent's prompt has in it: one that is missing ends the conversation with 1008."""
    init_patience: float = 10.0
    """Seconds until a missing initiation does so with 1008."""
    chunk_ms: float = 250.0
    """How much speech there is in one message."""
    pace: float = 5.0
    """How many times faster than it plays speech is sent."""
    refuse_upgrade: int = 0
    """An HTTP status to answer the upgrade with, instead of accepting it."""
    refuse_rest: int = 0
    """An HTTP status to answer REST requests with: signed URLs, the agent."""
    rest_delay: float = 0.0
    """Seconds until REST requests are answered."""
    signed_url_life: float = 900.0
    """Seconds until a signed URL starts no conversation any more: 15 minutes at the service."""
    signed_url_single_use: bool = False
    """Every signed URL starts one conversation. At the service only those that include a conversation's id do."""
