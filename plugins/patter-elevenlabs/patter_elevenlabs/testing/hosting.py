"""Conducts a conversation of the emulated service: initiation, metadata, pings, and strict checks of the client."""

from __future__ import annotations

import math
from collections.abc import Iterator

import anyio
import msgspec
from starlette.websockets import WebSocket

from patter_core.audio import AudioChunk
from patter_core.errors import AudioError
from patter_elevenlabs import wire
from patter_elevenlabs.testing.behaviour import Behaviour
from patter_elevenlabs.testing.conversation import Conversation, ConversationOver

__all__ = ["host"]


_NEVER_EMPTY = ("user_id", "conversation_config_override", "branch_id", "environment")


class _ClientAudio(msgspec.Struct):
    user_audio_chunk: str | None = None


_as_audio: msgspec.json.Decoder[_ClientAudio] = msgspec.json.Decoder(_ClientAudio)
_as_message: msgspec.json.Decoder[wire.ClientMessage] = msgspec.json.Decoder(wire.ClientMessage)


async def host(talk: Conversation, socket: WebSocket, behaviour: Behaviour) -> None:
    """Conducts a conversation to its end.

    Raises:
        ConversationOver: always, in a group, together with what a script of the agent raised.
    """
    await _await_initiation(talk, socket, behaviour.initiation_timeout)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_listen, talk, socket)
        for position in behaviour.queue_positions:
            await talk.send(f'{{"type":"queue_status","queue_status_event":{{"position":{position}}}}}')
        await behaviour.before_metadata(talk)
        await talk.send_metadata()
        for field in _overrides(talk.initiation):
            if field not in behaviour.allowed_overrides:
                await talk.close(1008, f"Override for field '{field}' is not allowed by config.")
        for kind, name, known in (
            ("branch", talk.initiation.branch_id, behaviour.branches),
            ("environment", talk.initiation.environment, behaviour.environments),
        ):
            if name and name not in known:
                await talk.close(1008, f"No such {kind}: {name}")
        if missing := sorted(behaviour.required_variables - talk.initiation.dynamic_variables.keys()):
            await talk.close(1008, f"Missing required dynamic variables: {', '.join(missing)}")
        tasks.start_soon(_ping, talk, behaviour)
        await behaviour.agent(talk)


async def _await_initiation(talk: Conversation, socket: WebSocket, within: float) -> None:
    text = ""
    with anyio.move_on_after(within):
        text = await _receive(talk, socket)
    try:
        message = _as_message.decode(text)
    except msgspec.DecodeError:
        message = None
    if not isinstance(message, wire.Initiation):
        await talk.close(1008, "Expected conversation_initiation_client_data first.")
    if problem := _problem_of(text, message):
        await talk.close(1008, problem)
    talk.initiation = message
    talk.initiation_json = text.encode()


async def _listen(talk: Conversation, socket: WebSocket) -> None:
    while True:
        text = await _receive(talk, socket)
        try:
            base64 = _as_audio.decode(text).user_audio_chunk
            if base64 is None:
                message = _as_message.decode(text)
                if isinstance(message, wire.Initiation):
                    await talk.close(1008, "The conversation is initiated already.")
                if isinstance(message, wire.Pong) and message.event_id not in talk.pings:
                    await talk.close(1008, "A pong without a ping.")
                if isinstance(message, wire.ToolResult) and message.tool_call_id not in talk.tool_calls:
                    await talk.close(1008, "A result of a tool that was not called.")
                talk.note(message)
            elif not talk.ready:
                await talk.close(1008, "Audio before the metadata.")
            else:
                talk.hear(AudioChunk.from_base64(base64, talk.input_format).data)
        except (msgspec.DecodeError, AudioError):
            await talk.close(1008, "Invalid message.")


async def _receive(talk: Conversation, socket: WebSocket) -> str:
    """Returns the client's next text. Its close, or a binary frame, ends the conversation."""
    await talk.readable()
    frame = await socket.receive()
    if frame["type"] == "websocket.disconnect":
        talk.over(frame.get("code", 1006), frame.get("reason") or "", by="client")
        raise ConversationOver
    text: str | None = frame.get("text")
    if text is None:
        await talk.close(1008, "Messages are JSON text, never binary.")
    return text


async def _ping(talk: Conversation, behaviour: Behaviour) -> None:
    while True:
        await talk.ping()
        await anyio.sleep(behaviour.ping_interval)
        oldest = min((sent for event_id, sent in talk.pings.items() if event_id not in talk.pongs), default=math.inf)
        if anyio.current_time() - oldest > behaviour.pong_timeout:
            await talk.close(1002, "No pong.")


def _problem_of(text: str, initiation: wire.Initiation) -> str:
    """Returns why the service refuses a valid initiation; "" if it does not."""
    top = msgspec.json.decode(text, type=dict[str, object])
    if any(_is_empty(top.get(name)) for name in _NEVER_EMPTY if name in top):
        return "Fields are left out, never null or empty."
    if reserved := [name for name in initiation.dynamic_variables if name.startswith("system__")]:
        return f"Reserved dynamic variables: {', '.join(reserved)}"
    return ""


def _is_empty(value: object, name: str = "") -> bool:
    if isinstance(value, dict):
        return any(_is_empty(one, name) for name, one in value.items())
    return value is None or (value == "" and name != "first_message")  # an empty one is none: the agent waits


def _overrides(initiation: wire.Initiation) -> Iterator[str]:
    """Yields the fields that the client overrides, by the names that the service uses when it refuses one."""
    config = initiation.conversation_config_override
    if config is None:
        return
    if config.agent is not None:
        if config.agent.first_message is not None:
            yield "first_message"
        if config.agent.language:
            yield "language"
        if config.agent.prompt is not None:
            yield "prompt"
    if config.tts is not None and config.tts.voice_id:
        yield "voice_id"
