"""A worker, to be run in a process of its own and harmed. SIGUSR1 has it tell what it holds, as a line of JSON.
SIGUSR2 has it put its callers on hold, and end the holds that last.

It is configured by the environment: the carrier's and the engine's own variables, and `Settings` in CHAOS_SETTINGS.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import resource
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
import msgspec

from patter_core import Agent, Patter
from patter_core.agent import Fallback, Retry
from patter_core.aio.foreign import run_behind
from patter_core.call.call import Call
from patter_core.call.handle import PhoneCall
from patter_core.call.limits import Limits
from patter_core.call.timeouts import Deadlines
from patter_core.call.tool_context import ToolContext
from patter_core.engine import Engine, EngineSession
from patter_core.events import CallEnded
from patter_core.media import MediaCodec
from patter_core.server import held_calls
from patter_core.sink import EventSink
from patter_core.sinks import JsonLinesSink
from patter_core.store import CallStore
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.testing.emulator import CALLED
from patter_core.tools import Tool
from patter_elevenlabs import ElevenLabsConvAI
from patter_plivo import Plivo
from patter_telnyx import Telnyx
from patter_twilio import Twilio
from patter_vonage import Vonage
from tests.chaos.callbacks import CALLBACKS, raise_fault
from tests.chaos.foreign import BadSink, BadStore, Ways, bad_carrier, bad_engine
from tests.chaos.hostile_plugins import LateSink, late_carrier, late_engine
from tests.chaos.networks import answer_names
from tests.chaos.observers import failing_sinks, failing_store, text_sinks
from tests.chaos.stores import FileStore
from tests.polling import until

__all__ = [
    "COLLEAGUE",
    "OTHER_NUMBER",
    "RESUME_MESSAGE",
    "SORRY",
    "WATCHED",
    "Effect",
    "Ending",
    "Holdings",
    "Settings",
]

RESUME_MESSAGE = "Where were we?"
SORRY = "We are sorry."
WATCHED = "Watched: it"
COLLEAGUE = "+15550007777"
OTHER_NUMBER = "+15005550009"
OTHER_AGENT = "other"

_CARRIERS: dict[str, type[Twilio | Telnyx | Vonage | Plivo]] = {
    "twilio": Twilio,
    "telnyx": Telnyx,
    "vonage": Vonage,
    "plivo": Plivo,
}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is to be."""

    carrier: str = ""
    port: int = 0
    store: str = ""
    """A folder."""
    lease: float = held_calls.LEASE
    several_workers: bool = False
    """True if there are other workers."""
    calls: int = 500
    calls_per_second: float = 100.0
    drain: float = 5.0
    linger: float = 0.0
    deadlines: Deadlines = Deadlines()
    fallback: str = "hang up"
    """`hang up`, `try again`, `say`, `transfer`, or the base URL of another engine's service."""
    retries: int = 1
    """Of `try again`."""
    log: str = "WARNING"
    uvloop: bool = False
    descriptors: int = 0
    """The most that the process may have open, if not 0."""
    soft_limit: bool = False
    """True if that is the soft limit only, which a process may raise."""
    ends: str = ""
    """A file to which on_call_end appends a line for each end."""
    effects: str = ""
    """A file to which the agent's tool `book` appends an `Effect` each time that it runs; it ends once there is another
    one, with the suffix `.done`."""
    callbacks: str = ""
    """What the other callbacks do: `raise`, `hang`, `block` a thread, `cancel`, `exit`, leave `threads` behind; "" if
    there are none."""
    sinks: str = ""
    """What the sink does: `raise`, `hang`; "" if there is none."""
    records: str = ""
    """A folder, where this worker writes its records to the file `PORT.jsonl`."""
    callback_patience: float = 10.0
    failing: str = ""
    """A folder for sinks of which all but one fail for good, and a store that does."""
    texts: str = ""
    """A folder for sinks that show and keep what was said."""
    hosts: Mapping[str, Sequence[str]] = {}
    """What a name server answers for these names; one without addresses is never answered."""
    hostile: str = ""
    """The base URL of another engine's service, for calls to `OTHER_NUMBER`; "" if there is none."""
    bad_part: str = ""
    """Of `tests.chaos.foreign.PARTS`, or of `tests.chaos.hostile_plugins.LATE_WAYS`: the one that fails. A bad engine,
    codec or tool is that of `OTHER_NUMBER` only."""
    bad_how: str = "any"
    """As there."""


