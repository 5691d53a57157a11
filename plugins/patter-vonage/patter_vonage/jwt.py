"""JSON Web Tokens (RFC 7519) as Vonage uses them: RS256 for our requests, HS256 for its own. Pure functions.

One algorithm each way: what a token's header says of its algorithm is compared, never followed.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

import msgspec

from patter_core.errors import ConfigurationError
from patter_core.net.json import UNREADABLE

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

__all__ = ["LONGEST_TOKEN", "ApplicationClaims", "read_hs256", "read_private_key", "sign_hs256", "sign_rs256"]

LONGEST_TOKEN = 8_192
"""Characters; Vonage's have some 500."""
WHERE = "Vonage's dashboard gives you the key as the file private.key when you generate it for your application."

T = TypeVar("T")


class _Header(msgspec.Struct, frozen=True):
    alg: str
    typ: str = "JWT"


class ApplicationClaims(msgspec.Struct, frozen=True):
    """What a token of an application says."""

    application_id: str
    iat: int
    exp: int
    jti: str


_HEADER = msgspec.json.Decoder(_Header)


def read_private_key(text: str, parameter: str = "Vonage(private_key=…)") -> RSAPrivateKey:
    r"""Reads the private key of an application.

    Args:
        text: PEM; in place of its line breaks there may be `\n`, as in many a file of environment variables.
        parameter: what has set it, for the error.

    Raises:
        ConfigurationError: it is not an RSA key.
    """
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - takes 60 ms
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        key = load_pem_private_key(text.replace("\\n", "\n").encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it has a password
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise ConfigurationError(
            f"{parameter} is not the private key of an application.",
            expected="an RSA key in PEM, without a password: -----BEGIN PRIVATE KEY-----, or the path of its file",
            remedy=WHERE,
        )
    return key


def sign_rs256(key: RSAPrivateKey, claims: msgspec.Struct) -> str:
    """Returns a token that is signed with a private key."""
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

    signed = _signed_part(_Header("RS256"), claims)
    return f"{signed}.{_encode(key.sign(signed.encode(), PKCS1v15(), SHA256()))}"


def sign_hs256(secret: str, claims: msgspec.Struct) -> str:
    """Returns a token that is signed with a secret."""
    signed = _signed_part(_Header("HS256"), claims)
    return f"{signed}.{_encode(hmac.digest(secret.encode(), signed.encode(), 'sha256'))}"


def read_hs256(token: str, secrets: Iterable[str], decoder: msgspec.json.Decoder[T]) -> T | None:
    """Returns the claims of a token that is signed with one of the secrets; None if it is none.

    The time in it is not looked at.
    """
    signed, _, signature = token.rpartition(".")
    header, _, claims = signed.partition(".")
    try:
        if len(token) > LONGEST_TOKEN or _HEADER.decode(_decode(header)).alg != "HS256":
            return None
        presented = _decode(signature)
        expected = [hmac.digest(secret.encode(), signed.encode(), "sha256") for secret in secrets]
        if not any(hmac.compare_digest(presented, one) for one in expected):
            return None
        return decoder.decode(_decode(claims))
    except (*UNREADABLE, ValueError):  # ValueError: it is not base64
        return None


def _signed_part(header: _Header, claims: msgspec.Struct) -> str:
    return ".".join(_encode(msgspec.json.encode(part)) for part in (header, claims))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
