from __future__ import annotations

import hashlib

import jwt
import pytest

from patter_core.errors import WebhookRefused
from patter_core.webhook import WebhookRequest
from patter_vonage.signing import LONGEST_AGE, SKEW, WebhookKey

APPLICATION, API_KEY, SECRET = "78d335fa-323d-0114-9c3d-d6f0d48968cf", "a1b2c3d4", "a signature secret of 32 or more"
NEXT_SECRET = "the signature secret that comes next"
NOW = 1_700_000_000.0
BODY = b'{"uuid":"1"}'
KEY = WebhookKey(secrets=(NEXT_SECRET, SECRET), api_key=API_KEY, application_id=APPLICATION)


def request(body: bytes = BODY, secret: str = SECRET, scheme: str = "Bearer", **changes: object) -> WebhookRequest:
    claims = {
        "iat": int(NOW),
        "jti": "one",
        "iss": "Vonage",
        "payload_hash": hashlib.sha256(BODY).hexdigest(),
        "api_key": API_KEY,
        "application_id": APPLICATION,
        **changes,
    }
    said = {name: value for name, value in claims.items() if value is not None}
    headers = {"authorization": f"{scheme} {jwt.encode(said, secret, algorithm='HS256')}"}
    return WebhookRequest(method="POST", candidate_urls=("https://phone.example/",), headers=headers, body=body)


def test_a_webhook_is_verified_by_its_token_and_its_body() -> None:
    claims = KEY.verify_webhook(request(), NOW)
    assert (claims.jti, claims.iat) == ("one", NOW)
    assert KEY.verify_webhook(request(scheme="bearer", secret=NEXT_SECRET), NOW).jti == "one"


def test_an_upgrade_has_no_body() -> None:
    assert KEY.verify_upgrade(request(b"", payload_hash=None), NOW).jti == "one"


@pytest.mark.parametrize("age", [-SKEW, 0.0, LONGEST_AGE + SKEW])
def test_a_token_may_have_some_age(age: float) -> None:
    KEY.verify_webhook(request(), NOW + age)


@pytest.mark.parametrize(
    ("refused", "now", "why"),
    [
        (request(b'{"uuid":"2"}'), NOW, "not the one that was signed"),
        (request(payload_hash=None), NOW, "not the one that was signed"),
        (request(secret="another account's secret, not ours"), NOW, "not Vonage's for this account"),
        (request(api_key="other"), NOW, "another account or application"),
        (request(application_id="other"), NOW, "another account or application"),
        (request(application_id=None), NOW, "another account or application"),
        (request(), NOW + LONGEST_AGE + SKEW + 1, "too old"),
        (request(), NOW - SKEW - 1, "too old"),
        (request(iat=float("1e300")), NOW, "too old"),
        (request(scheme="Basic"), NOW, "not signed"),
        (WebhookRequest(method="POST", candidate_urls=(), headers={}), NOW, "not signed"),
        (WebhookRequest(method="POST", candidate_urls=(), headers={"authorization": "Bearer"}), NOW, "not signed"),
    ],
)
def test_what_is_not_proved_to_be_the_vendors_is_refused(refused: WebhookRequest, now: float, why: str) -> None:
    with pytest.raises(WebhookRefused, match=why) as error:
        KEY.verify_webhook(refused, now)
    assert SECRET not in f"{error.value} {KEY!r}"
