"""One response of the emulated service, as its agent makes it: speech and function calls, message by message."""

from __future__ import annotations

import binascii
import re
from typing import TYPE_CHECKING

import anyio
import msgspec

from patter_openai import wire
from patter_openai.testing.items import KeptItem

if TYPE_CHECKING:
    from patter_openai.testing.conversation import Conversation

__all__ = ["Reply", "ResponseFailed"]

_WORDS = re.compile(r"\S+\s*")
_TEXT_LETTERS = 4
"""Letters of a token of text."""
_INPUT_MS, _OUTPUT_MS = 100, 50
"""Milliseconds of a token of audio."""


class ResponseFailed(Exception):
    """The response fails. The emulator catches this.

    Args:
        error: what it is told to have failed with.
        status: `failed`, or `incomplete` for a reason.
        reason: of an incomplete one.
    """

    def __init__(self, error: wire.ServiceError | None = None, *, status: str = "failed", reason: str = "") -> None:
        self.error = error
        self.status = status
        self.reason = reason
        super().__init__(status)


class Reply:
    """A response. `say` and `call` are for the agent's script."""

    def __init__(self, talk: Conversation, response_id: str, parameters: wire.ResponseParameters) -> None:
        self.talk = talk
        self.id = response_id
        self.parameters = parameters
        self.status = "in_progress"
        self.cancelled_by = ""
        """`turn_detected` or `client_cancelled`, once it is cancelled."""
        self.output: list[KeptItem] = []
        self.scope = anyio.CancelScope()
        self._is_late = False
        """What was on its way follows the cancellation."""
        self._open: list[tuple[int, KeptItem]] = []
        """Messages whose ends were not told: they come together, at the end of the response."""

    # --- actions -----------------------------------------------------------------------------------------------------

    async def say(self, text: str, audio: bytes) -> str:
        """Speaks a message, faster than it plays, until all is sent. Returns its item's id."""
        talk = self.talk
        content = (wire.Content(type="output_audio", transcript=""),)
        kept = await self._add(wire.Item(type="message", role="assistant", content=content), listed=False)
        index = len(self.output) - 1
        part = wire.Content(type="audio", transcript="")
        await talk.send(wire.ContentPartAdded(response_id=self.id, output_index=index, item_id=kept.id, part=part))
        self._open.append((index, kept))
        words = _WORDS.findall(text)
        size = talk.output_format.size(talk.behaviour.chunk_ms)
        pieces = [audio[start : start + size] for start in range(0, len(audio), size)]
        for number, piece in enumerate(pieces):
            share = words[len(words) * number // len(pieces) : len(words) * (number + 1) // len(pieces)]
            if share:
                kept.text += "".join(share)
                await talk.send(
                    wire.TranscriptDelta(response_id=self.id, output_index=index, item_id=kept.id, delta="".join(share))
                )
            await self._send_audio(kept, index, piece)
        return kept.id

    async def call(self, name: str, arguments: str, *, status: str = "completed") -> str:
        """Calls a function. Returns the call's id."""
        talk = self.talk
        call_id = talk.new_id("call")
        kept = await self._add(
            wire.Item(type="function_call", call_id=call_id, name=name, arguments="", status="in_progress")
        )
        index = len(self.output) - 1
        for start in range(0, len(arguments), 16):
            piece = arguments[start : start + 16]
            await talk.send(
                wire.ArgumentsDelta(
                    response_id=self.id, output_index=index, item_id=kept.id, call_id=call_id, delta=piece
                )
            )
        await talk.send(
            wire.ArgumentsDone(
                response_id=self.id,
                output_index=index,
                item_id=kept.id,
                call_id=call_id,
                name=name,
                arguments=arguments,
            )
        )
        kept.item = msgspec.structs.replace(kept.item, arguments=arguments, status=status)
        await self._item_done(index, kept)
        return call_id

    # --- called by the conversation ----------------------------------------------------------------------------------

    def cancel(self, reason: str, *, is_late: bool = False) -> None:
        """Ends it, for that reason.

        Args:
            reason: `turn_detected` or `client_cancelled`.
            is_late: more audio of its last message, and of another one, comes before its end.
        """
        if not self.cancelled_by:
            self.cancelled_by, self._is_late = reason, is_late
            self.scope.cancel()

    async def finish(self, failed: ResponseFailed | None) -> None:
        """Tells the ends of its messages, and its own."""
        if self._is_late and self._open:
            second = self.talk.output_format.silence * self.talk.output_format.sample_rate
            index, kept = self._open[-1]
            await self._send_audio(kept, index, second)
            await self.say("", second)
        if self.cancelled_by:
            self.status = "cancelled"
        else:
            self.status = failed.status if failed is not None else "completed"
        for index, kept in self._open:
            is_cut = self.status != "completed" and kept is self._open[-1][1]
            await self._message_done(index, kept, "incomplete" if is_cut else "completed")
        details = None
        if self.cancelled_by:
            details = wire.StatusDetails(type="cancelled", reason=self.cancelled_by)
        elif failed is not None and failed.status == "failed":
            details = wire.StatusDetails(type="failed", error=failed.error)
        elif failed is not None:
            details = wire.StatusDetails(type=failed.status, reason=failed.reason)
        await self.talk.send(wire.ResponseDone(response=self._response(details, self._usage())))

    def announced(self) -> wire.ResponseCreated:
        """Returns the message that begins it."""
        return wire.ResponseCreated(response=self._response(None, None))

    def _response(self, details: wire.StatusDetails | None, usage: wire.ResponseUsage | None) -> wire.Response:
        metadata = self.parameters.metadata
        return wire.Response(
            id=self.id,
            object="realtime.response",
            status=self.status,
            status_details=details,
            output=tuple(kept.item for kept in self.output) if usage else (),
            conversation_id=self.talk.conversation_id,
            metadata=dict(metadata) if isinstance(metadata, dict) else None,
            usage=usage,
        )

    def _usage(self) -> wire.ResponseUsage:
        talk = self.talk
        instructions = talk.config.instructions
        text_in = len(instructions) // _TEXT_LETTERS if isinstance(instructions, str) else 0
        user = [kept for kept in talk.items.all if kept.item.role == "user"]
        audio_in = round(sum(kept.ms(talk.input_format) for kept in user) / _INPUT_MS)
        audio_out = round(sum(kept.ms(talk.output_format) for kept in self.output) / _OUTPUT_MS)
        text_out = sum(len(kept.text) for kept in self.output) // _TEXT_LETTERS
        cached = text_in if len(talk.replies) > 1 else 0
        return wire.ResponseUsage(
            total_tokens=text_in + audio_in + text_out + audio_out,
            input_tokens=text_in + audio_in,
            output_tokens=text_out + audio_out,
            input_token_details=wire.InputTokens(
                text_tokens=text_in,
                audio_tokens=audio_in,
                cached_tokens=cached,
                cached_tokens_details=wire.CachedTokens(text_tokens=cached, audio_tokens=0),
            ),
            output_token_details=wire.OutputTokens(text_tokens=text_out, audio_tokens=audio_out),
        )

    # --- messages ----------------------------------------------------------------------------------------------------

    async def _add(self, item: wire.Item, *, listed: bool = True) -> KeptItem:
        talk = self.talk
        kept = KeptItem(
            msgspec.structs.replace(item, id=talk.new_id("item"), object="realtime.item", status="in_progress")
        )
        self.output.append(kept)
        index = len(self.output) - 1
        bare = kept.item if listed else msgspec.structs.replace(kept.item, content=())
        await talk.send(wire.OutputItemAdded(response_id=self.id, output_index=index, item=bare))
        await talk.add_item(kept, shown=bare)
        return kept

    async def _send_audio(self, kept: KeptItem, index: int, piece: bytes) -> None:
        talk = self.talk
        delta = binascii.b2a_base64(piece, newline=False).decode()
        kept.audio += piece
        await talk.send(wire.AudioDelta(response_id=self.id, output_index=index, item_id=kept.id, delta=delta))
        talk.spoken[kept.id] = talk.spoken.get(kept.id, b"") + piece
        pace = talk.behaviour.pace
        await anyio.sleep(talk.output_format.duration_ms(len(piece)) / 1000 / pace if pace else 0)

    async def _message_done(self, index: int, kept: KeptItem, status: str) -> None:
        talk = self.talk
        text = kept.text
        kept.item = msgspec.structs.replace(
            kept.item, status=status, content=(wire.Content(type="output_audio", transcript=text),)
        )
        part = wire.Content(type="audio", transcript=text)
        await talk.send(wire.AudioDone(response_id=self.id, output_index=index, item_id=kept.id))
        await talk.send(wire.TranscriptDone(response_id=self.id, output_index=index, item_id=kept.id, transcript=text))
        await talk.send(wire.ContentPartDone(response_id=self.id, output_index=index, item_id=kept.id, part=part))
        await self._item_done(index, kept)

    async def _item_done(self, index: int, kept: KeptItem) -> None:
        talk = self.talk
        await talk.send(wire.OutputItemDone(response_id=self.id, output_index=index, item=kept.item))
        await talk.send(wire.ItemDone(item=kept.item, previous_item_id=talk.previous_of(kept)))
