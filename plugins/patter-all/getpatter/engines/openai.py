"""OpenAI as an engine: `Realtime` is a short name of `OpenAIRealtime`, and `Live` of `OpenAILive`."""

from __future__ import annotations

from patter_openai import OpenAILive as Live
from patter_openai import OpenAIRealtime as Realtime
from patter_openai import SemanticVad, ServerVad

__all__ = ["Live", "Realtime", "SemanticVad", "ServerVad"]
