"""A session, sans-IO: what each message of the service means, as events and as messages that answer it."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Sequence

import msgspec

from patter_core.audio import AudioChunk, AudioFormat
from patter_core.engine import Heard
from patter_core.errors import AudioError, EngineError
from patter_core.events import (
    EngineEvent,
    Error,
    Interruption,
    ResponseDone,
    ResponseStart,
    SpeechItem,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    ToolResult,
    TranscriptInput,
    TranscriptOutput,
)
from patter_openai import wire
from patter_openai.failures import fatal
from patter_openai.memory import CORRECTION, Memory, SpokenItem, is_correction
from patter_openai.prices import response_usage, transcription_usage
from patter_openai.requests import Requests
from patter_openai.words import spread

__all__ = ["Dialogue", "Step"]

Step = EngineEvent | wire.ClientMessage | EngineError
"""What follows from a message: an event, a message to the service, or the end of the session."""

_USER_ITEMS = 256
"""Turns of the user whose transcripts may still come."""
_LONGEST_TEXT = 100_000
"""Letters of an item's text, and of a transcript."""
_SHUT = 64
"""Responses of which no more audio is taken; the service makes one at a time."""
_BUSY = "conversation_already_has_active_response"
_NOT_ACTIVE = "response_cancel_not_active"


class Dialogue:
    """The state of one session.

    Args:
        model: of the session, for its price.
        transcription_model: of the user's transcripts, as above.
        output_format: of the agent's audio.
        interrupts: the agent stops when the user speaks.
        anomalies: counts what the service sends that it should not.
    """

    def __init__(
        self,
        *,
        model: str,
        transcription_model: str,
        output_format: AudioFormat,
        interrupts: bool,
        anomalies: Counter[wire.Anomaly],
    ) -> None:
        self.memory = Memory(output_format)
        self.requests = Requests()
        self.last_error: wire.ServiceError | None = None
        self._models = (model, transcription_model)
        self._format = output_format
        self._interrupts = interrupts
        self._anomalies = anomalies
        self._turn = ""
        """The open turn: a response with audio; "" if there is none."""
        self._latest = ""
        """The open turn, or the last one."""
        self._playing: SpokenItem | None = None
        """The item of the open turn whose audio is passed on without a further look."""
        self._shut: OrderedDict[str, bool] = OrderedDict()
        """Responses whose further audio is dropped: True if they are void, False if they are done."""
        self._speech: OrderedDict[str, float] = OrderedDict()
        """When the user began each message, in ms, by item id."""
        self._texts = 0
        self._retried = False
        """The last response failed, and was asked for again."""

    # --- audio of the agent ------------------------------------------------------------------------------------------

    def audio(self, delta: wire.AudioDelta) -> tuple[Sequence[EngineEvent], AudioChunk, SpokenItem] | None:
        """Takes a piece of audio. Returns the events that precede it, the audio and its item; None if it is void."""
        try:
            chunk = AudioChunk.from_base64(delta.delta, self._format)
        except AudioError:
            self._anomalies[wire.Anomaly.BAD_AUDIO] += 1
            return None
        if not chunk.size:
            return None
        playing = self._playing
        if playing is not None and delta.item_id == playing.id and delta.response_id == playing.response:
            playing.size += chunk.size
            playing.content_index = delta.content_index
            return (), chunk, playing
        return self._begins(delta, chunk)

    def _begins(
        self, delta: wire.AudioDelta, chunk: AudioChunk
    ) -> tuple[Sequence[EngineEvent], AudioChunk, SpokenItem] | None:
        """Takes audio that may be that of another item."""
        response = delta.response_id
        item = self.memory.item(delta.item_id, response)
        item.size += chunk.size
        item.content_index = delta.content_index
        if response in self._shut:
            return None
        before: list[EngineEvent] = []
        if response != self._turn:
            before += [*self._end_turn(), ResponseStart(turn=response)]
            self.requests.active = self.requests.active or response  # which was not announced
            self._turn = self._latest = response
        self.memory.go_on(item)
        self._playing = item
        return [*before, SpeechItem(item=delta.item_id, turn=response)], chunk, item

    # --- messages ----------------------------------------------------------------------------------------------------

    def take(self, message: wire.ServerMessage | wire.Ignored) -> list[Step]:
        """Takes any other message."""
        match message:
            case wire.ResponseCreated(response=response):
                return [] if self.requests.created(response) else self._cancel()
            case wire.ResponseDone(response=response):
                return self._response_done(response)
            case wire.OutputItemDone(response_id=response_id, item=item):
                return self._calls((item,), response_id)
            case wire.ItemAdded(item=item) | wire.ItemDone(item=item):
                self.requests.confirmed(item)
                return []
            case wire.AudioDone() | wire.TranscriptDelta() | wire.TranscriptDone():
                self._note(message)
                return []
            case wire.Error(error=error):
                return self._error(error)
            case _:
                return self._of_user(message)

    def _note(self, message: wire.AudioDone | wire.TranscriptDelta | wire.TranscriptDone) -> None:
        item = self.memory.item(message.item_id, message.response_id)
        match message:
            case wire.AudioDone():
                item.is_done = True
            case wire.TranscriptDelta(delta=text):
                item.text += text[: _LONGEST_TEXT - len(item.text)]
            case wire.TranscriptDone(transcript=text):
                item.text = text[:_LONGEST_TEXT] or item.text

    def _of_user(self, message: wire.ServerMessage | wire.Ignored) -> list[Step]:
        match message:
            case wire.SpeechStarted():
                return self._speech_started(message)
            case wire.SpeechStopped(audio_end_ms=at_ms):
                self.requests.speech(started=False)
                return [SpeechStopped(float(at_ms)), *self._next()]
            case wire.TranscriptionCompleted():
                return self._user_said(message)
            case wire.TranscriptionFailed(error=error):
                return [Error(f"What the user said was not transcribed: {error.message}", error.label)]
            case _:  # acknowledgements, and types that are not used
                return []

    def _speech_started(self, message: wire.SpeechStarted) -> list[Step]:
        self.requests.speech(started=True)
        self._speech[message.item_id] = float(message.audio_start_ms)
        if len(self._speech) > _USER_ITEMS:
            self._speech.popitem(last=False)
        started = SpeechStarted(float(message.audio_start_ms))
        return [*self._interrupt(), started] if self._interrupts else [started]

    def _interrupt(self) -> list[Step]:
        """The user speaks: what was not heard is void, also of responses that are done."""
        active = self.requests.active
        if active:
            self._shut_off(active, is_void=True)
        self._turn, self._playing = "", None
        return [Interruption(self._latest), *self.memory.unheard(lambda item: item.response != active)]

    def _user_said(self, message: wire.TranscriptionCompleted) -> list[Step]:
        steps: list[Step] = []
        if message.usage is not None:
            steps.append(transcription_usage(self._models[1], message.usage))
        text = message.transcript[:_LONGEST_TEXT].strip()
        if text:
            started = self._speech.pop(message.item_id, None)
            steps.append(TranscriptInput(text, message.item_id, started))
        return steps

    def _calls(self, items: Sequence[wire.Item], response_id: str) -> list[Step]:
        """Returns the calls that are new. The arguments of a call that is not complete may be cut."""
        return [
            ToolCall(item.call_id, item.name, item.arguments or "{}")
            for item in items
            if item.type == "function_call" and item.status == "completed"
            if isinstance(item.call_id, str) and isinstance(item.name, str) and isinstance(item.arguments, str)
            if self.requests.called(item.call_id, response_id)
        ]

    # --- the end of a response ---------------------------------------------------------------------------------------

    def _response_done(self, response: wire.Response) -> list[Step]:
        if response.id and self._shut.get(response.id) is False:  # it was told before, and is billed once
            return []
        self.requests.done(response)
        is_void = self._shut.get(response.id, False) or response.reason == "turn_detected"
        self._shut_off(response.id, is_void=False)
        steps: list[Step] = []
        for item in self.memory.of(response.id):
            steps += self._transcript(item, is_void=is_void)
            item.is_done = item.is_done or response.status == "completed"
        if response.status == "completed":
            steps += self._calls(response.output, response.id)
        if response.usage is not None:
            steps.append(response_usage(self._models[0], response.usage))
        failure = self._failure(response)
        steps += failure
        if is_void:
            steps += self.memory.unheard(lambda item: item.response == response.id)
        if response.id == self._turn:
            steps += self._end_turn(interrupted=response.reason == "turn_detected")
        return steps if failure and isinstance(failure[-1], EngineError) else [*steps, *self._next()]

    def _transcript(self, item: SpokenItem, *, is_void: bool) -> list[Step]:
        """Returns the text of an item, once. With the void part of its audio the text is longer than what was sent."""
        if item.is_told or not item.text or (is_void and not item.is_taken):
            return []
        item.is_told = True
        words = spread(item.text, self.memory.length_ms(item)) if is_void else ()
        return [TranscriptOutput(item.text, item.response, item.id, words)]

    def _failure(self, response: wire.Response) -> list[Step]:
        """Returns what is told of a response that failed. It is asked for again, once, if the service was at fault."""
        if response.status == "incomplete":
            return [Error("The agent's response is not complete.", response.reason)]
        if response.status != "failed":
            self._retried = self._retried and response.status != "completed"
            return []
        error = response.error or wire.ServiceError(message="The response failed.")
        if (end := fatal(error)) is not None:
            return [Error(error.message, error.label), end]
        if error.type == "server_error" and not self._retried and not self.memory.of(response.id):
            self._retried = True
            self.requests.want_again()
        return [Error(error.message, error.label)]

    def _end_turn(self, *, interrupted: bool = False) -> list[EngineEvent]:
        turn, self._turn, self._playing = self._turn, "", None
        if not turn:
            return []
        return [Interruption(turn) if interrupted else ResponseDone(turn)]

    # --- errors ------------------------------------------------------------------------------------------------------

    def _error(self, error: wire.ServiceError) -> list[Step]:
        self.last_error = error
        if (end := fatal(error)) is not None:
            return [Error(error.message, error.label), end]
        busy = error.code == _BUSY
        if self.requests.refused(error.event_id, active=busy) and busy:
            return self._next()
        if is_correction(error.event_id) or error.code in {_BUSY, _NOT_ACTIVE}:
            self._anomalies[wire.Anomaly.LATE_CORRECTION] += 1
            return self._next()
        return [Error(error.message, error.label), *self._next()]

    # --- what the core wants -----------------------------------------------------------------------------------------

    def heard(self, heard: Heard) -> list[Step]:
        """Takes how much of a turn was heard."""
        if not heard.interrupted or heard.paused:
            return []
        steps: list[Step] = []
        turn, active = heard.turn, self.requests.active
        if turn and turn == active and turn not in self._shut:  # it is void, and the user did not speak
            steps += self._cancel()
        steps += self.memory.heard(heard.items)
        if turn != active:
            steps += self.memory.unheard(lambda item: item.response == turn)
        return steps

    def ask(self, parameters: wire.ResponseParameters) -> list[Step]:
        """Wants a response with these parameters."""
        self.requests.want(parameters)
        return self._next()

    def text(self, text: str) -> list[Step]:
        """Sends a text in the user's place, which is answered."""
        self._texts += 1
        item = msgspec.structs.replace(wire.message_item("user", text), id=f"patter_text_{self._texts}")
        self.requests.text(f"patter_text_{self._texts}")
        return [wire.ItemCreate(item=item), *self._next()]

    def tool_result(self, result: ToolResult) -> list[Step]:
        """Answers a function call. Nothing if nothing waits for it."""
        if not self.requests.answer(result.id):
            return []
        item = wire.output_item(result.id, result.result, failed=result.failed)
        return [wire.ItemCreate(item=item), *self._next()]

    def finish(self) -> list[EngineEvent]:
        """Ends the open turn: nothing follows."""
        return self._end_turn()

    def _cancel(self) -> list[Step]:
        """Stops the response that is being made."""
        active = self.requests.active
        self._shut_off(active, is_void=True)
        return [wire.ResponseCancel(event_id=f"{CORRECTION}_cancel", response_id=active)]

    def _shut_off(self, response: str, *, is_void: bool) -> None:
        self._shut[response] = is_void
        if self._playing is not None and self._playing.response == response:
            self._playing = None
        if len(self._shut) > _SHUT:
            self._shut.popitem(last=False)

    def _next(self) -> list[Step]:
        request = self.requests.next()
        return [] if request is None else [request]
