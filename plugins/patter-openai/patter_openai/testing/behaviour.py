"""The behaviour of the emulated service, as far as a test may change it."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable

from patter_openai.testing.parrot import Parrot
from patter_openai.testing.reply import Reply

__all__ = ["AgentScript", "Behaviour"]

AgentScript = Callable[[Reply], Awaitable[None]]
"""An agent: what it does in each response. The response is done when it returns."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Behaviour:
    """The behaviour of the emulated service."""

    agent: AgentScript = dataclasses.field(default_factory=Parrot)
    """The agent. The built-in one says what it is asked to say, and repeats what it hears."""
    models: tuple[str, ...] = ("gpt-realtime-2.1", "gpt-realtime-2.1-mini", "gpt-realtime-1.5")
    """Those that the key may use."""
    refuse_model_late: bool = False
    """An unknown model is refused by an error message on the open socket, instead of by HTTP."""
    session_seconds: float = 3_600.0
    """How long a session lives."""
    chunk_ms: float = 200.0
    """Length of the speech in one message."""
    pace: float = 5.0
    """Speed of sending speech, as a multiple of its playing speed; 0: all at once."""
    transcription_delays: tuple[float, ...] = (0.05,)
    """Seconds until the transcript of each turn of the user; the last one is for all that follow."""
    configure_delay: float = 0.0
    """Seconds before an update of the session is confirmed."""
    requests_left: int = 1_000
    """Of a rate limit of 1,000."""
    refuse_upgrade: int = 0
    """An HTTP status to refuse the upgrade with; 0 accepts it."""
    refuse_rest: int = 0
    """An HTTP status to refuse REST requests with; 0 answers them."""
    announces: bool = True
    """Each response is announced by `response.created`."""
