"""Keys of applications: made up, and used to verify what the app signs."""

from __future__ import annotations

import base64
import functools
import time

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

__all__ = ["is_signed_by", "new_key"]

LONGEST_VALIDITY = 24 * 3_600
SKEW = 30


class _Header(msgspec.Struct, frozen=True):
    alg: str
    typ: str


class _Claims(msgspec.Struct, frozen=True):
    application_id: str
    iat: int
    exp: int
    jti: str


def new_key() -> tuple[str, str]:
    """Returns a private key and its public key, in PEM."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


def is_signed_by(token: str, public_key: str, application_id: str, used: set[str]) -> bool:
    """True if a token is valid now, the application's, and was not used before."""
    signed, _, signature = token.rpartition(".")
    header, _, claims = signed.partition(".")
    try:
        read_header = msgspec.json.decode(_decode(header), type=_Header)
        read = msgspec.json.decode(_decode(claims), type=_Claims)
        _key(public_key).verify(_decode(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    except (ValueError, InvalidSignature):
        return False
    now = time.time()
    is_valid = read.iat - SKEW <= now < read.exp and read.exp - read.iat <= LONGEST_VALIDITY
    if read_header != _Header("RS256", "JWT") or not is_valid or read.application_id != application_id:
        return False
    is_new = read.jti not in used
    used.add(read.jti)
    return is_new


@functools.lru_cache(maxsize=16)
def _key(public_key: str) -> rsa.RSAPublicKey:
    key = serialization.load_pem_public_key(public_key.encode())
    assert isinstance(key, rsa.RSAPublicKey)  # `new_key` made it
    return key


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
