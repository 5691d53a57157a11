"""Checks of texts whose form is known: by a standard, or since their vendor documents it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

import msgspec

from patter_core.errors import ConfigurationError

__all__ = ["KEY_OF_ANOTHER_SERVICE", "LANGUAGE", "Form", "Language", "check_form", "check_no_other_kind"]


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """The form of a text, for an annotation: `Annotated[str, Form(…)]`. What is not set is empty, and has none."""

    pattern: str
    """What all of it must match, as a regular expression."""
    what: str
    """What it should be: `a language`."""
    expected: str
    """The form, in words."""

    def fits(self, value: object) -> bool:
        """True unless it is a text, not empty, of another form."""
        return not (isinstance(value, str) and value) or re.fullmatch(self.pattern, value) is not None

    def check(self, value: object, parameter: str) -> None:
        """Checks a text. The error does not show it: where two values were exchanged, it is a secret.

        Raises:
            ConfigurationError: it does not fit.
        """
        if not self.fits(value):
            got = f"{len(str(value))} characters"
            raise ConfigurationError(f"{parameter} is not {self.what}.", expected=self.expected, got=got)


LANGUAGE = Form(
    pattern="[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*",
    what="the code of a language",
    expected="one in BCP 47, such as it or pt-BR",
)
Language = Annotated[str, LANGUAGE]
"""The type of an option that is the code of a language, or empty."""

_NO_VALUES = {
    "(?s)[\"'“”„‘’«»].*": "they begin with a quotation mark",
    "(?s)[{<].*": "they begin with a bracket",
    "(?i)https?://.*": "an address",
    r"(?is)bearer\s.*": "they begin with Bearer, as a header does",
    r"\$[A-Z][A-Z0-9_]*|\$\{[^{}]*\}": "a variable that was not filled in",
    r"(?is)your[-_ ].+": "they begin with “your”, as placeholders do",
    r"\S{0,12}…": "they end with dots, as placeholders do",
    r"(?is)(.)\1{7,}|\w{0,8}x{8,}": "one character again and again, as in placeholders",
    "(?i)change[-_ ]?me": "a placeholder",
    "(?i)([a-z]{1,2}-)?api[-_ ]?key": "the name of a key",
    r"\+\d{6,15}": "a phone number",
    r"(?s)(export\s+)?[A-Z]+_[A-Z_]+\s*=.+": "a line of a file `.env`, with the name of a variable",
}
"""What is around a value, or in its place, of any kind."""
_NO_KEYS = {
    **_NO_VALUES,
    "(AC|SK)[0-9a-fA-F]{32}": "the ID of an account or of a key (AC…, SK…)",
    "(?s)-----BEGIN .*": "a key in PEM",
}
KEY_OF_ANOTHER_SERVICE = {"sk[-_].*": "they begin with sk, as keys of other services do"}
"""For `others`, where no key begins like this."""


def check_form(
    value: str,
    form: str,
    *,
    parameter: str,
    what: str,
    expected: str,
    where: str,
    others: Mapping[str, str] | None = None,
) -> None:
    """Checks an identifier whose form its vendor documents. Not for keys and tokens: vendors change theirs.

    Placeholders and the like are refused in any form.

    The identifier is no secret, but errors do not show it: where two values were exchanged, it is one. They say how
    long it is, and what it seems to be.

    Args:
        value: what was found.
        form: what all of it must match, as a regular expression.
        parameter: as in `Setting`.
        what: what it should be: `the SID of an account`.
        expected: the form, in words.
        where: as in `Setting`.
        others: forms of what may be given in its place, as regular expressions, with what each is. The first counts.

    Raises:
        ConfigurationError: it has another form, or is a placeholder.
    """
    if re.fullmatch(form, value) and not _kind_of(value, _NO_VALUES):
        return
    kind = _kind_of(value, {**(others or {}), **_NO_VALUES})
    raise ConfigurationError(
        f"{parameter} is not {what}.",
        expected=expected,
        got=f"{len(value)} characters{kind and ': '}{kind}",
        remedy=f"You find it {where}.",
    )


def check_no_other_kind(key: str, *, parameter: str, what: str, others: Mapping[str, str] | None = None) -> None:
    """Checks that a key or a token, whose own form is not known, is not surely something else. Errors do not show it.

    Args:
        key: what was found.
        parameter: as in `Setting`.
        what: what it should be: `an API key`.
        others: as in `check_form`, beside quoted values, addresses, lines of a file and the like.

    Raises:
        ConfigurationError: it is something else.
    """
    kind = _kind_of(key, {**(others or {}), **_NO_KEYS})
    if kind:
        raise ConfigurationError(
            f"{parameter} is not {what}.",
            expected="the value alone, as its vendor shows it",
            got=f"{len(key)} characters: {kind}",
        )


def _kind_of(value: str, kinds: Mapping[str, str]) -> str:
    return next((kind for form, kind in kinds.items() if re.fullmatch(form, value)), "")
