"""Opens the socket of a voice, and again."""

from __future__ import annotations

import functools
from collections.abc import Callable

from patter_core.audio import AudioFormat
from patter_core.errors import EngineRefused
from patter_core.net.websocket import EngineSocket
from patter_elevenlabs.config import Account
from patter_elevenlabs.refusals import refused_upgrade
from patter_elevenlabs.speech_failures import REMEDIES
from patter_elevenlabs.tts import wire
from patter_elevenlabs.tts.session import PERMISSION, VoiceSession

__all__ = ["open_voice"]

_OPEN_WITHIN, _REOPEN_WITHIN = 10.0, 3.0
"""Seconds: a caller hears nothing while it is opened again."""


async def open_voice(
    account: Account, url: str, output_format: AudioFormat, opening: Callable[[str], wire.Open], model: str
) -> VoiceSession:
    """Connects, and returns a session that takes text. Cancelling it leaves nothing open.

    Args:
        account: whose key the socket is opened with.
        url: of the socket.
        output_format: what the URL asks for.
        opening: what each context begins with.
        model: for usage.

    Raises:
        EngineError: it could not be reached in time, or refused.
    """
    socket = await _connect(account, url, _OPEN_WITHIN)
    return VoiceSession(
        socket, functools.partial(_connect, account, url, _REOPEN_WITHIN), output_format, opening, model
    )


async def _connect(account: Account, url: str, within: float) -> EngineSocket:
    try:
        return await EngineSocket.open(url, vendor="ElevenLabs", headers=account.headers, open_timeout=within)
    except EngineRefused as error:
        raise refused_upgrade(error, PERMISSION, REMEDIES) from None
