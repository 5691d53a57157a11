"""Deepgram's speech recognition: the class is the spec, an instance the user's configuration."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import ClassVar

from patter_core.audio import AudioFormat
from patter_core.checks import CheckResult
from patter_core.config import Language, check_fields
from patter_core.errors import ConfigurationError, EngineRefused
from patter_deepgram.checks import check_open
from patter_deepgram.config import Service
from patter_deepgram.formats import FLUX_RATES, NOVA_RATES, nearest, parameters
from patter_deepgram.prices import listening
from patter_pipeline.parts import SpeechToText, SttSession

__all__ = ["DeepgramSTT"]

_FLUX = "flux-"
_FLUX_ENGLISH = "flux-general-en"
_UTTERANCE_END_MS = 1_000
"""The least that the service takes."""


@dataclasses.dataclass(frozen=True, eq=False)
class DeepgramSTT(SpeechToText):
    """Speech recognition by a model of Deepgram's: Nova, or Flux, which ends the caller's turns by itself.

    The model decides. Options that are not set are not sent.

    Raises:
        ConfigurationError: the key is missing, or an option is invalid or not one of the model.
    """

    api_key: str = dataclasses.field(default="", repr=False)
    """From DEEPGRAM_API_KEY if empty."""
    model: str = "nova-3"
    """Such as `nova-3`, `flux-general-en` or `flux-general-multi`."""
    _: dataclasses.KW_ONLY
    language: Language = ""
    """A code such as `it`; with Nova also `multi`. That of the call takes precedence. Without any, it is English."""
    base_url: str = ""
    """http(s)://host of the service or an emulator. From DEEPGRAM_BASE_URL if empty, else the vendor's."""
    keyterms: Sequence[str] = ()
    """Words and names that callers are likely to say."""
    numerals: bool = False
    """Numbers are written in digits."""
    endpointing_ms: int = 0
    """Nova: silence, in ms, after which the service ends the caller's turn. 0: the pipeline ends it."""
    eot_threshold: float = 0.0
    """Flux: how sure it must be that the turn has ended, 0.5 to 0.9. 0 for the service's own."""
    eager_eot_threshold: float = 0.0
    """Flux: how sure it must be to have the answer drafted, 0.3 to `eot_threshold`. 0: no drafts, which cost more."""
    eot_timeout_ms: int = 0
    """Flux: silence, in ms, after which the turn has ended in any case, 500 to 10,000. 0 for the service's own."""
    parameters: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Further parameters of the service, such as `{"redact": "pci"}`."""

    name: ClassVar[str] = "deepgram"
    final_p99: ClassVar[float] = 0.35
    emulator: ClassVar[str] = "patter_deepgram.testing:DeepgramSTTEmulator"

    _service: Service = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_fields(self)
        owner = type(self).__name__
        service = Service.resolve(owner, api_key=self.api_key, base_url=self.base_url)
        for problem, expected, got in self._problems():
            raise ConfigurationError(f"{owner}({problem}=…) is invalid.", expected=expected, got=got)
        for name in ("api_key", "base_url"):
            object.__setattr__(self, name, getattr(service, name))
        import patter_deepgram.listening  # noqa: F401, PLC0415 - before a call waits, but not to list plugins

        object.__setattr__(self, "_service", service)
        object.__setattr__(self, "ends_turns", self._is_flux or bool(self.endpointing_ms))
        object.__setattr__(self, "chunk_ms", 80.0 if self._is_flux else SpeechToText.chunk_ms)

    async def open(self, *, preferred_format: AudioFormat, language: str) -> SttSession:
        from patter_deepgram.clock import AudioClock  # noqa: PLC0415 - as above
        from patter_deepgram.flux import Flux  # noqa: PLC0415 - as above
        from patter_deepgram.listening import ListenSession, wait_until_connected  # noqa: PLC0415 - as above
        from patter_deepgram.nova import Nova  # noqa: PLC0415 - as above
        from patter_deepgram.opening import OPEN_TIMEOUT, open_socket  # noqa: PLC0415 - as above

        language = _code(language or self.language)
        format = nearest(preferred_format, FLUX_RATES if self._is_flux else NOVA_RATES)
        bill = functools.partial(listening, self.model, language)
        clock = AudioClock(format)
        if not self._is_flux:
            socket = await open_socket(self._service, "/v1/listen", self._of_nova(format, language))
            return ListenSession(socket, Nova(clock, ends_turns=self.ends_turns), clock, format, bill)
        if problem := self._language_problem(language):
            raise EngineRefused(f"{self.model} does not know the language of the call.", expected=problem, got=language)
        socket = await open_socket(self._service, "/v2/listen", self._of_flux(format, language))
        try:
            flux = Flux(clock)
            await wait_until_connected(socket, flux, OPEN_TIMEOUT)
            return ListenSession(socket, flux, clock, format, bill)
        except BaseException:
            await socket.aclose()
            raise

    async def check(self) -> Sequence[CheckResult]:
        return await check_open(
            lambda format: self.open(preferred_format=format, language=""),
            f"Deepgram accepts the key, and the options for the model {self.model}.",
        )

    @property
    def _is_flux(self) -> bool:
        return self.model.startswith(_FLUX)

    def _of_nova(self, format: AudioFormat, language: str) -> list[tuple[str, str]]:
        ends = self.endpointing_ms
        return [
            *self._common(format),
            *((("language", language),) if language else ()),
            ("channels", "1"),
            ("interim_results", "true"),
            ("punctuate", "true"),
            *((("endpointing", str(ends)), ("utterance_end_ms", str(max(_UTTERANCE_END_MS, ends)))) if ends else ()),
            *self.parameters.items(),
        ]

    def _of_flux(self, format: AudioFormat, language: str) -> list[tuple[str, str]]:
        thresholds = {
            "eot_threshold": self.eot_threshold,
            "eager_eot_threshold": self.eager_eot_threshold,
            "eot_timeout_ms": self.eot_timeout_ms,
        }
        hinted = language and self.model != _FLUX_ENGLISH
        return [
            *self._common(format),
            *((("language_hint", language),) if hinted else ()),
            *((name, f"{value:g}") for name, value in thresholds.items() if value),
            *self.parameters.items(),
        ]

    def _common(self, format: AudioFormat) -> list[tuple[str, str]]:
        return [
            ("model", self.model),
            *parameters(format),
            *(("keyterm", term) for term in self.keyterms),
            *((("numerals", "true"),) if self.numerals else ()),
        ]

    def _language_problem(self, language: str) -> str:
        if self.model == _FLUX_ENGLISH and language and language.partition("-")[0] != "en":
            return "English, or the model flux-general-multi"
        return ""

    def _problems(self) -> list[tuple[str, str, str]]:
        """Returns the option, what is expected and what came, of each invalid one."""
        problems: list[tuple[str, str, str]] = []
        if not self.model:
            problems.append(("model", "the name of a model", "none"))
        if isinstance(self.keyterms, str) or not all(self.keyterms):
            problems.append(("keyterms", "a list of words", repr(self.keyterms)))
        if self.endpointing_ms and (self._is_flux or not 10 <= self.endpointing_ms <= 5_000):
            problems.append(("endpointing_ms", "10 to 5000, with a Nova model", str(self.endpointing_ms)))
        for name, least, most in (("eot_threshold", 0.5, 0.9), ("eager_eot_threshold", 0.3, self._sure)):
            value: float = getattr(self, name)
            if value and (not self._is_flux or not least <= value <= most):
                problems.append((name, f"{least:g} to {most:g}, with a Flux model", str(value)))
        if self.eot_timeout_ms and (not self._is_flux or not 500 <= self.eot_timeout_ms <= 10_000):
            problems.append(("eot_timeout_ms", "500 to 10000, with a Flux model", str(self.eot_timeout_ms)))
        if problem := self._language_problem(_code(self.language)):
            problems.append(("language", problem, self.language))
        return problems

    @property
    def _sure(self) -> float:
        """The most that `eager_eot_threshold` may be: the service's own `eot_threshold` is 0.7."""
        return self.eot_threshold or 0.7


def _code(language: str) -> str:
    """Returns a code as the service writes it: `pt-BR`."""
    base, dash, region = language.strip().partition("-")
    return base.lower() + dash + (region.upper() if len(region) == 2 else region)
