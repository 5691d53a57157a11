"""The address of a server that answers chat completions, and what authenticates requests, checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Self
from urllib.parse import urlsplit

from patter_core.config import checked_key
from patter_core.errors import ConfigurationError
from patter_openai.config import is_vendor, read_key, read_url

__all__ = ["Server"]


@dataclasses.dataclass(frozen=True)
class Server:
    """A server at one address."""

    api_key: str = dataclasses.field(repr=False)
    """"" for none."""
    base_url: str
    """http:// or https://, host, port and path, without a slash at its end."""
    extra_headers: Mapping[str, str] = dataclasses.field(repr=False)

    @classmethod
    def resolve(cls, owner: str, *, api_key: str, base_url: str, extra_headers: Mapping[str, str]) -> Self:
        """Returns the options, completed from the environment.

        The key in OPENAI_API_KEY is for OpenAI, or for the address in OPENAI_BASE_URL: to another address that is given
        as `base_url` it is not sent.

        Args:
            owner: the name of the user's class, for errors.
            api_key: what the user gave, or "".
            base_url: what the user gave, or "".
            extra_headers: sent with each request.

        Raises:
            ConfigurationError: a value is missing or invalid.
        """
        address = read_url(owner, base_url)
        if not base_url or is_vendor(address):
            key = read_key(owner, api_key, address)
        else:
            key = checked_key(api_key, parameter=f"{owner}(api_key=…)", is_vendors=False)
        return cls(key, address, _checked(extra_headers, owner))

    @property
    def name(self) -> str:
        """`OpenAI`, or the host's name, for errors."""
        return "OpenAI" if is_vendor(self.base_url) else urlsplit(self.base_url).hostname or ""

    @property
    def vendor(self) -> str:
        """The same, for figures."""
        return "openai" if is_vendor(self.base_url) else self.name

    @property
    def is_vendor(self) -> bool:
        """True for OpenAI's own service."""
        return is_vendor(self.base_url)

    @property
    def completions_url(self) -> str:
        """Where requests are sent."""
        return f"{self.base_url}/chat/completions"

    @property
    def models_url(self) -> str:
        """The URL that lists the models."""
        return f"{self.base_url}/models"

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers that authenticate a request. Secret."""
        key = {"authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        return {**key, **self.extra_headers}


def _checked(headers: Mapping[str, str], owner: str) -> Mapping[str, str]:
    checked = {name.lower(): str(value) for name, value in headers.items()}
    for name, value in checked.items():
        valid = name and name.isascii() and name.replace("-", "").replace("_", "").isalnum()
        if not (valid and value.isascii() and value.isprintable()):
            raise ConfigurationError(
                f"{owner}(extra_headers=…) has an invalid header.", expected="names and values of printable ASCII"
            )
    return checked
