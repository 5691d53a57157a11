"""Answers as JSON, and errors in words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from patter_core.errors import CallError, CarrierRequestFailed, ConfigurationError, PatterError

__all__ = ["Handler", "failed", "json_answer", "number_in", "with_errors"]

Handler = Callable[[Request], Awaitable[Response]]

_encoder = msgspec.json.Encoder(decimal_format="string")


def json_answer(value: object, status: int = 200) -> Response:
    """Returns the answer with a struct, or anything else that msgspec encodes."""
    return Response(_encoder.encode(value), status_code=status, media_type="application/json")


def failed(status: int, text: str) -> Response:
    """Returns an answer that says what went wrong."""
    return json_answer({"error": text}, status)


def with_errors(handler: Callable[..., Awaitable[Response]]) -> Callable[..., Awaitable[Response]]:
    """Makes a method answer Patter's errors in words; all others are left to the core."""

    async def answer(*args: object) -> Response:
        try:
            return await handler(*args)
        except ConfigurationError as error:
            return failed(400, str(error))
        except CarrierRequestFailed as error:
            return failed(502, str(error))
        except CallError as error:
            return failed(409, str(error))
        except PatterError as error:
            return failed(500, str(error))

    return answer


def number_in(request: Request, name: str, default: float | None, *, least: float, most: float) -> float | None:
    """Returns a number of the query, within its bounds; the default if there is none.

    Raises:
        ConfigurationError: it is no number.
    """
    text = request.query_params.get(name, "")
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise ConfigurationError(f"“{name}” is out of range.", expected=f"a number from {least:g} to {most:g}")
    return value
