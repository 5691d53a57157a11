"""Vonage's configuration: parameters or environment variables, checked when the carrier is made."""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, get_args

import msgspec

from patter_core.config import (
    KEY_OF_ANOTHER_SERVICE,
    Setting,
    check_form,
    check_no_other_kind,
    checked_key,
    secrets_of,
)
from patter_core.config import base_url as read_base_url
from patter_core.errors import ConfigurationError

__all__ = [
    "SAMPLE_RATES",
    "Account",
    "Credentials",
    "SampleRate",
    "account_url",
    "api_url",
    "check_rate",
    "is_vonage_host",
    "private_key_set_by",
    "read_account",
    "read_application_id",
    "read_other_secrets",
    "rest_url",
]

SampleRate = Literal[8_000, 16_000, 24_000]
SAMPLE_RATES = get_args(SampleRate)

_APPLICATION = "in Vonage's dashboard, under “Applications”"
_SETTINGS = "in Vonage's dashboard, under “API settings”"
_PEM = "-----BEGIN"
_UUID = "-".join(f"[0-9a-fA-F]{{{digits}}}" for digits in (8, 4, 4, 4, 12))
_IDS = {_UUID: "a UUID, which is what an application's ID looks like"}
_KINDS = {"[0-9a-f]{8}": "hexadecimal digits, which is what an API key looks like", f"(?s){_PEM}.*": "a key in PEM"}
_LONGEST_PATH = 255
"""Of those that errors show."""
_API, _REST = "https://api.nexmo.com", "https://rest.nexmo.com"


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """Key and secret of an account, for its applications and numbers. The `repr` shows neither."""

    api_key: str
    api_secret: str

    def __repr__(self) -> str:
        return "<Credentials>"

    @classmethod
    def read(cls, api_key: str = "", api_secret: str = "") -> Credentials:
        """Returns them, completed from the environment.

        Raises:
            ConfigurationError: one is missing or invalid.
        """
        secret = Setting(api_secret, "Vonage(api_secret=…)", "VONAGE_API_SECRET")
        return cls(
            api_key=_read_api_key(api_key),
            api_secret=_checked_secret(secret.required(_SETTINGS), secret.name, "the secret of an account"),
        )


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """The identity, the keys and the API address of an application. Its `repr` shows none of them."""

    application_id: str
    private_key: str
    """PEM."""
    api_key: str
    api_secret: str
    """"" if none is known."""
    signature_secret: str
    base_url: str

    def __repr__(self) -> str:
        return "<Account>"


def read_account(
    *,
    application_id: str = "",
    private_key: str = "",
    api_key: str = "",
    api_secret: str = "",
    signature_secret: str = "",
    base_url: str = "",
) -> Account:
    """Returns the account, completed from the environment.

    Raises:
        ConfigurationError: a value is missing or invalid.
    """
    secret = Setting(api_secret, "Vonage(api_secret=…)", "VONAGE_API_SECRET")
    signing = Setting(signature_secret, "Vonage(signature_secret=…)", "VONAGE_SIGNATURE_SECRET")
    return Account(
        application_id=read_application_id(application_id),
        private_key=_read_private_key(private_key),
        api_key=_read_api_key(api_key),
        api_secret=_checked_secret(secret.value, secret.name, "the secret of an account"),
        signature_secret=_checked_secret(
            signing.required(f"{_SETTINGS}; webhooks could not be verified without it"), signing.name
        ),
        base_url=api_url(base_url),
    )


def read_other_secrets(secrets: Iterable[str] = ()) -> tuple[str, ...]:
    """Returns the signature secrets that are accepted, too.

    Raises:
        ConfigurationError: one is empty or invalid.
    """
    return secrets_of(
        secrets,
        parameter="Vonage(other_signature_secrets=…)",
        variable="VONAGE_OTHER_SIGNATURE_SECRETS",
        check=_checked_secret,
    )


def _checked_secret(secret: str, parameter: str, what: str = "a signature secret") -> str:
    """Returns it. Users make theirs themselves, as passphrases too: only what is surely something else is refused."""
    check_no_other_kind(secret, parameter=parameter, what=what, others=_IDS)
    return secret


