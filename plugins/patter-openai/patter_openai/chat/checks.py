"""The checks of `patter doctor`: the key and the model, by the list of models, which costs nothing."""

from __future__ import annotations

import re

from patter_core.checks import CheckResult, Level, problem_of
from patter_core.errors import EngineError, EngineRefused
from patter_core.observe.terminal import one_line
from patter_openai.chat.server import Server
from patter_openai.chat.thinking import calls_no_tools
from patter_openai.rest import Model, all_models

__all__ = ["found", "run_checks"]

_SHOWN = 20
"""Models that are named: some servers list hundreds."""
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_NO_LIST = frozenset({403, 404, 405, 501})
"""Statuses by which a key may not list models, or a server has no list."""


async def run_checks(server: Server, model: str) -> list[CheckResult]:
    """Checks that the server is there, accepts the key, and has the model.

    Args:
        server: that is asked.
        model: of the part.
    """
    try:
        models = await all_models(server.name, server.models_url, server.headers)
    except EngineError as error:
        if isinstance(error, EngineRefused) and error.status in _NO_LIST:
            what = f"The model was not checked: {server.name} does not list its models for this key."
            return [CheckResult(Level.WARNING, what)]
        return [problem_of(error)]
    listed = next((known for known in models if known.id in {model, f"{model}:latest"}), None)
    return [_unknown(server, model, models)] if listed is None else found(server, model, listed)


def found(server: Server, model: str, listed: Model) -> list[CheckResult]:
    """Returns what there is to say of a model that the server lists.

    Args:
        server: that was asked.
        model: of the part.
        listed: the same, as the server lists it.
    """
    return [
        CheckResult(Level.OK, f"{server.name} accepts the key, and has the model {model}."),
        *_end(server, listed),
        *_tools(server, model),
    ]


def _unknown(server: Server, model: str, models: list[Model]) -> CheckResult:
    """A name that is not listed is wrong at OpenAI; elsewhere it may be that of a deployment."""
    names = sorted(one_line(known.id) for known in models)
    shown = ", ".join(names[:_SHOWN]) + (f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    level = Level.PROBLEM if server.is_vendor else Level.WARNING
    return CheckResult(level, f"{server.name} does not list the model {model}.", f"It lists: {shown or 'none'}.")


def _end(server: Server, model: Model) -> list[CheckResult]:
    date = model.shutdown_date
    if not (isinstance(date, str) and _DATE.fullmatch(date)):
        return []
    what = f"{server.name} has announced the end of {model.id} for {date}."
    return [CheckResult(Level.WARNING, what, "Choose another model.")]


def _tools(server: Server, model: str) -> list[CheckResult]:
    if not (server.is_vendor and calls_no_tools(model)):
        return []
    what = f"{model} calls tools in the Responses API only, which OpenAILLM does not use."
    return [CheckResult(Level.WARNING, what, "For an agent with tools choose another one, such as gpt-6-luna.")]
