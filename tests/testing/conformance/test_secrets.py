"""A secret is found in a text whatever was made of it on the way."""

from __future__ import annotations

import base64
import json
import urllib.parse

import pytest

from patter_core.testing.conformance.secrets import Secrets

BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC/+" * 4
LINES = [BODY[at : at + 64] for at in range(0, len(BODY), 64)]
PEM = "\n".join(["-----BEGIN PRIVATE KEY-----", *LINES, "-----END PRIVATE KEY-----", ""])
WORD = 'pa§s"word\\with/all\tof+it'


def secrets() -> Secrets:
    found = Secrets()
    found.add([PEM, WORD, "abc"])
    return found


@pytest.mark.parametrize(
    "text",
    [
        PEM,
        repr(PEM),
        repr(PEM.encode()),
        repr(repr(PEM)),
        json.dumps({"key": PEM}),
        PEM.replace("\n", "\r\n"),
        PEM.replace("\n", ""),
        LINES[1],
        BODY,
        base64.b64encode(PEM.encode()).decode(),
        urllib.parse.quote(PEM),
        WORD,
        repr(WORD),
        repr(WORD.encode()),
        json.dumps(WORD),
        urllib.parse.quote(WORD, safe=""),
        urllib.parse.urlencode({"key": WORD}),
        base64.b64encode(WORD.encode()).decode(),
        base64.urlsafe_b64encode(WORD.encode()).decode(),
        WORD.encode().hex(),
        f"Basic {base64.b64encode(b'user:' + WORD.encode()).decode()}",
        *(f"Basic {base64.b64encode(b'a' * size + WORD.encode()).decode().rstrip('=')}" for size in range(6)),
        f"Basic {base64.b64encode(b'a:' + WORD.encode() + b'!').decode()}",
    ],
)
def test_a_secret_is_found_and_left_out(text: str) -> None:
    assert secrets().find(f"before {text} after")
    redacted = secrets().redacted(f"before {text} after")
    assert not secrets().find(redacted)
    assert redacted.startswith("before ")


@pytest.mark.parametrize(
    "text",
    ["", "abc", "-----BEGIN PRIVATE KEY-----", "conformance/carrier.py:12", base64.b64encode(bytes(99)).decode()],
)
def test_other_text_is_left_as_it_is(text: str) -> None:
    assert not secrets().find(text)
    assert secrets().redacted(text) == text
