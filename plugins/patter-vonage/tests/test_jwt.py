"""Tokens, compared with the vendor's own library."""

from __future__ import annotations

import base64
import time

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from vonage_jwt import JwtClient, verify_signature

from patter_core.errors import ConfigurationError
from patter_vonage.jwt import LONGEST_TOKEN, ApplicationClaims, read_hs256, read_private_key, sign_hs256, sign_rs256
from patter_vonage.testing.keys import is_signed_by, new_key

APPLICATION, SECRET = "78d335fa-323d-0114-9c3d-d6f0d48968cf", "a signature secret of 32 or more"
PRIVATE_KEY, PUBLIC_KEY = new_key()


class Claims(msgspec.Struct):
    iat: int
    jti: str


CLAIMS = Claims(1_700_000_000, "one")
DECODER = msgspec.json.Decoder(Claims)


def token(claims: dict[str, object], secret: str = SECRET, algorithm: str = "HS256") -> str:
    return jwt.encode(claims, secret, algorithm=algorithm)


def test_our_tokens_are_those_of_the_vendors_library() -> None:
    now = int(time.time())
    key = read_private_key(PRIVATE_KEY)
    ours = sign_rs256(key, ApplicationClaims(APPLICATION, iat=now, exp=now + 900, jti="one"))
    theirs = JwtClient(APPLICATION, PRIVATE_KEY).generate_application_jwt({"iat": now, "jti": "one"}).decode()
    for one in (ours, theirs):
        assert jwt.decode(one, PUBLIC_KEY, algorithms=["RS256"]) == {
            "application_id": APPLICATION,
            "iat": now,
            "exp": now + 900,
            "jti": "one",
        }
        assert jwt.get_unverified_header(one) == {"alg": "RS256", "typ": "JWT"}


def test_the_emulator_takes_both_and_each_once() -> None:
    now = int(time.time())
    used: set[str] = set()
    ours = sign_rs256(read_private_key(PRIVATE_KEY), ApplicationClaims(APPLICATION, iat=now, exp=now + 900, jti="one"))
    theirs = JwtClient(APPLICATION, PRIVATE_KEY).generate_application_jwt().decode()
    assert [is_signed_by(one, PUBLIC_KEY, APPLICATION, used) for one in (ours, theirs, ours)] == [True, True, False]
    assert not is_signed_by(theirs, PUBLIC_KEY, "another", set())


def test_a_key_may_have_its_line_breaks_escaped() -> None:
    escaped = PRIVATE_KEY.replace("\n", "\\n")
    assert read_private_key(escaped).private_numbers() == read_private_key(PRIVATE_KEY).private_numbers()


def test_what_is_no_key_is_an_error_that_says_where_to_find_it() -> None:
    other = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    locked = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
    )
    for text in ("", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", other.decode(), locked.decode()):
        with pytest.raises(ConfigurationError, match=r"private\.key") as error:
            read_private_key(text)
        assert "AAAA" not in str(error.value)


def test_the_vendors_tokens_are_read_with_any_of_the_secrets() -> None:
    theirs = token({"iat": CLAIMS.iat, "jti": "one", "iss": "Vonage"})
    assert read_hs256(theirs, ["old", SECRET], DECODER) == CLAIMS
    assert read_hs256(theirs, ["old"], DECODER) is None
    assert verify_signature(sign_hs256(SECRET, CLAIMS), SECRET)  # what the emulator signs


def forged() -> list[str]:
    genuine = token({"iat": 1, "jti": "one"})
    header, claims, signature = genuine.split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    other_claims = base64.urlsafe_b64encode(b'{"iat":2,"jti":"one"}').decode().rstrip("=")
    return [
        "",
        ".",
        "..",
        "a.b.c",
        f"{none}.{claims}.",
        f"{none}.{claims}.{signature}",
        f"{header}.{claims}.",
        f"{header}.{claims}",
        f"{header}.{other_claims}.{signature}",
        f"{header}.{claims}.{signature}.",
        f"{header}.{claims}.{signature}é",
        genuine + "A" * LONGEST_TOKEN,
        token({"iat": 1, "jti": "one"}, algorithm="HS512", secret=SECRET * 4),
        token({"iat": 1}),
        token({"iat": "now", "jti": "one"}),
    ]


@pytest.mark.parametrize("text", forged())
def test_a_forged_or_unreadable_token_has_no_claims(text: str) -> None:
    assert read_hs256(text, [SECRET, SECRET * 4], DECODER) is None
