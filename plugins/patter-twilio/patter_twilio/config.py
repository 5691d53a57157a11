"""Twilio's configuration: parameters, else the environment, checked when the carrier is made."""

from __future__ import annotations

import msgspec

from patter_core.config import from_environment, required
from patter_core.errors import ConfigurationError

__all__ = ["Account", "api_url", "read_account"]

_WHERE = "on the start page of Twilio's console, under “Account Info”"
_PARTS = "abcdefghijklmnopqrstuvwxyz0123456789-"


class Account(msgspec.Struct, frozen=True):
    """What identifies and authenticates an account. Out of `repr`."""

    sid: str
    auth_token: str
    api_key: str
    api_secret: str
    region: str
    edge: str
    base_url: str

    def __repr__(self) -> str:
        return "<Account>"


def read_account(
    *, account_sid: str, auth_token: str, api_key: str, api_secret: str, region: str, edge: str, base_url: str
) -> Account:
    """The values, completed from the environment.

    Raises:
        ConfigurationError: one is missing, or cannot be what it should be.
    """
    sid = required(account_sid, parameter="Twilio(account_sid=…)", variable="TWILIO_ACCOUNT_SID", where=_WHERE)
    if not sid.startswith("AC"):
        raise ConfigurationError(
            "Twilio(account_sid=…) is not an account's SID.",
            expected="AC and 32 more characters",
            got=f"something that starts with {sid[:2]!r}",
            remedy=f"You find it {_WHERE}.",
        )
    token = required(auth_token, parameter="Twilio(auth_token=…)", variable="TWILIO_AUTH_TOKEN", where=_WHERE)
    key, secret = _api_key(api_key, api_secret)
    region = from_environment(region, "TWILIO_REGION")
    edge = from_environment(edge, "TWILIO_EDGE")
    return Account(sid, token, key, secret, region, edge, api_url(base_url, region=region, edge=edge))


def _api_key(api_key: str, api_secret: str) -> tuple[str, str]:
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
            "Twilio(api_key=…) is not an API key's SID.",
            expected="SK and 32 more characters",
            got=f"something that starts with {key[:2]!r}",
        )
    return key, secret


def api_url(base_url: str, *, region: str, edge: str) -> str:
    """Where the REST API is, as Twilio's page "Global infrastructure" says: `api.{edge}.{region}.twilio.com`.

    An edge without a region is one of the region us1.
    """
    base_url = from_environment(base_url, "TWILIO_BASE_URL")
    if base_url:
        if not base_url.startswith(("https://", "http://")):
            raise ConfigurationError(
                "Twilio(base_url=…) is not an address.", expected="https://host, without a path", got=repr(base_url)
            )
        return base_url.rstrip("/")
    for name, value in (("region", region), ("edge", edge)):
        if value.strip(_PARTS):
            raise ConfigurationError(
                f"Twilio({name}=…) is not the name of one.", expected="such as ie1 or dublin", got=repr(value)
            )
    region = region or ("us1" if edge else "")
    return "https://" + ".".join(part for part in ("api", edge, region, "twilio.com") if part)
