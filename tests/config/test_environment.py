"""Values from the parameter or the environment; a missing one says where it is found."""

from __future__ import annotations

import pytest

from patter_core.config import (
    KEY_OF_ANOTHER_SERVICE,
    Setting,
    base_url,
    checked_key,
    flag_from_environment,
    from_environment,
    names_from_environment,
    secrets_of,
)
from patter_core.errors import ConfigurationError, SettingMissing


def test_the_parameter_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_KEY", "from outside")
    assert from_environment("given", "ACME_KEY") == "given"
    assert from_environment("", "ACME_KEY") == "from outside"


@pytest.mark.parametrize("around", [" {} ", "{}\r", "{}\r\n", "\t{}", "{}\n"])
def test_blanks_and_line_ends_around_a_value_are_not_part_of_it(monkeypatch: pytest.MonkeyPatch, around: str) -> None:
    monkeypatch.setenv("ACME_KEY", around.format("from outside"))
    assert from_environment(around.format("given"), "ACME_KEY") == "given"
    assert from_environment("", "ACME_KEY") == "from outside"
    assert Setting("", "Acme(key=…)", "ACME_KEY").required("there") == "from outside"
    monkeypatch.setenv("ACME_LOUD", around.format("1"))
    assert flag_from_environment("ACME_LOUD") is True
    monkeypatch.setenv("ACME_NAMES", around.format("a, b,,"))
    assert names_from_environment("ACME_NAMES") == ["a", "b"]


