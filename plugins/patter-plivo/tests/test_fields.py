from __future__ import annotations

import pytest

from patter_core.errors import WebhookRefused
from patter_plivo.fields import ABOUT_A_CALL, OF_A_RECORDING, check_fields
from patter_plivo.signing import Proof

UUID = "97ceeb52-58b6-11e1-86da-77300b68f8bb"
CALL = {"CallUUID": UUID, "From": "14155550100", "To": "14155550199", "CallStatus": "ringing", "Direction": "inbound"}
RECORDING = {"call_uuid": UUID, "recording_id": UUID, "record_url": "https://x.example/1.wav"}


def proof(fields: dict[str, str], *repeated: str) -> Proof:
    return Proof("https://phone.example/webhooks/plivo/voice", fields, frozenset(repeated))


def test_what_plivo_says_is_taken() -> None:
    assert check_fields(proof(CALL), ABOUT_A_CALL) == CALL
    assert check_fields(proof(RECORDING), OF_A_RECORDING) == RECORDING
    assert check_fields(proof({**CALL, "CallerName": "Ünal & Söhne", "X-PH-A": "=&?"})) is not None


@pytest.mark.parametrize(
    "party", ["", "anonymous", "+14155550100", "911", "sip:ada@example.org;a=b", "ada@example.org"]
)
def test_parties_in_every_form_are_taken(party: str) -> None:
    check_fields(proof({**CALL, "From": party}), ABOUT_A_CALL)


@pytest.mark.parametrize("name", ABOUT_A_CALL)
def test_a_field_that_is_missing_or_repeated_is_refused(name: str) -> None:
    with pytest.raises(WebhookRefused, match=f"a field {name}"):
        check_fields(proof({key: value for key, value in CALL.items() if key != name}), ABOUT_A_CALL)
    with pytest.raises(WebhookRefused, match=f"one field {name}"):
        check_fields(proof(CALL, name), ABOUT_A_CALL)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CallUUID", f"{UUID}Directioninbound"),
        ("From", "14155550100To14155550199"),
        ("CallStatus", "ringing1"),
        ("TotalCost", "0.1Totalrate"),
        ("Machine", "true1"),
        ("ALegRequestUUID", "1"),
        ("record_url", "file:///etc/passwd"),
    ],
)
def test_a_value_that_has_swallowed_others_is_refused_and_not_repeated(name: str, value: str) -> None:
    with pytest.raises(WebhookRefused, match=f"field {name} has not the form") as refusal:
        check_fields(proof({**CALL, name: value}), ABOUT_A_CALL)
    assert value not in str(refusal.value)
