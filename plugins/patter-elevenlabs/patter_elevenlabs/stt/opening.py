"""Opens a session of Scribe realtime: connect, and wait until the service has started it."""

from __future__ import annotations

import anyio

from patter_core.audio import AudioFormat
from patter_core.errors import EngineRefused, EngineTimeout, SocketClosed
from patter_core.net.websocket import EngineSocket
from patter_elevenlabs import speech_failures
from patter_elevenlabs.config import Account
from patter_elevenlabs.formats import FORMATS
from patter_elevenlabs.refusals import refused_upgrade
from patter_elevenlabs.stt import wire
from patter_elevenlabs.stt.session import PERMISSION, ScribeSession

__all__ = ["START_TIMEOUT", "open_session"]

START_TIMEOUT = 10.0
"""Seconds from the upgrade to `session_started`."""


async def open_session(
    account: Account, url: str, input_format: AudioFormat, model: str, *, commits: bool, timestamps: bool
) -> ScribeSession:
    """Connects, and returns once the service is ready for audio. Cancelling it leaves nothing open.

    Args:
        account: whose key the socket is opened with.
        url: of the socket.
        input_format: what the URL says. What the service says counts.
        model: for usage.
        commits: as of `ScribeSession`.
        timestamps: as of `ScribeSession`.

    Raises:
        EngineError: it could not be reached in time, or refused.
    """
    try:
        socket = await EngineSocket.open(url, vendor="ElevenLabs", headers=account.headers)
    except EngineRefused as error:
        raise refused_upgrade(error, PERMISSION, speech_failures.REMEDIES) from None
    try:
        taken = FORMATS.get(await _started(socket), input_format)
        return ScribeSession(socket, taken, model, commits=commits, timestamps=timestamps)
    except BaseException:
        await socket.aclose()
        raise


async def _started(socket: EngineSocket) -> str:
    """Returns the audio format that the service takes; "" if it does not say."""
    try:
        with anyio.fail_after(START_TIMEOUT):
            while True:
                message = wire.decode(await socket.receive())
                if message is not None and message.type == "session_started":
                    return (message.config and message.config.audio_format) or ""
                if message is not None and message.type in wire.ERRORS:
                    raise speech_failures.named(message.type, message.error or "", PERMISSION)
    except TimeoutError:
        raise EngineTimeout(
            "ElevenLabs did not start speech recognition.",
            retry=True,
            expected=f"session_started within {START_TIMEOUT:g} s",
        ) from None
    except SocketClosed as closed:
        raise speech_failures.closed(closed.code, closed.reason, PERMISSION) from None