@pytest.mark.parametrize("value", ["", " ", "\r\n"])
def test_a_value_of_blanks_is_none(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("ACME_KEY", value)
    with pytest.raises(ConfigurationError, match="missing"):
        Setting(value, "Acme(key=…)", "ACME_KEY").required("there")


def test_an_error_of_a_value_names_the_variable_where_that_alone_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def named(value: str) -> str:
        setting = Setting(value, "Acme(key=…)", "ACME_KEY")
        assert "given" not in repr(setting)
        return setting.name

    monkeypatch.delenv("ACME_KEY", raising=False)
    assert named("") == named("given") == "Acme(key=…)"
    monkeypatch.setenv("ACME_KEY", "from\u200boutside")
    assert (named("given"), named(" ")) == ("Acme(key=…)", "ACME_KEY")
    with pytest.raises(ConfigurationError, match=r"^ACME_KEY has a character in it that cannot be seen"):
        Setting("", "Acme(key=…)", "ACME_KEY").required("there")
    with pytest.raises(ConfigurationError, match=r"^ACME_KEY is not the address .*as in https://acme\.example\.$"):
        base_url("", parameter="Acme(url=…)", variable="ACME_KEY", default="https://acme.example")


@pytest.mark.parametrize(("set_to", "got"), [(None, "neither"), (" ", "neither: ACME_KEY is set, but empty")])
def test_a_variable_without_a_value_is_told_as_one(
    monkeypatch: pytest.MonkeyPatch, set_to: str | None, got: str
) -> None:
    monkeypatch.delenv("ACME_KEY", raising=False)
    if set_to is not None:
        monkeypatch.setenv("ACME_KEY", set_to)
    with pytest.raises(SettingMissing) as error:
        Setting("", "Acme(key=…)", "ACME_KEY").required("there")
    assert error.value.got == got


def test_the_only_secret_in_a_list_has_no_number() -> None:
    names: list[str] = []
    for given in (["one"], ["one", "two"]):
        secrets_of(given, parameter="Acme(keys=…)", variable="ACME_KEYS", check=lambda _, name: names.append(name))
    assert names == ["Acme(keys=…)", "Acme(keys=…)[0]", "Acme(keys=…)[1]"]


@pytest.mark.parametrize("value", ["ab\x00c", "ab\u200bc", "\ufeffabc", "a\x1b[31mb"])
def test_a_credential_with_a_character_that_cannot_be_seen_is_refused_and_not_shown(value: str) -> None:
    with pytest.raises(ConfigurationError, match=r"Acme\(key=…\) has a character in it that cannot be seen") as caught:
        Setting(value, "Acme(key=…)", "ACME_KEY").required("there")
    assert value not in str(caught.value)


def test_a_key_of_several_lines_is_taken_whole() -> None:
    key = "-----BEGIN KEY-----\nabc\n-----END KEY-----"
    assert Setting(f"{key}\n", "Acme(key=…)", "ACME_KEY").required("there") == key


@pytest.mark.parametrize("around", ["{}", " {} ", "{}\r", "{}\r\n", "\t{}", "{}\n"])
def test_secrets_are_read_as_one_is_and_those_that_are_given_win(monkeypatch: pytest.MonkeyPatch, around: str) -> None:
    def read(*given: str) -> tuple[str, ...]:
        return secrets_of(given, parameter="Acme(keys=…)", variable="ACME_KEYS")

    monkeypatch.delenv("ACME_KEYS", raising=False)
    assert read() == ()
    assert read(around.format("next"), around.format("last")) == ("next", "last")
    monkeypatch.setenv("ACME_KEYS", around.format("from,, outside ,"))
    assert read() == ("from", "outside")
    assert read("given") == ("given",)


@pytest.mark.parametrize("value", ["", " ", "\r\n"])
def test_an_empty_secret_in_a_list_is_refused(value: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^Acme\(keys=…\) has an empty text at \[1\]\. Expected a list"):
        secrets_of(["k3y", value], parameter="Acme(keys=…)", variable="ACME_KEYS")


@pytest.mark.parametrize("value", [",", " , ,\n"])
def test_commas_alone_are_no_secrets(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("ACME_OTHER_KEYS", value)
    with pytest.raises(
        ConfigurationError, match=r"^ACME_OTHER_KEYS has no secret in it\. Expected secrets that commas"
    ):
        secrets_of([], parameter="Acme(other_keys=…)", variable="ACME_OTHER_KEYS")
    assert secrets_of(["given"], parameter="Acme(other_keys=…)", variable="ACME_OTHER_KEYS") == ("given",)


def test_a_secret_in_a_list_with_a_character_that_cannot_be_seen_is_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ACME_KEYS", "k3y,k3\u200by")
    with pytest.raises(
        ConfigurationError, match=r"^ACME_KEYS\[1\] has a character in it that cannot be seen"
    ) as caught:
        secrets_of([], parameter="Acme(keys=…)", variable="ACME_KEYS")
    assert "k3" not in str(caught.value)


@pytest.mark.parametrize(("value", "flag"), [(None, None), ("", None), ("0", False), ("1", True)])
def test_a_flag_is_1_or_0_or_not_set(monkeypatch: pytest.MonkeyPatch, value: str | None, flag: bool | None) -> None:
    monkeypatch.delenv("ACME_LOUD", raising=False)
    if value is not None:
        monkeypatch.setenv("ACME_LOUD", value)
    assert flag_from_environment("ACME_LOUD") is flag


@pytest.mark.parametrize("value", ["true", "yes", "2"])
def test_another_value_of_a_flag_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("ACME_LOUD", value)
    with pytest.raises(ConfigurationError, match=r"ACME_LOUD has an unknown value\. Expected 0 or 1\."):
        flag_from_environment("ACME_LOUD")


def test_a_missing_value_is_told_with_parameter_variable_and_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACME_KEY", raising=False)
    with pytest.raises(ConfigurationError) as caught:
        Setting("", "Acme(key=…)", "ACME_KEY").required("on the dashboard")
    assert all(part in str(caught.value) for part in ("Acme(key=…)", "ACME_KEY", "on the dashboard"))


def test_the_address_of_an_api_is_the_parameter_the_variable_or_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    def url(value: str) -> str:
        return base_url(value, parameter="Acme(base_url=…)", variable="ACME_URL", default="https://api.acme.example")

    monkeypatch.delenv("ACME_URL", raising=False)
    assert url("") == "https://api.acme.example"
    monkeypatch.setenv("ACME_URL", "http://127.0.0.1:9/")
    assert url("") == "http://127.0.0.1:9"
    assert url("https://given.example/") == "https://given.example"
    assert url("https://given.example/v1/") == "https://given.example/v1"


@pytest.mark.parametrize("path", [True, False])
@pytest.mark.parametrize(
    "given",
    [
        "api.acme.example",
        "ftp://acme.example",
        "https://",
        "https://a:0",
        "https://[a",
        "https://a/?key=s3cret",
        "https://me:s3cret@a",
        "https://a/#s3cret",
    ],
)
def test_what_is_no_address_is_refused_and_not_shown(given: str, *, path: bool) -> None:
    with pytest.raises(ConfigurationError, match=r"Acme.*is not the address(.|\n)*ACME_URL") as error:
        base_url(given, parameter="Acme(base_url=…)", variable="ACME_URL", default="https://acme.example", path=path)
    assert "s3cret" not in str(error.value)


def test_an_address_has_a_path_only_where_it_may() -> None:
    with pytest.raises(ConfigurationError, match="nothing after it"):
        base_url("https://a/v1", parameter="Acme(base_url=…)", variable="ACME_URL", default="https://a", path=False)


@pytest.mark.parametrize("key", ["two words", "schlüssel", "tab\there"])
def test_what_cannot_be_a_key_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(ConfigurationError, match="is not an API key") as error:
        checked_key(key, parameter="Acme(api_key=…)")
    assert key not in str(error.value)
    assert checked_key(" key\n", parameter="Acme(api_key=…)") == "key"


SURELY_NO_KEYS = {
    "in quotation marks": ("'0123456789'", "12 characters: they begin with a quotation mark"),
    "a placeholder": ("<your-key>", "10 characters: they begin with a bracket"),
    "another placeholder": ("your_auth_token", "15 characters: they begin with “your”, as placeholders do"),
    "a variable": ("$ACME_KEY", "9 characters: a variable that was not filled in"),
    "a variable in braces": ("${ACME_KEY}", "11 characters: a variable that was not filled in"),
    "a variable with a default": ("${ACME_KEY:-}", "13 characters: a variable that was not filled in"),
    "a variable in lower case": ("${acme}", "7 characters: a variable that was not filled in"),
    "a key that is cut off": ("key_…", "5 characters: they end with dots, as placeholders do"),
    "a character": ("0" * 32, "32 characters: one character again and again, as in placeholders"),
    "a character after others": ("KEYxxxxxxxx", "11 characters: one character again and again, as in placeholders"),
    "a word": ("changeme", "8 characters: a placeholder"),
    "a header's name": ("xi-api-key", "10 characters: the name of a key"),
    "a phone number": ("+15550001234", "12 characters: a phone number"),
    "an ID": ("SK" + 32 * "0", "34 characters: the ID of an account or of a key (AC…, SK…)"),
    "a line of a file": ("ACME_KEY=0123", "13 characters: a line of a file `.env`, with the name of a variable"),
    "a line of a script": ("export ACME_KEY=01", "18 characters: a line of a file `.env`, with the name of a variable"),
    "a header": ("Bearer 0123", "11 characters: they begin with Bearer, as a header does"),
    "in curly quotes": ("”0123”", "6 characters: they begin with a quotation mark"),
    "words": ("0123 4567", "9 characters, of which at least one is none of these"),
    "an address": ("https://acme.example/keys", "25 characters: an address"),
    "of others": ("sk-0123", "7 characters: they begin with sk, as keys of other services do"),
}


@pytest.mark.parametrize(("key", "got"), SURELY_NO_KEYS.values(), ids=SURELY_NO_KEYS.keys())
def test_what_is_surely_no_key_is_told_by_its_kind_and_not_shown(key: str, got: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a token") as error:
        checked_key(key, parameter="Acme(token=…)", what="a token", others=KEY_OF_ANOTHER_SERVICE)
    assert error.value.got == got
    assert key not in str(error.value)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "sk-0123",
        "0123456789abcdef" * 2,
        "auth-token",
        "ab_CD==",
        "$2b$12$abc",
        "+a1/b2c3",
        "$abc",
        "xxx",
        "0000000f",
    ],
)
def test_what_may_be_a_key_is_one(key: str) -> None:
    assert checked_key(key, parameter="Acme(token=…)") == key


@pytest.mark.parametrize("key", ["your-api-key", "changeme", "xxxxxxxx", "$KEY", "AC" + "0" * 32])
def test_any_text_may_be_the_key_of_a_server_of_ones_own(key: str) -> None:
    assert checked_key(key, parameter="Acme(token=…)", is_vendors=False) == key
    with pytest.raises(ConfigurationError, match="printable ASCII"):
        checked_key(f"{key} {key}", parameter="Acme(token=…)", is_vendors=False)
