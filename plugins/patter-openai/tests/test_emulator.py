"""The emulator is as strict as the service: what a client must not do is an error, and never a silent success."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator

import anyio
import pytest

from patter_core.net.websocket import EngineSocket
from patter_openai.testing import Behaviour, Conversation, OpenAIRealtimeEmulator, Reply

pytestmark = pytest.mark.anyio


class Client:
    """A client that sends what it is told to."""

    def __init__(self, socket: EngineSocket, talk: Conversation) -> None:
        self.socket, self.talk = socket, talk

    async def error(self, text: str) -> tuple[str | None, str]:
        """Sends this, and returns the code and the message of the error that follows."""
        before = len(self.talk.errors)
        self.socket.send(text.encode())
        await self.talk.until(lambda: len(self.talk.errors) > before)
        error = self.talk.errors[-1]
        assert error.event_id in {None, "mine"}
        return error.code, error.message

    async def until(self, kind: str) -> dict[str, object]:
        while True:
            message: dict[str, object] = json.loads(await self.socket.receive())
            if message["type"] == kind:
                return message


@contextlib.asynccontextmanager
async def connected(behaviour: Behaviour | None = None) -> AsyncIterator[Client]:
    async with OpenAIRealtimeEmulator(behaviour) as emulator:
        url = f"ws{emulator.base_url.removeprefix('http')}/realtime?model=gpt-realtime-2.1"
        socket = await EngineSocket.open(url, headers={"Authorization": f"Bearer {emulator.api_key}"})
        try:
            with anyio.fail_after(10):
                yield Client(socket, await emulator.conversation())
        finally:
            await socket.aclose()


def session(**fields: object) -> str:
    return json.dumps({"type": "session.update", "event_id": "mine", "session": {"type": "realtime", **fields}})


def item(**fields: object) -> str:
    return json.dumps({"type": "conversation.item.create", "event_id": "mine", "item": fields})


TEXT = [{"type": "input_text", "text": "Hello"}]


@pytest.mark.parametrize(
    ("message", "code", "words"),
    [
        ("{", "invalid_json", "JSON"),
        ('{"type":"response.start"}', "invalid_value", "response.start"),
        ('{"type":"input_audio_buffer.append","audio":"???","event_id":"mine"}', "invalid_value", "base64"),
        ('{"type":"input_audio_buffer.append","audio":"AAAA","event_id":"mine"}', "invalid_value", "sample"),
        ('{"type":"input_audio_buffer.commit","event_id":"mine"}', "input_audio_buffer_commit_empty", "100 ms"),
        ('{"type":"response.cancel","event_id":"mine"}', "response_cancel_not_active", "no active response"),
        ('{"type":"conversation.item.delete","item_id":"x","event_id":"mine"}', "item_delete_invalid_item_id", "x"),
        (session(voice="marin"), "invalid_value", "voice"),  # the beta's place for it
        (session(audio={"output": {"voice": "nina"}}), "invalid_value", "nina"),
        (session(audio={"output": {"speed": 3.0}}), "invalid_value", "0.25"),
        (session(audio={"output": {"format": {"type": "audio/pcm", "rate": 16000}}}), "invalid_value", "16000"),
        (session(audio={"input": {"transcription": {"model": "whisper-9"}}}), "invalid_value", "whisper-9"),
        (
            session(audio={"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 1}}}),
            "invalid_value",
            "5000",
        ),
        (session(model="gpt-realtime-1.5"), "invalid_value", "model"),
        (item(type="message", role="assistant", content=TEXT), "invalid_value", "role"),
        (item(type="message", role="user", content=[]), "invalid_value", "role"),
        (item(type="function_call_output", call_id="nope", output="1"), "invalid_value", "nope"),
        (item(type="function_call", call_id="c"), "invalid_value", "call_id"),
        (item(type="image"), "invalid_value", "type"),
    ],
)
async def test_what_a_client_must_not_send_is_an_error(message: str, code: str, words: str) -> None:
    async with connected() as client:
        before = client.talk.config
        found, text = await client.error(message)
        assert (found, words in text) == (code, True), text
        assert client.talk.config == before  # an update is refused whole
        assert not client.talk.items.all


async def test_binary_messages_end_the_session() -> None:
    async with connected() as client:
        client.socket.send(b"{}", binary=True)
        await client.talk.until(lambda: client.talk.close_code is not None)
        assert client.talk.close_code == 1003


async def one_second(reply: Reply) -> None:
    await reply.say("Hello there.", bytes(48_000))


async def test_truncation_has_the_bounds_of_the_service() -> None:
    async with connected(Behaviour(agent=one_second)) as client:
        client.socket.send(b'{"type":"response.create"}')
        await client.until("response.done")
        (kept,) = client.talk.items.all

        async def truncate(item_id: str, to: int) -> str:
            message = {"type": "conversation.item.truncate", "item_id": item_id, "content_index": 0, "audio_end_ms": to}
            return (await client.error(json.dumps({**message, "event_id": "mine"})))[1]

        assert await truncate(kept.id, 1_001) == "Audio content of 1000 ms is already shorter than 1001 ms"
        assert await truncate(kept.id, 0) == "Only model output audio messages can be truncated"
        assert "not found" in await truncate("item_x", 5)
        client.socket.send(item(type="message", role="user", content=TEXT).encode())
        await client.until("conversation.item.done")
        user = client.talk.items.all[-1]
        assert await truncate(user.id, 5) == "Only model output audio messages can be truncated"
        client.socket.send(
            json.dumps(
                {"type": "conversation.item.truncate", "item_id": kept.id, "content_index": 0, "audio_end_ms": 400}
            ).encode()
        )
        assert (await client.until("conversation.item.truncated"))["audio_end_ms"] == 400
        assert (len(kept.audio), kept.text) == (19_200, "")


async def test_one_response_at_a_time_and_its_voice_stays() -> None:
    async with connected(Behaviour(agent=one_second, pace=1.0)) as client:
        client.socket.send(b'{"type":"response.create"}')
        await client.until("response.output_audio.delta")
        code, _ = await client.error('{"type":"response.create","event_id":"mine"}')
        assert code == "conversation_already_has_active_response"
        code, _ = await client.error(session(audio={"output": {"voice": "ash"}}))
        assert code == "cannot_update_voice"
        client.socket.send(b'{"type":"response.cancel"}')
        done = (await client.until("response.done"))["response"]
        assert isinstance(done, dict)
        assert (done["status"], done["status_details"]["reason"]) == ("cancelled", "client_cancelled")


async def test_items_have_places() -> None:
    async with connected() as client:
        for number, after in (("1", None), ("2", None), ("0", "root"), ("1b", "1")):
            message: dict[str, object] = {"type": "conversation.item.create"}
            message["item"] = {"type": "message", "role": "user", "id": number, "content": TEXT}
            if after:
                message["previous_item_id"] = after
            client.socket.send(json.dumps(message).encode())
            await client.until("conversation.item.done")
        assert [kept.id for kept in client.talk.items.all] == ["0", "1", "1b", "2"]
        code, _ = await client.error(item(type="message", role="user", id="1", content=TEXT))
        assert code == "invalid_value"


async def test_a_client_may_commit_itself() -> None:
    async with connected(Behaviour(agent=one_second)) as client:
        client.socket.send(session(audio={"input": {"turn_detection": None}}).encode())
        await client.until("session.updated")
        audio = "AAAA" * 4_000
        for kind in ("clear", "append", "commit"):
            message = {"type": f"input_audio_buffer.{kind}"} | ({"audio": audio} if kind == "append" else {})
            client.socket.send(json.dumps(message).encode())
        await client.until("input_audio_buffer.committed")
        await client.until("conversation.item.done")
        (kept,) = client.talk.items.all
        assert len(kept.audio) == 12_000
        assert not client.talk.replies


async def test_a_script_that_fails_fails_the_test() -> None:
    async def agent(_: Reply) -> None:
        raise AssertionError("as it should")

    async def converse() -> None:
        async with connected(Behaviour(agent=agent)) as client:
            client.socket.send(b'{"type":"response.create"}')
            await client.talk.until(lambda: client.talk.close_code is not None)

    with pytest.raises(ExceptionGroup) as caught:
        await converse()
    assert caught.group_contains(AssertionError, match="as it should")
