"""Conducts a session of the emulated service: the client's messages, with the checks of the service."""

from __future__ import annotations

import anyio
import msgspec
from msgspec import UNSET
from starlette.websockets import WebSocket

from patter_core.audio import AudioChunk
from patter_core.errors import AudioError
from patter_openai import wire
from patter_openai.testing.configuring import merged, problem_of
from patter_openai.testing.conversation import Conversation, ConversationOver
from patter_openai.testing.items import KeptItem

__all__ = ["host"]

_SHORTEST_COMMIT_MS = 100

_as_message: msgspec.json.Decoder[wire.ClientMessage] = msgspec.json.Decoder(wire.ClientMessage)


class _Probe(msgspec.Struct):
    event_id: str | None = None
    type: str = ""


_probe: msgspec.json.Decoder[_Probe] = msgspec.json.Decoder(_Probe)


async def host(talk: Conversation, socket: WebSocket) -> None:
    """Conducts a session to its end.

    Raises:
        ConversationOver: always, in a group, together with what a script of the agent raised.
    """
    async with anyio.create_task_group() as tasks:
        talk.run_in(tasks)
        tasks.start_soon(talk.expire)
        await talk.send(wire.SessionCreated(session=talk.session_info()))
        conversation = wire.ConversationInfo(id=talk.conversation_id, object="realtime.conversation")
        await talk.send(wire.ConversationCreated(conversation=conversation))
        while True:
            await _take(talk, await _receive(talk, socket))


async def _receive(talk: Conversation, socket: WebSocket) -> str:
    frame = await socket.receive()
    if frame["type"] == "websocket.disconnect":
        talk.over(frame.get("code", 1006), by="client")
        raise ConversationOver
    text: str | None = frame.get("text")
    if text is None:
        await talk.close(1003, "Messages are JSON text, never binary.")
    return text


async def _take(talk: Conversation, text: str) -> None:
    try:
        message = _as_message.decode(text)
    except msgspec.DecodeError as error:
        await _refuse_unreadable(talk, text, str(error))
        return
    if isinstance(message, wire.AudioAppend):
        await _append(talk, message)
        return
    talk.messages.append(message)
    talk.notify()
    match message:
        case wire.SessionUpdate():
            await _update(talk, message)
        case wire.ItemCreate():
            await _create(talk, message)
        case wire.ItemTruncate():
            await _truncate(talk, message)
        case wire.ItemDelete():
            await _delete(talk, message)
        case wire.ResponseCreate() | wire.ResponseCancel():
            await _respond(talk, message)
        case wire.BufferCommit() | wire.BufferClear():
            await _buffer(talk, message)


async def _refuse_unreadable(talk: Conversation, text: str, problem: str) -> None:
    try:
        probe = _probe.decode(text)
    except msgspec.DecodeError:
        await talk.refuse("The message is not a JSON object.", code="invalid_json")
        return
    await talk.refuse(problem, code="invalid_value", param="type", event_id=probe.event_id)


async def _append(talk: Conversation, message: wire.AudioAppend) -> None:
    try:
        chunk = AudioChunk.from_base64(message.audio, talk.input_format)
    except AudioError as error:
        await talk.refuse(str(error), code="invalid_value", param="audio", event_id=message.event_id)
        return
    await talk.hear(chunk.data)


async def _update(talk: Conversation, message: wire.SessionUpdate) -> None:
    problem = problem_of(message.session, talk)
    if problem is not None:
        code, param, text = problem
        await talk.refuse(text, code=code, param=param, event_id=message.event_id)
        return
    await anyio.sleep(talk.behaviour.configure_delay)
    talk.config = merged(talk.config, message.session)
    talk.forget_ears()
    await talk.send(wire.SessionUpdated(session=talk.session_info()))


async def _create(talk: Conversation, message: wire.ItemCreate) -> None:
    item = message.item
    problem = _item_problem(talk, item)
    if problem:
        await talk.refuse(problem, code="invalid_value", param="item", event_id=message.event_id)
        return
    talk.told.item(item, is_earlier=not (talk.heard or talk.replies))
    item_id = item.id if isinstance(item.id, str) else talk.new_id("item")
    kept = KeptItem(msgspec.structs.replace(item, id=item_id, object="realtime.item", status="completed"))
    after = None if message.previous_item_id is UNSET else message.previous_item_id
    try:
        await talk.add_item(kept, after=after)
    except KeyError:
        await talk.refuse(
            "There is no item of that id.", code="item_not_found", param="previous_item_id", event_id=message.event_id
        )
        return
    await talk.send(wire.ItemDone(item=kept.item, previous_item_id=talk.previous_of(kept)))


