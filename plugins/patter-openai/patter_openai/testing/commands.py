"""What a test has the agent of an emulated session do, out of turn."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from patter_openai import wire
from patter_openai.testing.conversation import Conversation
from patter_openai.testing.reply import Reply

__all__ = ["call_tool", "interrupt"]


async def interrupt(talk: Conversation) -> None:
    """The user talks over the agent for a moment; audio that was on its way follows, and then the response is over.

    Raises:
        ConversationOver: the session is closed.
    """
    item, at_ms = talk.new_id("item"), round(talk.input_format.duration_ms(len(talk.heard)))
    await talk.send(wire.SpeechStarted(item_id=item, audio_start_ms=at_ms))
    if talk.active is not None:
        talk.active.cancel("turn_detected", is_late=True)
    await _idle(talk)
    await talk.send(wire.SpeechStopped(item_id=item, audio_end_ms=at_ms))


async def call_tool(talk: Conversation, name: str, arguments: Mapping[str, object]) -> None:
    """The agent calls a function in a response of its own, if it knows it, once the one before is done.

    Raises:
        ConversationOver: the session is closed.
    """
    tools = talk.config.tools if isinstance(talk.config.tools, tuple) else ()
    if name not in {tool.name for tool in tools}:
        return

    async def call(reply: Reply) -> None:
        await reply.call(name, msgspec.json.encode(arguments).decode())

    while talk.active is not None and talk.close_code is None:
        await _idle(talk)
    talk.start_response(wire.ResponseParameters(), call)
    await _idle(talk)


async def _idle(talk: Conversation) -> None:
    await talk.until(lambda: talk.active is None or talk.close_code is not None)
