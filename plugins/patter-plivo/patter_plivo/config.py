"""Plivo's configuration: parameters or environment variables, checked when the carrier is made."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from patter_core.config import KEY_OF_ANOTHER_SERVICE, Setting, check_form, checked_key, secrets_of
from patter_core.config import base_url as read_base_url

__all__ = ["Account", "read_account", "read_other_tokens"]

_WHERE = "on the overview page of Plivo's console"
_AUTH_ID = "[MS]A[A-Z0-9]{18}"


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """The identity, the credentials and the API address of an account. Its `repr` shows none of them."""

    auth_id: str
    auth_token: str
    base_url: str

    def __repr__(self) -> str:
        return "<Account>"


def read_account(*, auth_id: str = "", auth_token: str = "", base_url: str = "") -> Account:
    """Returns the account, completed from the environment.

    Raises:
        ConfigurationError: a value is missing or invalid.
    """
    id_setting = Setting(auth_id, "Plivo(auth_id=…)", "PLIVO_AUTH_ID")
    token_setting = Setting(auth_token, "Plivo(auth_token=…)", "PLIVO_AUTH_TOKEN")
    found = id_setting.required(_WHERE)
    check_form(
        found,
        _AUTH_ID,
        parameter=id_setting.name,
        what="the Auth ID of an account",
        expected="MA, or SA for a subaccount, and 18 more capitals and digits",
        where=_WHERE,
    )
    return Account(
        auth_id=found,
        auth_token=_checked_token(token_setting.required(f"{_WHERE}, beside it"), token_setting.name),
        base_url=read_base_url(
            base_url, parameter="Plivo(base_url=…)", variable="PLIVO_BASE_URL", default="https://api.plivo.com"
        ),
    )


def read_other_tokens(tokens: Iterable[str] = ()) -> tuple[str, ...]:
    """Returns the auth tokens that are accepted in signatures, too.

    Raises:
        ConfigurationError: one is empty or invalid.
    """
    return secrets_of(
        tokens,
        parameter="Plivo(other_auth_tokens=…)",
        variable="PLIVO_OTHER_AUTH_TOKENS",
        check=_checked_token,
    )


def _checked_token(token: str, parameter: str) -> str:
    others = {_AUTH_ID: "an Auth ID", **KEY_OF_ANOTHER_SERVICE}
    return checked_key(token, parameter=parameter, what="an auth token", others=others)
