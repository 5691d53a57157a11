"""What the two protocols of speech recognition have in common for a session, sans-IO."""

from __future__ import annotations

import abc
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

from patter_core.errors import EngineError
from patter_deepgram.failures import Told
from patter_deepgram.wire.decoding import Anomaly
from patter_pipeline.parts import SttEvent

__all__ = ["Recogniser", "Step"]

Step = SttEvent | bytes | EngineError
"""What follows from a message: an event, a message to the service, or the end of the session."""


class Recogniser(abc.ABC):
    """One protocol in one session."""

    finalize: ClassVar[bytes] = b""
    """The message that asks for the final text; empty where the service decides alone."""
    keep_alive: ClassVar[bytes] = b""
    """The message that keeps a session without audio; empty where only audio does."""
    last_error: Told | None = None
    """What the service told last, without ending the session."""

    @property
    @abc.abstractmethod
    def anomalies(self) -> Counter[Anomaly]:
        """Counts of what the service sent that it should not."""

    @abc.abstractmethod
    def take(self, message: bytes) -> Sequence[Step]:
        """Takes a message of the service. Never raises."""