def _item_problem(talk: Conversation, item: wire.Item) -> str:
    """Returns why the service refuses an item; "" if it does not."""
    if isinstance(item.id, str) and talk.items.get(item.id) is not None:
        return "An item of that id exists."
    match item.type:
        case "message":
            allowed = {"assistant": {"output_text"}, "user": {"input_text", "input_audio"}, "system": {"input_text"}}
            kinds = allowed.get(item.role if isinstance(item.role, str) else "", set())
            parts = item.content if isinstance(item.content, tuple) else ()
            return "" if parts and all(part.type in kinds for part in parts) else "The content does not fit the role."
        case "function_call":
            complete = all(isinstance(value, str) for value in (item.call_id, item.name, item.arguments))
            return "" if complete else "A function call has call_id, name and arguments."
        case "function_call_output":
            calls = {kept.item.call_id for kept in talk.items.all if kept.item.type == "function_call"}
            if item.call_id not in calls:
                return f"There is no function call {item.call_id}."
            return "" if isinstance(item.output, str) else "The output is text."
        case _:
            return "There is no such type of item."


async def _truncate(talk: Conversation, message: wire.ItemTruncate) -> None:
    kept = talk.items.get(message.item_id)
    format = talk.output_format
    problem, code = "", None
    if kept is None:
        problem, code = f"Item with item_id {message.item_id} not found.", "item_truncate_invalid_item_id"
    elif not kept.is_agent_audio or message.content_index != 0 or message.audio_end_ms <= 0:
        problem = "Only model output audio messages can be truncated"
    elif message.audio_end_ms > kept.ms(format):
        problem = f"Audio content of {kept.ms(format):.0f} ms is already shorter than {message.audio_end_ms} ms"
    if problem or kept is None:
        await talk.refuse(problem, code=code, event_id=message.event_id)
        return
    del kept.audio[format.size(message.audio_end_ms) :]
    kept.text = ""
    talk.notify()
    await talk.send(
        wire.ItemTruncated(
            item_id=message.item_id, content_index=message.content_index, audio_end_ms=message.audio_end_ms
        )
    )


async def _delete(talk: Conversation, message: wire.ItemDelete) -> None:
    kept = talk.items.get(message.item_id)
    if kept is None:
        text = f"Item with item_id {message.item_id} not found."
        await talk.refuse(text, code="item_delete_invalid_item_id", param="item_id", event_id=message.event_id)
        return
    talk.items.remove(kept)
    await talk.send(wire.ItemDeleted(item_id=message.item_id))


async def _respond(talk: Conversation, message: wire.ResponseCreate | wire.ResponseCancel) -> None:
    active = talk.active
    if isinstance(message, wire.ResponseCreate):
        if active is not None:
            text = f"Conversation already has an active response in progress: {active.id}."
            code = "conversation_already_has_active_response"
            await talk.refuse(text, code=code, event_id=message.event_id)
            return
        parameters = wire.ResponseParameters() if message.response is UNSET else message.response
        talk.told.response(parameters)
        talk.start_response(parameters)
    elif active is None or message.response_id not in {UNSET, active.id}:
        text = "Cancellation failed: no active response found"
        await talk.refuse(text, code="response_cancel_not_active", event_id=message.event_id)
    else:
        active.cancel("client_cancelled")


async def _buffer(talk: Conversation, message: wire.BufferCommit | wire.BufferClear) -> None:
    if isinstance(message, wire.BufferClear):
        talk.clear_buffer()
        await talk.send(wire.BufferCleared())
        return
    audio = talk.clear_buffer() if talk.turn_detection is None else b""
    if talk.input_format.duration_ms(len(audio)) < _SHORTEST_COMMIT_MS:
        text = f"Error committing input audio buffer: expected at least {_SHORTEST_COMMIT_MS} ms of audio."
        await talk.refuse(text, code="input_audio_buffer_commit_empty", event_id=message.event_id)
        return
    await talk.commit(audio, talk.new_id("item"))
