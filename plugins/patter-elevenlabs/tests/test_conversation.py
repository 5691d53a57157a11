from __future__ import annotations

import anyio
import msgspec
import pytest

from patter_core.audio import ULAW_8000
from patter_elevenlabs import wire
from patter_elevenlabs.testing import DEFAULT_CLIENT_EVENTS, Conversation, ConversationOver
from patter_elevenlabs.testing.conversation import ConversationSocket

pytestmark = pytest.mark.anyio

_decode: msgspec.json.Decoder[wire.ServerMessage] = msgspec.json.Decoder(wire.ServerMessage)


class Line:
    """The socket, and what went through it."""

    def __init__(self) -> None:
        self.sent: list[wire.ServerMessage] = []
        self.closed: list[tuple[int, str]] = []

    async def send(self, text: str | bytes) -> None:
        self.sent.append(_decode.decode(text))

    async def close(self, code: int, reason: str) -> None:
        self.closed.append((code, reason))


def conversation(line: Line, *, pace: float = 1000.0) -> Conversation:
    return Conversation(
        ConversationSocket(line.send, line.close),
        conversation_id="conv_1",
        input_format=ULAW_8000,
        output_format=ULAW_8000,
        client_events=DEFAULT_CLIENT_EVENTS | {"agent_response_correction"},
        chunk_ms=100,
        pace=pace,
    )


async def test_speech_goes_out_in_chunks_under_one_id_and_is_recorded() -> None:
    line = Line()
    talk = conversation(line)
    speech = bytes(range(256)) * 10
    await talk.say("Hello", speech)
    text, *audio = line.sent
    assert text == wire.AgentResponse(wire.AgentResponseEvent(text="Hello", event_id=1))
    assert [type(message) for message in audio] == [wire.Audio] * 4
    assert talk.said == {1: speech}
    assert talk.agent_audio == speech


async def test_it_knows_what_is_still_playing_although_all_is_sent() -> None:
    talk = conversation(Line())
    assert not talk.speaking
    await talk.say("Hello", bytes(8000))
    assert 900 < talk.unplayed_ms < 1000
    assert talk.speaking


async def test_an_interruption_stops_the_speech_and_tells_what_was_heard_of_it() -> None:
    line = Line()
    talk = conversation(line, pace=2.0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(talk.say, "one two three four five six seven eight nine ten", bytes(80_000))
        await talk.until(lambda: 1 in talk.said)
        await talk.interrupt()
    assert not talk.speaking
    assert len(talk.said[1]) < 80_000
    *_, interruption, correction = line.sent
    assert interruption == wire.Interruption(wire.Numbered(event_id=2))
    assert isinstance(correction, wire.Correction)
    assert correction.event.text == "…"
    await talk.say("Sorry", b"\xff")
    assert list(talk.said) == [1, 2]


async def test_a_tool_call_waits_for_its_result() -> None:
    line = Line()
    talk = conversation(line)
    results: list[wire.ToolResult] = []

    async def ask() -> None:
        results.append(await talk.call_tool("weather", {"city": "Rome"}))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        assert not results
        talk.note(wire.ToolResult(tool_call_id="call_0", result="sun", is_error=False))
    (call,) = line.sent
    assert isinstance(call, wire.ToolCall)
    assert msgspec.json.decode(call.event.parameters) == {"city": "Rome"}
    assert [result.result for result in results] == ["sun"]


async def test_a_conversation_can_be_aborted_without_a_close_frame() -> None:
    line = Line()
    talk = conversation(line)
    with pytest.raises(ConversationOver):
        talk.abort()
    assert (talk.close_code, talk.closed_by) == (1006, "service")
    assert not line.closed


async def test_sending_after_the_end_raises() -> None:
    line = Line()
    talk = conversation(line)
    with pytest.raises(ConversationOver):
        await talk.close(1011, "Broken")
    with pytest.raises(ConversationOver):
        await talk.close(1000)
    with pytest.raises(ConversationOver):
        await talk.ping()
    assert line.closed == [(1011, "Broken")]
    assert not line.sent
