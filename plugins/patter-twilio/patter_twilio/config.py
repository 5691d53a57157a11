"""Twilio's configuration: parameters or environment variables, checked when the carrier is made."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from patter_core.config import (
    KEY_OF_ANOTHER_SERVICE,
    Setting,
    check_form,
    checked_key,
    from_environment,
    secrets_of,
)
from patter_core.config import base_url as read_base_url
from patter_core.errors import ConfigurationError

__all__ = ["Account", "api_url", "read_account", "read_other_tokens"]

_WHERE = "on the start page of Twilio's console, under “Account Info”"
_KEYS = "in Twilio's console, under “API keys & tokens”"
_DIGITS = "[0-9a-fA-F]{32}"
_SIDS = {
    f"AC{_DIGITS}": "the SID of an account (AC…)",
    f"SK{_DIGITS}": "the SID of an API key (SK…)",
    f"PN{_DIGITS}": "the SID of a phone number (PN…)",
    f"[A-Z]{{2}}{_DIGITS}": "the SID of something else",
    f"(ac|sk){_DIGITS}": "a SID in lower case: its two letters are capitals",
}
"""A SID is two letters and 32 hexadecimal digits (Twilio's page "What is a SID")."""
_KINDS = {
    **_SIDS,
    _DIGITS: "hexadecimal digits alone, which is what an auth token looks like",
    "(AC|SK).*": "AC or SK, but not 32 hexadecimal digits after it",
}
"""What a value in the place of a SID may be by its form."""
_NAME_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789-"


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """The identity, the credentials and the API address of an account. Its `repr` shows none of them."""

    account_sid: str
    auth_token: str
    api_key: str
    api_secret: str
    region: str
    edge: str
    base_url: str

    @property
    def credentials(self) -> tuple[str, str]:
        """User name and password of requests: the API key if there is one."""
        return (self.api_key, self.api_secret) if self.api_key else (self.account_sid, self.auth_token)

    def __repr__(self) -> str:
        return "<Account>"


def read_account(
    *,
    account_sid: str = "",
    auth_token: str = "",
    api_key: str = "",
    api_secret: str = "",
    region: str = "",
    edge: str = "",
    base_url: str = "",
) -> Account:
    """Returns the account, completed from the environment.

    Raises:
        ConfigurationError: a value is missing or invalid.
    """
    sid, token = _setting(account_sid, "account_sid"), _setting(auth_token, "auth_token")
    _check_sid(sid.required(_WHERE), "AC", parameter=sid.name, what="the SID of an account", where=_WHERE)
    key, secret = _read_api_key(_setting(api_key, "api_key"), _setting(api_secret, "api_secret"))
    return Account(
        account_sid=sid.value,
        auth_token=_checked_token(token.required(_WHERE), token.name),
        api_key=key,
        api_secret=secret,
        region=from_environment(region, "TWILIO_REGION"),
        edge=from_environment(edge, "TWILIO_EDGE"),
        base_url=api_url(base_url, region=region, edge=edge),
    )


def read_other_tokens(tokens: Iterable[str] = ()) -> tuple[str, ...]:
    """Returns the auth tokens that are accepted in signatures, too.

    Raises:
        ConfigurationError: one is empty or invalid.
    """
    return secrets_of(
        tokens,
        parameter="Twilio(other_auth_tokens=…)",
        variable="TWILIO_OTHER_AUTH_TOKENS",
        check=_checked_token,
    )


def _checked_token(token: str, parameter: str, what: str = "an auth token") -> str:
    """Returns it. Only what is surely something else is refused: Twilio documents no form of tokens and secrets."""
    return checked_key(token, parameter=parameter, what=what, others={**_SIDS, **KEY_OF_ANOTHER_SERVICE})


def _read_api_key(key: Setting, secret: Setting) -> tuple[str, str]:
    for one, other in ((key, secret), (secret, key)):
        if one.value and not other.value:
            raise ConfigurationError(
                f"{other.parameter} is missing.",
                expected=f"both halves: the parameter, or the environment variable {other.variable}",
                remedy=f"You find API keys {_KEYS}; a secret is shown only once.",
            )
    if key.value:
        _check_sid(key.value, "SK", parameter=key.name, what="the SID of an API key", where=_KEYS)
    return key.value, _checked_token(secret.value, secret.name, "the secret of an API key")


def _setting(given: str, name: str) -> Setting:
    return Setting(given, f"Twilio({name}=…)", f"TWILIO_{name.upper()}")


def _check_sid(sid: str, prefix: str, *, parameter: str, what: str, where: str) -> None:
    check_form(
        sid,
        prefix + _DIGITS,
        parameter=parameter,
        what=what,
        expected=f"{prefix} and 32 hexadecimal digits",
        where=where,
        others=_KINDS,
    )


def api_url(base_url: str, *, region: str, edge: str) -> str:
    """Returns the address of the REST API: `api.{edge}.{region}.twilio.com` (Twilio's page "Global infrastructure").

    An edge without a region belongs to the region us1. Both may be in the environment.
    """
    settings = _setting(region, "region"), _setting(edge, "edge")
    for one in settings:
        if one.value.strip(_NAME_CHARACTERS):
            raise ConfigurationError(
                f"{one.name} is not a valid name.", expected="a name such as ie1 or dublin", got=repr(one.value)
            )
    region, edge = (one.value for one in settings)
    region = region or ("us1" if edge else "")
    host = ".".join(part for part in ("api", edge, region, "twilio.com") if part)
    return read_base_url(
        base_url, parameter="Twilio(base_url=…)", variable="TWILIO_BASE_URL", default=f"https://{host}"
    )
