"""What is a phone number, what looks like one, and what is neither."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_core.observe.masking import OwnNumbers, mask_address, mask_international, mask_number, mask_numbers


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("+49 30 901820", "+** ** ****20"),
        ("at 5550001122, please", "at ********22, please"),
        ("a table for 4 at 19:30", "a table for 4 at 19:30"),
        ("order 123456", "order 123456"),  # no number anywhere has six digits and a plan
        ("CA00112233445566778899aabbccddeeff", "CA00112233445566778899aabbccddeeff"),
        ("at 0.12345678901234567 and 192.168.100.200", "at 0.12345678901234567 and 192.168.100.200"),
        ("from 2024, 2025, 2026, 2027", "from 2024, 2025, 2026, 2027"),
        ("DE89370400440532013001", "DE89370400440532013001"),  # the check digits of no account
    ],
)
def test_a_number_is_known_by_its_shape(text: str, masked: str) -> None:
    assert mask_numbers(text) == masked


@pytest.mark.parametrize(
    "number",
    [
        "4242 4242 4242 4242",
        "4242424242424242",
        "4242-4242-4242-4242",
        "4242, 4242, 4242, 4242",
        "4 2 4 2, 4 2 4 2, 4 2 4 2, 4 2 4 2",
        "3782 822463 10005",
        "4222222222222",
        "6304 0000 0000 0000 000",
        "DE89 3704 0044 0532 0130 00",
        "DE89370400440532013000",
        "de89 3704 0044 0532 0130 00",
        "GB29 NWBK 6016 1331 9268 19",
        "GB29NWBK60161331926819",
        "NO93 8601 1117 947",
        "MT84 MALT 0110 0001 2345 MTLC AST0 01S",
        "123-45-6789",
        "1 85 05 78 006 084 36",
        "12345678Z",
        "11010519491231002X",
        "12345678901234567890123",
    ],
)
def test_of_a_card_an_account_or_a_person_two_digits_are_left_at_most(number: str) -> None:
    masked = mask_numbers(f"It is {number} and so on, by 12.")
    assert masked.endswith(" and so on, by 12.")
    assert sum(map(str.isdigit, masked)) <= 4
    assert mask_numbers(masked) == masked


@given(st.integers(1, 9), st.text("0123456789", min_size=6, max_size=14))
def test_of_any_number_two_digits_are_left(first: int, rest: str) -> None:
    number = f"+{first}{rest}"
    for masked in (mask_number(number), mask_numbers(f"It is {number}!")):
        assert sum(character.isdigit() for character in masked) == 2


def test_words_are_no_numbers() -> None:
    assert mask_number("anonymous") == "anonymous"


@pytest.mark.parametrize(
    "text",
    [
        "+1 (555) 000-1234",
        "555.000.1234",
        "(555) 000-1234",
        "555\u2013000\u20131234",
        "555\u00a0000\u00a01234",
        "5 5 5, 0 0 0, 1 2 3 4",
        "x5550001234",
        "0015550001234",
        "000-1234",
        "1/555/000/1234 7 8",
    ],
)
def test_the_calls_own_number_is_found_in_each_spelling(text: str) -> None:
    numbers = OwnNumbers()
    numbers.add(["+15550001234"])
    masked = numbers.mask(f"It is {text}.")
    assert "555" not in masked.replace(" ", "")
    assert "000" not in masked
    assert numbers.mask(masked) == masked


@pytest.mark.parametrize("text", ["+49 30 901820", "030 901820", "+49 (0)30 901820", "0049-30-901820", "49.30.901820"])
def test_a_number_is_found_with_its_codes_or_without(text: str) -> None:
    numbers = OwnNumbers()
    numbers.add(["+4930901820"])
    assert sum(map(str.isdigit, numbers.mask(text))) == 2


@pytest.mark.parametrize("text", ["95550001234", "55500012345", "99990001234", "order 1234", "555 000 1235"])
def test_another_number_is_not_the_calls_own(text: str) -> None:
    numbers = OwnNumbers()
    numbers.add(["+15550001234", "112", "anonymous", ""])
    assert numbers.mask(text) == text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("+49 30 901820", "+** ** ****20"),
        ("%2B4930901820", "%2B********20"),
        ("+49\u201330\u2013901820", "+**\u2013**\u2013****20"),
        ("4930901820", "4930901820"),
        ("+52.5200066", "+52.5200066"),
        ("at 18:30 +0100", "at 18:30 +0100"),
        ("a growth of +1 299", "a growth of +1 299"),
        ("+1234567890123456", "+1234567890123456"),
    ],
)
def test_an_international_number_begins_with_a_plus(text: str, masked: str) -> None:
    assert mask_international(text) == masked


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("+15550001234", "+*********34"),
        ("sip:+15550001234@pbx.example.org", "sip:+*********34@pbx.example.org"),
        ("sip:alice:pin@pbx.example.org;user=phone", "sip:[hidden]@pbx.example.org;user=phone"),
        ("alice@192.168.100.200", "[hidden]@192.168.100.200"),
        ("client:alice", "client:[hidden]"),
        ("Restricted", "Restricted"),
    ],
)
def test_of_an_address_the_host_is_left(address: str, masked: str) -> None:
    assert mask_address(address) == masked
