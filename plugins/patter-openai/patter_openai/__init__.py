"""The OpenAI Realtime API and GPT-Live as engines for Patter, and chat completions as a language model."""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from patter_openai.chat.model import OpenAILLM
    from patter_openai.engine import OpenAIRealtime
    from patter_openai.live.engine import OpenAILive
    from patter_openai.options import SemanticVad, ServerVad

__all__ = ["OpenAILLM", "OpenAILive", "OpenAIRealtime", "SemanticVad", "ServerVad", "__version__"]

_MODULES = {
    "OpenAILLM": "chat.model",
    "OpenAILive": "live.engine",
    "OpenAIRealtime": "engine",
    "SemanticVad": "options",
    "ServerVad": "options",
}


def __getattr__(name: str) -> object:
    """Loads a class on first use: the version alone does not need a WebSocket client."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from patter_core.lazy import load_lazily  # noqa: PLC0415 - as above

    return load_lazily(__name__, _MODULES[name], name)
