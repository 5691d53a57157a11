"""The answers to repeated webhooks: the same as the first time.

Twilio repeats a webhook that was not answered in time, with the same `I-Twilio-Idempotency-Token`.
"""

from __future__ import annotations

from collections import OrderedDict

from patter_core.webhook import WebhookRequest, WebhookResponse

__all__ = ["IDEMPOTENCY_HEADER", "LIMIT", "ResponseCache"]

IDEMPOTENCY_HEADER = "i-twilio-idempotency-token"
LIMIT = 2_000


class ResponseCache:
    """The latest answers, by the token of their request. A request without a token is always new."""

    def __init__(self) -> None:
        self._responses: OrderedDict[str, WebhookResponse] = OrderedDict()

    def known(self, request: WebhookRequest) -> WebhookResponse | None:
        """Returns the earlier answer to this request, which must have been verified."""
        return self._responses.get(request.headers.get(IDEMPOTENCY_HEADER, ""))

    def keep(self, request: WebhookRequest, response: WebhookResponse) -> WebhookResponse:
        """Stores an answer, and returns it."""
        token = request.headers.get(IDEMPOTENCY_HEADER, "")
        if token:
            self._responses[token] = response
            if len(self._responses) > LIMIT:
                self._responses.popitem(last=False)
        return response
