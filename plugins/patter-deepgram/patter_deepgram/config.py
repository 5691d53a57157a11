"""Address and credentials of the service, checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Self
from urllib.parse import urlencode, urlsplit

from patter_core.config import from_environment, required
from patter_core.errors import ConfigurationError

__all__ = ["DEFAULT_BASE_URL", "Parameters", "Service"]

DEFAULT_BASE_URL = "https://api.deepgram.com"

Parameters = Iterable[tuple[str, str]]
"""Of a query: names may repeat."""


@dataclasses.dataclass(frozen=True)
class Service:
    """The service at one address."""

    api_key: str = dataclasses.field(repr=False)
    base_url: str
    """http:// or https://, host, port and perhaps a path, without a slash at its end."""

    @classmethod
    def resolve(cls, owner: str, *, api_key: str = "", base_url: str = "") -> Self:
        """Returns the options, completed from the environment. `owner` is the name of the user's class, for errors.

        Raises:
            ConfigurationError: a value is missing or invalid.
        """
        api_key = required(
            api_key,
            parameter=f"{owner}(api_key=…)",
            variable="DEEPGRAM_API_KEY",
            where="in the Deepgram console under API Keys",
        ).strip()
        if not (api_key.isascii() and api_key.isprintable() and " " not in api_key):
            raise ConfigurationError(
                f"{owner}(api_key=…) is not an API key.", expected="printable ASCII characters without spaces"
            )
        base_url = from_environment(base_url, "DEEPGRAM_BASE_URL") or DEFAULT_BASE_URL
        return cls(api_key, _checked(base_url, owner))

    def url(self, path: str, parameters: Parameters) -> str:
        """Returns the ws:// or wss:// URL of a socket."""
        return f"ws{self.base_url.removeprefix('http')}{path}?{urlencode(list(parameters))}"

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers that authenticate a request. Secret."""
        return {"Authorization": f"Token {self.api_key}"}


def _checked(base_url: str, owner: str) -> str:
    """Returns the base URL without a trailing slash. Errors do not show it: it may hold secrets."""
    address = base_url.strip().rstrip("/")
    try:
        url = urlsplit(address)
        valid = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
    except ValueError:  # unbalanced brackets, an invalid port
        valid = False
    else:
        valid = valid and address == f"{url.scheme}://{url.netloc}{url.path}" and "@" not in url.netloc
    if not valid:
        raise ConfigurationError(
            f"{owner}(base_url=…) is not the address of a service.",
            expected="http(s)://host, without a query, as in https://api.deepgram.com",
            remedy="It is also read from the environment variable DEEPGRAM_BASE_URL.",
        )
    return address
