"""Nothing grows with the length of a call, or with what a part that repeats itself reports."""

from __future__ import annotations

import gc
import types
from collections.abc import Callable

import pytest

from patter_core.events import ToolCall
from patter_pipeline.turns import Settings, Turns, outputs
from patter_pipeline.turns import inputs as i


def weight(turns: Turns) -> int:
    """How many objects, and characters, there are to it."""
    seen: set[int] = set()
    waiting: list[object] = [turns]
    total = 0
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, type | types.ModuleType | types.FunctionType):
            continue
        seen.add(id(one))
        total += 1 + (len(one) if isinstance(one, str) else 0)
        waiting += gc.get_referents(one)
    return total


def talk(turns: Turns, now: float, number: int) -> float:
    """One turn of each side, with a tool."""
    numbers: dict[type[outputs.Output], int] = {}

    def give(event: i.Input, after: float = 0.1) -> None:
        nonlocal now
        now += after
        for one in turns.step(event, now):
            numbers[type(one)] = getattr(one, "n", 0)

    give(i.SpeechBegan(now))
    give(i.SpeechEnded(now + 0.5), 0.5)
    give(i.TimePassed(), 0.3)
    give(i.SttFinal(f"question {number}", now - 0.8, now - 0.3))
    give(i.TimePassed(), 1.0)
    request = numbers.get(outputs.TakeDraft, 0)
    give(i.ModelCall(request, ToolCall(f"call {number}", "look_up")))
    give(i.ModelDone(request))
    give(i.ToolAnswered(f"call {number}", "nine"))
    give(i.ModelText(numbers[outputs.Ask], "We open at nine. "))
    give(i.ModelDone(numbers[outputs.Ask]))
    give(i.VoiceAudio(numbers[outputs.Speak], 1_000))
    give(i.VoiceDone(numbers[outputs.Speak]))
    give(i.PlayedBack(numbers[outputs.Speak], 1_000, i.Ear.WHOLE), 1.0)
    return now


def test_a_long_call_is_no_heavier_than_a_short_one() -> None:
    turns, now = Turns(), 0.0
    for number in range(550):
        now = talk(turns, now, number)
    before = weight(turns)
    for number in range(550, 1_100):
        now = talk(turns, now, number)
    assert weight(turns) < before * 1.1
    assert len(turns.history) == 200


FLOODS: dict[str, Callable[[int], i.Input]] = {
    "edges": lambda n: i.SpeechBegan(n / 1_000) if n % 2 else i.SpeechEnded(n / 1_000),
    "interims": lambda n: i.SttInterim("word " * (n % 2_000), 0),
    "finals": lambda n: i.SttFinal(f"word {n}", n / 1_000, n / 1_000),
    "eager ends": lambda n: i.SttEagerEnd(f"word {n}"),
    "text": lambda _: i.ModelText(2, "word " * 10),
    "letters": lambda _: i.ModelText(2, "a" * 100),
    "tools": lambda n: i.ModelCall(2, ToolCall(f"{n}", "look_up")),
    "lines": lambda n: i.Say(f"line {n}"),
    "keys": lambda _: i.Key("5"),
    "context": lambda n: i.Context(f"note {n}"),
    "messages": lambda n: i.UserMessage(f"message {n}"),
    "ends of turns": lambda n: i.SttEndOfTurn(f"word {n}", n / 1_000),
}


@pytest.mark.parametrize("flood", FLOODS)
def test_a_flood_of_one_thing_is_bounded(flood: str) -> None:
    turns = Turns(Settings())
    turns.step(i.UserMessage("Hello."), 0.0)
    assert turns.step(i.TimePassed(), 0.0) == []
    most = 0
    for n in range(600):
        turns.step(FLOODS[flood](n), n / 1_000)
        if n % 200 == 0:
            most = max(most, weight(turns))
    assert most < 80_000
    assert weight(turns) < 80_000