def read_application_id(application_id: str = "") -> str:
    """Returns the id of the application.

    Raises:
        ConfigurationError: it is missing, or no UUID (Vonage's page "Managing Applications").
    """
    setting = Setting(application_id, "Vonage(application_id=…)", "VONAGE_APPLICATION_ID")
    found = setting.required(_APPLICATION)
    check_form(
        found,
        _UUID,
        parameter=setting.name,
        what="the ID of an application",
        expected="a UUID: 32 hexadecimal digits with four hyphens between them",
        where=_APPLICATION,
        others=_KINDS,
    )
    return found.lower()  # as it stands in Vonage's tokens


def _read_api_key(api_key: str) -> str:
    setting = Setting(api_key, "Vonage(api_key=…)", "VONAGE_API_KEY")
    return checked_key(setting.required(_SETTINGS), parameter=setting.name, others={**_IDS, **KEY_OF_ANOTHER_SERVICE})


def _read_private_key(private_key: str) -> str:
    """Returns the key itself, where a path is given."""
    setting = _private_key_setting(private_key)
    found = setting.required("in the file private.key, which Vonage's dashboard gives you for your application")
    if _PEM in found:
        return found
    try:
        return Path(found).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, ValueError, RuntimeError) as error:  # the last of a ~ without its user
        raise ConfigurationError(
            f"{setting.name} cannot be read.",
            expected=f"the key itself ({_PEM} PRIVATE KEY-----…), or the path of its file",
            got=f"{_shown(found)}: {_why(error)}",
            remedy="A relative path begins at the current folder." if _is_path(found) and found[0] not in "/~" else "",
        ) from None


def private_key_set_by(private_key: str) -> str:
    """Returns the name of what has set it, for errors."""
    return _private_key_setting(private_key).name


def _private_key_setting(private_key: str) -> Setting:
    return Setting(private_key, "Vonage(private_key=…)", "VONAGE_PRIVATE_KEY")


def _is_path(given: str) -> bool:
    """True for what clearly is a path, which errors show. Anything else may be a secret, or a key in another form."""
    if len(given) > _LONGEST_PATH or " " in given or not given.isprintable():
        return False
    path = Path(given)
    return path.suffix in {".key", ".pem"} or (path.parent.name != "" and os.access(path.parent, os.F_OK))


def _shown(given: str) -> str:
    return f"the path {given}" if _is_path(given) else f"{len(given)} characters; as a path"


def _why(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not a text in UTF-8"
    return (error.strerror if isinstance(error, OSError) else "") or str(error).rstrip(".")


def api_url(base_url: str = "") -> str:
    """Returns the address of the API.

    Raises:
        ConfigurationError: it is not an HTTP address.
    """
    return read_base_url(base_url, parameter="Vonage(base_url=…)", variable="VONAGE_BASE_URL", default=_API)


def is_vonage_host(host: str) -> bool:
    """True for Vonage's own hosts: no other gets a token of ours."""
    return f".{host}".endswith((".vonage.com", ".nexmo.com"))


def account_url(base_url: str) -> str:
    """Returns the address of the API for applications: one for all regions at Vonage, that of calls in tests."""
    return _API if _is_at_vonage(base_url) else base_url


def rest_url(base_url: str) -> str:
    """Returns the address of the API for numbers, as above."""
    return _REST if _is_at_vonage(base_url) else base_url


def _is_at_vonage(base_url: str) -> bool:
    return is_vonage_host(urllib.parse.urlsplit(base_url).hostname or "")


def check_rate(sample_rate: int) -> None:
    """Checks a sample rate.

    Raises:
        ConfigurationError: Vonage's media socket does not have it.
    """
    if sample_rate not in SAMPLE_RATES:
        raise ConfigurationError(
            "Vonage(sample_rate=…) is not one of its values.",
            expected=" or ".join(map(str, SAMPLE_RATES)),
            got=repr(sample_rate),
        )
