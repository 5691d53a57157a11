"""What a check says of a plugin with a mistake."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from patter_core.errors import ConformanceError


async def told(check: Callable[[float], Awaitable[None]], *texts: str, patience: float = 0.6) -> str:
    """Run `check(patience)` of a plugin with a mistake; give the message of its error, which has one of the texts.

    The first run has little patience, so that waiting in vain is short. On a busy machine it can fail a sound step, or
    miss the moment of the mistake: then a second, patient run decides.
    """
    messages = []
    for factor in (patience, 2.0):
        try:
            await check(factor)
        except ConformanceError as error:
            messages.append(str(error))
        else:
            messages.append("The check passed.")
        if any(text in messages[-1] for text in texts):
            return messages[-1]
    pytest.fail(f"expected {' or '.join(map(repr, texts))}, got:\n" + "\n".join(messages))
