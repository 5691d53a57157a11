"""Signature V3, against vectors and against the function in Plivo's own SDK."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plivo.utils.signature_v3 import construct_get_url, construct_post_url, get_signature_v3, validate_v3_signature

from patter_core.errors import WebhookRefused
from patter_core.webhook import WebhookRequest
from patter_plivo.signing import MOST_FIELDS, signature, signed_base, verify_upgrade, verify_webhook

TOKEN, NONCE = "my_auth_token", "12345"
E = "https://example.com/answer"
P = {
    "CallUUID": "97ceeb52-58b6-11e1-86da-77300b68f8bb",
    "From": "14155550100",
    "To": "14155550199",
    "Event": "StartApp",
}
FORM = "application/x-www-form-urlencoded"


def signed(
    method: str, url: str, pairs: list[tuple[str, str]], presented: str, *, header: str = "x-plivo-signature-v3"
) -> WebhookRequest:
    body = urlencode(pairs).encode() if method == "POST" else b""
    return WebhookRequest(
        method=method,
        candidate_urls=(url,),
        headers={"content-type": FORM, header: presented, "x-plivo-signature-v3-nonce": NONCE},
        body=body,
    )


@pytest.mark.parametrize(
    ("method", "url", "pairs", "expected"),
    [
        ("POST", E, list(P.items()), "wVC1Umgy2wmuiSfyGchBJq5Pba8+z+OVRJmFILCo9OI="),
        ("POST", f"{E}?b=2&a=1", list(P.items()), "5clD/C/xoMEX+otyUlTrtcB+ua7cMuIrdV9VYPL2bp8="),
        ("POST", E, [], "0yCSTcpk0g5MyH+eKhYi02RUlMZ/VPnJKABuBXoajUc="),
        ("POST", E, [("x", "b"), ("x", "a")], "Y8Xy7dBVOqMWWSKx4LKrsJzKSawg3IhaacNKY1iLHE0="),
        ("POST", E, [("CallerName", "Jörg & Co"), ("Blank", "")], "pMRHENsC14TuMinf/7FRQxVPZJQ2N0D0xk5xIInF2pc="),
        ("GET", f"{E}?From=1&To=2", [], "TGLGZJOcq/64x9BRXkXS0X+0MWU2tsydkvhHyXB53Fs="),
        ("GET", f"{E}?b=2&a=1&a=0", [], "AaFZ9KH7qvffmVJbacMbCg0va+wnmgNzRmD0XYCS92g="),
        ("GET", "https://example.com:443/a", [], "jcgMkgMMdOb+NJkoWRN89h3MGPH38K7gEPxgdqy7iM8="),
    ],
)
def test_the_vendors_vectors(method: str, url: str, pairs: list[tuple[str, str]], expected: str) -> None:
    assert signature(TOKEN, signed_base(url, pairs), NONCE) == expected
    proof = verify_webhook(signed(method, url, pairs, expected), [TOKEN])
    assert proof.url == url
    assert dict(proof.fields) == dict(pairs if method == "POST" else parse_qsl(url.partition("?")[2]))


def test_the_upgrade_is_signed_with_the_scheme_http() -> None:
    url = "wss://example.com/media/abc"
    request = signed("GET", url, [], "VA3E6bOcXpoWyyhlulQfHKb4ZueLDHvUeF6NSAGTOqM=")
    assert verify_upgrade(request, [TOKEN]).url == url
    with pytest.raises(WebhookRefused, match="not Plivo's"):
        verify_upgrade(signed("GET", f"{url}d", [], "VA3E6bOcXpoWyyhlulQfHKb4ZueLDHvUeF6NSAGTOqM="), [TOKEN])


texts = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=6)
pairs = st.lists(st.tuples(texts.filter(bool), texts), max_size=5)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is slow, not the test
@given(query=pairs, form=pairs)
def test_every_form_is_signed_as_plivos_sdk_does_it(query: list[tuple[str, str]], form: list[tuple[str, str]]) -> None:
    url = f"{E}?{urlencode(query)}" if query else E
    parameters: dict[str, str | list[str]] = {}
    for name, value in form:
        parameters.setdefault(name, [])
        values = parameters[name]
        assert isinstance(values, list)
        values.append(value)
    theirs = get_signature_v3(TOKEN, construct_post_url(url, parameters).decode(), NONCE).decode()
    assert signature(TOKEN, signed_base(url, form), NONCE) == theirs
    theirs = get_signature_v3(TOKEN, construct_get_url(url, {}).decode(), NONCE).decode()
    assert signature(TOKEN, signed_base(url), NONCE) == theirs


def test_the_sdk_takes_what_the_emulator_signs() -> None:
    presented = signature(TOKEN, signed_base(f"{E}?call=t", P.items()), NONCE)
    assert validate_v3_signature("POST", f"{E}?call=t", NONCE, TOKEN, presented, dict(P))


@pytest.mark.parametrize("header", ["x-plivo-signature-v3", "x-plivo-signature-ma-v3"])
def test_any_of_several_signatures_of_either_header_proves_it(header: str) -> None:
    genuine = "wVC1Umgy2wmuiSfyGchBJq5Pba8+z+OVRJmFILCo9OI="
    verify_webhook(signed("POST", E, list(P.items()), f"AAAA, {genuine}", header=header), ["next", TOKEN])
    with pytest.raises(WebhookRefused, match="auth_token"):
        verify_webhook(signed("POST", E, list(P.items()), genuine, header=header), ["next"])


@pytest.mark.parametrize("missing", ["x-plivo-signature-v3", "x-plivo-signature-v3-nonce"])
def test_a_request_without_signature_or_nonce_is_refused(missing: str) -> None:
    request = signed("POST", E, list(P.items()), "wVC1Umgy2wmuiSfyGchBJq5Pba8+z+OVRJmFILCo9OI=")
    headers = {name: value for name, value in request.headers.items() if name != missing}
    stripped = WebhookRequest(method="POST", candidate_urls=(E,), headers=headers, body=request.body)
    with pytest.raises(WebhookRefused, match="not signed"):
        verify_webhook(stripped, [TOKEN])


def test_a_nonce_cannot_take_over_a_part_of_the_form() -> None:
    fields = [("A", "1.2")]
    text = signed_base(E, fields)
    moved = signature(TOKEN, text.removesuffix(".2"), f"2.{NONCE}")
    assert moved == signature(TOKEN, text, NONCE)  # the same text
    request = signed("POST", E, [("A", "1")], moved)
    forged = {**request.headers, "x-plivo-signature-v3-nonce": f"2.{NONCE}"}
    with pytest.raises(WebhookRefused, match="nonce"):
        verify_webhook(WebhookRequest(method="POST", candidate_urls=(E,), headers=forged, body=request.body), [TOKEN])


def test_a_body_that_is_no_form_and_one_that_is_too_long_are_refused() -> None:
    request = signed("POST", E, [], "0yCSTcpk0g5MyH+eKhYi02RUlMZ/VPnJKABuBXoajUc=")
    json = {**request.headers, "content-type": "application/json"}
    with pytest.raises(WebhookRefused, match="no form"):
        verify_webhook(WebhookRequest(method="POST", candidate_urls=(E,), headers=json, body=b"{}"), [TOKEN])
    many = signed("POST", E, [("a", "b")] * (MOST_FIELDS + 1), "x")
    with pytest.raises(WebhookRefused, match="too many fields"):
        verify_webhook(many, [TOKEN])


def test_names_that_come_several_times_are_told() -> None:
    pairs = [("From", "1"), ("From", "2"), ("To", "3")]
    proof = verify_webhook(signed("POST", E, pairs, signature(TOKEN, signed_base(E, pairs), NONCE)), [TOKEN])
    assert proof.repeated == {"From"}
    assert repr(proof) == "<Proof of 2 fields>"
