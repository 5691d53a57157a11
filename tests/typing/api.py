"""What a user and a plugin author write, as two type checkers see it. Nobody runs this.

Each `assert_type` is an error if the public API says something else; each comment that begins with `type: ignore` marks
a mistake that both checkers must find, since one that is not needed is an error, too.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import ClassVar, assert_type

from starlette.routing import Router

from patter_core import (
    Agent,
    AudioChunk,
    AudioFormat,
    CallStore,
    Carrier,
    ConsultResult,
    Engine,
    EventSink,
    HangUp,
    HistoryLine,
    Kind,
    Lease,
    Leg,
    Part,
    Patter,
    Record,
    Registry,
    Tool,
    ToolContext,
    hookimpl,
    transfer_tool,
)
from patter_core.agent import Variables
from patter_core.audio import ULAW_8000, Encoding
from patter_core.call.handle import OutboundCall, PhoneCall
from patter_core.checks import CheckResult
from patter_core.engine import ConversationSetup, EngineSession
from patter_core.errors import CarrierRequestFailed
from patter_core.events import (
    CallEnded,
    CallEvent,
    CallMetrics,
    EngineEvent,
    GuardrailActed,
    TranscriptInput,
    TurnTimings,
)
from patter_core.history import AgentSaid, ToolUsed, UserSaid
from patter_core.kinds import Parts
from patter_core.store import WorkerNote
from patter_core.testing import check_carrier, check_engine, check_sink, check_store
from patter_core.testing.emulator import CarrierEmulator, Emulator, EngineEmulator, Told


def a_user_makes_a_phone(carrier: Carrier, engine: Engine) -> None:
    phone = Patter(carrier=carrier, phone_number="+15550001234", webhook_url="https://voice.example.org")
    agent = phone.agent(engine=engine, system_prompt="Be brief.", variables={"name": "Ada", "age": 36})
    assert_type(agent, Agent)
    assert_type(agent.engine, Engine)
    assert_type(agent.variables, Variables)
    phone.agent(engine=engine, variables=lambda leg: {"caller": leg.from_number})
    Patter(carrier="twilio")  # type: ignore[arg-type]
    phone.agent(engine="elevenlabs")  # type: ignore[arg-type]
    phone.agent(engine=engine, variables={"list": []})  # type: ignore[dict-item]
    agent.name = "other"  # type: ignore[misc]


async def a_user_has_two_carriers(carrier: Carrier, other: Carrier, engine: Engine) -> None:
    phone = Patter(carrier=[carrier, other], phone_number={"twilio": "+15550001234", "telnyx": "+15550005678"})
    agent = phone.agent(engine=engine)
    try:
        await phone.call("+15550009876", agent=agent, carrier="twilio")
        await phone.call("+15550009876", agent=agent, carrier=other)
        assert_type(await phone.call("+15550009876", agent=agent, carrier=[other, "twilio"]), OutboundCall)
    except CarrierRequestFailed as error:
        assert_type(error.taken, bool)
    Patter(carrier=["twilio"])  # type: ignore[list-item]
    await phone.call("+15550009876", agent=agent, carrier=[1])  # type: ignore[list-item]


async def a_user_calls_and_directs_calls(phone: Patter, agent: Agent) -> None:
    call = await phone.call("+15550009876", agent=agent, first_message="Hello.")
    assert_type(call, OutboundCall)
    assert_type(await call.wait_answered(), bool)
    assert_type(await call.transfer("+15550007777"), CallEnded | None)
    assert_type(await call.warm_transfer("+15550007777", "A caller about a bill.", say="One moment."), ConsultResult)
    assert_type(await call.collect_keys(4, timeout=10, finish_on="#"), str)
    await call.warm_transfer("+15550007777")  # type: ignore[call-arg]
    assert_type(phone.calls, list[PhoneCall])
    assert_type(phone.asgi({"+15550001234": agent}), Router)
    phone.asgi(lambda leg: agent.with_options(variables={"caller": leg.from_number}))
    phone.asgi({"+15550001234": agent.with_options(first_message="Hello.")})
    phone.asgi("agent")  # type: ignore[arg-type]
    agent.with_options(variables={"list": []})  # type: ignore[dict-item]
    await phone.call("+15550009876")  # type: ignore[call-arg]


def a_user_gives_an_agent_tools(phone: Patter, engine: Engine) -> None:
    async def book(day: str, call: PhoneCall, context: ToolContext) -> HangUp | str:
        assert_type(context.call, PhoneCall)
        assert_type(context.id, str)
        assert_type(await call.hang_up(now=True), CallEnded | None)
        return HangUp() if day else "never"

    assert_type(Tool.of(book, timeout=3.0, cancellable=True), Tool)
    phone.agent(engine=engine, tools=[book, Tool.of(book, name="reserve"), transfer_tool({"sales": "+15550007777"})])
    phone.agent(engine=engine, tools={"reserve": book})
    phone.agent(engine=engine, tools=["book"])  # type: ignore[list-item]


def a_user_lets_workers_share_what_was_said(carrier: Carrier) -> None:
    phone = Patter(carrier=carrier, store=Notes())
    assert_type(phone.several_workers, bool)
    Patter(carrier=carrier, store="redis")  # type: ignore[arg-type]


def a_user_is_called_back(carrier: Carrier) -> None:
    async def started(call: PhoneCall) -> None:
        assert_type(call.id, str)

    def ended(call: PhoneCall, end: CallEnded) -> None:
        assert_type(call.leg, Leg)
        assert_type(end.reason, str)

    Patter(carrier=carrier, on_call_start=started, on_call_end=ended)
    Patter(carrier=carrier, on_call_start=ended)  # type: ignore[arg-type]


def a_user_looks_into_the_registry() -> None:
    registry = Registry.discover(disabled=["acme"])
    assert_type(registry.engine("acme"), type[Engine])
    assert_type(registry.carrier("acme"), type[Carrier])
    assert_type(registry.sink("acme"), type[EventSink])
    assert_type(registry.store("acme"), type[CallStore])
    assert_type(registry.part("vocal", "acme"), type[Part])
    assert_type(registry.names("engine"), list[str])
    assert_type(registry.kinds, list[Kind])


def a_user_makes_an_agent_of_parts(phone: Patter, part: Part) -> None:
    assert_type(phone.agent(stt=part, llm=part, tts=part, guardrails=[part, str.upper]).engine, Engine)
    phone.agent(stt=part, llm=part, tts=part, vad=None, vocals=[part, part])
    phone.agent(stt="acme")  # type: ignore[arg-type]
    phone.agent(vocal="acme")  # type: ignore[arg-type]


def a_plugin_composes() -> None:
    @hookimpl
    def patter_compose_engine(parts: Parts) -> Engine | None:
        assert_type(parts["stt"], Part | tuple[Part | Callable[..., object], ...])
        return None


def a_user_reads_events(record: Record) -> str:
    assert_type(record.event, CallEvent)
    match record.event:
        case TranscriptInput(text=text):
            return assert_type(text, str)
        case CallEnded() as end:
            assert_type(end.metrics, CallMetrics)
            assert_type(end.metrics.first_audio_ms, float | None)
            return end.reason
        case event:
            kind, payload = event
            assert_type(payload, object)
            return str(kind)


def audio_is_whole_samples(data: bytes) -> AudioChunk:
    format = AudioFormat(Encoding.PCM16, 16_000)
    assert_type(format.duration_ms(320), float)
    chunk = AudioChunk(data, format)
    assert_type(chunk.base64, str)
    assert_type(chunk.data, bytes)
    AudioChunk("text", format)  # type: ignore[arg-type]
    return chunk


class AcmeSession(EngineSession):
    """An author's session needs this much, and no more."""

    @property
    def conversation_id(self) -> str:
        return ""

    @property
    def input_format(self) -> AudioFormat:
        return ULAW_8000

    @property
    def output_format(self) -> AudioFormat:
        return ULAW_8000

    @property
    def dropped(self) -> int:
        return 0

    def send_audio(self, chunk: AudioChunk) -> None: ...

    async def events(self) -> AsyncIterator[AudioChunk | EngineEvent]:
        yield AudioChunk(b"", ULAW_8000)
        yield TranscriptInput("Hello.")

    async def aclose(self) -> None: ...


