"""Callers who stay on the line, and what they hear."""

from __future__ import annotations

import re
from collections.abc import Sequence

import anyio.abc

from patter_core.testing.caller import Caller, Pause, Step
from patter_elevenlabs.testing import Conversation, ElevenLabsEmulator
from tests.chaos.fleet import AnyCall, Fleet
from tests.polling import until

__all__ = ["FOREVER", "Callers", "gap_ms", "talking"]

FOREVER: Sequence[Step] = (Pause(600.0),)


class Callers:
    """So many of them."""

    def __init__(
        self, fleet: Fleet, count: int, *, url: str = "", steps: Sequence[Step] = FOREVER, fallback: bool = True
    ) -> None:
        carrier, fallback_url = fleet.carrier, fleet.voice_url if fallback else ""
        self.calls: list[AnyCall] = [
            carrier.place(url or fleet.voice_url, Caller(steps, carrier.format), fallback_url=fallback_url)
            for _ in range(count)
        ]

    @property
    def lost(self) -> int:
        return sum(call.is_over for call in self.calls)

    def streams(self) -> list[int]:
        return [len(call.streams) for call in self.calls]

    def heard(self) -> list[int]:
        return [len(call.recording.played) for call in self.calls]

    def positions(self) -> list[int]:
        """Where each is in their recording, for `gap_ms`."""
        return [len(call.recording.agent) for call in self.calls]

    def start(self, tasks: anyio.abc.TaskGroup) -> None:
        """Have them call."""
        for call in self.calls:
            tasks.start_soon(call.run)

    async def talk(self, tasks: anyio.abc.TaskGroup, *, within: float = 15.0) -> float:
        """Have them call, and wait until each hears the agent; gives how long that took, in s."""
        self.start(tasks)
        return await self.all_hear_more([0] * len(self.calls), within=within)

    async def all_hear_more(self, than: list[int], *, within: float) -> float:
        """Wait until each hears the agent, beyond what they had heard; gives how long that took, in s."""
        return await until(
            lambda: all(
                now > before + call.recording.format.size(100)
                for call, now, before in zip(self.calls, self.heard(), than, strict=True)
            ),
            within=within,
            every=0.02,
        )

    def longest_gap_ms(self, since: list[int]) -> float:
        return max(gap_ms(call, start) for call, start in zip(self.calls, since, strict=True))


def gap_ms(call: AnyCall, since: int = 0) -> float:
    """The longest time without the agent's voice, from that byte of the recording on. For agents that never pause."""
    format = call.recording.format
    runs = re.findall(b"(?:" + re.escape(format.silence) + b")+", bytes(memoryview(call.recording.agent)[since:]))
    return format.duration_ms(max((len(run) for run in runs), default=0))


def talking(engine: ElevenLabsEmulator) -> list[Conversation]:
    """The conversations that are open."""
    return [talk for talk in engine.conversations if talk.close_code is None]
