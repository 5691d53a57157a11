"""A hostile carrier's socket beside live calls: what it sends, or does not read, costs its own call only."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from pathlib import Path

import anyio
import pytest

from patter_core.testing.caller import Caller
from patter_core.testing.emulator import CALLED
from patter_core.testing.stream import CarrierStream
from patter_elevenlabs.testing import Behaviour, ElevenLabsEmulator
from tests.chaos.callers import FOREVER
from tests.chaos.fleet import EMULATORS, AnyCall, AnyCarrier, running_fleet
from tests.chaos.floods import BINARY, PING, Flood, empty_fragments, frame, in_haste, repeats
from tests.chaos.hostile import FLOODS as ENGINE_FLOODS
from tests.chaos.hostile import HostileEngine
from tests.chaos.report import note
from tests.chaos.round_trips import harmed, neighbours, parrot
from tests.chaos.worker import OTHER_NUMBER, Settings
from tests.polling import until

pytestmark = [pytest.mark.anyio, pytest.mark.chaos]

FLOODED = 6.0
"""Seconds that each flood lasts."""
_MANY = 500


def messages(event: str, **fields: object) -> bytes:
    """Frames of one event, numbered as the carriers number them; `NUMBER` in a field is the number, too."""
    text = json.dumps({"event": event, "sequence_number": "NUMBER", "sequenceNumber": "NUMBER", **fields})
    return b"".join(frame(text.replace("NUMBER", str(number)).encode()) for number in range(1, _MANY + 1))


def audio(ms: float) -> bytes:
    payload = base64.b64encode(b"\x2a" * round(8 * ms)).decode()
    return messages("media", media={"track": "inbound", "chunk": "NUMBER", "timestamp": "0", "payload": payload})


async def unread_pongs(transport: asyncio.Transport) -> None:
    transport.pause_reading()
    while not transport.is_closing():
        transport.write(frame(b"p" * 125, PING) * 2)
        await anyio.sleep(0.02)  # within what is allowed in a second


async def zero_window(transport: asyncio.Transport) -> None:
    """Reads nothing, while its engine speaks much faster than that could be played."""
    transport.pause_reading()
    await until(transport.is_closing, within=60, every=0.1)


FLOODS: dict[str, Flood] = {
    "keys without audio": repeats(messages("dtmf", dtmf={"track": "inbound_track", "digit": "5"})),
    "tiny frames": repeats(audio(1 / 8)),
    "marks": repeats(messages("mark", mark={"name": "never set"})),
    "unknown events": repeats(messages("nonsense", nonsense={})),
    "no JSON": repeats(frame(b"{" * 200)),
    "binary": repeats(frame(bytes(range(256)), BINARY)),
    "pings": repeats(frame(b"p" * 100, PING)),
    "empty fragments": empty_fragments(client=True),
    "audio 170 times as fast": in_haste(audio(20), seconds=_MANY * 0.02),
    "audio as fast as it goes": repeats(audio(20)),
    "unread pongs": unread_pongs,
    "a window of zero": zero_window,
}


async def flood_each_stream(call: AnyCall, flood: Flood) -> None:
    """Flood the call's media socket, and the next one when the carrier comes back."""
    flooded: CarrierStream | None = None
    while True:
        await call.until(lambda: call.stream is not flooded and call.stream.started.is_set())  # noqa: B023 - now
        flooded = call.stream
        await flood(flooded._connected.transport)


@pytest.mark.parametrize("emulator", EMULATORS)
@pytest.mark.parametrize("what", FLOODS)
async def test_what_a_carriers_socket_floods_costs_its_own_call_only(
    emulator: type[AnyCarrier], what: str, tmp_path: Path
) -> None:
    engine = ElevenLabsEmulator(Behaviour(agent=parrot))
    async with running_fleet(emulator, engine, tmp_path) as fleet, HostileEngine().running() as torrent:
        torrent.flood = ENGINE_FLOODS["audio 170 times as fast"]
        worker = await fleet.start(Settings(hostile=torrent.base_url))
        url, number = fleet.url_of(worker.port), OTHER_NUMBER if what == "a window of zero" else CALLED
        async with neighbours(fleet, worker) as others, harmed(others, worker) as harm:
            victim: AnyCall = fleet.carrier.place(url, Caller(FOREVER, fleet.carrier.format), to_number=number)
            with anyio.move_on_after(FLOODED):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(victim.run)
                    await victim.streaming()
                    await flood_each_stream(victim, FLOODS[what])
            for stream in victim.streams:
                with contextlib.suppress(OSError):
                    stream.drop()
    harm.check()
    assert len(worker.said.splitlines()) <= 2, worker.said
    note(f"a carrier's socket: {what}, 3 more calls, {emulator.__name__}", tried=3, lost=harm.lost, figure=str(harm))
