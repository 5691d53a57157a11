"""ElevenLabs text to speech: the class is the spec, an instance the user's configuration."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal
from urllib.parse import quote

from patter_core.audio import AudioFormat
from patter_core.checks import CheckResult
from patter_core.config import Language, check_fields, from_environment
from patter_core.errors import ConfigurationError
from patter_elevenlabs.config import Account
from patter_elevenlabs.speech_checks import check_voice
from patter_elevenlabs.tts import wire
from patter_elevenlabs.tts.formats import format_for
from patter_pipeline.parts import TextToSpeech, TtsSession

__all__ = ["DEFAULT_MODEL", "DEFAULT_VOICE", "ElevenLabsTTS"]

DEFAULT_VOICE = "EXAVITQu4vr4xnSDxMaL"
"""“Sarah”, one of the vendor's default voices; `check` says whether the account has it."""
DEFAULT_MODEL = "eleven_flash_v2_5"

_WITHOUT_LANGUAGE = ("eleven_monolingual_v1", "eleven_flash_v2", "eleven_turbo_v2", "eleven_multilingual_v2")
"""Models that take no language: of English, or that find it out."""
_INACTIVITY = 180
"""Seconds: the most that the service takes."""
_RANGES = {"stability": (0.0, 1.0), "similarity_boost": (0.0, 1.0), "style": (0.0, 1.0), "speed": (0.7, 1.2)}
_DICTIONARIES = 3


@dataclasses.dataclass(frozen=True, eq=False)
class ElevenLabsTTS(TextToSpeech):
    """A voice of ElevenLabs, over its multi-context WebSocket.

    Options that are not set are not sent: the voice has settings of its own.

    Raises:
        ConfigurationError: the key is missing, or an option is invalid.
    """

    api_key: str = dataclasses.field(default="", repr=False)
    """From ELEVENLABS_API_KEY if empty; needs the permission text_to_speech."""
    voice: str = ""
    """The id of a voice, from the dashboard. From ELEVENLABS_VOICE_ID if empty, else `DEFAULT_VOICE`; that of an agent
    or a call takes precedence."""
    model: str = DEFAULT_MODEL
    _: dataclasses.KW_ONLY
    language: Language = ""
    """A code such as `it` or `pt-br`, of which the service takes the first part; that of an agent or a call takes
    precedence. Models that find it out themselves are not told."""
    stability: float | None = None
    """0 to 1: more is more even, less more lively."""
    similarity_boost: float | None = None
    """0 to 1: how near to the original voice."""
    style: float | None = None
    """0 to 1: exaggeration; it costs time."""
    use_speaker_boost: bool | None = None
    speed: float | None = None
    """0.7 to 1.2."""
    text_normalization: Literal["auto", "on", "off"] = "auto"
    """Whether numbers and the like are spelled out by the service before they are spoken."""
    pronunciation_dictionaries: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """The ids of at most three dictionaries with their versions."""
    seed: int | None = None
    base_url: str = ""
    """http(s)://host of a region or an emulator. From ELEVENLABS_BASE_URL if empty, else the global region."""

    name: ClassVar[str] = "elevenlabs"
    emulator: ClassVar[str] = "patter_elevenlabs.testing.tts:ElevenLabsTTSEmulator"

    _account: Account = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_fields(self)
        owner = type(self).__name__
        account = Account.of(owner, "text_to_speech", api_key=self.api_key, base_url=self.base_url)
        object.__setattr__(self, "_account", account)
        object.__setattr__(self, "api_key", account.api_key)
        object.__setattr__(self, "base_url", account.base_url)
        object.__setattr__(self, "voice", from_environment(self.voice, "ELEVENLABS_VOICE_ID") or DEFAULT_VOICE)
        self._check_options(owner)
        import patter_elevenlabs.tts.opening  # noqa: F401, PLC0415 - before a call waits, but not to list plugins

    def _check_options(self, owner: str) -> None:
        for name, (least, most) in _RANGES.items():
            value: object = getattr(self, name)
            if value is not None and not (isinstance(value, int | float) and least <= value <= most):
                raise ConfigurationError(
                    f"{owner}({name}=…) is out of range.", expected=f"{least:g} to {most:g}", got=repr(value)
                )
        if self.text_normalization not in {"auto", "on", "off"}:
            raise ConfigurationError(
                f"{owner}(text_normalization=…) is unknown.",
                expected="auto, on or off",
                got=repr(self.text_normalization),
            )
        if len(self.pronunciation_dictionaries) > _DICTIONARIES:
            raise ConfigurationError(
                f"{owner}(pronunciation_dictionaries=…) has too many.",
                expected=f"at most {_DICTIONARIES}",
                got=str(len(self.pronunciation_dictionaries)),
            )

    async def open(self, *, preferred_format: AudioFormat, voice: str, language: str) -> TtsSession:
        from patter_elevenlabs.tts.opening import open_voice  # noqa: PLC0415 - as above

        output_format = format_for(preferred_format)
        url = self._url(output_format, voice or self.voice, language or self.language)
        return await open_voice(self._account, url, output_format, self._opening, self.model)

    async def check(self) -> Sequence[CheckResult]:
        return await check_voice(self._account, self.voice)

    def _url(self, output_format: AudioFormat, voice: str, language: str) -> str:
        query = [
            ("model_id", self.model),
            ("output_format", str(output_format)),
            ("auto_mode", "true"),  # what is sent is whole: each piece is spoken as it comes
            ("sync_alignment", "true"),
            ("inactivity_timeout", str(_INACTIVITY)),
        ]
        if language and self.model not in _WITHOUT_LANGUAGE:
            query.append(("language_code", language.replace("_", "-").partition("-")[0].lower()))
        if self.text_normalization != "auto":
            query.append(("apply_text_normalization", self.text_normalization))
        if self.seed is not None:
            query.append(("seed", str(self.seed)))
        return self._account.socket_url(f"/v1/text-to-speech/{quote(voice, safe='')}/multi-stream-input", query)

    def _opening(self, context_id: str) -> wire.Open:
        """Returns the message that opens a context."""
        settings = wire.VoiceSettings(
            stability=self.stability,
            similarity_boost=self.similarity_boost,
            style=self.style,
            use_speaker_boost=self.use_speaker_boost,
            speed=self.speed,
        )
        return wire.Open(
            context_id=context_id,
            voice_settings=settings if settings != wire.VoiceSettings() else None,
            pronunciation_dictionary_locators=tuple(
                wire.Dictionary(pronunciation_dictionary_id=name, version_id=version)
                for name, version in self.pronunciation_dictionaries.items()
            ),
        )
