"""What repeated webhooks are answered: the same as the first time.

Twilio repeats a webhook that it got no answer to in time, with the same `I-Twilio-Idempotency-Token`.
"""

from __future__ import annotations

from collections import OrderedDict

from patter_core.webhook import WebhookRequest, WebhookResponse

__all__ = ["Answers"]

IDEMPOTENCY_HEADER = "i-twilio-idempotency-token"
LIMIT = 2_000


class Answers:
    """The latest answers, by the token of what they answer. A request without one is always new."""

    def __init__(self) -> None:
        self._answers: OrderedDict[str, WebhookResponse] = OrderedDict()

    def known(self, request: WebhookRequest) -> WebhookResponse | None:
        """What this webhook, proved to be Twilio's, was answered before."""
        return self._answers.get(request.headers.get(IDEMPOTENCY_HEADER, ""))

    def keep(self, request: WebhookRequest, response: WebhookResponse) -> WebhookResponse:
        """Remember an answer, and give it."""
        token = request.headers.get(IDEMPOTENCY_HEADER, "")
        if token:
            self._answers[token] = response
            if len(self._answers) > LIMIT:
                self._answers.popitem(last=False)
        return response
