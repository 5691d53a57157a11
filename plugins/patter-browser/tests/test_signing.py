from __future__ import annotations

import pytest

from patter_browser.signing import HEADER, TOLERANCE, sign, verify
from patter_core.errors import WebhookRefused
from patter_core.webhook import WebhookRequest

SECRET, URL, BODY, NOW = (
    "a secret of 16 or more",
    "https://phone.example/webhooks/browser/voice",
    b"{}",
    1_800_000_000.0,
)


def request(signature: str, *, url: str = URL, body: bytes = BODY) -> WebhookRequest:
    return WebhookRequest(
        method="POST", candidate_urls=(url, url.replace("https", "http")), headers={HEADER: signature}, body=body
    )


def test_a_signature_proves_the_url_that_was_signed() -> None:
    for url in (URL, URL.replace("https", "http")):
        assert verify(request(sign(SECRET, url, BODY, NOW)), SECRET, NOW) == url


@pytest.mark.parametrize("later", [-TOLERANCE, TOLERANCE])
def test_it_is_good_for_some_minutes(later: float) -> None:
    assert verify(request(sign(SECRET, URL, BODY, NOW)), SECRET, NOW + later) == URL
    with pytest.raises(WebhookRefused, match="too old, or from the future"):
        verify(request(sign(SECRET, URL, BODY, NOW)), SECRET, NOW + later * 1.01)


@pytest.mark.parametrize(
    "forged",
    [
        request(sign(SECRET, URL, BODY, NOW), body=b"{} "),
        request(sign(SECRET, URL, BODY, NOW), url=URL + "?call=1"),
        request(sign(SECRET + "x", URL, BODY, NOW)),
        request(""),
        request("t=1800000000,v1="),
        request(sign(SECRET, URL, BODY, NOW).replace("t=", "t=-")),
        request(sign(SECRET, URL, BODY, NOW).upper()),
        request("t=1800000001," + sign(SECRET, URL, BODY, NOW).partition(",")[2]),
    ],
    ids=["body", "url", "secret", "none", "empty", "time", "case", "another time"],
)
def test_anything_else_is_refused(forged: WebhookRequest) -> None:
    with pytest.raises(WebhookRefused) as refusal:
        verify(forged, SECRET, NOW)
    assert SECRET not in str(refusal.value)
