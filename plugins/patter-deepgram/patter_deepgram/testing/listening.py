"""One connection of the emulated recognition: what the service hears, and what it says that it recognised."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

import anyio
import msgspec
from starlette.websockets import WebSocket

from patter_core.audio import AudioFormat, Encoding
from patter_core.testing.speech import Line
from patter_deepgram.testing.connection import Connection
from patter_pipeline.testing.known_speech import KnownSpeech

__all__ = ["ENCODINGS", "FluxConnection", "ListenConnection", "NovaConnection"]

ENCODINGS = {"mulaw": Encoding.ULAW, "alaw": Encoding.ALAW, "linear16": Encoding.PCM16}
_IDLE_REASON = "Neither audio nor a message came in time. See https://dpgr.am/net0001"
_UNREADABLE_REASON = "What came is no audio of the encoding that was said: DATA-0000"


class _Command(msgspec.Struct):
    type: str


class ListenConnection(Connection):
    """What both protocols have in common.

    Args:
        socket: which the service has accepted.
        idle_seconds: after which a client that sends nothing is cut off.
    """

    def __init__(self, socket: WebSocket, idle_seconds: float) -> None:
        super().__init__(socket)
        query = dict(self.query)
        self.format = AudioFormat(ENCODINGS[query["encoding"]], int(query["sample_rate"]))
        self.heard = bytearray()
        """All audio."""
        self.sequence_id = 0
        self._idle_seconds = idle_seconds
        self._idle = anyio.CancelScope(deadline=anyio.current_time() + idle_seconds)

    @property
    def seconds(self) -> float:
        """How much audio there was."""
        return self.format.duration_ms(len(self.heard)) / 1000

    async def host(self) -> None:
        """Takes messages until the client is gone."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch)
            while (message := await self.receive()) is not None and self.is_open:
                if isinstance(message, bytes):
                    await self._take_audio(message)
                else:
                    await self._take_text(message)
            tasks.cancel_scope.cancel()

    async def command(self, kind: str) -> None:
        """Takes a command of the client.

        Raises:
            ValueError: the protocol has none of that type.
        """
        raise ValueError(kind)

    async def unreadable(self, text: str) -> None:
        """A text message is none of the protocol."""
        raise NotImplementedError

    def active(self) -> None:
        """The client gave a sign of life."""
        self._idle.deadline = anyio.current_time() + self._idle_seconds

    def words(self, text: str, start: float, end: float, **names: str) -> Sequence[dict[str, object]]:
        """Returns the words of a text, spread evenly, in the fields of that name."""
        words = text.split()
        step = (end - start) / max(1, len(words))
        return [
            {
                **({"punctuated_word": word} if "punctuated" in names else {}),
                "word": word.strip(".,!?").lower() if "punctuated" in names else word,
                "start": start + place * step,
                "end": start + (place + 1) * step,
                "confidence": 0.99,
            }
            for place, word in enumerate(words)
        ]

    async def _take_audio(self, data: bytes) -> None:
        if not data:  # it means the end
            await self.close(1000)
        elif data.startswith(b'{"type"') or len(data) % self.format.sample_width:
            await self.close(1008, _UNREADABLE_REASON)
        else:
            self.active()
            self.heard += data
            self.notify()

    async def _take_text(self, text: str) -> None:
        try:
            kind = msgspec.json.decode(text, type=_Command).type
            await self.command(kind)
        except (msgspec.DecodeError, ValueError):
            await self.unreadable(text)

    async def _watch(self) -> None:
        with self._idle:
            await anyio.sleep_forever()
        await self.close(1011, _IDLE_REASON)


