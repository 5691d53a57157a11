"""Telnyx's configuration: parameters or environment variables, checked when the carrier is made."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

from patter_core.config import KEY_OF_ANOTHER_SERVICE, Setting, check_form, checked_key
from patter_core.config import base_url as read_base_url
from patter_core.errors import ConfigurationError
from patter_telnyx.formats import ByteOrder
from patter_telnyx.signing import PARAMETER as PUBLIC_KEY
from patter_telnyx.signing import WHERE as PUBLIC_KEY_WHERE
from patter_telnyx.signing import verify_key

__all__ = [
    "Account",
    "CodecName",
    "MachineDetection",
    "TargetLegs",
    "check_choice",
    "read_account",
    "read_api_key",
    "read_api_url",
]

CodecName = Literal["PCMU", "PCMA", "L16"]
TargetLegs = Literal["", "self", "opposite", "both"]
MachineDetection = Literal["standard", "premium"]

CHOICES = {
    "codec": get_args(CodecName),
    "l16_byte_order": get_args(ByteOrder),
    "target_legs": get_args(TargetLegs),
    "machine_detection": get_args(MachineDetection),
}
"""The values that the parameters of those names may have."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """The identity, the keys and the API address of an account. Its `repr` shows none of them."""

    api_key: str
    connection_id: str
    public_key: str
    base_url: str

    def __repr__(self) -> str:
        return "<Account>"


def read_account(*, api_key: str = "", connection_id: str = "", public_key: str = "", base_url: str = "") -> Account:
    """Returns the account, completed from the environment.

    Raises:
        ConfigurationError: a value is missing or invalid.
    """
    return Account(
        api_key=read_api_key(api_key),
        connection_id=_read_connection_id(connection_id),
        public_key=_read_public_key(public_key),
        base_url=read_api_url(base_url),
    )


def read_api_key(api_key: str = "") -> str:
    """Returns the API key.

    Raises:
        ConfigurationError: it is missing, or surely something else.
    """
    setting = Setting(api_key, "Telnyx(api_key=…)", "TELNYX_API_KEY")
    found = setting.required("in Telnyx's portal, under “API Keys”")
    return checked_key(found, parameter=setting.name, others=KEY_OF_ANOTHER_SERVICE)


def read_api_url(base_url: str = "") -> str:
    """Returns the address of the REST API.

    Raises:
        ConfigurationError: it is not an HTTP address.
    """
    return read_base_url(
        base_url, parameter="Telnyx(base_url=…)", variable="TELNYX_BASE_URL", default="https://api.telnyx.com"
    )


def _read_connection_id(connection_id: str) -> str:
    """Returns the ID of the application. Errors do not show it: it may be a key."""
    setting = Setting(connection_id, "Telnyx(connection_id=…)", "TELNYX_CONNECTION_ID")
    where = "in Telnyx's portal, under “Voice”, “Programmable Voice”: the ID of your application"
    found = setting.required(where)
    check_form(
        found,
        r"(?s)(?!KEY|\+).*",
        parameter=setting.name,
        what="the ID of an application",
        expected="its digits",
        where=where,
        others={"(?s)KEY.*": "they look like an API key", r"(?s)\+.*": "they look like a number"},
    )
    return found


def _read_public_key(public_key: str) -> str:
    setting = Setting(public_key, PUBLIC_KEY, "TELNYX_PUBLIC_KEY")
    found = setting.required(f"{PUBLIC_KEY_WHERE}; webhooks could not be verified without it")
    verify_key(found, setting.name)
    return found


def check_choice(parameter: str, value: str) -> None:
    """Checks the value of a parameter that has a fixed set of values.

    Raises:
        ConfigurationError: it is not one of them.
    """
    choices = CHOICES[parameter]
    if value not in choices:
        raise ConfigurationError(
            f"Telnyx({parameter}=…) is not one of its values.",
            expected=" or ".join(map(repr, choices)),
            got=repr(value),
        )
