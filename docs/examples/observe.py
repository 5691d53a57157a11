"""Shows calls while they happen, keeps every event in a file, counts minutes, and reacts to what callers say."""

import asyncio
import os
from collections.abc import Sequence

from getpatter import ElevenLabsConvAI, Patter, Twilio
from patter_core import CallEnded, EventSink, PhoneCall, Record, Transcript
from patter_core.events import TranscriptInput
from patter_core.sinks import ConsoleSink, JsonLinesSink


class Minutes(EventSink):
    """A sink of your own: adds up how long calls lasted."""

    name = "minutes"

    def __init__(self) -> None:
        self.calls = 0
        self.seconds = 0.0

    async def write(self, records: Sequence[Record]) -> None:
        for record in records:
            if isinstance(record.event, CallEnded):
                self.calls += 1
                self.seconds += record.event.duration_ms / 1000
                print(f"{self.calls} calls, {self.seconds / 60:.2f} minutes")


async def tell_the_hours(call: PhoneCall, said: Transcript) -> None:
    """A callback: it may look something up and tell the agent, while the audio goes on."""
    if isinstance(said, TranscriptInput) and "table" in said.text:
        call.add_context("There are free tables from half past seven on.")


phone = Patter(
    carrier=Twilio(),
    phone_number=os.environ["PATTER_PHONE_NUMBER"],
    sinks=[ConsoleSink(), JsonLinesSink("events.jsonl"), Minutes()],
    on_transcript=tell_the_hours,
)
agent = phone.agent(engine=ElevenLabsConvAI())

if __name__ == "__main__":
    asyncio.run(phone.serve(agent))
