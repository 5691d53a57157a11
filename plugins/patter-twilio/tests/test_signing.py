from __future__ import annotations

import base64
import hashlib
import hmac
import urllib.parse
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from patter_core.errors import WebhookRefused
from patter_core.webhook import WebhookRequest
from patter_twilio.signing import Proof, signature, verify_upgrade, verify_webhook

TOKEN = "12345"
URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
FIELDS = {
    "CallSid": "CA1234567890ABCDE",
    "Caller": "+14158675309",
    "Digits": "1234",
    "From": "+14158675309",
    "To": "+18005551212",
}
FORM = "application/x-www-form-urlencoded"


def post(
    *urls: str, presented: str, body: bytes = b"", kind: str = FORM, headers: Mapping[str, str] | None = None
) -> WebhookRequest:
    return WebhookRequest(
        method="POST",
        candidate_urls=urls,
        headers={"x-twilio-signature": presented, "content-type": kind, **(headers or {})},
        body=body,
    )


def get(*urls: str, presented: str) -> WebhookRequest:
    return WebhookRequest(method="GET", candidate_urls=urls, headers={"x-twilio-signature": presented})


def encoded(fields: Mapping[str, str] | list[tuple[str, str]]) -> bytes:
    return urllib.parse.urlencode(fields).encode()


# --- the vendor's published vectors --------------------------------------------------------------------------------

