"""Masks phone numbers and SIP addresses in texts. The only definition of what looks like one.

What is known to be a number, a field of a leg, is masked whole (`mask_address`). In a sentence much looks like a number
and is a date, a price or an order, so there are two nets:

* `mask_international` and `OwnNumbers`: what is a phone number beyond doubt. E.164 with its `+`, and the numbers of the
  call itself, however they are spelled.
* `mask_numbers`: whatever has the shape of one, and longer numbers: of payment cards, accounts and persons. For logs,
  where a date more or less is no loss.

Each takes time in proportion to the text's length.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = [
    "HIDDEN",
    "OwnNumbers",
    "mask_address",
    "mask_international",
    "mask_number",
    "mask_numbers",
    "mask_sip_users",
]

HIDDEN = "[hidden]"
"""Stands where a secret or the user of a SIP address was."""

_SPACES = r" \t\u00a0\u2007\u2009\u202f"
_DASHES = r"\-\u2010-\u2015\u2212"
_BETWEEN = rf"[{_SPACES}{_DASHES}().\/]{{0,2}}"
"""What people and programs put between the digits of a number."""
_NUMBER = re.compile(rf"(?:(?<![\w+.])|(?<=%2B))\+?\(?\d(?:{_BETWEEN}\d){{6,}}(?=[A-Za-z]?(?!\w))")
"""7 digits or more, grouped, and not part of a longer word or id; a letter may follow, as in numbers of persons."""
_DIGIT_BY_DIGIT = re.compile(r"(?<![\w.])\d(?:[ ,]{1,2}\d){6,}(?!\w)")
"""As speech recognition writes what was read out: `5 5 5, 0 1 0, 1 2 3 4`."""
_CARD = re.compile(rf"(?<!\d)\d(?:[{_SPACES}{_DASHES},.]{{0,2}}\d){{12,18}}(?!\d)")
"""13 to 19 digits, as payment cards have (ISO/IEC 7812), with commas, too, as speech recognition writes them."""
_IBAN = re.compile(r"(?<!\w)[A-Za-z]{2}\d{2}(?:[ \-]?[A-Za-z0-9]{4}){2,7}(?:[ \-]?[A-Za-z0-9]{1,3})?(?!\w)")
_INTERNATIONAL = re.compile(rf"(?:(?<![\w+.])\+|(?<=%2B))[ (]?[1-9](?:{_BETWEEN}\d){{7,14}}(?!\d)")
_NETWORK_ADDRESS_OR_FRACTION = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}|\+?\d+\.\d+")
_FRACTION = re.compile(r"\+?\d{1,3}\.\d{4}")
"""How a signed fraction begins, such as a latitude."""
_SIP_USER = re.compile(r"(?:(?<=sip:)|(?<=sips:))[^@\s\"'<>]{1,256}+(?=@)", re.IGNORECASE)
_SCHEME = re.compile(r"(?:sips?|client):", re.IGNORECASE)
_DIALLED = re.compile(rf"[+*#\d{_SPACES}{_DASHES}().\/]+")
"""The user of an address that is a number."""
_RUN = re.compile(rf"\d(?:[\s,{_DASHES}().\/]{{0,3}}\d){{6,}}")
_SHORTEST_ACCOUNT = 15
"""Characters of an IBAN."""
_SHORTEST = 7
"""Digits of a number as it is dialled within its area."""
_LONGEST_CODE = 3
"""Digits of a country code, or of a prefix such as 00."""


def mask_number(number: str) -> str:
    """Returns a text with all digits but the last two replaced by asterisks."""
    left = max(sum(map(str.isdigit, number)) - 2, 0)
    masked = []
    for character in number:
        if left and character.isdigit():
            left -= 1
            masked.append("*")
        else:
            masked.append(character)
    return "".join(masked)


def mask_address(address: str) -> str:
    """Returns a phone number, SIP address or client name, as a carrier writes it, with who it is masked.

    Of a number two digits are left, and of an address the host.
    """
    scheme = _SCHEME.match(address)
    start = scheme.end() if scheme else 0
    user, at, host = address[start:].rpartition("@")
    if not at and not address[:start].lower().startswith("client"):
        return mask_number(address)
    if not at:
        user, host = host, ""
    user = mask_number(user) if _DIALLED.fullmatch(user) else HIDDEN
    return f"{address[:start]}{user}{at}{mask_numbers(host)}"


def mask_sip_users(text: str) -> str:
    """Returns a text with the users of SIP addresses in it hidden; a number keeps two digits."""
    if "@" not in text:
        return text
    return _SIP_USER.sub(lambda match: mask_number(match[0]) if _DIALLED.fullmatch(match[0]) else HIDDEN, text)


def mask_numbers(text: str) -> str:
    """Returns a text with what looks like a phone number, or is longer, masked; of each, two digits are left at most.

    Numbers spelled as words are not recognised.
    """
    text = _IBAN.sub(_mask_account, text)
    text = _CARD.sub(lambda match: mask_number(match[0]) if _is_card(match[0]) else match[0], text)
    return _DIGIT_BY_DIGIT.sub(_mask, _NUMBER.sub(_mask, text))


def mask_international(text: str) -> str:
    """Returns a text with phone numbers of 8 to 15 digits that begin with `+` masked."""
    return _INTERNATIONAL.sub(lambda match: match[0] if _FRACTION.match(match[0]) else mask_number(match[0]), text)


def _mask(match: re.Match[str]) -> str:
    found = match[0]
    return found if _NETWORK_ADDRESS_OR_FRACTION.fullmatch(found) else mask_number(found)


def _is_card(text: str) -> bool:
    """True if the last digit is that which the others have by the Luhn algorithm (ISO/IEC 7812)."""
    digits = [int(one) for one in text if one.isdecimal()]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _mask_account(match: re.Match[str]) -> str:
    """Masks an IBAN, whose check digits are right (ISO 13616); words after it stay."""
    parts = re.split(r"([ \-])", match[0])
    for end in range(len(parts), 0, -2):
        account = "".join(parts[0:end:2])
        if (
            len(account) >= _SHORTEST_ACCOUNT
            and int("".join(str(int(one, 36)) for one in account[4:] + account[:4])) % 97 == 1
        ):
            return mask_number("".join(parts[:end])) + "".join(parts[end:])
    return match[0]


class OwnNumbers:
    """The numbers and addresses of one call, and their masking in texts.

    A number is found with or without its country code, with any separators, digit by digit, and in a longer word. Its
    last seven digits are enough.
    """

    def __init__(self) -> None:
        self._numbers: set[str] = set()
        self._addresses: dict[str, str] = {}

    def add(self, addresses: Iterable[str]) -> None:
        """Adds numbers or SIP addresses, as the carrier writes them."""
        for address in addresses:
            user, at, host = _SCHEME.sub("", address, count=1).rpartition("@")
            user = user if at else host
            if _DIALLED.fullmatch(user):
                digits = "".join(filter(str.isdigit, user))
                if len(digits) >= _SHORTEST:
                    self._numbers.add(digits)
            elif at and user:
                whole = f"{user}@{re.split('[;>?]', host, maxsplit=1)[0]}"
                self._addresses[whole] = mask_address(whole)

    def mask(self, text: str) -> str:
        """Returns a text with these numbers and addresses masked."""
        for address, masked in self._addresses.items():
            if address in text:
                text = text.replace(address, masked)
        return _RUN.sub(self._mask_run, text) if self._numbers else text

    def _mask_run(self, match: re.Match[str]) -> str:
        run = match[0]
        places = [place for place, character in enumerate(run) if character.isdigit()]
        digits = "".join(run[place] for place in places)
        masked = list(run)
        for number in self._numbers:
            tail = number[-_SHORTEST:]
            found = digits.find(tail)
            while found >= 0:
                end = found + _SHORTEST
                ends = end == len(places) or places[end] > places[end - 1] + 1
                start = _start(digits, places, found, number[:-_SHORTEST]) if ends else None
                if start is not None:
                    for place in places[start : end - 2]:
                        masked[place] = "*"
                found = digits.find(tail, found + 1)
        return "".join(masked)


def _start(digits: str, places: list[int], found: int, head: str) -> int | None:
    """Returns where the number begins whose last digits were found; None if they are part of a longer number.

    Args:
        digits: those of the text.
        places: where each of them stands in it.
        found: where the last seven digits begin.
        head: the digits of the number that come before those.
    """
    start = found
    while start and head and digits[start - 1] == head[-1]:
        start, head = start - 1, head[:-1]
    if head and digits[max(start - 1 - len(head), 0) : start] == f"{head}0":  # +49 (0)30 …
        start, head = start - 1 - len(head), ""
    first = start
    while first and places[first - 1] == places[first] - 1:  # directly before it, without a separator
        first -= 1
        if start - first > _LONGEST_CODE:
            return None
    prefix = digits[first:start]
    return first if not head or not prefix.strip("0") else None
