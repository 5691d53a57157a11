"""How the emulated service refuses an upgrade: by a status, and a reason in a header and in the body."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket

from patter_deepgram.failures import REASON_HEADER

__all__ = ["Parameter", "query_problem", "refusal"]


class Parameter(msgspec.Struct, frozen=True):
    """A parameter of a query that the service knows."""

    name: str
    values: tuple[str, ...] = ()
    """Those that it may have; empty for any."""
    least: float | None = None
    most: float | None = None
    """Bounds of a number."""
    repeats: bool = False

    def problem(self, value: str) -> str:
        """Returns why the service refuses a value; "" if it does not."""
        if self.values and value not in self.values:
            return f"{self.name} is none of {', '.join(self.values)}."
        if self.least is None or self.most is None:
            return "" if value else f"{self.name} is empty."
        try:
            number = float(value)
        except ValueError:
            return f"{self.name} is not a number."
        return (
            "" if self.least <= number <= self.most else f"{self.name} is not within {self.least:g} and {self.most:g}."
        )


def query_problem(socket: WebSocket, known: Sequence[Parameter], needed: Iterable[str]) -> str:
    """Returns why the service refuses a query; "" if it does not."""
    by_name = {parameter.name: parameter for parameter in known}
    seen: set[str] = set()
    for name, value in socket.query_params.multi_items():
        parameter = by_name.get(name)
        if parameter is None:
            return f"Unknown query parameter {name}."
        if name in seen and not parameter.repeats:
            return f"{name} is there twice."
        seen.add(name)
        if problem := parameter.problem(value):
            return problem
    missing = sorted(set(needed) - seen)
    return f"{missing[0]} is missing." if missing else ""


def refusal(status: int, reason: str) -> Response:
    """Returns how the service refuses a request."""
    body = {"err_code": "REFUSED", "err_msg": reason, "request_id": "emulated"}
    return JSONResponse(body, status_code=status, headers={REASON_HEADER: reason})
