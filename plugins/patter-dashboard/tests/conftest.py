"""A phone with calls of every sort, live and past, and the dashboard over it on a real port."""

from __future__ import annotations

import array
import asyncio
import contextlib
import datetime as dt
import math
import os
import time
import wave
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path

import pytest

from patter_core.apps.access import AppAccess
from patter_core.apps.front import Front
from patter_core.audio import ULAW_8000
from patter_core.events import (
    CallAnnounced,
    CallAnswered,
    CallEnded,
    CallEvent,
    CallPriced,
    ConversationStarted,
    DtmfReceived,
    Error,
    Interruption,
    MediaStarted,
    Record,
    RecordingStarted,
    ResponseHeard,
    ResponseStart,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    ToolResult,
    TranscriptCorrection,
    TranscriptInput,
    TranscriptOutput,
    TurnTimings,
)
from patter_core.observe.metrics import CallMetrics, CarrierBill, EngineBill, Latency
from patter_core.server.serving import serve_app
from patter_core.telephony.leg import Direction, Leg
from patter_core.telephony.prices import Cost
from patter_core.testing.fakes import FakeLiveCall, FakePhone
from patter_dashboard import Dashboard

HOSTILE = '<img src=x onerror="document.title=1"><script>alert(1)</script>'

HEARD = "We do. There is a room with a view of the harbour"
UNHEARD = " for 140 euros, and one on the quiet side for 120."
STARTED = ConversationStarted(
    engine="echo", conversation_id="c1", input_format=ULAW_8000, output_format=ULAW_8000, connect_ms=180
)