class Acme(Engine):
    name: ClassVar[str] = "acme"

    async def open(self, setup: ConversationSetup) -> EngineSession:
        assert_type(setup.leg, Leg)
        assert_type(setup.preferred_format, AudioFormat)
        return AcmeSession()

    async def check(self, setup: ConversationSetup | None = None) -> Sequence[CheckResult]:
        return ()


class Ledger(EventSink):
    name: ClassVar[str] = "ledger"

    async def write(self, records: Sequence[Record]) -> None:
        assert_type(records[0].sequence, int)


class Notes(CallStore):
    name: ClassVar[str] = "notes"

    async def append(self, call_id: str, line: HistoryLine) -> None:
        assert_type(line.id, str)
        assert_type(line.item, UserSaid | AgentSaid | ToolUsed | WorkerNote)

    async def history(self, call_id: str) -> Sequence[HistoryLine]:
        return ()


class NotesWithLeases(Notes):
    leases: ClassVar[bool] = True

    async def keep_lease(self, lease: Lease, seconds: float) -> bool:
        assert_type(lease.call_id, str)
        assert_type(lease.token, str)
        return True

    async def release_lease(self, lease: Lease) -> None:
        assert_type(await super().keep_lease(lease, 20.0), bool)

    async def take_leases(self, seconds: float) -> Sequence[Lease]:
        return (Lease("5f0c"),)


