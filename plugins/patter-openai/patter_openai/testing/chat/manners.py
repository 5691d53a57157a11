"""How servers differ that answer chat completions: as their documentation, their source and users' reports say."""

from __future__ import annotations

import enum

import msgspec

__all__ = ["AZURE", "GROQ", "LLAMA_CPP", "OLLAMA", "OPENAI", "VLLM", "Fails", "Manners", "Tells"]


class Tells(enum.Enum):
    """Where a server tells the tokens."""

    LAST = "last"
    """In a chunk of its own without a choice, if it is asked to."""
    EACH = "each"
    """In each chunk, as a running sum."""
    GROQ = "groq"
    """In the field `x_groq` of the last chunk."""
    NEVER = "never"


class Fails(enum.Enum):
    """How a server reports an error in the middle of an answer."""

    DATA = "data"
    """As data, and then `[DONE]`."""
    EVENT = "event"
    """As an event of the type `error`."""
    GROQ = "groq"
    """In the field `x_groq`."""
    END = "end"
    """It does not: the stream ends."""


class Manners(msgspec.Struct, frozen=True, kw_only=True):
    """The manners of one server."""

    name: str
    key_header: str = "authorization"
    """`authorization`, `api-key`, or "" for a server that takes any key, or none."""
    tells: Tells = Tells.LAST
    fails: Fails = Fails.DATA
    filter_chunks: bool = False
    """Chunks without a choice report what a filter found, before and after the text."""
    whole_calls: bool = False
    """Each call of a tool comes in one chunk, not in pieces."""
    ends_calls: str = "tool_calls"
    """The finish_reason of an answer that calls tools."""
    ends: bool = True
    """It sends a finish_reason."""
    done: bool = True
    """It sends `[DONE]`."""
    line_end: str = "\n"
    comments: bool = False
    """It sends comments to keep the connection alive."""
    thinks: bool = False
    """What the model thinks comes first, as `reasoning_content`."""
    timings: bool = False
    """Its last chunk has a field with times."""
    strict_roles: bool = False
    """The model's template takes the user and the assistant in turn only, the user first."""
    takes_stream_options: bool = True
    knows_all_fields: bool = False
    """Unknown fields are refused."""
    streams: bool = True
    """False for one that answers in one piece, whatever it is asked."""


OPENAI = Manners(name="openai", knows_all_fields=True)
AZURE = Manners(name="azure", key_header="api-key", filter_chunks=True, knows_all_fields=True)
OLLAMA = Manners(name="ollama", key_header="", whole_calls=True, ends_calls="stop", fails=Fails.END)
GROQ = Manners(name="groq", tells=Tells.GROQ, fails=Fails.GROQ)
VLLM = Manners(name="vllm", key_header="", tells=Tells.EACH, thinks=True, strict_roles=True)
LLAMA_CPP = Manners(
    name="llama.cpp", key_header="", timings=True, strict_roles=True, fails=Fails.EVENT, line_end="\r\n", comments=True
)