class Holdings(msgspec.Struct, frozen=True):
    """What a process holds."""

    tasks: int
    descriptors: int
    sockets: int
    objects: int
    """Calls, conversations, and codecs of media sockets."""
    memory: int
    """Bytes."""


class Ending(msgspec.Struct, frozen=True):
    """What on_call_end was told."""

    call_id: str
    reason: str
    duration_ms: float
    at: float
    """Unix s."""


class Effect(msgspec.Struct, frozen=True):
    """What a tool has done."""

    key: str
    """The idempotency key of the use."""
    call_id: str
    leg_id: str
    pid: int
    day: str


def holdings() -> Holdings:
    gc.collect()
    links = []
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the one that lists them
            links.append(str(entry.readlink()))
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return Holdings(
        tasks=len(asyncio.all_tasks()),
        descriptors=len(links),
        sockets=sum(link.startswith("socket:") for link in links),
        objects=sum(isinstance(thing, Call | EngineSession | MediaCodec) for thing in gc.get_objects()),
        memory=pages * resource.getpagesize(),
    )


def make_sinks(settings: Settings) -> list[EventSink]:
    how = settings.bad_how if settings.bad_part == "sink" else settings.sinks
    sinks: list[EventSink] = [BadSink(how)] if how else []
    if settings.bad_part == "late sink":
        sinks.append(LateSink(settings.bad_how, OTHER_AGENT))
    if settings.records:
        sinks.append(JsonLinesSink(Path(settings.records, f"{settings.port}.jsonl")))
    if settings.failing:
        sinks += failing_sinks(Path(settings.failing))
    if settings.texts:
        sinks += text_sinks(Path(settings.texts))
    return sinks


def make_store(settings: Settings) -> CallStore | None:
    if settings.bad_part == "store":
        return BadStore(settings.bad_how)
    if settings.failing:
        return failing_store()
    return FileStore(Path(settings.store)) if settings.store else None


def make_phone(settings: Settings) -> tuple[Patter, Agent]:
    kind, bad = _CARRIERS[settings.carrier], settings.bad_part
    carrier = bad_carrier(kind, settings.bad_how) if bad == "carrier" else kind()
    if bad in {"decode", "encode_audio"}:
        carrier = late_carrier(kind, bad, settings.bad_how, OTHER_NUMBER)
    ends = Path(settings.ends)

    def on_call_end(call: PhoneCall, end: CallEnded) -> None:
        ending = Ending(call.id, end.reason, end.duration_ms, time.time())
        with ends.open("ab") as file:
            file.write(msgspec.json.encode(ending) + b"\n")

    phone = Patter(
        carrier=carrier,
        store=make_store(settings),
        several_workers=settings.several_workers,
        sinks=make_sinks(settings),
        limits=Limits(
            calls=settings.calls,
            calls_per_second=settings.calls_per_second,
            drain=settings.drain,
            linger=settings.linger,
            flush=1.0,
            callback=settings.callback_patience,
        ),
        deadlines=settings.deadlines,
        on_call_end=on_call_end if settings.ends else None,
        on_transcript=CALLBACKS.get(settings.callbacks),
        on_event=CALLBACKS.get(settings.callbacks),
        on_call_start=raise_fault if settings.callbacks else None,
    )
    engine = ElevenLabsConvAI(agent_id="agent_emulated", client_tools=_client_tools(settings))
    agent = phone.agent(engine=engine, resume_message=RESUME_MESSAGE, fallback=_fallback(phone, settings))
    return phone, agent


