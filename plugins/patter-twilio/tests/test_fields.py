"""A signed form is believed only as Twilio wrote it: Twilio signs it without anything between names and values."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_core.errors import WebhookRefused
from patter_core.webhook import WebhookRequest
from patter_twilio.fields import ABOUT_A_CALL, check_fields
from patter_twilio.signing import Proof, signature, verify_webhook
from patter_twilio.testing import ACCOUNT_SID

TOKEN, URL = "12345", "https://phone.example/webhooks/twilio/voice"
ACCOUNT, CALL = ACCOUNT_SID, "CA00112233445566778899aabbccddeeff"
FORM = {
    "AccountSid": ACCOUNT,
    "ApiVersion": "2010-04-01",
    "CallSid": CALL,
    "CallStatus": "ringing",
    "CallToken": '{"parentCallInfoToken":"eyJhbGciOiJFUzI1NiJ9.abcToDirectionCallSid-_"}',
    "Called": "+15550001234",
    "CalledCity": "BROOKLYN",
    "CalledZip": "",
    "Caller": "+15550100001",
    "CallerCity": "",
    "Direction": "inbound",
    "From": "+15550100001",
    "FromCity": "OAKLAND",
    "FromZip": "94601",
    "SipHeader_X-Note": "To+15550000001",
    "To": "+15550001234",
    "ToCity": "",
    "ToState": "NY",
}
BELIEVED = ("AccountSid", "CallSid", *ABOUT_A_CALL)
Pairs = list[tuple[str, str]]


def accepted(form: Pairs) -> dict[str, str] | None:
    """What is believed of a form with the signature of `FORM`; None if it is refused."""
    request = WebhookRequest(
        method="POST",
        candidate_urls=(URL,),
        headers={
            "x-twilio-signature": signature(TOKEN, URL, FORM.items()),
            "content-type": "application/x-www-form-urlencoded",
        },
        body=urlencode(form).encode(),
    )
    proof = verify_webhook(request, [TOKEN])  # the signature fits, however the text is cut
    try:
        fields = check_fields(proof, ACCOUNT, required=ABOUT_A_CALL)
    except WebhookRefused:
        return None
    return {name: fields[name] for name in BELIEVED}


def cuts() -> Iterator[Pairs]:
    """The forms with the same text in which one value has swallowed the beginning of what follows it."""
    items = sorted(FORM.items())
    for first in range(len(items)):
        for following in range(first + 1, len(items) + 1):
            middle = "".join(name + value for name, value in items[first + 1 : following])
            for length in range(1, len(middle) + 1):
                name, value = items[first]
                rest = [(middle[length:], "")] if middle[length:] else []
                form = [*items[:first], (name, value + middle[:length]), *rest, *items[following:]]
                if sorted(set(form)) == form:
                    yield form


def test_twilios_own_form_is_believed() -> None:
    assert accepted(list(FORM.items())) == {name: FORM[name] for name in BELIEVED}


def test_a_form_that_is_cut_at_other_places_is_refused_or_says_the_same() -> None:
    forms = list(cuts())
    beliefs = [accepted(form) for form in forms]
    assert len(forms) > 1_000
    assert all(belief in (None, accepted(list(FORM.items()))) for belief in beliefs)
    swallowed = [form for form in forms if dict(form).get("CallSid") != CALL]
    assert len(swallowed) > 100
    assert all(accepted(form) is None for form in swallowed)


@given(st.data())
def test_wherever_a_form_is_cut_no_other_call_comes_of_it(data: st.DataObject) -> None:
    text = "".join(name + value for name, value in sorted(FORM.items()))
    places = sorted(data.draw(st.sets(st.integers(1, len(text) - 1), min_size=3, max_size=41)))
    pieces = [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]
    form = [(pieces[at], pieces[at + 1] if at + 1 < len(pieces) else "") for at in range(0, len(pieces), 2)]
    if sorted(set(form)) == form:
        belief = accepted(form)
        assert belief is None or belief["CallSid"] == CALL


def test_two_values_of_a_field_that_is_believed_are_refused() -> None:
    cut = {"SipHeader_X-Note": "", "To": "+15550000001"}  # what a SIP caller wrote, as if it were a field
    form = [*(FORM | {"SipHeader_X-Note": ""}).items(), *cut.items()]
    assert accepted(form) is None


@pytest.mark.parametrize(
    "party",
    [
        "+15550100001",
        "12345",
        "",
        "anonymous",
        "Restricted",
        "sip:alice@example.com:5061;transport=tls",
        "sip:[/oops]@x",
        "client:ada_lovelace",
        "whatsapp:+15550100001",
    ],
)
def test_callers_have_the_forms_that_twilio_writes(party: str) -> None:
    check_fields(Proof(URL, {**FORM, "From": party}), ACCOUNT)


@pytest.mark.parametrize(
    "party",
    [
        "+15550100001FromCityOAKLAND",
        "CountryUS",
        "anonymousFromCityOAKLANDFromZip",
        "sip:a b@x",
        "sip:" + "a" * 400,
        "a\nb",
        "1\0",
    ],
)
def test_others_are_refused(party: str) -> None:
    with pytest.raises(WebhookRefused, match="From") as refused:
        check_fields(Proof(URL, {**FORM, "From": party}), ACCOUNT)
    assert party not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CallSid", CALL + "x"),
        ("CallSid", CALL.lower()),
        ("CallSid", ""),
        ("AccountSid", "AC" + "1" * 32),
        ("StreamSid", "MZ1"),
        ("Direction", "inboundFrom"),
        ("RecordingUrl", "https://x/a b"),
        ("ErrorUrl", "x" * 5_000),
    ],
)
def test_a_field_that_is_believed_has_its_form(name: str, value: str) -> None:
    with pytest.raises(WebhookRefused):
        check_fields(Proof(URL, {**FORM, name: value}), ACCOUNT)


@pytest.mark.parametrize("name", BELIEVED)
def test_a_field_that_is_needed_must_be_there(name: str) -> None:
    fields = {known: value for known, value in FORM.items() if known != name}
    with pytest.raises(WebhookRefused, match="one of Twilio's"):
        check_fields(Proof(URL, fields), ACCOUNT, required=ABOUT_A_CALL)
