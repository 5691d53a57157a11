"""What is seen of media sockets: a sound carrier of binary frames with one thing wrong fails for that reason."""

from __future__ import annotations

import msgspec
import pytest

from patter_core.media import MediaReply
from patter_core.testing import check_carrier
from patter_framed import Framed
from patter_framed.testing import FramedEmulator
from patter_framed.wire import Command, FramedCodec
from tests.testing.conformance.told import told

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def nothing(*_: object) -> None:
    """A command that is never sent."""


def says(action: str, value: str = "") -> object:
    """A method of the codec that says this, whatever is asked of it."""
    return lambda *_: (msgspec.json.encode(Command(action, value)).decode(),)


# What is wrong: the class and its attribute, what stands there instead, and what the check must say of it.
MISTAKES = {
    "another subprotocol": (Framed, "subprotocols", ("v9.framed",), "No subprotocol is agreed on for a media socket."),
    "no subprotocol": (Framed, "subprotocols", (), "No subprotocol is agreed on for a media socket."),
    "a subprotocol that is no tuple": (Framed, "subprotocols", "v9.framed", "`subprotocols` is not a tuple of names."),
    "frames that are too short": (
        FramedCodec,
        "encode_audio",
        lambda _, chunk: chunk.data[:-2],
        "The vendor complains of what comes on a media socket.",
    ),
    "audio as text": (
        FramedCodec,
        "encode_audio",
        lambda _, chunk: chunk.base64,
        "got: 1007 a text that is no command",
    ),
    "a command that does not exist": (
        FramedCodec,
        "encode_clear",
        says("empty"),
        "got: 1008 the unknown command empty",
    ),
    "an answer of something else": (
        FramedCodec,
        "decode",
        lambda codec, message, sound=FramedCodec.decode: [
            MediaReply((b"",)) if isinstance(event, MediaReply) else event for event in sound(codec, message)
        ],
        "got: 1007 audio of 0 bytes instead of 640",
    ),
    "keys that do not go out": (FramedCodec, "encode_dtmf", says("pong", "1"), "encode_dtmf() does not send the keys."),
    "a message that does not hang up": (
        FramedCodec,
        "encode_hang_up",
        says("pong", "1"),
        "The message of encode_hang_up() is sent, and the call stays up.",
    ),
    "a hang-up by the media socket alone": (Framed, "hang_up", nothing, "hang_up() returns, and the call stays up."),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
async def test_one_with_a_mistake_is_told_which(
    mistake: tuple[type, str, object, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cls, name, broken, said = mistake
    monkeypatch.setattr(cls, name, broken)
    await told(lambda patience: check_carrier(FramedEmulator, patience=patience), said)
