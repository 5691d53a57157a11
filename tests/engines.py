"""The scenarios of whole calls that run with a pipeline, too, and why those that do not need not.

A module in `tests/e2e` that makes an engine of parts, or takes one from `first_call_engines`, runs with a pipeline.
Each other one is listed in `WITHOUT_PARTS`; `tests/test_engines.py` finds those that are not.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["WITHOUT_PARTS"]

_VENDOR = "What this vendor's engine does by itself."
_CALLS = "The same is done with parts in `test_pipeline_calls`"

WITHOUT_PARTS: Mapping[str, str] = {
    "test_caller_variables": f"{_CALLS}, where a greeting names the caller.",
    "test_collect_keys": f"{_CALLS}, and keys that are a turn in `test_pipeline`.",
    "test_continuous": "Engines whose output never stops, which a pipeline's does.",
    "test_each_carrier": "What carriers do, before an engine is asked.",
    "test_key_transfer": f"{_CALLS}, by a tool; keys for the menu never reach the engine.",
    "test_lifespan_again": "What a phone does between two lifespans: no engine takes part.",
    "test_long_answer": "How much audio waits at a carrier, of an engine that has all of it at once.",
    "test_memory": "How an engine is told what was heard: `test_pipeline` has it for the model's history.",
    "test_networks": "Proxies in front of the phone, which see no engine.",
    "test_notice": "What carriers say, before an engine is asked; `tests/call/test_notice.py` has the agent.",
    "test_openai_commands": _VENDOR,
    "test_openai_renewal": _VENDOR,
    "test_openai_tools": _VENDOR,
    "test_quickstart": "The README's program, as it stands there; `test_page_pipeline` is the one of parts.",
    "test_renewal": "Sessions that expire: a pipeline's do not. `test_pipeline_calls` closes its parts' sockets.",
    "test_sinks_under_load": "What sinks do with events, whatever brings them.",
    "test_tools": _CALLS + ".",
    "test_two_carriers": "What carriers refuse, before an engine is asked.",
    "test_warm_transfer": f"{_CALLS}: joined, and back with the agent.",
    "test_wideband": "A rate that both sides share; `test_session` of the plugin has each format of carriers.",
}
"""Modules of `tests/e2e` whose scenarios do not run with parts, and why, or where the same is done with them."""
