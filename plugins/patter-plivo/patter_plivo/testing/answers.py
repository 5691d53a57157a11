"""What Plivo's API answers: JSON with an `api_id`."""

from __future__ import annotations

import uuid

import msgspec
from starlette.responses import Response

__all__ = ["answered", "error"]


def answered(status: int, **fields: object) -> Response:
    """An answer with these fields."""
    body = msgspec.json.encode({"api_id": str(uuid.uuid4()), **fields})
    return Response(body, status, media_type="application/json")


def error(status: int, text: str) -> Response:
    """A refusal: a text, and no code."""
    return answered(status, error=text)
