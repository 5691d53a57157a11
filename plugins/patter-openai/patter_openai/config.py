"""Address and credentials of the service, checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Self
from urllib.parse import quote, urlsplit

from patter_core.config import Setting, checked_key
from patter_core.config import base_url as read_base_url

__all__ = ["DEFAULT_BASE_URL", "Service", "is_vendor", "read_key", "read_url"]

DEFAULT_BASE_URL = "https://api.openai.com/v1"
"""As in the vendor's SDKs, it ends with the version."""
_VENDOR = "openai.com"
_OF_OTHER_SERVICES = {
    "sk_[0-9a-f]{48}": "they begin with sk_, and not with sk-",
    "(sk-(ant|or)-|gsk_).*": "they begin as keys of other services do",
}


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
        address = read_url(owner, base_url)
        return cls(read_key(owner, api_key, address), address)

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


def read_key(owner: str, api_key: str, address: str) -> str:
    """Returns the key, which may be in the environment.

    Args:
        owner: the name of the user's class, for errors.
        api_key: what the user gave, or "".
        address: that it is for: servers of others that speak the same protocol have keys of their own.

    Raises:
        ConfigurationError: there is none, or it cannot be one.
    """
    setting = Setting(api_key, f"{owner}(api_key=…)", "OPENAI_API_KEY")
    found = setting.required("on the OpenAI platform under API keys; it begins with sk-")
    return checked_key(found, parameter=setting.name, others=_OF_OTHER_SERVICES, is_vendors=is_vendor(address))


def read_url(owner: str, base_url: str) -> str:
    """Returns the address, which may be in the environment, without a trailing slash.

    Raises:
        ConfigurationError: it is none.
    """
    return read_base_url(
        base_url, parameter=f"{owner}(base_url=…)", variable="OPENAI_BASE_URL", default=DEFAULT_BASE_URL
    )


def is_vendor(address: str) -> bool:
    """Returns whether that is an address of OpenAI's own."""
    host = urlsplit(address).hostname or ""
    return host == _VENDOR or host.endswith(f".{_VENDOR}")
