"""Phone numbers in E.164 and SIP addresses: the forms that a `Leg` holds, and what carriers write in their place."""

from __future__ import annotations

import re
from typing import TypeVar

from patter_core.errors import PatterError

__all__ = ["E164_FORM", "address_of", "is_address", "is_callable", "is_e164", "number_error"]

_Error = TypeVar("_Error", bound=PatterError)

E164_FORM = "a plus sign and 7 to 15 digits"
"""E.164 in words, for errors."""
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_SEPARATORS = re.compile(r"[ ().\-]")
_IN_BRACKETS = re.compile(r"[^<>]{0,100}<([^<>]*)>.{0,300}")
"""A SIP header's form: a name, and the address in angle brackets."""
_SIP = re.compile(
    r"(?:(?P<user>[!-9;-?A-~]+)(?::[!-?A-~]*)?@)?"  # with a password, which is left out
    r"(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?P<port>:[0-9]{1,5})?"
    r"(?P<rest>[;?].*)?"
)
_LONGEST = 255
"""Characters of a SIP address: it is sealed into tokens, and a caller may make up any."""
_LONGEST_WRITTEN = 2_000
_WORDS = frozenset({"anonymous", "blocked", "private", "restricted", "unavailable", "unknown", "withheld"})
"""In place of a number, or as the user of a SIP address."""
_SPELLED = frozenset({"266696687", "2562533", "7748283", "7378742833", "86282452253", "8656696"})
"""Six of these words on a telephone's keys, for switches that know digits only. None is a number of any country."""


def is_e164(text: str) -> bool:
    """True if the text is a phone number: `+`, country code, number."""
    return _E164.fullmatch(text) is not None


def is_callable(text: str) -> bool:
    """True if carriers can call it: a phone number in E.164, or a SIP address, with parameters if it has any."""
    return is_e164(text) or (text.startswith(("sip:", "sips:")) and bool(address_of(text)))


def is_address(text: str) -> bool:
    """True if a `Leg` may hold it: E.164, a SIP address without parameters, or "" for a number that is withheld."""
    return text == address_of(text)


def address_of(text: str, *, has_plus: bool = True) -> str:
    """Returns a number or a SIP address as a `Leg` holds it; "" for everything else: withheld, or of no such form.

    Separators in a number, and the name, parameters, headers and password of a SIP address, are left out. The address
    of a telephone (`tel:`, or `user=phone`) is its number. Short numbers and extensions have no form of their own.

    Args:
        text: as the carrier writes it.
        has_plus: False for a carrier that writes E.164 without the plus.
    """
    text = text.strip() if len(text) <= _LONGEST_WRITTEN else ""
    if in_brackets := _IN_BRACKETS.fullmatch(text):
        text = in_brackets[1].strip()
    scheme, colon, rest = text.partition(":")
    match scheme.lower():
        case "sip" | "sips" if colon:
            return _sip(scheme.lower(), rest)
        case "tel" if colon:
            text = rest.partition(";")[0]
    number = _SEPARATORS.sub("", text)
    if not has_plus and not number.startswith("+"):
        number = f"+{number}"
    return number if is_e164(number) and number[1:] not in _SPELLED else ""


def _sip(scheme: str, rest: str) -> str:
    found = _SIP.fullmatch(rest)
    if found is None:
        return ""
    user, host, port, parameters = (found[name] or "" for name in ("user", "host", "port", "rest"))
    user, host = user.partition(";")[0], host.lower()
    if user.lower() in _WORDS or host.endswith(".invalid"):
        return ""
    if "user=phone" in parameters.lower().partition("?")[0].split(";") and (number := address_of(user)):
        return number
    address = f"{scheme}:{user}{'@' if user else ''}{host}{port}"
    return address if len(address) <= _LONGEST else ""


def number_error(kind: type[_Error], problem: str, text: str, *, takes_sip: bool = True) -> _Error:
    """Returns the error for a text that is no number: with the form of what came, without showing it, and the remedy.

    Args:
        kind: of the error.
        problem: what it says: "`to` is not an E.164 number."
        text: what came.
        takes_sip: a SIP address will do, too.
    """
    digits = sum(character.isdigit() for character in text)
    return kind(
        problem,
        expected=f"{E164_FORM}, or a SIP address (sip:…)" if takes_sip else E164_FORM,
        got=f"{'a' if text.startswith('+') else 'no'} plus sign, and {len(text)} characters with {digits} digits",
        remedy=_remedy(text),
    )


def _remedy(text: str) -> str:
    """Returns what makes a number of the text, where it is clear which number is meant; else how numbers begin."""
    bare = text.strip().replace("(0)", "")
    digits = "".join(character for character in bare if character in "0123456789")
    has_others = any(character.isalnum() for character in bare if character not in digits) or "+" in bare[1:]
    if not has_others and bare.startswith("+") and is_e164(f"+{digits}"):
        trunk = "the (0), and " if "(0)" in text else ""
        return f"Leave out {trunk}all but the plus sign and the digits."
    if not has_others and digits.startswith("00") and is_e164(f"+{digits[2:]}"):
        return "Write a plus sign in place of the first 00, and then digits alone."
    return "Numbers begin with a plus sign and the country code."
