"""What the emulated OpenAI has billed, as it told it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
import pytest

from patter_core.events import CallEnded, Event, Usage
from patter_openai import wire
from patter_openai.prices import response_usage, transcription_usage
from patter_openai.testing import Conversation

__all__ = ["bill_of", "check_bill"]

_message: msgspec.json.Decoder[wire.ServerMessage] = msgspec.json.Decoder(wire.ServerMessage)


def bill_of(talks: Sequence[Conversation]) -> dict[str, Counter[str]]:
    """Returns the amounts, by part."""
    billed = {"engine": Counter[str](), "stt": Counter[str]()}
    for talk in talks:
        for sent in talk.sent:
            match _message.decode(sent):
                case wire.ResponseDone(response=wire.Response(usage=wire.ResponseUsage() as usage)):
                    billed["engine"].update(response_usage(talk.model, usage).amounts)
                case wire.TranscriptionCompleted(usage=wire.TranscriptionUsage() as usage):
                    billed["stt"].update(transcription_usage("gpt-transcribe", usage).amounts)
                case _:
                    pass
    return billed


def check_bill(events: Sequence[Event], end: CallEnded, talks: Sequence[Conversation]) -> None:
    """The call's bill has what the service told, once, and its cost is the sum of what was told on the way."""
    bills = {bill.part: bill for bill in end.metrics.engine_bills}
    for part, amounts in bill_of(talks).items():
        assert bills[part].amounts == pytest.approx(dict(amounts))
        costs = [event.cost for event in events if isinstance(event, Usage) and event.part == part]
        cost = bills[part].cost
        assert cost is not None
        assert all(costs)
        assert cost.amount == sum(one.amount for one in costs if one is not None) > 0
