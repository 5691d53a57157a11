from __future__ import annotations

import pytest

from patter_core.errors import ConfigurationError
from patter_core.telephony.e164 import is_callable, is_e164
from patter_core.telephony.outcome import Transfer


@pytest.mark.parametrize("text", ["+15550001234", "+4930123", "+861234567890123"])
def test_a_number_begins_with_its_country(text: str) -> None:
    assert is_e164(text)
    assert is_callable(text)


@pytest.mark.parametrize(
    "text", ["", "15550001234", "+0123456789", "+1 555 000 1234", "+123456", "+1234567890123456", "office"]
)
def test_everything_else_is_none(text: str) -> None:
    assert not is_e164(text)
    assert not is_callable(text)
    with pytest.raises(ConfigurationError, match=r"is not an E\.164 number"):
        Transfer(text)


def test_a_sip_address_can_be_called() -> None:
    assert is_callable("sip:desk@example.org")
    assert not is_e164("sip:desk@example.org")
    assert Transfer("sips:desk@example.org", "One moment.").to == "sips:desk@example.org"
