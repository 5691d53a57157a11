"""Tokens: what is forged, cut, stale, too early or spelled in another way opens nothing, and none of it can be read."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given
from hypothesis import strategies as st

from patter_core.agent import CallOptions
from patter_core.call.token import LONGEST_TOKEN, CallToken
from patter_core.server.tokens import CallTokens, Purpose, TokenMaker
from patter_core.telephony.leg import Direction, Leg
from patter_core.testing.fakes import FakeCarrier

TOKEN = CallToken(
    carrier="fake",
    leg_id="leg-1",
    call_id="call-1",
    agent="agent",
    direction=Direction.OUTBOUND,
    from_number="+15550001111",
    to_number="+15550002222",
    base="https://phone.example",
    options=CallOptions(first_message="Hello, Ada.", variables={"name": "Ada", "age": 36}),
    streams=1,
    issued_at=1000.0,
)


def maker(secret: bytes = b"secret", purpose: Purpose = Purpose.STREAM) -> TokenMaker:
    return TokenMaker(secret, purpose)


def test_any_worker_with_the_secret_reads_what_another_wrote() -> None:
    assert maker().check(maker().mint(TOKEN), 1001.0) == TOKEN


STORED = msgspec.structs.replace(
    TOKEN,
    options=CallOptions(
        first_message="Hello, Ada.",
        variables={"name": "Ada", "age": 36, "is_new": True, "due": 1.5},
        machine_detection=True,
        voicemail_message="Call us.",
    ),
    losses=0.5,
)
STORED_TEXTS = {
    Purpose.STREAM: (
        "N3gLIQx2h67NnxmEsOSoRXk6Tycv4xEWgrfuIMXmTajhverXeBYHWayTclgvch_4g7Pa1QpakNuKaaAuc5s6xCN5oSuSxutnxpgekzXr"
        "sSsI0hcoegKsnlKI2mbRi_OiaMsgN0kXEJyEX9OcjsTz4F8PCTOS719EW6l4DutDVI6QvpEWXEsIW8T-"
        "3d1Zy75FpE85Qu5bRME24lHsO-Jh02v7frOiPmyP2o7iaXzt8qdJ7Sg2pQZHAT1W5Nfl-"
        "GZCm5cz4GpBQBaENb10NGAaLKMMFSbElTngtL-"
        "LRhVBKNMKMl3EOYq9eZiObQenTWpneVQ2g_e2T-7wvSYIUVZxSV0YVAdQSW5fICJI87j-tL3vbu6ujAC16y_j3RvhiQ_DL4t9zenhSg"
    ),
    Purpose.CALLBACK: (
        "cRPf46UTQap5rTMIsGGTMgsaIP_EGTQhQrba21vzPzOBn5VytTcF9aVBms71-"
        "TLOJCMMNZBcfKZURwabpLj7HjTBH1DQUxbEAietUvJqYzGIMxuaZoWJCxY_gcx1TphDjaS9N1MrvnXrbJpqzm4bnUejWmifxHCl50tid"
        "0pdhHJbyq_nU3Eu8ex4H3bKyw8kTmvpx2cGHR7EzF9m01c3ILk1wSuC8DvHNJyDZvTW1RPLwj6VDWIeh6rgFEpisqO2mh-_ILda59N1i"
        "u8nM0NWLOxwQ6wSQUhexn6hW8CZ54cASLv8GXBcz5FX7L7kgyMcjGr9YHlsU34bNUJ11iGZro1bwGPqD8lsUda8UzIKopwymUfYcAnyG"
        "uEisEFq4uPWVFvw5XxbeQ"
    ),
}
"""Made by the first version of the format, with the secret `secret`: during a deployment both versions run."""


@pytest.mark.parametrize("purpose", list(Purpose))
def test_a_token_of_the_first_version_is_read(purpose: Purpose) -> None:
    assert maker(purpose=purpose).check(STORED_TEXTS[purpose], 1001.0) == STORED


def test_a_token_of_a_later_version_with_more_fields_and_options_is_read_as_far_as_it_is_known() -> None:
    fields = msgspec.json.decode(msgspec.json.encode(STORED), type=list[object])
    options = msgspec.json.decode(msgspec.json.encode(STORED.options), type=dict[str, object])
    fields[8] = options | {"mood": "friendly"}
    assert maker().check(sealed(msgspec.json.encode([*fields, "appended"])), 1001.0) == STORED


def test_a_worker_with_another_secret_reads_nothing() -> None:
    assert maker(b"other").check(maker().mint(TOKEN), 1001.0) is None


def test_what_is_made_for_one_purpose_is_nothing_for_another() -> None:
    assert maker(purpose=Purpose.CALLBACK).check(maker().mint(TOKEN), 1001.0) is None
    assert maker().check(maker(purpose=Purpose.CALLBACK).mint(TOKEN), 1001.0) is None


@pytest.mark.parametrize(
    ("purpose", "now", "good"),
    [
        (Purpose.STREAM, 989.0, False),
        (Purpose.STREAM, 990.0, True),
        (Purpose.STREAM, 1060.0, True),
        (Purpose.STREAM, 1061.0, False),
        (Purpose.CALLBACK, 1000.0 + 4 * 3600, True),
        (Purpose.CALLBACK, 1000.0 + 7 * 3600, False),
    ],
)
def test_a_token_lives_as_long_as_its_purpose_and_allows_for_clocks(purpose: Purpose, now: float, good: bool) -> None:
    made = maker(purpose=purpose)
    assert (made.check(made.mint(TOKEN), now) is not None) is good


@given(st.data())
def test_no_other_spelling_is_taken(data: st.DataObject) -> None:
    text = maker().mint(TOKEN)
    index = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n"))
    changed = text[:index] + other + text[index + 1 :]
    assert changed == text or maker().check(changed, 1001.0) is None
    assert maker().check(text + other, 1001.0) is None


@given(st.data())
def test_a_part_of_a_token_is_nothing(data: st.DataObject) -> None:
    text = maker().mint(TOKEN)
    begin = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(begin, len(text)))
    part = text[begin:end]
    assert part == text or maker().check(part, 1001.0) is None


@given(st.binary(max_size=200))
def test_what_others_make_up_is_nothing(data: bytes) -> None:
    assert maker().check(base64.urlsafe_b64encode(data).rstrip(b"=").decode(), 1001.0) is None


@given(st.binary(min_size=1), st.binary(min_size=1))
def test_another_secret_opens_nothing(secret: bytes, other: bytes) -> None:
    assert secret == other or maker(other).check(maker(secret).mint(TOKEN), 1001.0) is None


def test_what_is_longer_than_any_token_is_not_even_read() -> None:
    long = msgspec.structs.replace(TOKEN, base="x" * LONGEST_TOKEN)
    assert maker().check(maker().mint(long), 1001.0) is None


@given(st.text())
def test_any_text_is_checked_without_a_fault(text: str) -> None:
    assert maker().check(text, 1001.0) is None


def test_what_is_sealed_is_read_by_nobody_and_never_looks_the_same_twice() -> None:
    first, second = maker().mint(TOKEN), maker().mint(TOKEN)
    assert first != second
    data = base64.urlsafe_b64decode(first + "=" * (-len(first) % 4))
    assert not any(word in data for word in (b"Ada", b"555", b"agent", b"leg-1", b"Hello"))


def test_a_token_fits_into_a_path_and_shows_no_secret() -> None:
    assert set(maker().mint(TOKEN)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert not any(private in f"{maker()!r} {TOKEN!r} {TOKEN.options!r}" for private in ("secret", "555", "Ada"))


def test_it_tells_the_leg() -> None:
    assert TOKEN.leg == Leg(
        carrier="fake",
        call_id="leg-1",
        direction=Direction.OUTBOUND,
        from_number="+15550001111",
        to_number="+15550002222",
        webhooks="https://phone.example/webhooks/fake",
    )


def sealed(content: bytes, purpose: str = "stream") -> str:
    """A token as any implementation makes it that follows the description in the module."""
    key = hashlib.blake2b(b"secret", digest_size=32, person=f"patter {purpose}".encode()).digest()
    nonce = secrets.token_bytes(12)
    return base64.urlsafe_b64encode(nonce + ChaCha20Poly1305(key).encrypt(nonce, content, None)).rstrip(b"=").decode()


def test_the_seal_is_as_described() -> None:
    assert maker().check(sealed(msgspec.json.encode(TOKEN)), 1001.0) == TOKEN
    assert maker(purpose=Purpose.CALLBACK).check(sealed(msgspec.json.encode(TOKEN), "callback"), 1001.0) == TOKEN


@pytest.mark.parametrize("content", [b"", b"null", b"[]", b'["fake"]', b"\xff"])
def test_a_token_of_another_version_is_nothing(content: bytes) -> None:
    assert maker().check(sealed(content), 1001.0) is None


# --- the tokens of one carrier's calls -----------------------------------------------------------------------------


def stream_of(tokens: CallTokens) -> str:
    return tokens.accept(TOKEN).media_url.rsplit("/", 1)[1]


def test_an_accept_brings_a_stream_token_and_a_callback_token_of_now() -> None:
    tokens = CallTokens(FakeCarrier())
    accept = tokens.accept(TOKEN)
    for read in (tokens.read_stream(stream_of(tokens)), tokens.read_callback(accept.callbacks.token)):
        assert read is not None
        assert read.call_id == accept.call_id == "call-1"
        assert read.issued_at == pytest.approx(time.time(), abs=5)


def test_a_stream_comes_once_and_any_worker_with_the_secret_knows_it() -> None:
    tokens, other = CallTokens(FakeCarrier()), CallTokens(FakeCarrier())
    stream = stream_of(tokens)
    assert other.read_stream(stream) is not None
    other.use_stream(stream)
    assert other.read_stream(stream) is None


def test_neither_is_the_other() -> None:
    tokens = CallTokens(FakeCarrier())
    assert tokens.read_callback(stream_of(tokens)) is None
    assert tokens.read_stream(tokens.accept(TOKEN).callbacks.token) is None


@pytest.mark.parametrize("text", ["", "made-up", "ü"])
def test_what_nobody_made_is_nothing(text: str) -> None:
    tokens = CallTokens(FakeCarrier())
    assert tokens.read_callback(text) is None
    assert tokens.read_stream(text) is None


def test_another_carriers_is_nothing() -> None:
    tokens = CallTokens(FakeCarrier())
    foreign = tokens.accept(msgspec.structs.replace(TOKEN, carrier="other"))
    assert tokens.read_stream(foreign.media_url.rsplit("/", 1)[1]) is None
    assert tokens.read_callback(foreign.callbacks.token) is None


# --- clocks that are set -------------------------------------------------------------------------------------------


class Clocks:
    """A worker's clocks: the wall clock may be set, the other one never."""

    def __init__(self) -> None:
        self.wall, self.monotonic = 1_750_000_000.0, 5.0

    def tokens(self) -> CallTokens:
        return CallTokens(FakeCarrier(), wall=lambda: self.wall, monotonic=lambda: self.monotonic)

    def pass_(self, seconds: float, *, set_by: float = 0.0) -> None:
        self.wall += seconds + set_by
        self.monotonic += seconds


