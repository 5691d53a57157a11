"""Address and credentials of the service: the options that the engine, the adapter and the parts share, checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Self
from urllib.parse import quote, urlencode

from patter_core.config import Setting, check_form, checked_key
from patter_core.config import base_url as read_base_url
from patter_core.errors import ConfigurationError
from patter_elevenlabs.refusals import KEYS
from patter_elevenlabs.wire import Variable

__all__ = ["BASE_URL_SETTING", "DEFAULT_BASE_URL", "Account", "Service", "check_variables"]

DEFAULT_BASE_URL = "https://api.elevenlabs.io"
"""The global region. The vendor documents these, too: api.us.elevenlabs.io, api.eu.residency.elevenlabs.io,
api.in.residency.elevenlabs.io, api.sg.residency.elevenlabs.io."""

BASE_URL_SETTING = "base_url or ELEVENLABS_BASE_URL"
"""How users set it, for errors."""

_PATH = "/v1/convai/conversation"


@dataclasses.dataclass(frozen=True)
class Account:
    """An account at the service: what needs no agent."""

    api_key: str = dataclasses.field(repr=False)
    base_url: str
    """http:// or https://, host and port, without a path."""

    @classmethod
    def of(cls, owner: str, permission: str, *, api_key: str = "", base_url: str = "") -> Account:
        """Returns the options, completed from the environment.

        Args:
            owner: the name of the user's class, for errors.
            permission: what the key needs.
            api_key: from ELEVENLABS_API_KEY if empty.
            base_url: from ELEVENLABS_BASE_URL if empty, else the global region.

        Raises:
            ConfigurationError: a value is missing or invalid.
        """
        api_key = _checked_key(owner, api_key, permission)
        return Account(api_key, _read_url(owner, base_url))

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers that authenticate a request. Secret."""
        return {"xi-api-key": self.api_key}

    def socket_url(self, path: str, query: Sequence[tuple[str, str]]) -> str:
        """Returns the ws:// or wss:// URL of a path, with a query."""
        return f"ws{self.base_url.removeprefix('http')}{path}?{urlencode(query, quote_via=quote)}"


@dataclasses.dataclass(frozen=True)
class Service:
    """The service at one address, for one agent."""

    api_key: str = dataclasses.field(repr=False)
    agent_id: str
    base_url: str
    """http:// or https://, host and port, without a path."""
    use_signed_url: bool = False
    """Fetch a short-lived URL for each conversation, so that the socket itself carries no key."""
    branch_id: str = ""
    """Of the agent; "" for its main one."""
    environment: str = ""
    """Whose variables the agent uses; "" for production."""

    @classmethod
    def resolve(
        cls, owner: str, *, api_key: str = "", agent_id: str = "", base_url: str = "", use_signed_url: bool = False
    ) -> Self:
        """Returns the options, completed from the environment. `owner` is the name of the user's class, for errors.

        Raises:
            ConfigurationError: a value is missing or invalid.
        """
        api_key = _checked_key(owner, api_key, "convai_write")
        return cls(api_key, _checked_agent_id(owner, agent_id), _read_url(owner, base_url), use_signed_url)

    @property
    def conversation_url(self) -> str:
        """The ws:// or wss:// URL of a conversation."""
        query = _query(agent_id=self.agent_id, environment=self.environment)
        return f"ws{self.base_url.removeprefix('http')}{_PATH}?{query}"

    @property
    def signed_url_url(self) -> str:
        """The URL that returns a signed URL."""
        query = _query(agent_id=self.agent_id, branch_id=self.branch_id, environment=self.environment)
        return f"{self.base_url}{_PATH}/get-signed-url?{query}"

    @property
    def agent_url(self) -> str:
        """The URL of the agent's configuration."""
        return f"{self.base_url}/v1/convai/agents/{quote(self.agent_id, safe='')}"

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers that authenticate a request. Secret."""
        return {"xi-api-key": self.api_key}


def _checked_key(owner: str, api_key: str, permission: str) -> str:
    """Returns the key. Errors do not show it."""
    setting = Setting(api_key, f"{owner}(api_key=…)", "ELEVENLABS_API_KEY")
    where = f"{KEYS}; it needs the permission {permission}"
    key = checked_key(
        setting.required(where), parameter=setting.name, others={"sk-.*": "they begin with sk-, and not with sk_"}
    )
    check_form(
        key,
        "(?!agent_).*",
        parameter=setting.name,
        what="an API key",
        expected="a key, which begins with sk_",
        where=where,
        others={"agent_.*": "they look like an agent's ID"},
    )
    return key


def _checked_agent_id(owner: str, agent_id: str) -> str:
    """Returns the agent's ID. Errors do not show it: it may be the key."""
    setting = Setting(agent_id, f"{owner}(agent_id=…)", "ELEVENLABS_AGENT_ID")
    where = "in the ElevenLabs dashboard on the agent's page; it begins with agent_"
    found = setting.required(where)
    check_form(
        found,
        r"(?!sk_)[^\s\"'“”„‘’«»<>{}/]+",
        parameter=setting.name,
        what="an agent's ID",
        expected="an ID, which begins with agent_, without blanks, quotation marks and slashes",
        where=where,
        others={"(?s)sk_.*": "they look like an API key"},
    )
    return found


def _query(**parameters: str) -> str:
    """Returns a query of the parameters that are set."""
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters.items() if value)


def check_variables(variables: Mapping[str, Variable], given: str) -> None:
    """Checks the names of dynamic variables. `given` names the user's parameter, for the error.

    Raises:
        ConfigurationError: a name is reserved by the service.
    """
    for name in variables:
        if name.startswith("system__"):
            raise ConfigurationError(
                f"{given} sets a reserved name.",
                expected="names that do not begin with system__",
                got=name,
            )


def _read_url(owner: str, base_url: str) -> str:
    return read_base_url(
        base_url,
        parameter=f"{owner}(base_url=…)",
        variable="ELEVENLABS_BASE_URL",
        default=DEFAULT_BASE_URL,
        path=False,
    )