class NovaConnection(ListenConnection):
    """A connection to `/v1/listen`.

    Args:
        socket: as above.
        idle_seconds: as above.
        lines: which it recognises.
    """

    def __init__(self, socket: WebSocket, idle_seconds: float, lines: Sequence[Line] = ()) -> None:
        super().__init__(socket, idle_seconds)
        self.to_finalize: deque[str] = deque()
        """What a `Finalize` brings, one after the other; then the lines that it recognises, and nothing for others."""
        self._known = KnownSpeech(self.format, lines)
        self.final_until = 0.0
        """Where the last final text ends, in s."""

    async def results(
        self, text: str, *, is_final: bool, speech_final: bool = False, from_finalize: bool = False
    ) -> None:
        """Says what was recognised since the last final text."""
        start, end = self.final_until, max(self.final_until, self.seconds)
        if is_final:
            self.final_until = end
        words = self.words(text, start, end, punctuated="")
        await self.send(
            {
                "type": "Results",
                "channel_index": [0, 1],
                "start": start,
                "duration": end - start,
                "is_final": is_final,
                "speech_final": speech_final,
                "from_finalize": from_finalize,
                "channel": {"alternatives": [{"transcript": text, "confidence": 0.99, "words": words}]},
                "metadata": {
                    "request_id": "emulated",
                    "model_uuid": "emulated",
                    "model_info": {"name": "general", "version": "1", "arch": "nova-3"},
                },
            }
        )

    async def utterance_end(self) -> None:
        """Says that no word came for a while."""
        await self.send({"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": self.final_until})

    async def command(self, kind: str) -> None:
        match kind:
            case "KeepAlive":
                if self.heard:  # alone it keeps nothing alive
                    self.active()
            case "Finalize":
                self.active()
                text = self.to_finalize.popleft() if self.to_finalize else self._known.text(self.heard)
                if text:
                    await self.results(text, is_final=True, from_finalize=True)
            case "CloseStream":
                await self._end()
            case _:
                await super().command(kind)

    async def unreadable(self, text: str) -> None:
        await self.send(
            {"type": "Error", "variant": "SchemaError", "description": "No such message.", "message": text[:100]}
        )

    async def _end(self) -> None:
        await self.send(
            {
                "type": "Metadata",
                "transaction_key": "deprecated",
                "request_id": "emulated",
                "sha256": "",
                "created": "2026-11-26T12:00:00Z",
                "duration": self.seconds,
                "channels": 1,
            }
        )
        await self.close(1000)


class FluxConnection(ListenConnection):
    """A connection to `/v2/listen`."""

    def __init__(self, socket: WebSocket, idle_seconds: float) -> None:
        super().__init__(socket, idle_seconds)
        self.turn_index = 0
        self.text = ""
        """Of the turn so far."""
        self._started: float = math.nan
        """Where the turn begins, in s."""

    async def tell(self, kind: str, **fields: object) -> None:
        """Sends a message with the next number."""
        named = {} if kind == "Error" else {"request_id": "emulated"}
        numbered = {"type": kind, "sequence_id": self.sequence_id, **named, **fields}
        self.sequence_id += 1
        await self.send(numbered)

    async def turn(self, event: str, text: str) -> None:
        """Says that about the turn; it begins with the first one."""
        if math.isnan(self._started):
            self._started = max(0.0, self.seconds - 0.2)
            if event != "StartOfTurn":
                await self._info("StartOfTurn", text)
        await self._info(event, text)
        self.text = text
        if event == "EndOfTurn":
            self.turn_index += 1
            self.text, self._started = "", math.nan
            self.notify()

    async def command(self, kind: str) -> None:
        match kind:
            case "ForceEndTurn":
                self.active()
                if self.text:
                    await self.turn("EndOfTurn", self.text)
            case "CloseStream":
                await self.close(1000)
            case _:
                await super().command(kind)

    async def unreadable(self, text: str) -> None:
        await self.fail("UNPARSABLE_CLIENT_MESSAGE", f"No such message: {text[:100]}")

    async def fail(self, code: str, description: str) -> None:
        """Tells an error, and closes."""
        await self.tell("Error", code=code, description=description)
        await self.close(1011, code)

    async def _info(self, event: str, text: str) -> None:
        end = max(self._started, self.seconds)
        await self.tell(
            "TurnInfo",
            event=event,
            turn_index=self.turn_index,
            audio_window_start=self._started,
            audio_window_end=end,
            transcript=text,
            words=self.words(text, self._started, end),
            end_of_turn_confidence=0.9 if event == "EndOfTurn" else 0.1,
            **({"trigger": "model"} if event == "EndOfTurn" else {}),
        )
