"""Scribe realtime: the class is the spec, an instance the user's configuration."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar, Literal

from patter_core.audio import AudioFormat, Encoding
from patter_core.checks import CheckResult
from patter_core.config import Language, check_fields
from patter_core.errors import ConfigurationError
from patter_elevenlabs.config import Account
from patter_elevenlabs.formats import FORMATS
from patter_elevenlabs.speech_checks import check_key
from patter_pipeline.parts import SpeechToText, SttSession

__all__ = ["DEFAULT_MODEL", "ElevenLabsSTT"]

DEFAULT_MODEL = "scribe_v2_realtime"

_PATH = "/v1/speech-to-text/realtime"
_FINAL_P99 = 0.41
_VAD_SILENCE = 1.5
"""Seconds: the service's own."""
_KEYTERMS, _KEYTERM_LENGTH = 50, 20
_RANGES = {
    "vad_silence_threshold_secs": (0.3, 3.0),
    "vad_threshold": (0.1, 0.9),
    "min_speech_duration_ms": (50, 2_000),
    "min_silence_duration_ms": (50, 2_000),
}


@dataclasses.dataclass(frozen=True, eq=False)
class ElevenLabsSTT(SpeechToText):
    """ElevenLabs Scribe, over its realtime WebSocket.

    Options that are not set are not sent.

    Raises:
        ConfigurationError: the key is missing, or an option is invalid.
    """

    api_key: str = dataclasses.field(default="", repr=False)
    """From ELEVENLABS_API_KEY if empty; needs the permission speech_to_text."""
    model: str = DEFAULT_MODEL
    _: dataclasses.KW_ONLY
    language: Language = ""
    """A code such as `it` or `pt-br`, of which the service takes the first part; that of an agent or a call takes
    precedence. "" for any: the service finds it out."""
    commit_strategy: Literal["manual", "vad"] = "manual"
    """`manual`: the pipeline asks for the final text when the caller stops speaking. `vad`: the service decides."""
    vad_silence_threshold_secs: float | None = None
    """Of `vad`: 0.3 to 3; 1.5 if it is not set."""
    vad_threshold: float | None = None
    """Of `vad`: 0.1 to 0.9."""
    min_speech_duration_ms: int | None = None
    min_silence_duration_ms: int | None = None
    keyterms: Sequence[str] = ()
    """At most 50 words, of 20 characters at most, that are likely to be said: names, products. They cost extra."""
    no_verbatim: bool = False
    """Leave out fillers and false starts."""
    filter_background_audio: bool = False
    """Leave out speech in the background. There are no times of words then."""
    base_url: str = ""
    """http(s)://host of a region or an emulator. From ELEVENLABS_BASE_URL if empty, else the global region."""

    name: ClassVar[str] = "elevenlabs"
    emulator: ClassVar[str] = "patter_elevenlabs.testing.stt:ElevenLabsSTTEmulator"
    final_p99: ClassVar[float] = _FINAL_P99

    _account: Account = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_fields(self)
        owner = type(self).__name__
        account = Account.of(owner, "speech_to_text", api_key=self.api_key, base_url=self.base_url)
        object.__setattr__(self, "_account", account)
        object.__setattr__(self, "api_key", account.api_key)
        object.__setattr__(self, "base_url", account.base_url)
        object.__setattr__(self, "keyterms", tuple(self.keyterms))
        self._check_options(owner)
        if self.commit_strategy == "vad":
            silence = self.vad_silence_threshold_secs
            object.__setattr__(self, "final_p99", _FINAL_P99 + (_VAD_SILENCE if silence is None else silence))
        import patter_elevenlabs.stt.opening  # noqa: F401, PLC0415 - before a call waits, but not to list plugins

    def _check_options(self, owner: str) -> None:
        if self.commit_strategy not in {"manual", "vad"}:
            raise ConfigurationError(
                f"{owner}(commit_strategy=…) is unknown.", expected="manual or vad", got=repr(self.commit_strategy)
            )
        for name, (least, most) in _RANGES.items():
            value: object = getattr(self, name)
            if value is None:
                continue
            if self.commit_strategy != "vad":
                raise ConfigurationError(
                    f"{owner}({name}=…) has no effect.", remedy='Set commit_strategy="vad" as well, or leave it out.'
                )
            if not (isinstance(value, int | float) and least <= value <= most):
                raise ConfigurationError(
                    f"{owner}({name}=…) is out of range.", expected=f"{least:g} to {most:g}", got=repr(value)
                )
        if len(self.keyterms) > _KEYTERMS or any(not 0 < len(term) <= _KEYTERM_LENGTH for term in self.keyterms):
            raise ConfigurationError(
                f"{owner}(keyterms=…) is too long.",
                expected=f"at most {_KEYTERMS} terms, of 1 to {_KEYTERM_LENGTH} characters",
                got=f"{len(self.keyterms)} terms",
            )

    async def open(self, *, preferred_format: AudioFormat, language: str) -> SttSession:
        from patter_elevenlabs.stt.opening import open_session  # noqa: PLC0415 - as above

        input_format = _format_for(preferred_format)
        url = self._account.socket_url(_PATH, self._query(input_format, language or self.language))
        return await open_session(
            self._account,
            url,
            input_format,
            self.model,
            commits=self.commit_strategy == "manual",
            timestamps=not self.filter_background_audio,
        )

    async def check(self) -> Sequence[CheckResult]:
        return await check_key(self._account)

    def _query(self, input_format: AudioFormat, language: str) -> list[tuple[str, str]]:
        query = [
            ("model_id", self.model),
            ("audio_format", str(input_format)),
            ("commit_strategy", self.commit_strategy),
            ("include_timestamps", "false" if self.filter_background_audio else "true"),
        ]
        if language:
            query.append(("language_code", language.replace("_", "-").partition("-")[0].lower()))
        for name in _RANGES:
            value: object = getattr(self, name)
            if value is not None:
                query.append((name, str(value)))
        query += [("keyterms", term) for term in self.keyterms]
        query += [(name, "true") for name in ("no_verbatim", "filter_background_audio") if getattr(self, name)]
        return query


def _format_for(preferred: AudioFormat) -> AudioFormat:
    """Returns the preferred format, or else the linear one that keeps all of it: A-law is not taken."""
    if str(preferred) in FORMATS:
        return preferred
    rates = [format.sample_rate for format in FORMATS.values() if format.encoding is Encoding.PCM16]
    rate = min((rate for rate in rates if rate >= preferred.sample_rate), default=max(rates))
    return AudioFormat(Encoding.PCM16, rate)
