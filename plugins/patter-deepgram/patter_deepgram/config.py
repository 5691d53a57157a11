"""Address and credentials of the service, checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Self
from urllib.parse import urlencode

from patter_core.config import KEY_OF_ANOTHER_SERVICE, Setting, checked_key
from patter_core.config import base_url as read_base_url

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
        setting = Setting(api_key, f"{owner}(api_key=…)", "DEEPGRAM_API_KEY")
        key = setting.required("in the Deepgram console under API Keys")
        address = read_base_url(
            base_url, parameter=f"{owner}(base_url=…)", variable="DEEPGRAM_BASE_URL", default=DEFAULT_BASE_URL
        )
        return cls(checked_key(key, parameter=setting.name, others=KEY_OF_ANOTHER_SERVICE), address)

    def url(self, path: str, parameters: Parameters) -> str:
        """Returns the ws:// or wss:// URL of a socket."""
        return f"ws{self.base_url.removeprefix('http')}{path}?{urlencode(list(parameters))}"

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers that authenticate a request. Secret."""
        return {"Authorization": f"Token {self.api_key}"}