Timed = list[tuple[float, CallEvent]]
"""Events with their time, in ms since the call arrived."""


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The tests in a browser share an event loop: the browser's."""
    return "asyncio"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may find a setting in the environment that it did not put there."""
    for variable in list(os.environ):
        if variable.startswith("PATTER_"):
            monkeypatch.delenv(variable)


def a_leg(call_id: str, caller: str = "***********21", **fields: str) -> Leg:
    direction = Direction(fields.get("direction", "inbound"))
    return Leg(
        carrier="fake", call_id=f"leg-{call_id}", direction=direction, from_number=caller, to_number="********34"
    )


def stages(*times_ms: float) -> dict[str, float]:
    return dict(zip(("end_of_turn", "first_token", "first_text", "first_audio", "sent"), times_ms, strict=True))


def a_talk(*, said: str = "", recording: str = "") -> Timed:
    """A conversation: a question, an answer that is interrupted, a tool, a good end."""
    events: Timed = [
        (220, CallAnswered(answer_ms=220)),
        (240, MediaStarted(format=ULAW_8000)),
        (310, STARTED),
        (420, ResponseStart(turn="t1")),
        (430, TranscriptOutput(text="Good morning, this is the Harbour Hotel. How can I help you?", turn="t1")),
        (3_900, ResponseHeard(heard_ms=3_400, sent_ms=3_400, turn="t1")),
        (4_300, SpeechStarted(at_ms=4_060)),
        (6_900, SpeechStopped(at_ms=6_660)),
        (7_100, TranscriptInput(text=said or "Hi. Do you have a room for two, from Friday to Sunday?")),
        (7_150, TurnTimings(turn="t2", stages_ms=stages(210, 430, 480, 640, 650))),
        (7_550, ResponseStart(turn="t2")),
        (7_560, TranscriptOutput(text=HEARD + UNHEARD, turn="t2")),
        (10_100, SpeechStarted(at_ms=9_860)),
        (10_150, Interruption(turn="t2")),
        (10_160, ResponseHeard(heard_ms=2_600, sent_ms=6_200, interrupted=True, turn="t2")),
        (10_170, TranscriptCorrection(text=HEARD, original=HEARD + UNHEARD, turn="t2")),
        (12_200, SpeechStopped(at_ms=11_960)),
        (12_400, TranscriptInput(text="The one with the view, please. My name is Ada.")),
        (12_450, TurnTimings(turn="t3", stages_ms=stages(250, 620, 690, 910, 915))),
        (12_600, ToolCall(id="1", name="book_room", arguments='{"view": true, "name": "Ada"}')),
        (13_050, ToolResult(id="1", name="book_room", result="Booked: HH-4711.", duration_ms=450)),
        (13_400, ResponseStart(turn="t3")),
        (13_410, TranscriptOutput(text="It is yours, Ada. Your number is HH-4711. See you soon.", turn="t3")),
        (17_800, ResponseHeard(heard_ms=4_300, sent_ms=4_300, turn="t3")),
        (18_100, DtmfReceived(digit="1")),
    ]  # fmt: skip
    return sorted([*events, (250, RecordingStarted(by="wav", location=recording))] if recording else events, key=_at)


def _at(timed: tuple[float, CallEvent]) -> float:
    return timed[0]


def an_end(reason: str = "caller_hung_up", length_ms: float = 18_400, detail: str = "") -> CallEnded:
    replies = (650.0, 915.0, 780.0)
    return CallEnded(
        reason=reason,
        by="caller",
        duration_ms=length_ms,
        detail=detail,
        metrics=CallMetrics(
            duration_ms=length_ms,
            answer_ms=220,
            first_audio_ms=180,
            turns=3,
            user_turns=2,
            interruptions=1,
            speech_reply_ms=replies,
            speech_reply=Latency.of(replies),
            carrier_bill=CarrierBill(
                minutes=1, cost=Cost(Decimal("0.0085")), as_of=dt.date(2026, 10, 1), source="list prices"
            ),
            engine_bills=(
                EngineBill(
                    part="engine", vendor="echo", model="e-1", amounts={"seconds": 18.0}, cost=Cost(Decimal("0.024"))
                ),
            ),
        ),
    )


def put(
    phone: FakePhone, call_id: str, began: float, events: Timed, *, leg: Leg | None = None, agent: str = "concierge"
) -> None:
    announced = CallAnnounced(leg=leg or a_leg(call_id), agent=agent)
    for number, (at, event) in enumerate([(0.0, announced), *events], 1):
        record = Record(
            call_id=call_id, sequence=number, time=began + at / 1000, elapsed_ms=at, event=event, trace="00-1-2-01"
        )
        phone.put(record)


def make_live(phone: FakePhone, call_id: str, leg: Leg | None = None) -> FakeLiveCall:
    phone.live[call_id] = FakeLiveCall(call_id, leg or a_leg(call_id))
    return phone.live[call_id]


def a_recording(path: Path, seconds: float = 18.4, rate: int = 8_000) -> Path:
    """A stereo file: bursts on the left where the caller speaks, on the right where the agent does."""
    spans = {0: ((4.1, 6.7), (9.9, 12.0)), 1: ((0.2, 3.6), (7.3, 9.9), (13.2, 17.5))}
    samples = array.array("h")
    for index in range(int(seconds * rate)):
        at = index / rate
        for side in (0, 1):
            speaks = any(start <= at <= end for start, end in spans[side])
            loud = 9_000 * (0.55 + 0.45 * math.sin(at * 21 + side)) * abs(math.sin(at * 3.1))
            samples.append(int(loud * math.sin(at * 2 * math.pi * (180 + 60 * side))) if speaks else 0)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return path


def fill(phone: FakePhone, folder: Path, now: float, past: int = 60) -> None:
    """Calls of a week, and three that are live."""
    ends = ("caller_hung_up", "agent_hung_up", "caller_hung_up", "transferred", "no_answer", "caller_hung_up")
    for number in range(past):
        began, call_id = now - 600 - number * 9_600, f"past-{number:03}"
        outbound = number % 4 == 3
        leg = a_leg(call_id, f"***********{20 + number % 9}", direction="outbound" if outbound else "inbound")
        end = an_end(ends[number % len(ends)], 12_000 + (number * 7_919) % 180_000)
        put(phone, call_id, began, [*a_talk(), (18_400, end)], leg=leg, agent="sales" if outbound else "concierge")
    recorded = a_recording(folder / "talk.wav")
    price = CallPriced(cost=Cost(Decimal("0.0095"), estimated=False))
    put(phone, "recorded", now - 300, [*a_talk(recording=str(recorded)), (18_400, an_end()), (19_000, price)])
    error = Error("The engine closed the session. Expected a running agent. Publish the agent first.", "1008")
    failed = an_end("engine_failed", 2_100, "The engine's session could not be opened.")
    put(phone, "failed", now - 200, [(900, error), (2_100, failed)], leg=a_leg("failed", "***********77"))
    hostile = a_leg("hostile", HOSTILE)
    put(phone, "hostile", now - 100, [*a_talk(said=HOSTILE), (18_400, an_end(HOSTILE))], leg=hostile, agent=HOSTILE)
    for number in range(3):
        call_id = f"live-{number}"
        put(phone, call_id, now - 20 - number * 31, a_talk()[:9], leg=a_leg(call_id, f"***********4{number}"))
        make_live(phone, call_id)


@pytest.fixture
def phone(tmp_path: Path) -> FakePhone:
    made = FakePhone()
    made.agents = ("concierge", "sales")
    fill(made, tmp_path, time.time())
    return made


class Served:
    """The dashboard, as a browser reaches it."""

    def __init__(self, front: Front, url: str, server: asyncio.Task[None]) -> None:
        self.front = front
        self.url = url
        self.server = server
        """Ends with the listener and all connections when it is cancelled."""

    @property
    def link(self) -> str:
        return f"{self.url}/#token={self.front.links.token}"


@contextlib.asynccontextmanager
async def serve_dashboard(
    phone: FakePhone, dashboard: Dashboard | None = None, access: AppAccess | None = None
) -> AsyncIterator[Served]:
    app = dashboard or Dashboard()
    resolved = (access or AppAccess()).resolved()
    front = Front({app.name: app.asgi(phone)}, titles={app.name: app.title}, access=resolved, key=bytes(32))
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def run() -> None:
        async with serve_app(front) as url:
            ready.set_result(url)
            try:
                await asyncio.Event().wait()
            finally:
                phone.ring.close()

    server = asyncio.create_task(run())
    try:
        yield Served(front, await ready, server)
    finally:
        server.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await server


Serve = Callable[..., contextlib.AbstractAsyncContextManager[Served]]


@pytest.fixture
def serve() -> Serve:
    return serve_dashboard