VECTORS = [
    (URL, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
    (URL.replace(".com/", ".com:443/"), "kvajT1Ptam85bY51eRf/AJRuM3w="),
    ("http://mycompany.com:80/myapp.php?foo=1&bar=2", "0ZXoZLH/DfblKGATFgpif+LLRf4="),
]


@pytest.mark.parametrize(("url", "published"), VECTORS)
def test_signature_is_the_published_one(url: str, published: str) -> None:
    assert signature(TOKEN, url, FIELDS.items()) == published


@pytest.mark.parametrize(("url", "published"), VECTORS)
def test_a_form_is_verified_with_and_without_its_default_port(url: str, published: str) -> None:
    without = url.replace(":443", "").replace(":80", "")
    for asked in (url, without):
        proof = verify_webhook(post(asked, presented=published, body=encoded(FIELDS)), [TOKEN])
        assert proof == Proof(asked, FIELDS)


# --- webhooks ------------------------------------------------------------------------------------------------------


def test_the_proof_names_the_candidate_that_matched() -> None:
    plain, secure = "http://phone.example/voice", "https://phone.example/voice"
    request = post(secure, plain, presented=signature(TOKEN, plain, FIELDS.items()), body=encoded(FIELDS))
    assert verify_webhook(request, [TOKEN]).url == plain


def test_blanks_count_and_nothing_is_trimmed() -> None:
    fields = [("From", " +1 "), ("Caller", ""), ("Digits", "#")]
    proof = verify_webhook(post(URL, presented=signature(TOKEN, URL, fields), body=encoded(fields)), [TOKEN])
    assert proof.fields == dict(fields)


def test_repeated_fields_count_once_for_each_value() -> None:
    once = [("Event", "b"), ("Event", "a")]
    presented = signature(TOKEN, URL, [("Event", "a"), ("Event", "b")])
    for body in (once, once * 2):
        assert verify_webhook(post(URL, presented=presented, body=encoded(body)), [TOKEN]).fields == {"Event": "a"}


def test_get_is_signed_as_its_url() -> None:
    url = "https://phone.example/voice?CallSid=CA1&From=%2B1500&To="
    proof = verify_webhook(get(url, presented=signature(TOKEN, url)), [TOKEN])
    assert proof.fields == {"CallSid": "CA1", "From": "+1500", "To": ""}


def test_another_body_is_verified_by_its_hash_in_the_url() -> None:
    body = b'{"CallSid":"CA1"}'
    url = f"https://phone.example/events?bodySHA256={hashlib.sha256(body).hexdigest()}"
    presented = signature(TOKEN, url)
    proof = verify_webhook(post(url, presented=presented, body=body, kind="application/json"), [TOKEN])
    assert proof == Proof(url, {})
    for other in (body + b" ", b""):
        with pytest.raises(WebhookRefused, match="not the one that was signed"):
            verify_webhook(post(url, presented=presented, body=other, kind="application/json"), [TOKEN])


def test_a_body_without_a_hash_is_refused() -> None:
    request = post(URL, presented=signature(TOKEN, URL), body=encoded(FIELDS), kind="application/json")
    with pytest.raises(WebhookRefused):
        verify_webhook(request, [TOKEN])


def test_while_a_token_is_rotated_both_are_accepted() -> None:
    for signing_token in ("old", "new"):
        presented = signature(signing_token, URL, FIELDS.items())
        assert verify_webhook(post(URL, presented=presented, body=encoded(FIELDS)), ["new", "old"]).url == URL
    with pytest.raises(WebhookRefused):
        verify_webhook(post(URL, presented=signature("older", URL), body=b""), ["new", "old"])


def test_tokens_and_signatures_may_have_letters_beyond_ascii() -> None:
    with pytest.raises(WebhookRefused):
        verify_webhook(post(URL, presented="ÿ=", body=b"\xff=\xfe"), ["tökén"])


@pytest.mark.parametrize(
    "settings", ["key=webhooks_sharedkey_1,algorithm=HMAC_SHA256", "key=k,algorithm=HMAC_SHA1", "algorithm=NONE"]
)
def test_another_key_or_algorithm_is_refused_even_with_a_valid_signature(settings: str) -> None:
    request = post(
        URL,
        presented=signature(TOKEN, URL, FIELDS.items()),
        body=encoded(FIELDS),
        headers={"x-twilio-webhooks-signature-settings": settings},
    )
    with pytest.raises(WebhookRefused, match="key that is not supported"):
        verify_webhook(request, [TOKEN])


def test_no_signature_no_candidates_and_no_tokens_are_refused() -> None:
    good = signature(TOKEN, URL)
    with pytest.raises(WebhookRefused, match="not signed"):
        verify_webhook(WebhookRequest(method="POST", candidate_urls=(URL,), headers={}), [TOKEN])
    with pytest.raises(WebhookRefused):
        verify_webhook(post(presented=good), [TOKEN])
    with pytest.raises(WebhookRefused):
        verify_webhook(post(URL, presented=good), [])


def test_a_form_of_too_many_fields_is_refused() -> None:
    with pytest.raises(WebhookRefused, match="too many fields"):
        verify_webhook(post(URL, presented="x", body=b"a&" * 5_000), [TOKEN])


def test_a_refusal_names_neither_token_nor_url_nor_number() -> None:
    with pytest.raises(WebhookRefused) as refusal:
        verify_webhook(post(URL, presented="x", body=encoded(FIELDS)), ["secret-token"])
    assert not any(secret in str(refusal.value) for secret in ("secret-token", "mycompany", "14158675309"))
    assert "14158675309" not in repr(Proof(URL, FIELDS))


# --- the upgrade of a media socket ---------------------------------------------------------------------------------


@pytest.mark.parametrize("signed_path", ["/media/twilio/token", "/media/twilio/token/"])
@pytest.mark.parametrize("signed_port", ["", ":443"])
@pytest.mark.parametrize("asked_path", ["/media/twilio/token", "/media/twilio/token/"])
@pytest.mark.parametrize("asked_origin", ["wss://phone.example", "wss://phone.example:443", "https://phone.example"])
@pytest.mark.parametrize("signed_scheme", ["wss", "https"])
def test_an_upgrade_is_verified_with_and_without_slash_and_port_under_either_scheme(
    signed_scheme: str, asked_origin: str, asked_path: str, signed_port: str, signed_path: str
) -> None:
    asked = asked_origin + asked_path
    presented = signature(TOKEN, f"{signed_scheme}://phone.example{signed_port}{signed_path}")
    assert verify_upgrade(get("wss://other.example/", asked, presented=presented), [TOKEN]) == Proof(asked)


def test_an_upgrade_of_another_path_is_refused() -> None:
    presented = signature(TOKEN, "wss://phone.example/media/twilio/token")
    for asked in (
        "wss://phone.example/media/twilio/other",
        "ws://phone.example/media/twilio/token",
        "http://phone.example/media/twilio/token",
    ):
        with pytest.raises(WebhookRefused):
            verify_upgrade(get(asked, presented=presented), [TOKEN])


# --- the vendor's own validator as the oracle ----------------------------------------------------------------------

_WORD = st.text(st.sampled_from("abcXYZ019-_~"), min_size=1, max_size=8)
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_NAME = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
_PORT = st.sampled_from(["", ":80", ":443", ":8080", ":5000"])
_QUERY = st.lists(st.tuples(_WORD, _TEXT), max_size=3).map(urllib.parse.urlencode)
_LETTERS = st.text(st.sampled_from("abcxyz"), min_size=1, max_size=8)
_HOST = st.lists(_LETTERS, min_size=1, max_size=3).map(".".join)


@st.composite
def urls(draw: st.DrawFn) -> str:
    path = "/".join(draw(st.lists(_WORD, max_size=3)))
    query = draw(_QUERY)
    return f"{draw(st.sampled_from(['http', 'https']))}://{draw(_HOST)}{draw(_PORT)}/{path}" + (
        f"?{query}" if query else ""
    )


def accepts(request: WebhookRequest) -> bool:
    try:
        verify_webhook(request, [TOKEN])
    except WebhookRefused:
        return False
    return True


@given(urls(), st.dictionaries(_NAME, _TEXT, max_size=6))
def test_signature_is_the_vendors(url: str, fields: dict[str, str]) -> None:
    assert signature(TOKEN, url, fields.items()) == RequestValidator(TOKEN).compute_signature(url, fields)


@given(urls(), urls(), _PORT, st.dictionaries(_NAME, _TEXT, max_size=4), st.booleans())
def test_the_vendors_own_verification_agrees(
    url: str, other: str, port: str, fields: dict[str, str], changed: bool
) -> None:
    parts = urllib.parse.urlsplit(other if changed else url)
    signed = parts._replace(netloc=f"{parts.hostname}{port}").geturl()
    presented = signature(TOKEN, signed, fields.items())
    valid: bool = RequestValidator(TOKEN).validate(url, fields, presented)
    assert accepts(post(url, presented=presented, body=encoded(fields))) == valid


@given(urls(), st.dictionaries(_NAME, _TEXT, min_size=1, max_size=4), st.data())
def test_a_request_that_was_changed_on_its_way_is_refused(
    url: str, fields: dict[str, str], data: st.DataObject
) -> None:
    presented = signature(TOKEN, url, fields.items())
    name = data.draw(st.sampled_from(sorted(fields)))
    changed = {**fields, name: fields[name] + data.draw(_NAME)}
    assert not accepts(post(url, presented=presented, body=encoded(changed)))


@given(urls(), _TEXT)
def test_the_vendors_own_verification_agrees_on_json_bodies(url: str, text: str) -> None:
    promised = hashlib.sha256(text.encode()).hexdigest()
    hashed = f"{url}{'&' if '?' in url else '?'}bodySHA256={promised}"
    presented = signature(TOKEN, hashed)
    assert RequestValidator(TOKEN).validate(hashed, text, presented)
    assert accepts(post(hashed, presented=presented, body=text.encode(), kind="application/json"))


def test_signature_stands_on_hmac_sha1() -> None:
    expected = base64.b64encode(hmac.new(b"t", b"https://x/", hashlib.sha1).digest()).decode()
    assert signature("t", "https://x/") == expected
