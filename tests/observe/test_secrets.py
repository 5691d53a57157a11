"""Secrets are hidden in texts, numbers are masked in those of logs, and what is neither stays."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from patter_core.observe import secrets
from patter_core.observe.secrets import (
    conceal,
    conceal_fields,
    conceal_secrets,
    hide,
    hide_credentials,
    hide_secrets_of,
)

TOKEN = "dGhpcyBpcyBhIHRva2VuIHRoYXQgaXMgbG9uZyBlbm91Z2g"
KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKC\nAQEA\n-----END RSA PRIVATE KEY-----"


@pytest.fixture(autouse=True)
def _nothing_hidden() -> Iterator[None]:
    kept = dict(secrets._secrets)
    secrets._secrets.clear()
    yield
    secrets._secrets.clear()
    secrets._secrets.update(kept)


@pytest.mark.parametrize(
    "text",
    [
        "invalid_api_key: Invalid API key 3fd8a7c99",
        "auth_token: Key abcdefghijklmnopq",
        "api_key=Correct horse battery",
    ],
)
def test_no_sentence_shows_a_key(text: str) -> None:
    assert conceal_fields(text) in {f"{text[:end]}[hidden]" for end in range(len(text))}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("from +15550001234 to 15550004321", "from +*********34 to *********21"),
        ("call (555) 123-4567 now", "call (***) ***-**67 now"),
        ('{"from":"+4915112345678"}', '{"from":"+***********78"}'),
        ("?PhoneNumber=%2B15550001234&PageSize=20", "?PhoneNumber=%2B*********34&PageSize=20"),
        ("sip:alice.smith@example.org", "sip:[hidden]@example.org"),
        (f"GET /phone/media/acme/{TOKEN} HTTP/1.1", "GET /phone/media/acme/[hidden] HTTP/1.1"),
        (f"POST /webhooks/acme/action?call={TOKEN}", "POST /webhooks/acme/action?call=[hidden]"),
        ("wss://x/y?agent_id=abc&conversation_signature=cvtkn_1", "wss://x/y?agent_id=abc&conversation_signature=[hidden]"),
        ("> xi-api-key: sk_0123456789", "> xi-api-key: [hidden]"),
        ("< X-Acme-Signature: RSOYDt4T1cUTdK1PDd93/VVr8B8=", "< X-Acme-Signature: [hidden]"),
        ("Authorization: Bearer abc def", "Authorization: [hidden]"),
        ("[(b'authorization', b'Basic QUM6eA==')]", "[(b'authorization', b'[hidden]')]"),
        ("api_key: sk-0123456789", "api_key: [hidden]"),
        ('{"xi-api-key": "Sk0123456789"}', '{"xi-api-key": "[hidden]"}'),
        ("ACME_API_KEY=Abcdefgh", "ACME_API_KEY=[hidden]"),
        ("acme_api_key: Bearer abcdefgh", "acme_api_key: [hidden]"),
        ("acme_api_key: Key sk-abc", "acme_api_key: [hidden]"),
        ("apiKey=0123 and more", "apiKey=[hidden]"),
        ("AUTH_TOKEN=abcdefgh", "AUTH_TOKEN=[hidden]"),
        ("db_password: Correct horse battery", "db_password: [hidden]"),
    ],
)  # fmt: skip
def test_numbers_are_masked_and_secrets_hidden(text: str, shown: str) -> None:
    assert conceal(text) == shown
    assert conceal(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "Call 5f0c2b7c9a1d4e6f8a9b0c1d2e3f4a5b: the conversation failed.",
        "CA00112233445566778899aabbccddeeff",
        "A media socket was refused: its stream token is forged, used, too old, or nobody's.",
        "connected to 192.168.100.200 port 8000 in 0.123456789 s",
        "The engine was not ready in time. Expected a conversation within 2.5 s.",
        "Process 123456 took 10000 ms",
        "Got invalid_api_key: The API key is not valid. Check ACME_API_KEY, and its permissions.",
        "missing_api_key: Check ACME_API_KEY, and that it is of this region.",
        "Got invalid_api_key: Unauthorized. Check ACME_API_KEY, and its permissions.",
        "auth_token_expired: Make a new one, or wait.",
    ],
)
def test_what_is_neither_stays_as_it_is(text: str) -> None:
    assert conceal(text) == text


def test_what_a_configuration_keeps_out_of_its_repr_is_hidden_wherever_it_stands() -> None:
    @dataclasses.dataclass(frozen=True)
    class PluginConfig:
        key: str = dataclasses.field(repr=False)

    @dataclasses.dataclass(frozen=True)
    class Configuration:
        name: str
        part: PluginConfig
        tokens: tuple[str, ...] = dataclasses.field(default=(), repr=False)

    hide_secrets_of(Configuration("the-name-of-it", PluginConfig("the-key-of-it"), ("first-token", "second-token")))
    shown = conceal("the-name-of-it the-key-of-it first-token second-token")
    assert shown == "the-name-of-it [hidden] [hidden] [hidden]"


def test_credentials_of_the_environment_are_known_by_the_names_of_their_variables() -> None:
    environment = {
        "ACME_AUTH_TOKEN": " the-first-one ",
        "ACME_AUTHTOKEN": "the-second-one",
        "ACME_OTHER_TOKENS": "the-third-one, the-fourth-one",
        "acme_api_key": "the-fifth-one",
        "ACME_SECRETS": "the-sixth-one",
        "APPS_PASSWORD": "the-seventh-one",
        "ACME_PUBLIC_KEY": "the-public-one",
        "ACME_ACCOUNT": "the-account",
        "MONKEY": "the-animal",
        "ACME_SHORT_KEY": "seven77",
    }
    hide_credentials(environment)
    shown = [conceal_secrets(value) for value in environment.values()]
    assert shown[:3] == [" [hidden] ", "[hidden]", "[hidden]"]
    assert shown[3:6] == ["[hidden]"] * 3
    assert shown[6:] == ["the-public-one", "the-account", "the-animal", "seven77"]
    assert conceal_secrets("the-fourth-one") == "[hidden]"


def test_a_plain_word_a_path_and_a_number_of_the_environment_are_no_secrets() -> None:
    hide_credentials(
        {
            "CACHE_KEY": "recordings",
            "OTHER_KEYS": "production,aB3dE6gH9",
            "ACME_PRIVATE_KEY": "./private.key",
            "MAX_TOKENS": "16000000",
            "DB_PASSWORD": "correcthorse",
        }
    )
    text = "recordings in production: aB3dE6gH9, ./private.key, 16000000, correcthorse"
    assert conceal_secrets(text) == "recordings in production: [hidden], ./private.key, 16000000, [hidden]"


def test_a_short_text_hides_nothing_and_what_is_hidden_is_bounded() -> None:
    hide("abc")
    assert conceal("abc") == "abc"
    for number in range(2_000):
        hide(f"secret-number-{number}")
    assert len(secrets._secrets) == 1_000


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"Got {KEY}.", "Got [hidden]."),
        (f"Got {KEY[:50]}", "Got [hidden]"),
        ("https://b.example.org/a.wav?X-Amz-Signature=0badc0de&a=1", "https://b.example.org/a.wav?X-Amz-Signature=[hidden]&a=1"),
        ("https://b.example.org/a.wav?a=1&amp;sig=0badc0de", "https://b.example.org/a.wav?a=1&amp;sig=[hidden]"),
        ("redis://default:hunter2@cache:6379/0", "redis://default:[hidden]@cache:6379/0"),
    ],
)  # fmt: skip
def test_secrets_are_known_by_their_form(text: str, shown: str) -> None:
    assert conceal_secrets(text) == shown
    assert conceal_secrets(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "I tell you a secret: butter.",
        "https://shop.example.org/find?q=keys&call=42",
        "-----BEGIN CERTIFICATE-----",
        "at 2026-08-22 18:30, for 1 299 500",
    ],
)
def test_a_sentence_stays_as_it_is(text: str) -> None:
    assert conceal_secrets(text) == text
