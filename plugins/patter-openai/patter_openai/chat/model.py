"""A language model by chat completions: the class is the spec, an instance the user's configuration."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import ClassVar

import msgspec
from msgspec import UNSET

from patter_core.checks import CheckResult
from patter_core.config import check_fields
from patter_core.errors import ConfigurationError
from patter_core.history import ToolUsed
from patter_openai.chat import wire
from patter_openai.chat.checks import run_checks
from patter_openai.chat.messages import messages, tools
from patter_openai.chat.server import Server
from patter_openai.chat.thinking import effort_for
from patter_pipeline.parts import LanguageModel, LlmEvent, LlmRequest

__all__ = ["OpenAILLM"]

_OURS = frozenset({"messages", "model", "stream", "tools"})
"""Fields of a request that no option replaces."""


@dataclasses.dataclass(frozen=True, eq=False)
class OpenAILLM(LanguageModel):
    """A language model of OpenAI, or of any server that answers chat completions as OpenAI does.

    Options that are not set are not sent.

    Raises:
        ConfigurationError: the key is missing, or an option is invalid.
    """

    api_key: str = dataclasses.field(default="", repr=False)
    """From OPENAI_API_KEY if empty; with a `base_url` of another server there may be none."""
    model: str = "gpt-6-luna"
    _: dataclasses.KW_ONLY
    base_url: str = ""
    """http(s)://host/path, to which `/chat/completions` is appended. From OPENAI_BASE_URL if empty, else OpenAI's."""
    temperature: float | None = None
    """0 to 2; models that think refuse it."""
    max_tokens: int = 0
    """For one answer, as `max_completion_tokens`; 0 for no limit."""
    reasoning_effort: str = ""
    """Such as `low`. If it is empty, models of OpenAI that refuse tools while they think are told not to (`none`)."""
    instructions_role: str = "system"
    """Of the system prompt: `system` or `developer`."""
    include_usage: bool = True
    """The server is asked for the tokens; False for one that refuses `stream_options`."""
    extra_body: Mapping[str, object] = dataclasses.field(default_factory=dict, repr=False)
    """Further fields of each request, such as `service_tier`; one that an option sends is replaced."""
    extra_headers: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    """Sent with each request, such as `api-key`."""
    connect_timeout: float = 3.0
    """Seconds to be connected."""
    first_token_timeout: float = 10.0
    """Seconds to the first piece of an answer, with all tries; more for a model that is loaded first, or thinks."""
    gap_timeout: float = 10.0
    """Seconds between two pieces of an answer."""

    name: ClassVar[str] = "openai"
    emulator: ClassVar[str] = "patter_openai.testing.chat:OpenAIChatEmulator"

    _server: Server = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_fields(self)
        owner = type(self).__name__
        server = Server.resolve(
            owner, api_key=self.api_key, base_url=self.base_url, extra_headers=dict(self.extra_headers)
        )
        for problem, expected, got in self._problems():
            raise ConfigurationError(f"{owner}({problem}=…) is invalid.", expected=expected, got=got)
        for name in ("api_key", "base_url", "extra_headers"):
            object.__setattr__(self, name, getattr(server, name))
        object.__setattr__(self, "extra_body", dict(self.extra_body))
        import patter_openai.chat.asking  # noqa: F401, PLC0415 - as above

        object.__setattr__(self, "_server", server)

    def stream(self, request: LlmRequest) -> AsyncGenerator[LlmEvent]:
        from patter_openai.chat.asking import Asking, Bounds  # noqa: PLC0415 - as above

        bounds = Bounds(connect=self.connect_timeout, first_token=self.first_token_timeout, gap=self.gap_timeout)
        taken = frozenset(item.id for item in request.history if isinstance(item, ToolUsed))
        return Asking(self._server, self.model, lambda: self._body(request), bounds, taken).events()

    async def prepare(self) -> None:
        from patter_openai.chat.asking import connect  # noqa: PLC0415 - as above

        await connect(self._server, self.connect_timeout)

    async def check(self) -> Sequence[CheckResult]:
        return await run_checks(self._server, self.model)

    def _body(self, request: LlmRequest) -> bytes:
        body = wire.Request(
            model=self.model,
            messages=messages(request.instructions, request.history, role=self.instructions_role),
            stream_options=wire.StreamOptions(include_usage=True) if self.include_usage else UNSET,
            tools=tools(request.tools) or UNSET,
            temperature=UNSET if self.temperature is None else self.temperature,
            max_completion_tokens=self.max_tokens or UNSET,
            reasoning_effort=self.reasoning_effort or effort_for(self.model) or UNSET,
        )
        encoded = msgspec.json.encode(body)
        if not self.extra_body:
            return encoded
        fields = msgspec.json.decode(encoded, type=dict[str, msgspec.Raw])
        return msgspec.json.encode({**fields, **self.extra_body})

    def _problems(self) -> list[tuple[str, str, str]]:
        """Returns the option, what is expected and what came, of each invalid one."""
        problems: list[tuple[str, str, str]] = []
        if not self.model:
            problems.append(("model", "the name of a model", "none"))
        if self.temperature is not None and not 0 <= self.temperature <= 2:
            problems.append(("temperature", "0 to 2", str(self.temperature)))
        if self.max_tokens < 0:
            problems.append(("max_tokens", "0 or more", str(self.max_tokens)))
        if self.instructions_role not in {"system", "developer"}:
            problems.append(("instructions_role", "system or developer", repr(self.instructions_role)))
        for name in ("connect_timeout", "first_token_timeout", "gap_timeout"):
            seconds: float = getattr(self, name)
            if not 0 < seconds < float("inf"):
                problems.append((name, "seconds, more than 0", str(seconds)))
        if taken := _OURS & set(self.extra_body):
            problems.append(("extra_body", f"other fields than {', '.join(sorted(_OURS))}", ", ".join(sorted(taken))))
        try:
            msgspec.json.encode(self.extra_body)
        except (TypeError, ValueError, RecursionError):
            problems.append(("extra_body", "what can be written as JSON", "something else"))
        return problems
