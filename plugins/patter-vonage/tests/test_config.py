from __future__ import annotations

from pathlib import Path

import pytest

from patter_core.errors import ConfigurationError
from patter_vonage.config import (
    SAMPLE_RATES,
    Account,
    Credentials,
    account_url,
    api_url,
    check_rate,
    read_account,
    rest_url,
)

APPLICATION, OTHER = "78d335fa-323d-0114-9c3d-d6f0d48968cf", "AAAAAAAA-bbbb-cccc-dddd-0123456789ab"
PEM = "-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\n"


def account(**values: str) -> Account:
    given = {
        "application_id": APPLICATION,
        "private_key": PEM,
        "api_key": "key",
        "signature_secret": "secret",
        **values,
    }
    return read_account(**given)


def test_values_come_from_the_environment_where_none_are_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "private.key").write_text(PEM)
    for name, value in {
        "APPLICATION_ID": APPLICATION,
        "PRIVATE_KEY": str(tmp_path / "private.key"),
        "API_KEY": "key",
        "API_SECRET": "half",
        "SIGNATURE_SECRET": "secret",
    }.items():
        monkeypatch.setenv(f"VONAGE_{name}", value)
    found = read_account()
    assert found == account(api_secret="half")
    assert found.private_key == PEM.strip()  # what is in the file
    assert read_account(application_id=OTHER).application_id == OTHER.lower()  # as tokens have it
    assert Credentials.read() == Credentials(api_key="key", api_secret="half")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("application_id", ["Vonage(application_id=…)", "VONAGE_APPLICATION_ID", "Applications"]),
        ("private_key", ["Vonage(private_key=…)", "VONAGE_PRIVATE_KEY", "private.key"]),
        ("api_key", ["Vonage(api_key=…)", "VONAGE_API_KEY", "API settings"]),
        ("signature_secret", ["Vonage(signature_secret=…)", "VONAGE_SIGNATURE_SECRET", "could not be verified"]),
    ],
)
def test_a_missing_value_is_an_error_with_a_remedy(name: str, parts: list[str]) -> None:
    with pytest.raises(ConfigurationError) as error:
        account(**{name: ""})
    assert all(part in str(error.value) for part in parts)


@pytest.mark.parametrize(
    ("value", "got"),
    [
        ("a1b2c3d4", "8 characters: hexadecimal digits, which is what an API key looks like"),
        (PEM, "57 characters: a key in PEM"),
        (APPLICATION[:-1], "35 characters"),
        (APPLICATION.replace("-", ""), "32 characters"),
        ("a secret", "8 characters"),
    ],
)
def test_what_is_no_applications_id_is_told_by_its_kind_and_never_shown(value: str, got: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        account(application_id=value)
    assert error.value.got == got
    assert value.strip() not in str(error.value)


def test_an_applications_id_is_no_api_key_and_never_shown() -> None:
    for read in (lambda: account(api_key=APPLICATION), lambda: Credentials.read(APPLICATION, "half")):
        with pytest.raises(ConfigurationError, match=r"Vonage\(api_key=…\) is not an API key") as error:
            read()
        assert error.value.got == "36 characters: a UUID, which is what an application's ID looks like"
        assert APPLICATION not in str(error.value)


def test_the_secret_of_the_api_key_is_needed_for_numbers_only() -> None:
    assert account().api_secret == ""
    with pytest.raises(ConfigurationError, match="VONAGE_API_SECRET"):
        Credentials.read("key")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("nowhere/private.key", "No such file or directory"),
        ("/usr/lib", "Is a directory"),
        ("~nobody-at-all/own.pem", "Could not determine home directory"),
    ],
)
def test_a_key_file_that_cannot_be_read_is_told_with_its_path_and_the_cause(path: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read") as error:
        account(private_key=path)
    assert error.value.got == f"the path {path}: {why}"
    assert "or the path of its file" in error.value.expected


def test_a_file_that_is_no_text_is_told_so(tmp_path: Path) -> None:
    file = tmp_path / "private.der"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="cannot be read") as error:
        account(private_key=str(file))
    assert error.value.got == f"the path {file}: it is not a text in UTF-8"


SECRETS = {
    "long": "x" * 5_000,
    "a body": "MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQ/+",
    "lines": "MII\n" * 20,
    "a body with line ends as letters": r"MHcCAQEEIB1/aQ\nAwEHoUQDQgAE/x+\nkw==",
    "in quotes": '"MIIEvgIBADANBgkqhkiG9w0BAQEFAASC/BKgwggSkAgEAAoIBAQ"',
    "without its first letters": "BEGIN PRIVATE KEY-----MC4CAQAwBQYDK2VwBCIEIA",
    "a body in base64url": "MC4CAQAwBQYDK2VwBCIEIA-_kZ0",
    "an API secret": "aBcDeFgHiJkLmN0p",
    "a signature secret": "Zk3$v@8-" * 7,
    "one with a slash": "/Zk3$v@8",
    "one with two": "//Zk3$v@8",
    "one with a tilde": "~Zk3$v@8",
}


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS.keys())
def test_what_is_not_clearly_a_path_is_not_shown(secret: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read") as error:
        account(private_key=secret)
    assert secret.strip()[2:] not in str(error.value)
    assert error.value.got.startswith(f"{len(secret.strip())} characters; as a path: ")


def test_the_hosts_are_the_vendors_or_one_for_tests() -> None:
    assert api_url() == "https://api.nexmo.com"
    region = "https://api-eu-3.vonage.com"
    assert (account_url(region), rest_url(region)) == ("https://api.nexmo.com", "https://rest.nexmo.com")
    local = api_url("http://127.0.0.1:9/")
    assert {local, account_url(local), rest_url(local)} == {"http://127.0.0.1:9"}
    stranger = "https://notvonage.com"
    assert rest_url(stranger) == stranger
    with pytest.raises(ConfigurationError, match="base_url"):
        api_url("api.nexmo.com")


def test_a_sample_rate_that_the_vendor_does_not_have_is_an_error() -> None:
    for rate in SAMPLE_RATES:
        check_rate(rate)
    with pytest.raises(ConfigurationError, match="sample_rate"):
        check_rate(48_000)


def test_no_secret_is_in_the_repr() -> None:
    assert repr(account()) == "<Account>"
    assert repr(Credentials.read("key", "half")) == "<Credentials>"
