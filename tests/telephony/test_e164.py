from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_core.errors import CallError, ConfigurationError
from patter_core.telephony.e164 import address_of, is_address, is_callable, is_e164, number_error
from patter_core.telephony.outcome import Transfer


@pytest.mark.parametrize("text", ["+15550001234", "+4930123", "+861234567890123"])
def test_a_number_begins_with_its_country(text: str) -> None:
    assert is_e164(text)
    assert is_callable(text)
    assert is_address(text)


@pytest.mark.parametrize(
    "text",
    ["15550001234", "+0123456789", "+1 555 000 1234", "+123456", "+1234567890123456", "office", "sip:", "sip:a b@c"],
)
def test_everything_else_is_none(text: str) -> None:
    assert not is_e164(text)
    assert not is_callable(text)
    assert not is_address(text)
    with pytest.raises(ConfigurationError, match=r"is not an E\.164 number"):
        Transfer(text)


def test_a_sip_address_can_be_called() -> None:
    assert is_callable("sip:desk@example.org")
    assert is_callable("sip:desk@Example.org:5061;transport=tls?X-Id=7")
    assert not is_e164("sip:desk@example.org")
    assert Transfer("sips:desk@example.org", "One moment.").to == "sips:desk@example.org"


def test_a_number_that_is_withheld_is_an_address_and_cannot_be_called() -> None:
    assert is_address("")
    assert not is_callable("")


@pytest.mark.parametrize(
    ("written", "held"),
    [
        ("+15550001234", "+15550001234"),
        (" +1-555-000-1234", "+15550001234"),
        ("+1 (555) 000.1234", "+15550001234"),
        ("tel:+1-555-000-1234;ext=7", "+15550001234"),
        ("sip:+15550001234@gateway.example;user=phone", "+15550001234"),
        ('"Ada" <sip:+15550001234@gateway.example;user=phone>;tag=7', "+15550001234"),
        ("sip:+15550001234;npdi@gateway.example:5060;transport=udp;user=phone", "+15550001234"),
        ("sip:+15550001234@gateway.example", "sip:+15550001234@gateway.example"),
        ("SIP:Ada@Example.ORG", "sip:Ada@example.org"),
        ("sips:ada@example.org:5061;transport=tls?Subject=a@b", "sips:ada@example.org:5061"),
        ("sip:ada:secret@example.org", "sip:ada@example.org"),
        ("Ada Lovelace <sip:ada@example.org>", "sip:ada@example.org"),
        ("sip:ada@[2001:db8::1]:5060", "sip:ada@[2001:db8::1]:5060"),
        ("sip:example.org", "sip:example.org"),
        ("sip:ada@example.org?user=phone", "sip:ada@example.org"),
    ],
)
def test_what_carriers_write_becomes_e164_or_a_plain_sip_address(written: str, held: str) -> None:
    assert address_of(written) == held
    assert is_address(held)


@pytest.mark.parametrize(
    "written",
    [
        *("", "anonymous", "Anonymous", "restricted", "UNKNOWN", "unavailable", "private", "client:ada", "+"),
        *("+266696687", "+7378742833", "+2562533", "+8656696", "+86282452253", "266696687"),
        *("sip:anonymous@anonymous.invalid", "sip:anonymous@example.org", '"Anonymous" <sip:x@anonymous.invalid>'),
        *("15550001234", "0015550001234", "112", "12345", "+112", "tel:112", "555-0100", "٣٣٣٣٣٣٣٣", "+١٥٥٥٠٠٠١٢٣٤"),
        *("sip:", "sip:@", "sip:a@", "sip:a b@example.org", "sip:a@ex\nample.org", "sip:ä@example.org", "sips"),
        *(f"sip:{'a' * 250}@example.org", "<" * 1000, "sip:a@b" + ";x" * 50_000),
    ],
)
def test_what_is_withheld_or_has_no_such_form_is_nothing(written: str) -> None:
    assert address_of(written) == ""


@pytest.mark.parametrize(
    ("written", "held"),
    [("15550001234", "+15550001234"), ("+15550001234", "+15550001234"), ("anonymous", ""), ("266696687", ""), ("", "")],
)
def test_some_carriers_write_no_plus(written: str, held: str) -> None:
    assert address_of(written, has_plus=False) == held


@given(st.one_of(st.text(), st.from_regex(r"sips?:[!-~]{0,40}", fullmatch=True)), st.booleans())
def test_the_form_is_final(text: str, has_plus: bool) -> None:
    held = address_of(text, has_plus=has_plus)
    assert is_address(held)
    assert held == "" or held.isascii()


LEAVE_OUT = "Leave out all but the plus sign and the digits."
REMEDIES = {
    "+1 (555) 010-0001": LEAVE_OUT,
    " +15550100001": LEAVE_OUT,
    "+1\u2011555\u00a0010\u20130001": LEAVE_OUT,
    "+44 (0)20 7946 0000": "Leave out the (0), and all but the plus sign and the digits.",
    "0015550100001": "Write a plus sign in place of the first 00, and then digits alone.",
    "00 1 555-010-0001": "Write a plus sign in place of the first 00, and then digits alone.",
    **dict.fromkeys(
        (
            "(555) 010-0001",
            "15550100001",
            "+1 555",
            "+1 555 010 0001 ext 5",
            "+1+5550100001",
            "+١٥٥٥٠٠٠١٢٣٤",
            "call me",
            "",
        ),
        "Numbers begin with a plus sign and the country code.",
    ),
}


@pytest.mark.parametrize(("written", "remedy"), REMEDIES.items())
def test_an_error_says_how_the_number_that_is_clearly_meant_is_written(written: str, remedy: str) -> None:
    error = number_error(ConfigurationError, "`to` is not an E.164 number.", written)
    assert type(error) is ConfigurationError
    assert str(error).startswith(
        "`to` is not an E.164 number. Expected a plus sign and 7 to 15 digits, or a SIP address"
    )
    assert str(error).endswith(f" digits. {remedy}")
    assert not any(digits in str(error) for digits in ("555", "0001", "7946"))
    assert "SIP" not in str(number_error(CallError, "`phone_number` is none.", written, takes_sip=False))
