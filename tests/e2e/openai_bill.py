"""What the emulated OpenAI has billed, as it told it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from patter_openai import wire
from patter_openai.prices import response_usage, transcription_usage
from patter_openai.testing import Conversation

__all__ = ["bill_of"]

_message: msgspec.json.Decoder[wire.ServerMessage] = msgspec.json.Decoder(wire.ServerMessage)


def bill_of(talks: Sequence[Conversation]) -> dict[str, Counter[str]]:
    """Returns the amounts, by part."""
    billed = {"engine": Counter[str](), "stt": Counter[str]()}
    for talk in talks:
        for sent in talk.sent:
            match _message.decode(sent):
                case wire.ResponseDone(response=wire.Response(usage=wire.ResponseUsage() as usage)):
                    billed["engine"].update(response_usage(talk.model, usage).amounts)
                case wire.TranscriptionCompleted(usage=wire.TranscriptionUsage() as usage):
                    billed["stt"].update(transcription_usage("gpt-transcribe", usage).amounts)
                case _:
                    pass
    return billed
