"""Identifiers of a documented form: another value is refused, told by its kind, and not shown."""

from __future__ import annotations

import pytest

from patter_core.config import LANGUAGE, check_form
from patter_core.errors import ConfigurationError

OTHERS = {"[0-9]+": "a number", "7.*": "the first form counts"}


def check(value: str) -> None:
    check_form(
        value,
        "a[0-9]{2}",
        parameter="Acme(id=…)",
        what="the id",
        expected="a and two digits",
        where="here",
        others=OTHERS,
    )


@pytest.mark.parametrize("value", ["your_id", "$ACME_ID", "${acme_id}", "id_…", "xxxxxxxx"])
def test_a_placeholder_is_refused_in_any_form(value: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"Got {len(value)} characters: "):
        check_form(value, ".*", parameter="Acme(id=…)", what="the id", expected="a text", where="here")


def test_one_of_the_form_is_accepted() -> None:
    check("a12")


@pytest.mark.parametrize(
    ("value", "got"),
    [
        ("7531", "4 characters: a number"),
        ("a12\n", "4 characters"),
        ("secret", "6 characters"),
        ('"a12"', "5 characters: they begin with a quotation mark"),
    ],
)
def test_another_is_told_by_its_kind_and_not_shown(value: str, got: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        check(value)
    assert str(error.value) == f"Acme(id=…) is not the id. Expected a and two digits. Got {got}. You find it here."


@pytest.mark.parametrize("code", ["", "it", "pt-BR", "pt-br", "cmn-Hans-CN", "es-419", "multi", "sl-rozaj-biske-1994"])
def test_codes_of_languages_fit(code: str) -> None:
    LANGUAGE.check(code, "`language`")


@pytest.mark.parametrize("code", ["italian!", "i", "pt_BR", "it-", "-it", " it", "it\n", "in Italian", "12", "日本"])
def test_what_cannot_be_the_code_of_a_language_does_not(code: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^`language` is not the code of a language\. Expected one in BCP 47"):
        LANGUAGE.check(code, "`language`")
