"""The form of what Plivo's webhooks say.

Plivo signs the names and values of a form without anything between them (`patter_plivo.signing`). So one signature fits
every form with the same text, wherever it is cut: the value of a field may have swallowed the fields behind it. The
values that are believed have forms that no such text has.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from patter_core.errors import WebhookRefused
from patter_plivo.signing import Proof

__all__ = ["ABOUT_A_CALL", "OF_A_CALL", "OF_A_RECORDING", "check_fields"]

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_WORD = re.compile(r"[A-Za-z_-]{1,40}")
_AMOUNT = re.compile(r"-?[0-9]{0,12}(?:\.[0-9]{0,12})?")
_URL = re.compile(r"(?:https?://[!-~]{1,4000})?")
_PARTY = re.compile(
    r"\+?[0-9*#]{0,32}"  # a number or a short code; "" if it is withheld
    r"|(?i:anonymous|blocked|private|restricted|unavailable|unknown)"  # withheld, too
    r"|[A-Za-z][A-Za-z0-9+.-]{1,15}:[^\s\x00-\x1f\x7f]{1,300}"  # sip:…
    r"|[^\s:@\x00-\x1f\x7f]{1,100}@[^\s@\x00-\x1f\x7f]{1,200}"  # a SIP address without its scheme
)

_FORMS: Mapping[str, re.Pattern[str]] = {
    "ALegRequestUUID": _UUID,
    "CallStatus": _WORD,
    "CallUUID": _UUID,
    "Direction": _WORD,
    "Event": _WORD,
    "From": _PARTY,
    "HangupCauseCode": re.compile(r"[0-9]{0,6}"),
    "Machine": _WORD,
    "RequestUUID": _UUID,
    "To": _PARTY,
    "TotalCost": _AMOUNT,
    "call_uuid": _UUID,  # the callback of a recording writes all of its names like this
    "record_url": _URL,
    "recording_duration_ms": _AMOUNT,
    "recording_id": re.compile(r"[0-9A-Za-z-]{0,64}"),
}
"""Of the fields that are believed. A new word of Plivo's fits."""
OF_A_CALL = ("CallUUID",)
ABOUT_A_CALL = (*OF_A_CALL, "CallStatus", "Direction", "From", "To")
"""What a webhook that asks for instructions says."""
OF_A_RECORDING = ("call_uuid", "recording_id", "record_url")


def check_fields(proof: Proof, required: Collection[str] = OF_A_CALL) -> Mapping[str, str]:
    """Returns the fields of a verified webhook.

    Args:
        proof: of the webhook.
        required: the fields that it must have.

    Raises:
        WebhookRefused: a field is missing, comes twice, or has not the form that Plivo gives it.
    """
    fields = proof.fields
    for name in required:
        if name not in fields:
            raise WebhookRefused("The webhook is not one of Plivo's.", expected=f"a field {name}", got="none")
    for name, form in _FORMS.items():
        if name in proof.repeated:
            raise WebhookRefused("The webhook is not one of Plivo's.", expected=f"one field {name}", got="several")
        if name in fields and not form.fullmatch(fields[name]):
            raise WebhookRefused(
                f"The webhook's field {name} has not the form that Plivo gives it.",
                remedy="If it came from Plivo, please report it.",
            )
    return fields
