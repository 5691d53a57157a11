"""Settings from a parameter or the environment, with errors that name both."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from patter_core.config.forms import check_no_other_kind
from patter_core.config.variables import CORE_VARIABLES
from patter_core.errors import ConfigurationError, SettingMissing

__all__ = [
    "Setting",
    "base_url",
    "checked_key",
    "flag_from_environment",
    "from_environment",
    "misspelt",
    "names_from_environment",
    "port_number",
    "secrets_of",
    "workers_folder",
]

_LIKE = 0.9
"""How alike two names of variables must be, without their underscores."""


def from_environment(value: str, variable: str) -> str:
    """Returns `value`, or the environment variable's value, or "".

    Blanks and line ends around it are not part of it: files that were written elsewhere leave them there.
    """
    return value.strip() or os.environ.get(variable, "").strip()


class Setting(msgspec.Struct, frozen=True):
    """What was given for a parameter, and the environment variable that is read where that is "". Often a secret."""

    given: str
    parameter: str
    """Its name as the user writes it, with the class: `Acme(api_key=…)`."""
    variable: str

    def __repr__(self) -> str:
        return f"<Setting {self.parameter}>"

    @property
    def value(self) -> str:
        """The value, "" if there is none."""
        return from_environment(self.given, self.variable)

    @property
    def name(self) -> str:
        """What has set the value, for errors: the parameter, or the variable if that alone is set."""
        return self.variable if not self.given.strip() and self.value else self.parameter

    def required(self, where: str) -> str:
        """Returns the value.

        Args:
            where: where it is found, as the end of a sentence: `in the console's dashboard`.

        Raises:
            ConfigurationError: there is none, or it has a character in it that cannot be seen.
        """
        found, variable = self.value, self.variable
        _check_visible(found, self.name)
        if not found:
            near = misspelt(variable)
            raise SettingMissing(
                f"{self.parameter} is missing.",
                variable=variable,
                where=where,
                got=f"neither: {variable} is set, but empty" if variable in os.environ else "neither",
                remedy=f"{near} is set. Did you mean {variable}?" if near else f"You find it {where}.",
            )
        return found


def names_from_environment(variable: str) -> list[str]:
    """Returns the names in an environment variable, which are separated by commas."""
    return [name.strip() for name in from_environment("", variable).split(",") if name.strip()]


def flag_from_environment(variable: str) -> bool | None:
    """Returns True if the environment variable is 1, False if it is 0, and None if it is not set or empty.

    Raises:
        ConfigurationError: it is something else.
    """
    value = from_environment("", variable)
    if value not in {"", "0", "1"}:
        raise ConfigurationError(f"{variable} has an unknown value.", expected="0 or 1", got=repr(value))
    return value == "1" if value else None


def workers_folder() -> Path | None:
    """Returns the folder that all workers of one service share, for what they keep together; None if there is none."""
    folder = from_environment("", "PATTER_WORKERS_FOLDER")
    return Path(folder) if folder else None


def port_number(port: int | None, *, default: int, parameter: str = "`port`", variable: str = "PATTER_PORT") -> int:
    """Returns `port`, or what the environment variable holds, or the default. 0 means any free port.

    Raises:
        ConfigurationError: it is not a port number.
    """
    name, value = parameter, str(port)
    if port is None:
        name, value = variable, from_environment("", variable) or str(default)
    if not (value.isascii() and value.isdecimal() and int(value) < 65536):
        raise ConfigurationError(f"{name} is not a port number.", expected="0 to 65535", got=repr(value))
    return int(value)


def secrets_of(
    values: Iterable[str], *, parameter: str, variable: str, check: Callable[[str, str], object] | None = None
) -> tuple[str, ...]:
    """Returns secrets of which each is accepted: `values`, or what the environment variable holds, separated by commas.

    Blanks and line ends around each are not part of it.

    Args:
        values: what the user gave.
        parameter: as in `Setting`.
        variable: the environment variable.
        check: called with each and the name of its place: `<parameter>[0]` or `<variable>[0]`, and without the number
            if it is the only one.

    Raises:
        ConfigurationError: one is empty, so that everybody knows it, or has a character in it that cannot be seen; or
            the variable has commas alone. The error shows none.
    """
    given = tuple(value.strip() for value in values)
    found = given or _secrets_in(variable)
    for place, secret in enumerate(found):
        if not secret:
            raise ConfigurationError(
                f"{parameter} has an empty text at [{place}].",
                expected="a list of secrets, of which none is empty; or an empty list",
            )
        name = (parameter if given else variable) + (f"[{place}]" if len(found) > 1 else "")
        _check_visible(secret, name)
        if check is not None:
            check(secret, name)
    return found


def _secrets_in(variable: str) -> tuple[str, ...]:
    found = tuple(names_from_environment(variable))
    if not found and from_environment("", variable):
        raise ConfigurationError(
            f"{variable} has no secret in it.", expected="secrets that commas separate, or nothing", got="commas alone"
        )
    return found


def _check_visible(secret: str, parameter: str) -> None:
    if not "".join(secret.splitlines()).isprintable():
        raise ConfigurationError(
            f"{parameter} has a character in it that cannot be seen.",
            expected="letters, digits and other visible characters",
            remedy="Copy it again, or type it.",
        )


def misspelt(variable: str) -> str:
    """Returns the name of a variable that is set and of which only the spelling differs from this one; "" if none.

    Those that Patter itself reads are not meant.
    """
    others = (name for name in os.environ if name not in CORE_VARIABLES and name != variable)
    names = {_bare(name): name for name in others if os.environ[name].strip()}
    near = difflib.get_close_matches(_bare(variable), names, n=1, cutoff=_LIKE)
    return names[near[0]] if near else ""


def _bare(variable: str) -> str:
    return variable.replace("_", "").upper()


def checked_key(
    key: str,
    *,
    parameter: str,
    what: str = "an API key",
    others: Mapping[str, str] | None = None,
    is_vendors: bool = True,
) -> str:
    """Returns a key, without blanks around it. Errors do not show it.

    Args:
        key: what was found, or "".
        parameter: as in `Setting`.
        what: what it is: `an auth token`.
        others: as in `check_no_other_kind`.
        is_vendors: False for a server of the user's own, at which any text is a key that can be in a header.

    Raises:
        ConfigurationError: no key has such characters: they cannot be in a header; or it is surely something else.
    """
    key = key.strip()
    if is_vendors:
        check_no_other_kind(key, parameter=parameter, what=what, others=others)
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise ConfigurationError(
            f"{parameter} is not {what}.",
            expected="printable ASCII characters without spaces",
            got=f"{len(key)} characters, of which at least one is none of these",
        )
    return key


def base_url(value: str, *, parameter: str, variable: str, default: str, path: bool = True) -> str:
    """Returns the address of a service: `value`, or what the environment variable holds, or the default.

    It has no slash at its end. Errors do not show it: it may hold secrets.

    Args:
        value: what the user gave, or "".
        parameter: as in `Setting`.
        variable: the environment variable.
        default: the vendor's own address.
        path: it may have one.

    Raises:
        ConfigurationError: it is none, or has a query or a user's name in it.
    """
    address = (from_environment(value, variable) or default).rstrip("/")
    try:
        url = urlsplit(address)
        valid = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
    except ValueError:  # unbalanced brackets, an invalid port
        valid = False
    else:
        whole = f"{url.scheme}://{url.netloc}{url.path if path else ''}"
        valid = valid and address == whole and "@" not in url.netloc
    if not valid:
        expected = "http(s)://host/path, without a query" if path else "http(s)://host, with nothing after it"
        name = Setting(value, parameter, variable).name
        raise ConfigurationError(
            f"{name} is not the address of a service.",
            expected=f"{expected}, as in {default}",
            remedy="" if name == variable else f"It is also read from the environment variable {variable}.",
        )
    return address
