"""Address and credentials of the service, checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Self
from urllib.parse import quote, urlsplit

from patter_core.config import from_environment, required
from patter_core.errors import ConfigurationError

__all__ = ["DEFAULT_BASE_URL", "Service", "checked_base_url", "checked_key"]

DEFAULT_BASE_URL = "https://api.openai.com/v1"
"""As in the vendor's SDKs, it ends with the version."""


@dataclasses.dataclass(frozen=True)
class Service:
    """The service at one address."""

    api_key: str = dataclasses.field(repr=False)
    base_url: str
    """http:// or https://, host, port and path, without a slash at its end."""

    @classmethod
    def resolve(cls, owner: str, *, api_key: str = "", base_url: str = "") -> Self:
        """Returns the options, completed from the environment. `owner` is the name of the user's class, for errors.

        Raises:
            ConfigurationError: a value is missing or invalid.
        """
        api_key = required(
            api_key,
            parameter=f"{owner}(api_key=…)",
            variable="OPENAI_API_KEY",
            where="on the OpenAI platform under API keys; it begins with sk-",
        )
        base_url = from_environment(base_url, "OPENAI_BASE_URL") or DEFAULT_BASE_URL
        return cls(checked_key(api_key, owner), checked_base_url(base_url, owner))

    def realtime_url(self, model: str) -> str:
        """Returns the ws:// or wss:// URL of a session with that model."""
        return f"ws{self.base_url.removeprefix('http')}/realtime?model={quote(model, safe='')}"

    @property
    def live_url(self) -> str:
        """The ws:// or wss:// URL of a Live session."""
        return f"ws{self.base_url.removeprefix('http')}/live/sessions"

    @property
    def models_url(self) -> str:
        """The URL that lists the models which the key may use."""
        return f"{self.base_url}/models"

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers that authenticate a request. Secret."""
        return {"Authorization": f"Bearer {self.api_key}"}


def checked_key(api_key: str, owner: str) -> str:
    """Returns the key without surrounding blanks. Errors do not show it.

    Raises:
        ConfigurationError: it cannot be one.
    """
    api_key = api_key.strip()
    if not (api_key.isascii() and api_key.isprintable() and " " not in api_key):
        raise ConfigurationError(
            f"{owner}(api_key=…) is not an API key.", expected="printable ASCII characters without spaces"
        )
    return api_key


def checked_base_url(base_url: str, owner: str) -> str:
    """Returns the base URL without a trailing slash. Errors do not show it: it may hold secrets.

    Raises:
        ConfigurationError: it is none.
    """
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
            expected="http(s)://host/path, without a query, as in https://api.openai.com/v1",
            remedy="It is also read from the environment variable OPENAI_BASE_URL.",
        )
    return address
