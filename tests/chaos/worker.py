"""A worker, to be run in a process of its own and harmed. SIGUSR1 has it tell what it holds, as a line of JSON.

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
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import anyio
import msgspec

from patter_core import Agent, Patter
from patter_core.agent import Fallback, Retry
from patter_core.call.call import Call
from patter_core.call.handle import PhoneCall
from patter_core.call.limits import Limits
from patter_core.call.timeouts import Deadlines
from patter_core.carrier import Carrier
from patter_core.engine import EngineSession
from patter_core.events import CallEnded, Record
from patter_core.media import MediaCodec
from patter_core.sink import EventSink
from patter_core.telephony.outcome import HangUp, Transfer
from patter_elevenlabs import ElevenLabsConvAI
from patter_telnyx import Telnyx
from patter_twilio import Twilio
from tests.chaos.stores import FileStore

__all__ = ["COLLEAGUE", "RESUME_MESSAGE", "SORRY", "WATCHED", "Ending", "Holdings", "Settings"]

RESUME_MESSAGE = "Where were we?"
SORRY = "We are sorry."
WATCHED = "Watched: it"
COLLEAGUE = "+15550007777"

_CARRIERS: dict[str, type[Twilio | Telnyx]] = {"twilio": Twilio, "telnyx": Telnyx}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is to be."""

    carrier: str = ""
    port: int = 0
    store: str = ""
    """A folder."""
    several_workers: bool = False
    """True if there are other workers."""
    calls: int = 500
    calls_per_second: float = 100.0
    drain: float = 5.0
    linger: float = 0.0
    deadlines: Deadlines = Deadlines()
    fallback: str = "hang up"
    """`hang up`, `try again`, `say`, `transfer`, or the base URL of another engine's service."""
    log: str = "WARNING"
    uvloop: bool = False
    descriptors: int = 0
    """The most that the process may have open, if not 0."""
    ends: str = ""
    """A file to which on_call_end appends a line for each end."""
    callbacks: str = ""
    """What the other callbacks do: `raise`, `hang`, `block` a thread, `cancel`, `exit`, leave `threads` behind; "" if
    there are none."""
    sinks: str = ""
    """What the sink does: `raise`, `hang`; "" if there is none."""
    callback_patience: float = 10.0


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


class BadSink(EventSink):
    """Takes nothing, each time in its own way."""

    name: ClassVar[str] = "bad"

    def __init__(self, how: str) -> None:
        self._how = how

    async def write(self, records: Sequence[Record]) -> None:
        if self._how == "hang":
            await anyio.sleep_forever()
        raise LookupError("the sink's own fault")


def make_phone(settings: Settings) -> tuple[Patter, Agent]:
    carrier: Carrier = _CARRIERS[settings.carrier]()
    ends = Path(settings.ends)

    def on_call_end(call: PhoneCall, end: CallEnded) -> None:
        ending = Ending(call.id, end.reason, end.duration_ms, time.time())
        with ends.open("ab") as file:
            file.write(msgspec.json.encode(ending) + b"\n")

    phone = Patter(
        carrier=carrier,
        store=FileStore(Path(settings.store)) if settings.store else None,
        several_workers=settings.several_workers,
        sinks=[BadSink(settings.sinks)] if settings.sinks else [],
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
        on_transcript=_CALLBACKS.get(settings.callbacks),
        on_event=_CALLBACKS.get(settings.callbacks),
        on_call_start=_raise if settings.callbacks else None,
    )
    engine = ElevenLabsConvAI(agent_id="agent_emulated")
    agent = phone.agent(engine=engine, resume_message=RESUME_MESSAGE, fallback=_fallback(phone, settings.fallback))
    return phone, agent


def _raise(*_: object) -> None:
    raise LookupError("the user's own fault")


async def _hang(*_: object) -> None:
    await anyio.sleep_forever()


def _block(*_: object) -> None:
    time.sleep(30)


async def _cancel(*_: object) -> None:
    task = asyncio.create_task(asyncio.sleep(60))
    task.cancel()
    await task


async def _exit(*_: object) -> None:
    sys.exit("the user's own fault")


async def _leave_threads(*_: object) -> None:
    """As a client of a database does, or a queue of the user's own."""
    asyncio.get_running_loop().run_in_executor(None, time.sleep, 60)
    threading.Thread(target=time.sleep, args=(60,), name="the user's own").start()


_CALLBACKS: dict[str, Callable[..., object]] = {
    "raise": _raise,
    "hang": _hang,
    "block": _block,
    "cancel": _cancel,
    "exit": _exit,
    "threads": _leave_threads,
}


def _fallback(phone: Patter, name: str) -> Fallback:
    match name:
        case "hang up":
            return HangUp()
        case "say":
            return HangUp(SORRY)
        case "transfer":
            return Transfer(COLLEAGUE)
        case "try again":
            return Retry(then=HangUp(SORRY))
        case base_url:
            return phone.agent(engine=ElevenLabsConvAI(agent_id="agent_emulated", base_url=base_url), name="reserve")


async def work(settings: Settings) -> None:
    phone, agent = make_phone(settings)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, tell_holdings)
    await phone.serve(agent, port=settings.port, on_ready=lambda _url: tell("ready"))


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
    logging.basicConfig(level=settings.log, stream=sys.stderr)
    if settings.log == "DEBUG":  # against what serve() sets, as a user could
        for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "asyncio"):
            logging.getLogger(name).setLevel("DEBUG")
    if settings.descriptors:
        resource.setrlimit(resource.RLIMIT_NOFILE, (settings.descriptors, settings.descriptors))
    anyio.run(work, settings, backend_options={"use_uvloop": settings.uvloop})


if __name__ == "__main__":
    main()
