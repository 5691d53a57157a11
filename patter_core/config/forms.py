"""Checks of identifiers whose form their vendor documents."""

from __future__ import annotations

import re
from collections.abc import Mapping

from patter_core.errors import ConfigurationError

__all__ = ["check_form"]

_AROUND = {"(?s)[\"'“].*": "they begin with a quotation mark", "(?s)[{<].*": "they begin with a bracket"}


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

    The identifier is no secret, but errors do not show it: where two values were exchanged, it is one. They say how
    long it is, and what it seems to be.

    Args:
        value: what was found.
        form: what all of it must match, as a regular expression.
        parameter: as in `required`.
        what: what it should be: `the SID of an account`.
        expected: the form, in words.
        where: as in `required`.
        others: forms of what may be given in its place, as regular expressions, with what each is. The first counts.

    Raises:
        ConfigurationError: it has another form.
    """
    if re.fullmatch(form, value):
        return
    kinds = {**(others or {}), **_AROUND}
    kind = next((f": {kind}" for other, kind in kinds.items() if re.fullmatch(other, value)), "")
    raise ConfigurationError(
        f"{parameter} is not {what}.",
        expected=expected,
        got=f"{len(value)} characters{kind}",
        remedy=f"You find it {where}.",
    )
