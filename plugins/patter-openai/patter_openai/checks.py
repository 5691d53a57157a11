"""The checks of `patter doctor`: the key, the model and its permission, by a session in which nothing is said."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Awaitable, Callable

import msgspec

from patter_core.audio import ULAW_8000
from patter_core.checks import CheckResult, Level, problem_of
from patter_core.engine import ConversationSetup, EngineSession
from patter_core.errors import EngineError, EngineRefused
from patter_core.telephony.leg import Leg
from patter_openai.config import Service
from patter_openai.rest import voice_models

__all__ = ["check_listed", "run_checks"]

_SHUTDOWNS = {
    "gpt-realtime": dt.date(2027, 1, 20),
    "gpt-realtime-mini": dt.date(2027, 1, 20),
    "whisper-1": dt.date(2027, 2, 26),
    "gpt-4o-transcribe": dt.date(2027, 2, 26),
    "gpt-4o-mini-transcribe": dt.date(2027, 2, 26),
    "gpt-4o-transcribe-diarize": dt.date(2027, 2, 26),
}
"""Announced by the vendor, as read on 2026-11-25: of the model and of its snapshots."""
_SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$")


async def run_checks(
    service: Service,
    model: str,
    open_session: Callable[[ConversationSetup], Awaitable[EngineSession]],
    *,
    transcription: str = "",
    setup: ConversationSetup | None = None,
) -> list[CheckResult]:
    """Checks the configuration by what a call does: connecting and configuring cost nothing.

    Args:
        service: address and credentials.
        model: of the engine.
        open_session: opens a session of the engine.
        transcription: the model of transcripts; "" for none.
        setup: of an agent; None for one without settings.
    """
    leg = Leg(carrier="check", call_id="check", from_number="", to_number="")
    setup = setup or ConversationSetup(leg=leg, preferred_format=ULAW_8000)
    try:
        session = await open_session(msgspec.structs.replace(setup, resumed=True))  # so that nothing is said
    except EngineError as error:
        return [problem_of(error), *await _other_models(service, model)]
    await session.aclose()
    return [
        CheckResult(Level.OK, f"OpenAI accepts the key, and the options for the model {model}."),
        *_shutdown(model, "model"),
        *_shutdown(transcription, "transcription"),
    ]


async def check_listed(service: Service, model: str) -> list[CheckResult]:
    """Checks the key and the model by the list of models, where an open session is billed.

    Args:
        service: address and credentials.
        model: of the engine.
    """
    try:
        models = await voice_models(service)
    except EngineError as error:
        if isinstance(error, EngineRefused) and error.status == 403:
            return [CheckResult(Level.WARNING, "The model was not checked: the key may not list models.")]
        return [problem_of(error)]
    if model in models:
        return [CheckResult(Level.OK, f"OpenAI accepts the key, which may use the model {model}.")]
    known = ", ".join(models) or "none"
    return [CheckResult(Level.PROBLEM, f"The key may not use the model {model}.", f"It may use: {known}.")]


async def _other_models(service: Service, model: str) -> list[CheckResult]:
    """Says which models there are, if it is the model that is missing."""
    try:
        models = await voice_models(service)
    except EngineError:
        return []
    if model in models or not models:
        return []
    return [CheckResult(Level.WARNING, f"The key may use these models: {', '.join(models)}.", "Choose one: `model`.")]


def _shutdown(model: str, option: str) -> list[CheckResult]:
    end = _SHUTDOWNS.get(_SNAPSHOT.sub("", model))
    if end is None:
        return []
    what = f"OpenAI has announced the end of {model} for {end.isoformat()}."
    return [CheckResult(Level.WARNING, what, f"Choose another one: `{option}`.")]
