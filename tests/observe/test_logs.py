"""Logs hold no phone number and no secret, at whatever level, and else what they would have held."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator

import pytest

from patter_core.observe import logs
from patter_core.observe.logs import conceal, guard, hide, hide_secrets_of

TOKEN = "dGhpcyBpcyBhIHRva2VuIHRoYXQgaXMgbG9uZyBlbm91Z2g"


@pytest.fixture(autouse=True)
def _nothing_hidden() -> Iterator[None]:
    kept = dict(logs._secrets)
    logs._secrets.clear()
    yield
    logs._secrets.clear()
    logs._secrets.update(kept)


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


def test_a_short_text_hides_nothing_and_what_is_hidden_is_bounded() -> None:
    hide("abc")
    assert conceal("abc") == "abc"
    for number in range(2_000):
        hide(f"secret-number-{number}")
    assert len(logs._secrets) == 1_000


def fail(logger: logging.Logger) -> None:
    calls: dict[str, int] = {}
    try:
        logger.debug("%d", calls["+15550001234"])
    except KeyError:
        logger.exception("It failed.")


def test_every_logger_of_ours_and_of_the_libraries_is_guarded(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("patter.call", "patter_thirdparty.carrier"):
        logging.getLogger(name)
    guard()
    guard()
    for name in ("patter.call", "patter_thirdparty.carrier", "websockets.client", "uvicorn.error", "httpx"):
        logger = logging.getLogger(name)
        assert len([one for one in logger.filters if isinstance(one, logs._Guard)]) == 1
        logger.debug("> %s: %s", "xi-api-key", "sk_0123456789")
        logger.warning("from %s", "+15550001234")
        fail(logger)
    assert "sk_0123456789" not in caplog.text
    assert "5550001234" not in caplog.text
    assert caplog.text.count("from +*********34") == 5
    assert caplog.text.count("KeyError: '+*********34'") == 5


def test_arguments_stay_arguments_for_formatters_that_read_them(caplog: pytest.LogCaptureFixture) -> None:
    guard()
    logger = logging.getLogger("uvicorn.access")
    logger.warning('%s - "%s %s HTTP/%s" %d', "127.0.0.1:5", "GET", f"/media/acme/{TOKEN}", "1.1", 101)
    assert caplog.records[-1].args == ("127.0.0.1:5", "GET", "/media/acme/[hidden]", "1.1", 101)


def test_a_log_call_that_is_wrong_is_left_to_logging() -> None:
    guard()
    record = logging.LogRecord("patter.call", logging.INFO, __file__, 1, "%s %s", ("one",), None)
    assert logging.getLogger("patter.call").filter(record)
