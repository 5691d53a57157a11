"""The values of a call in an agent's texts: `{{name}}` in the prompt and in the first message."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping

import msgspec

from patter_core.engine import ConversationSetup

__all__ = ["filled"]

_log = logging.getLogger("patter.pipeline")

_PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z_]\w*)\s*\}\}")


def filled(setup: ConversationSetup) -> ConversationSetup:
    """Returns the setup with the values of its variables in its texts. What has no value stays, and is told."""
    missing: set[str] = set()
    prompt, first = (_filled(text, setup.variables, missing) for text in (setup.system_prompt, setup.first_message))
    if missing:
        _log.warning("The agent's texts have placeholders without a value: %s.", ", ".join(sorted(missing)))
    return msgspec.structs.replace(setup, system_prompt=prompt, first_message=first)


def _filled(text: str, variables: Mapping[str, str | int | float | bool], missing: set[str]) -> str:
    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name in variables:
            return str(variables[name])
        missing.add(name)
        return found[0]

    return _PLACEHOLDER.sub(value, text) if "{{" in text else text
