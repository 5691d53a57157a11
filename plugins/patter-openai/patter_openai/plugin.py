"""The plugin: what the registry loads from the entry point."""

from __future__ import annotations

from patter_core.engine import Engine
from patter_core.hookspecs import hookimpl
from patter_core.kinds import Part
from patter_openai.engine import OpenAIRealtime
from patter_openai.live.engine import OpenAILive

__all__ = ["patter_engines", "patter_parts", "patter_variables"]


@hookimpl
def patter_engines() -> list[type[Engine]]:
    """Offers the OpenAI Realtime API and GPT-Live."""
    return [OpenAIRealtime, OpenAILive]


@hookimpl
def patter_parts() -> list[type[Part]]:
    """Offers chat completions."""
    from patter_openai.chat.model import OpenAILLM  # noqa: PLC0415 - patter-pipeline need not be installed

    return [OpenAILLM]


@hookimpl
def patter_variables() -> list[str]:
    """Returns those of the account, and of where the service is."""
    return ["OPENAI_API_KEY", "OPENAI_BASE_URL"]
