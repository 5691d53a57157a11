"""Requests for webhooks that there are not: a number that points at a wrong address is told in the log."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from patter_core.observe.terminal import one_line
from patter_core.server.counts import Counts, Unfit
from patter_core.telephony.numbers import voice_path
from patter_core.webhook import Webhook

__all__ = ["METHODS", "Nowhere", "came_to"]

METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")
_LONGEST = 200
"""Characters of an address in the log."""

_log = logging.getLogger("patter.server")


class Nowhere:
    """Answers what came to no webhook: 404, or 405 where only the method is wrong.

    Args:
        webhooks: of each carrier, by its name, and by the last part of their URL; none of one with a page of its own.
        settings: what users point at the webhook `voice` of each carrier, in words.
        counts: what the worker counts.
    """

    def __init__(
        self, webhooks: Mapping[str, Mapping[str, Webhook]], settings: Mapping[str, str], counts: Counts
    ) -> None:
        self._counts = counts
        self._methods = {
            f"/webhooks/{carrier}/{name}": webhook.methods
            for carrier, served in webhooks.items()
            for name, webhook in served.items()
        }
        self._settings = {voice_path(carrier): settings[carrier] for carrier, served in webhooks.items() if served}
        self._where = _where(self._settings, webhooks)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._counts.webhooks_refused[Unfit.NOWHERE] += 1
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        methods = self._methods.get(path)
        if methods is None:
            _log.warning("%s came to %s, where no webhook is. %s", scope["method"], came_to(scope), self._where)
            response = Response(status_code=404)
        else:
            allowed = ", ".join(methods)
            _log.warning(
                "%s came to %s, which takes %s: set the method of %s at the carrier.",
                scope["method"], came_to(scope), allowed, self._settings.get(path, "that URL"),
            )  # fmt: skip
            response = Response(status_code=405, headers={"allow": allowed})
        await response(scope, receive, send)


def _where(settings: Mapping[str, str], carriers: Iterable[str]) -> str:
    """Returns, for the log, where calls come to, if any carrier brings them by a webhook.

    Args:
        settings: what users point there, in words, by the paths of the webhooks.
        carriers: the names of all.
    """
    if settings:
        pointed = " and ".join(dict.fromkeys(settings.values()))
        return f"Calls come to {' or '.join(settings)}, below the public address: check {pointed}."
    of = ", ".join(carriers) or "none"
    return f"This server takes no calls by webhook (carriers: {of}): choose the number's carrier, as by PATTER_CARRIER."


def came_to(scope: Scope) -> str:
    """Returns the address of a request as it came, without the query, in one line and bounded."""
    host = next((value for name, value in scope["headers"] if name == b"host"), b"(no host)").decode("latin-1")
    return one_line(f"{scope.get('scheme', 'http')}://{host}{scope['path']}")[:_LONGEST]
