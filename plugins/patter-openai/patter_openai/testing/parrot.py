"""The built-in agent of the emulator: it says what it is asked to say, and repeats what the caller says."""

from __future__ import annotations

from patter_core.audio.transcode import transcode
from patter_core.testing.speech import GREETING
from patter_openai import wire
from patter_openai.testing.items import KeptItem
from patter_openai.testing.reply import Reply
from patter_openai.testing.told import quoted

__all__ = ["Parrot"]

_SILENT = "I heard nothing."


class Parrot:
    """Says the text that a response's instructions quote at their end, or repeats what the caller said.

    It also reads out the results of functions. What it has no audio for has that of the greeting.
    """

    async def __call__(self, reply: Reply) -> None:
        """Makes one response."""
        talk = reply.talk
        greeting = GREETING.audio(talk.output_format)
        text = quoted(reply.parameters)
        if text is not None:
            await reply.say(text, greeting)
            return
        last = next((kept for kept in reversed(talk.items.all) if kept.item.role != "assistant"), None)
        if last is not None and last.audio:
            audio = transcode(bytes(last.audio), talk.input_format, talk.output_format)
            await reply.say(last.text, audio)
        else:
            await reply.say(_text_of(last), greeting)


def _text_of(kept: KeptItem | None) -> str:
    if kept is None:
        return _SILENT
    item: wire.Item = kept.item
    if isinstance(item.output, str):
        return item.output
    texts = [part.text for part in item.content or () if isinstance(part.text, str)]
    return " ".join(texts) or _SILENT