def _client_tools(settings: Settings) -> list[Tool]:
    effects = Path(settings.effects)

    def append(effect: Effect) -> None:
        with effects.open("ab") as file:
            file.write(msgspec.json.encode(effect) + b"\n")

    async def book(day: str, call: PhoneCall, context: ToolContext) -> str:
        append(Effect(context.id, call.id, call.leg.call_id, os.getpid(), day))
        await until(effects.with_suffix(".done").exists, within=50.0)
        return f"{day} is booked for {call.id}."

    return [Tool.of(book, timeout=60.0)] if settings.effects else []


def _fallback(phone: Patter, settings: Settings) -> Fallback:
    match settings.fallback:
        case "hang up":
            return HangUp()
        case "say":
            return HangUp(SORRY)
        case "transfer":
            return Transfer(COLLEAGUE)
        case "try again":
            return Retry(times=settings.retries, then=HangUp(SORRY))
        case base_url:
            return phone.agent(engine=ElevenLabsConvAI(agent_id="agent_emulated", base_url=base_url), name="reserve")


def other_agent(phone: Patter, settings: Settings) -> Agent:
    """That of `OTHER_NUMBER`."""

    ways = Ways(settings.bad_how)

    async def look_up(query: str) -> str:
        await (ways.next() if settings.bad_part == "tool" else anyio.sleep(1))
        return query

    engine: Engine = ElevenLabsConvAI(agent_id="agent_emulated", base_url=settings.hostile, client_tools=[look_up])
    if settings.bad_part == "engine":
        engine = bad_engine(settings.bad_how, settings.hostile)
    elif settings.bad_part in {"events", "send_audio"}:
        engine = late_engine(settings.bad_part, settings.bad_how, settings.hostile)
    return phone.agent(engine=engine, name=OTHER_AGENT, fallback=HangUp())


async def work(settings: Settings) -> None:
    phone, agent = make_phone(settings)
    agents = agent if not settings.hostile else {CALLED: agent, OTHER_NUMBER: other_agent(phone, settings)}
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, tell_holdings)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR2, hold_or_resume, phone, set())
    await phone.serve(agents, port=settings.port, on_ready=lambda _url: tell("ready"))


def hold_or_resume(phone: Patter, held: set[str]) -> None:
    for call in phone.calls:
        run_behind(call.resume if call.id in held else call.hold)
        held ^= {call.id}


def tell_holdings() -> None:
    tell(msgspec.json.encode(holdings()).decode())


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def watch(event: str, args: tuple[object, ...]) -> None:
    """Tell of each file that is written and of each address beyond this machine: Python's audit hook."""
    if event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        sys.stderr.write(f"{WATCHED} writes {args[0]}\n")
    if event == "socket.connect" and isinstance(args[1], tuple) and args[1][0] not in {"127.0.0.1", "::1"}:
        sys.stderr.write(f"{WATCHED} connects to {args[1][0]}\n")
    if event == "socket.getaddrinfo" and args[0] not in {"127.0.0.1", "localhost"}:
        sys.stderr.write(f"{WATCHED} looks up {args[0]}\n")


def main() -> None:
    if "CHAOS_WATCH" in os.environ:
        sys.addaudithook(watch)
    settings = msgspec.json.decode(os.environ["CHAOS_SETTINGS"], type=Settings)
    held_calls.LEASE = settings.lease
    logging.basicConfig(level=settings.log, stream=sys.stderr)
    if settings.log == "DEBUG":  # against what serve() sets, as a user could
        for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "asyncio"):
            logging.getLogger(name).setLevel("DEBUG")
    answer_names(settings.hosts)
    if settings.descriptors:
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1] if settings.soft_limit else settings.descriptors
        resource.setrlimit(resource.RLIMIT_NOFILE, (settings.descriptors, most))
    anyio.run(work, settings, backend_options={"use_uvloop": settings.uvloop})


if __name__ == "__main__":
    main()
