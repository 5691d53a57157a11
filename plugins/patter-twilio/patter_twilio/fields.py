"""The form of what Twilio's webhooks say.

Twilio signs the names and values of a form without anything between them (`patter_twilio.signing`). So one signature
fits every form with the same text, wherever it is cut: the value of a field may have swallowed the fields behind it.
The names of Twilio's fields begin with a capital, and the values that are believed have forms that no such text has.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from patter_core.errors import WebhookRefused
from patter_twilio.signing import Proof

__all__ = ["ABOUT_A_CALL", "check_fields"]

_HEX = "[0-9a-fA-F]{32}"
_WORD = re.compile(r"[a-z_-]{1,40}")
_PARTY = re.compile(
    r"\+?[0-9*#]{0,32}"  # a number or a short code; "" if it is withheld
    r"|(?i:anonymous|blocked|private|restricted|unavailable|unknown)"  # withheld, too
    r"|[A-Za-z][A-Za-z0-9+.-]{1,15}:[^\s\x00-\x1f\x7f]{1,300}"  # sip:…, client:…
)

_FORMS: Mapping[str, re.Pattern[str]] = {
    "AccountSid": re.compile(f"AC{_HEX}"),
    "AnsweredBy": _WORD,
    "CallSid": re.compile(f"CA{_HEX}"),
    "CallStatus": _WORD,
    "Direction": _WORD,
    "ErrorUrl": re.compile(r"[!-~]{0,4096}"),
    "From": _PARTY,
    "RecordingDuration": re.compile(r"-?[0-9]{0,9}"),
    "RecordingSid": re.compile(f"RE{_HEX}"),
    "RecordingStatus": _WORD,
    "RecordingUrl": re.compile(r"[!-~]{0,4096}"),
    "StreamSid": re.compile(f"MZ{_HEX}"),
    "To": _PARTY,
}
"""Of the fields that are believed. A new word of Twilio's fits."""
_ALWAYS = ("AccountSid", "CallSid")
ABOUT_A_CALL = ("CallStatus", "Direction", "From", "To")
"""What a webhook that asks for instructions says in addition."""


def check_fields(proof: Proof, account_sid: str, *, required: Collection[str] = ()) -> Mapping[str, str]:
    """Returns the fields of a verified webhook.

    Args:
        proof: of the webhook.
        account_sid: the account's, which the webhook must name.
        required: the fields that it must have, beside the SIDs of account and call.

    Raises:
        WebhookRefused: a field is missing, comes twice, or has not the form that Twilio gives it.
    """
    fields = proof.fields
    for name in (*_ALWAYS, *required):
        if name not in fields:
            raise WebhookRefused("The webhook is not one of Twilio's.", expected=f"a field {name}", got="none")
    for name, form in _FORMS.items():
        if name in proof.repeated:
            raise WebhookRefused("The webhook is not one of Twilio's.", expected=f"one field {name}", got="several")
        if name in fields and not form.fullmatch(fields[name]):
            raise WebhookRefused(
                f"The webhook's field {name} has not the form that Twilio gives it.",
                remedy="If it came from Twilio, please report it.",
            )
    if fields["AccountSid"] != account_sid:
        raise WebhookRefused(
            "The webhook is of another account.",
            expected="the AccountSid of Twilio(account_sid=…)",
            remedy="A subaccount has a carrier of its own, with its own SID and auth token.",
        )
    return fields
