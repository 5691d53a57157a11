from __future__ import annotations

from patter_core.webhook import WebhookRequest, WebhookResponse
from patter_twilio import idempotency
from patter_twilio.idempotency import Answers


def request(token: str) -> WebhookRequest:
    return WebhookRequest(method="POST", candidate_urls=(), headers={idempotency.IDEMPOTENCY_HEADER: token})


def test_an_answer_is_known_by_its_token_and_the_oldest_is_forgotten() -> None:
    kept = Answers()
    first = kept.keep(request("0"), WebhookResponse(body=b"first"))
    assert kept.known(request("0")) is first
    assert kept.known(request("other")) is None
    for number in range(1, idempotency.LIMIT + 1):
        kept.keep(request(str(number)), WebhookResponse())
    assert kept.known(request("0")) is None
    assert kept.known(request("1")) is not None


def test_a_request_without_a_token_is_always_new() -> None:
    kept = Answers()
    kept.keep(request(""), WebhookResponse())
    assert kept.known(request("")) is None
