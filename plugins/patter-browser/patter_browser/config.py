"""The carrier's configuration: parameters or environment variables, checked when the carrier is made."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from patter_core.config import Setting, check_length, made_up_secret
from patter_core.errors import ConfigurationError

__all__ = ["SECRET_VARIABLE", "check_rate", "origin_of", "read_origins", "read_secret"]

SECRET_VARIABLE = "BROWSER_SECRET"  # noqa: S105 - the name of a variable
RATES = (16_000, 24_000)


def read_secret(secret: str, *, is_needed: bool) -> str:
    """Returns the secret, or the environment's, or one that is made up for the workers of this command.

    Args:
        secret: what the user gave, or "".
        is_needed: others know it, so that none can be made up.

    Raises:
        ConfigurationError: it is missing, or too short.
    """
    setting = Setting(secret, "Browser(secret=…)", SECRET_VARIABLE)
    if is_needed:
        found = setting.required("nowhere: make one, and give it to your web server, too")
    else:
        found = setting.value or made_up_secret("browser")
    check_length(found, parameter=setting.name)
    return found


def read_origins(origins: Iterable[str]) -> tuple[str, ...]:
    """Returns the origins of web pages as browsers write them.

    Raises:
        ConfigurationError: one is none.
    """
    found = []
    for origin in origins:
        written = origin_of(origin)
        if not written or urlsplit(origin).path.strip("/") or "?" in origin or "#" in origin:
            raise ConfigurationError(
                "Browser(origins=…) has an address that is not an origin.",
                expected="https://host, or https://host:port",
                got=repr(origin[:100]),
            )
        found.append(written)
    return tuple(found)


def origin_of(url: str) -> str:
    """Returns the origin of a URL, with the scheme of its page; "" if it has none."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        return ""
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    if scheme not in {"http", "https"} or not parts.hostname:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    is_usual = port is None or port == {"http": 80, "https": 443}[scheme]
    return f"{scheme}://{host}" if is_usual else f"{scheme}://{host}:{port}"


def check_rate(rate: int) -> None:
    """Checks a sample rate.

    Raises:
        ConfigurationError: the page does not speak it.
    """
    if rate not in RATES:
        raise ConfigurationError(
            "Browser(sample_rate=…) is not one of the page's.",
            expected=" or ".join(map(str, RATES)),
            got=repr(rate),
        )