class Incomplete(Engine):
    name: ClassVar[str] = "incomplete"


def an_author_offers_what_they_have() -> None:
    offered: list[type[Engine]] = [Acme]
    assert_type(offered, list[type[Engine]])
    Incomplete()  # type: ignore[abstract]


@hookimpl
def patter_engines() -> list[type[Engine]]:
    return [Acme]


assert_type(patter_engines(), list[type[Engine]])


@hookimpl
def patter_stores() -> list[type[CallStore]]:
    return [Notes]


def a_user_reads_how_a_turn_went(event: TurnTimings | GuardrailActed) -> None:
    if isinstance(event, TurnTimings):
        assert_type(event.stages_ms, dict[str, float])
    else:
        assert_type(event.guardrail, str)


async def a_service_is_played(emulator: Emulator) -> None:
    async with emulator as running:
        assert_type(running.secrets, Sequence[str])


async def an_emulator_is_commanded(emulator: EngineEmulator) -> None:
    assert_type(emulator.told, Sequence[Told])
    assert_type(emulator.agent_ends, bool)
    assert_type(await emulator.end(), None)
    assert_type(await emulator.fail(), None)
    assert_type(await emulator.interrupt(), None)
    assert_type(await emulator.call_tool("find_order", {"number": 4711}), None)


async def an_author_checks(
    make_carrier: Callable[[], CarrierEmulator], make_engine: Callable[[], EngineEmulator]
) -> None:
    assert_type(await check_carrier(make_carrier), None)
    assert_type(await check_engine(make_engine), None)
    assert_type(await check_sink(Ledger, secrets=["key"]), None)
    await check_engine(Acme)  # type: ignore[arg-type]
    assert_type(await check_store(Notes, secrets=["key"]), None)
    await check_store(Ledger)  # type: ignore[arg-type]


def what_can_be_awaited(phone: Patter, agent: Agent) -> Awaitable[None]:
    return phone.serve(agent, port=8000)
