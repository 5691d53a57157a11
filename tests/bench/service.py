"""What is an engine's own in the benchmark: the words on its socket, on both ends, and how a relay uses them."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import ClassVar

from patter_core.audio import AudioFormat
from patter_core.engine import Engine
from tests.bench.relay_app import Words

__all__ = ["Service", "Talk"]


class Talk(abc.ABC):
    """One conversation in the service's words, as the service has it. Each method gives what is sent."""

    pongs = 0
    """Answers to pings."""

    def greeting(self) -> Sequence[bytes]:
        """The socket is open."""
        return ()

    @abc.abstractmethod
    def initiated(self, message: bytes) -> Sequence[bytes]:
        """The client has sent its first message: the conversation begins."""

    @abc.abstractmethod
    def audio(self, payload: str) -> bytes:
        """The agent says that. Fifty times a second."""

    @abc.abstractmethod
    def answer_begins(self) -> Sequence[bytes]:
        """What comes with the audio of an answer, before it."""

    @abc.abstractmethod
    def answer_ends(self) -> Sequence[bytes]:
        """What comes with it, after it."""

    @abc.abstractmethod
    def interruption(self) -> Sequence[bytes]:
        """The caller talks over the agent: audio of the answer before is void, and what follows is another one's."""

    def ping(self) -> Sequence[bytes]:
        """A sign of life is asked for, every other second."""
        return ()

    @abc.abstractmethod
    def heard(self, message: bytes) -> str | None:
        """The caller's audio, as base64; None for another message, which is taken."""


class Service(abc.ABC):
    """One engine, played by the load and known to the target."""

    name: ClassVar[str]
    """The engine's."""
    path: ClassVar[str]
    """Of its socket."""
    formats: ClassVar[tuple[str, ...]]
    """Of the agent, where the carrier speaks μ-law."""
    spliced: ClassVar[type[Words]]
    """How the bare relay talks with it."""
    decoded: ClassVar[type[Words]]
    """How the naive bridge does."""

    @abc.abstractmethod
    def engine(self, url: str) -> Engine:
        """What Patter is given, to talk to this service there."""

    @abc.abstractmethod
    def talk(self, format: AudioFormat) -> Talk:
        """A conversation begins."""
