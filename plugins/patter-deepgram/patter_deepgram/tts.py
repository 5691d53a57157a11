"""Deepgram's voices: the class is the spec, an instance the user's configuration."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Mapping, Sequence
from typing import ClassVar

from patter_core.audio import AudioFormat
from patter_core.checks import CheckResult
from patter_core.config import check_fields
from patter_core.errors import ConfigurationError
from patter_core.observe.terminal import one_line
from patter_deepgram.checks import check_open
from patter_deepgram.config import Service
from patter_deepgram.formats import SPEAK_RATES, nearest, parameters
from patter_deepgram.prices import speaking
from patter_pipeline.parts import TextToSpeech, TtsSession

__all__ = ["DeepgramTTS"]

_log = logging.getLogger("patter.deepgram")


@dataclasses.dataclass(frozen=True, eq=False)
class DeepgramTTS(TextToSpeech):
    """One of Deepgram's Aura voices. The voice is the model, and speaks one language.

    Raises:
        ConfigurationError: the key is missing, or an option is invalid.
    """

    api_key: str = dataclasses.field(default="", repr=False)
    """From DEEPGRAM_API_KEY if empty."""
    model: str = "aura-2-thalia-en"
    """A voice. That of the call (`voice=` of the agent) takes precedence."""
    _: dataclasses.KW_ONLY
    base_url: str = ""
    """http(s)://host of the service or an emulator. From DEEPGRAM_BASE_URL if empty, else the vendor's."""
    speed: float = 0.0
    """Of speaking, 0.7 to 1.5, where the voice can; 0 for the service's own."""
    parameters: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Further parameters of the service, such as `{"mip_opt_out": "true"}`."""

    name: ClassVar[str] = "deepgram"
    emulator: ClassVar[str] = "patter_deepgram.testing:DeepgramTTSEmulator"

    _service: Service = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_fields(self)
        owner = type(self).__name__
        service = Service.resolve(owner, api_key=self.api_key, base_url=self.base_url)
        if not self.model:
            raise ConfigurationError(f"{owner}(model=…) is invalid.", expected="the name of a voice", got="none")
        if self.speed and not 0.7 <= self.speed <= 1.5:
            raise ConfigurationError(f"{owner}(speed=…) is invalid.", expected="0.7 to 1.5", got=str(self.speed))
        for name in ("api_key", "base_url"):
            object.__setattr__(self, name, getattr(service, name))
        import patter_deepgram.speaking  # noqa: F401, PLC0415 - before a call waits, but not to list plugins

        object.__setattr__(self, "_service", service)

    async def open(self, *, preferred_format: AudioFormat, voice: str, language: str) -> TtsSession:
        from patter_deepgram.opening import open_socket  # noqa: PLC0415 - as above
        from patter_deepgram.speaking import SpeakSession  # noqa: PLC0415 - as above

        model = voice or self.model
        spoken = model.rpartition("-")[2].lower()
        if language and language.partition("-")[0].lower() != spoken:
            _log.warning(
                "The voice %s speaks %s, and the call is in %s. Choose a voice of that language.",
                *map(one_line, (model, spoken, language)),
            )
        format = nearest(preferred_format, SPEAK_RATES)
        query = [("model", model), *parameters(format)]
        if self.speed:
            query.append(("speed", f"{self.speed:g}"))
        query += self.parameters.items()
        connect = functools.partial(open_socket, self._service, "/v1/speak", query)
        return SpeakSession(connect, await connect(), format, functools.partial(speaking, model))

    async def check(self) -> Sequence[CheckResult]:
        return await check_open(
            lambda format: self.open(preferred_format=format, voice="", language=""),
            f"Deepgram accepts the key, and has the voice {self.model}.",
        )
