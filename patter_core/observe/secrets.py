"""Hides secrets in texts: those that are known, and what has the form of one. For logs, numbers are masked, too.

What a plugin keeps out of its `repr` is known and hidden everywhere. Each pattern is bounded, so that any text takes
time in proportion to its length.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from patter_core.observe.masking import HIDDEN, mask_numbers, mask_sip_users

__all__ = ["conceal", "conceal_fields", "conceal_secrets", "hide", "hide_credentials", "hide_secrets_of"]

_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]{0,32}PRIVATE KEY-----|\Z)", re.DOTALL
)
_MEDIA = re.compile(r"(/media/[a-z0-9-]{1,64}/)[\w.-]{16,}")
_QUERY = re.compile(
    r"([?&](?:amp;)?(?:[\w-]{0,40}(?:token|signature|secret|password|credential|key)|sig|call(?==[\w.-]{16}))=)"
    r"[^&\s\"'<>\\]+",
    re.IGNORECASE,
)
_USER_OF_URL = re.compile(r"(://[^/\s:@\"'<>]{0,64}:)[^/\s@\"'<>]{1,256}(?=@)")
_SENTENCE = r"(?-i:(?!Basic|Bearer|Token)[A-Z][a-z]{1,20}\.? [A-Za-z_]{1,40}(?![\w-]))(?![^\r\n]{0,300}\d)"
"""What explains an error's code, such as `invalid_api_key`: keys have no spaces, and most have digits."""
_KEY = r"(?:signature|api[-_]?key|auth[-_]?token)"
_STATE = r"_(?:expired|invalid|missing|required|revoked)"
_IS = r"(?:[\"']?\s{0,4}[:=]\s{0,4}|[\"']\s{0,4},\s{0,4})"
_FIELD = re.compile(
    rf"((?:(?:authorization|cookie|(?:secret|password)[\w-]{{0,40}}){_IS}"
    rf"|(?<!invalid_)(?<!missing_){_KEY}(?!{_STATE})[\w-]{{0,40}}{_IS}"
    rf"|(?:(?:(?<=invalid_)|(?<=missing_)){_KEY}|{_KEY}{_STATE})[\w-]{{0,40}}{_IS}(?!{_SENTENCE}))"
    r"(?:b?[\"'])?)([^\s\"',;][^\"'\r\n,;]*)",
    re.IGNORECASE,
)
_CREDENTIAL = re.compile(r".*(?:_|AUTH|API)(?:TOKENS?|SECRETS?|(?<!PUBLIC_)KEYS?|PASSWORD)", re.IGNORECASE | re.DOTALL)
_NAME = re.compile(r"[a-z]+([_.][a-z]+)*")
_SHORTEST_SECRET = 8

_secrets: dict[str, None] = {}
_SECRETS_KEPT = 1_000


def hide(secret: str) -> None:
    """Hides that text in all logs and sinks, wherever it stands."""
    if len(secret) >= _SHORTEST_SECRET:
        _secrets[secret] = None
        if len(_secrets) > _SECRETS_KEPT:
            del _secrets[next(iter(_secrets))]


def hide_credentials(environment: Mapping[str, str]) -> None:
    """Hides the values of the variables whose names say that they are credentials. Some hold several, with commas.

    Paths, numbers, and names of small letters under `…_KEY` are none: `CACHE_KEY=recordings` would hide that word in
    all that is logged and kept.
    """
    for name, value in environment.items():
        if _CREDENTIAL.fullmatch(name):
            for secret in (value, *(value.split(",") if name.upper().endswith("S") else ())):
                if not _is_plain(name, secret.strip()):
                    hide(secret.strip())


def _is_plain(name: str, value: str) -> bool:
    is_name = name.upper().endswith(("KEY", "KEYS")) and _NAME.fullmatch(value) is not None
    return is_name or value.isdecimal() or value.startswith(("/", "./", "../", "~/"))


def hide_secrets_of(thing: object) -> None:
    """Hides the texts that a dataclass keeps out of its `repr`, its own and those of its parts."""
    if not dataclasses.is_dataclass(thing) or isinstance(thing, type):
        return
    for field in dataclasses.fields(thing):
        value: object = getattr(thing, field.name, None)
        for text in value if isinstance(value, tuple) else (value,):
            if isinstance(text, str) and not field.repr:
                hide(text)
            hide_secrets_of(text)


def conceal_secrets(text: str) -> str:
    """Returns a text with known secrets, private keys, stream tokens, and the secret parts of URLs hidden."""
    for secret in _secrets:
        if secret in text:
            text = text.replace(secret, HIDDEN)
    if "-----BEGIN " in text:
        text = _PRIVATE_KEY.sub(HIDDEN, text)
    if "/" in text or "?" in text:
        text = _MEDIA.sub(rf"\1{HIDDEN}", text)
        text = _QUERY.sub(rf"\1{HIDDEN}", text)
        text = _USER_OF_URL.sub(rf"\1{HIDDEN}", text)
    return text


def conceal_fields(text: str) -> str:
    """Returns a text of a program with secrets hidden, also those that are known by the name before them."""
    return _FIELD.sub(rf"\1{HIDDEN}", conceal_secrets(text))


def conceal(text: str) -> str:
    """Returns a text as logs may have it: secrets hidden, and what looks like a phone number masked.

    Two digits of a number are left. Numbers in words are not recognised.
    """
    return mask_numbers(mask_sip_users(conceal_fields(text)))