@pytest.mark.parametrize("set_by", [-3_600.0, -120.0, 0.0, 120.0, 86_400.0])
def test_a_worker_knows_the_age_of_its_own_tokens_whatever_the_wall_clock_is_set_to(set_by: float) -> None:
    clocks = Clocks()
    tokens = clocks.tokens()
    stream, callback = stream_of(tokens), tokens.callbacks(TOKEN).token
    clocks.pass_(2.0, set_by=set_by)
    assert tokens.read_stream(stream) is not None
    assert tokens.read_callback(callback) is not None
    clocks.pass_(60.0)
    assert tokens.read_stream(stream) is None
    assert tokens.read_callback(callback) is not None
    clocks.pass_(6 * 3600.0)
    assert tokens.read_callback(callback) is None


def test_another_workers_tokens_are_as_old_as_the_wall_clock_says() -> None:
    clocks = Clocks()
    stream = stream_of(clocks.tokens())
    clocks.pass_(2.0, set_by=-120.0)
    assert clocks.tokens().read_stream(stream) is None
    clocks.pass_(2.0, set_by=120.0)
    assert clocks.tokens().read_stream(stream) is not None


def test_a_stream_may_come_as_late_as_its_notice_takes() -> None:
    now = [1000.0]
    tokens = CallTokens(FakeCarrier(), wall=lambda: now[0], monotonic=lambda: now[0])
    first = msgspec.structs.replace(TOKEN, streams=0)
    plain, speaking = tokens.accept(first), tokens.accept(first, notice="a" * 400)
    assert (plain.notice, speaking.notice) == ("", "a" * 400)
    now[0] += 160.0
    assert tokens.read_stream(plain.token) is None
    read = tokens.read_stream(speaking.token)
    assert read is not None
    assert tokens.accept(read).notice == ""
    now[0] += 20.0
    assert tokens.read_stream(speaking.token) is None
    assert tokens.accept(TOKEN, notice="Again.").notice == ""  # it had a stream before
