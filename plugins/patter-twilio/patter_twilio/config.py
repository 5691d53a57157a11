"""Twilio's configuration: parameters or environment variables, checked when the carrier is made."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from patter_core.config import base_url as read_base_url
from patter_core.config import from_environment, required, secrets_of
from patter_core.errors import ConfigurationError

__all__ = ["Account", "api_url", "read_account", "read_other_tokens"]

_WHERE = "on the start page of Twilio's console, under “Account Info”"
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
    sid = required(account_sid, parameter="Twilio(account_sid=…)", variable="TWILIO_ACCOUNT_SID", where=_WHERE)
    if not sid.startswith("AC"):
        raise ConfigurationError(
            "Twilio(account_sid=…) is not the SID of an account.",
            expected="AC and 32 more characters",
            got=f"a value that starts with {sid[:2]!r}",
            remedy=f"You find it {_WHERE}.",
        )
    token = required(auth_token, parameter="Twilio(auth_token=…)", variable="TWILIO_AUTH_TOKEN", where=_WHERE)
    key, secret = _read_api_key(api_key, api_secret)
    region = from_environment(region, "TWILIO_REGION")
    edge = from_environment(edge, "TWILIO_EDGE")
    return Account(
        account_sid=sid,
        auth_token=token,
        api_key=key,
        api_secret=secret,
        region=region,
        edge=edge,
        base_url=api_url(base_url, region=region, edge=edge),
    )


def read_other_tokens(tokens: Iterable[str] = ()) -> tuple[str, ...]:
    """Returns the auth tokens that are accepted in signatures, too.

    Raises:
        ConfigurationError: one is empty or invalid.
    """
    return secrets_of(tokens, parameter="Twilio(other_auth_tokens=…)", variable="TWILIO_OTHER_AUTH_TOKENS")


def _read_api_key(api_key: str, api_secret: str) -> tuple[str, str]:
    key, secret = from_environment(api_key, "TWILIO_API_KEY"), from_environment(api_secret, "TWILIO_API_SECRET")
    for one, other, name in ((key, secret, "api_secret"), (secret, key, "api_key")):
        if one and not other:
            raise ConfigurationError(
                f"Twilio({name}=…) is missing.",
                expected=f"both halves: the parameter, or the environment variable TWILIO_{name.upper()}",
                remedy="You find API keys in Twilio's console under “API keys & tokens”; a secret is shown only once.",
            )
    if key and not key.startswith("SK"):
        raise ConfigurationError(
            "Twilio(api_key=…) is not the SID of an API key.",
            expected="SK and 32 more characters",
            got=f"a value that starts with {key[:2]!r}",
        )
    return key, secret


def api_url(base_url: str, *, region: str, edge: str) -> str:
    """Returns the address of the REST API: `api.{edge}.{region}.twilio.com` (Twilio's page "Global infrastructure").

    An edge without a region belongs to the region us1.
    """
    for name, value in (("region", region), ("edge", edge)):
        if value.strip(_NAME_CHARACTERS):
            raise ConfigurationError(
                f"Twilio({name}=…) is not a valid name.", expected="a name such as ie1 or dublin", got=repr(value)
            )
    region = region or ("us1" if edge else "")
    host = ".".join(part for part in ("api", edge, region, "twilio.com") if part)
    return read_base_url(
        base_url, parameter="Twilio(base_url=…)", variable="TWILIO_BASE_URL", default=f"https://{host}"
    )
