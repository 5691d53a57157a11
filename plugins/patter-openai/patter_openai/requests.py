"""When the model is asked for a response. Sans-IO.

The service makes one response at a time. It makes one by itself after each turn of the user; others are asked for: to
say something, to answer a text, and to answer the outputs of tools. They wait until the one before is done and the user
does not speak. The outputs of the tools of one response are answered together. Texts and outputs are not answered again
if a response that the service made by itself has seen them.
"""

from __future__ import annotations

from collections import deque

import msgspec

from patter_openai import wire

__all__ = ["Requests"]

_LIMIT = 32
"""Requests that wait; beyond it the oldest is dropped."""
_OPEN_CALLS = 256
"""Calls whose outputs may be missing at once."""
_KEY = "patter_request"
"""Of the metadata of a response: it tells one that was asked for from one that the service made by itself."""


class _Input(msgspec.Struct):
    """What the model is to answer: a text, or the output of a function call."""

    response: str = ""
    """That called the function; "" for a text."""
    is_sent: bool = True
    """The output of a function is sent when it is known."""
    is_seen: bool = False
    """The service has confirmed it: each later response has seen it."""


class Requests:
    """The requests of one session."""

    def __init__(self) -> None:
        self.active = ""
        """The id of the response that is being made; "" if none is."""
        self._waiting: deque[wire.ResponseParameters] = deque(maxlen=_LIMIT)
        self._asked: tuple[str, wire.ResponseParameters] | None = None
        """The request that was sent and is not confirmed yet, with its number."""
        self._count = 0
        self._user_speaks = False
        self._refused = False
        """A request was refused because another response is active."""
        self._inputs: dict[str, _Input] = {}
        """By the id of the call, or of the text's item: those that no response has answered."""

    # --- what is wanted ----------------------------------------------------------------------------------------------

    def want(self, parameters: wire.ResponseParameters) -> None:
        """A response with these parameters is wanted."""
        self._waiting.append(parameters)

    def want_again(self) -> None:
        """The response that failed is wanted again, before all others."""
        self._waiting.appendleft(wire.ResponseParameters())

    def text(self, item_id: str) -> None:
        """A text is sent in that item, which is to be answered."""
        self._inputs[item_id] = _Input()

    def called(self, call_id: str, response: str) -> bool:
        """The model called a function. False if that is known, or if too many calls wait for their outputs."""
        if call_id in self._inputs or len(self._inputs) >= _OPEN_CALLS:
            return False
        self._inputs[call_id] = _Input(response, is_sent=False)
        return True

    def answer(self, call_id: str) -> bool:
        """The output of a function call is sent. False if nothing waits for it."""
        call = self._inputs.get(call_id)
        if call is None or call.is_sent:
            return False
        call.is_sent = True
        return True

    def confirmed(self, item: wire.Item) -> None:
        """The service has put an item into the conversation."""
        key = item.call_id if item.type == "function_call_output" else item.id
        known = self._inputs.get(key) if isinstance(key, str) else None
        if known is not None:
            known.is_seen = known.is_sent

    # --- what happens ------------------------------------------------------------------------------------------------

    def speech(self, *, started: bool) -> None:
        """The user began or stopped speaking."""
        self._user_speaks = started
        self._refused = False

    def created(self, response: wire.Response) -> bool:
        """The service has begun a response. False if it was asked for, and the user began to speak meanwhile.

        Then it is to be cancelled, because the service interrupts only what it has begun before: it waits again.
        """
        self.active = response.id
        self._refused = False
        asked = self._confirm(response)
        if asked is not None and self._user_speaks:
            self._wait_again(asked)
            return False
        self._answered(asked)
        return True

    def _answered(self, asked: wire.ResponseParameters | None) -> None:
        """A response has begun: what it has seen is answered."""
        if asked is not None and asked != wire.ResponseParameters():
            return  # it says something, and answers nothing
        answered = [key for key, known in self._inputs.items() if known.is_seen or (asked and known.is_sent)]
        for key in answered:
            del self._inputs[key]

    def done(self, response: wire.Response) -> None:
        """A response is over; after an interruption that may be the first that is told of it."""
        self._refused = False
        self._confirm(response)
        if response.id == self.active:
            self.active = ""

    def refused(self, event_id: object, *, active: bool) -> bool:
        """An error names a message. True if it is a request, which waits again if another response was active.

        A request to answer an input does not: the other response may have seen the input.
        """
        if self._asked is None or event_id != f"ask_{self._asked[0]}":
            return False
        _, parameters = self._asked
        self._asked = None
        self._refused = active
        if active:
            self._wait_again(parameters)
        return True

    def next(self) -> wire.ResponseCreate | None:
        """Returns the request that is to be sent now."""
        if self.active or self._asked is not None or self._user_speaks or self._refused:
            return None
        if self._waiting:
            parameters = self._waiting.popleft()
        elif self._has_inputs():
            parameters = wire.ResponseParameters()
        else:
            return None
        self._count += 1
        number = str(self._count)
        self._asked = (number, parameters)
        marked = msgspec.structs.replace(parameters, metadata={_KEY: number})
        return wire.ResponseCreate(event_id=f"ask_{number}", response=marked)

    def _wait_again(self, parameters: wire.ResponseParameters) -> None:
        """A request that answers an input does not: the input itself waits, until a response has seen it."""
        if parameters != wire.ResponseParameters():
            self._waiting.appendleft(parameters)

    def _confirm(self, response: wire.Response) -> wire.ResponseParameters | None:
        """Returns the parameters of the request that was sent last, if this is its response."""
        if self._asked is None or (response.metadata or {}).get(_KEY) != self._asked[0]:
            return None
        _, parameters = self._asked
        self._asked = None
        return parameters

    def _has_inputs(self) -> bool:
        """True if a text waits, or the outputs of all calls of a response do."""
        unfinished = {known.response for known in self._inputs.values() if not known.is_sent}
        return any(known.is_sent and known.response not in unfinished for known in self._inputs.values())
