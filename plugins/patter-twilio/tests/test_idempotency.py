from __future__ import annotations

from patter_core.webhook import WebhookRequest, WebhookResponse
from patter_twilio import idempotency
from patter_twilio.idempotency import ResponseCache


def request(token: str) -> WebhookRequest:
    return WebhookRequest(method="POST", candidate_urls=(), headers={idempotency.IDEMPOTENCY_HEADER: token})


def test_an_answer_is_known_by_its_token_until_it_is_the_oldest_of_too_many() -> None:
    cache = ResponseCache()
    first = cache.keep(request("0"), WebhookResponse(body=b"first"))
    assert cache.known(request("0")) is first
    assert cache.known(request("other")) is None
    for number in range(1, idempotency.LIMIT + 1):
        cache.keep(request(str(number)), WebhookResponse())
    assert cache.known(request("0")) is None
    assert cache.known(request("1")) is not None


def test_a_request_without_a_token_is_always_new() -> None:
    cache = ResponseCache()
    cache.keep(request(""), WebhookResponse())
    assert cache.known(request("")) is None
