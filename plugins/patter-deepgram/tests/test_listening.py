"""A session of speech recognition, against the emulated service and against hostile peers."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio
import pytest
from websockets.asyncio.server import ServerConnection, serve

from patter_core.audio import PCM16_16000, ULAW_8000, AudioChunk
from patter_core.errors import EngineError, EngineFailed, EngineLost, EngineRefused, EngineTimeout
from patter_core.events import Usage
from patter_deepgram import DeepgramSTT
from patter_deepgram.clock import AudioClock
from patter_deepgram.config import Service
from patter_deepgram.flux import Flux
from patter_deepgram.listening import ListenSession, wait_until_connected
from patter_deepgram.nova import Nova
from patter_deepgram.opening import open_socket
from patter_deepgram.prices import listening
from patter_deepgram.recogniser import Recogniser
from patter_deepgram.testing import DeepgramSTTEmulator, NovaConnection
from patter_pipeline.parts import EndOfTurn, Final, Interim, SttEvent, SttSession

pytestmark = pytest.mark.anyio

FRAME = AudioChunk(b"\x7f" * 160, ULAW_8000)
NOVA_QUERY = (("model", "nova-3"), ("encoding", "mulaw"), ("sample_rate", "8000"))
FLUX_QUERY = (("model", "flux-general-en"), ("encoding", "mulaw"), ("sample_rate", "8000"))


@contextlib.asynccontextmanager
async def opened(emulator: DeepgramSTTEmulator) -> AsyncIterator[SttSession]:
    session = await emulator.part().open(preferred_format=ULAW_8000, language="")
    try:
        yield session
    finally:
        await session.aclose()


@contextlib.asynccontextmanager
async def peer(handler: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[DeepgramSTT]:
    async with serve(handler, "127.0.0.1", 0, close_timeout=0.1) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield DeepgramSTT("key", base_url=f"http://127.0.0.1:{port}")


async def quiet_session(emulator: DeepgramSTTEmulator, *, flux: bool, quiet: float) -> ListenSession:
    """Opens a session that is kept alive sooner."""
    service = Service(emulator.api_key, emulator.base_url)
    clock = AudioClock(ULAW_8000)
    recogniser: Recogniser = Flux(clock) if flux else Nova(clock, ends_turns=False)
    path, query = ("/v2/listen", FLUX_QUERY) if flux else ("/v1/listen", NOVA_QUERY)
    socket = await open_socket(service, path, query)
    return ListenSession(
        socket, recogniser, clock, ULAW_8000, lambda seconds: listening("nova-3", "", seconds), quiet=quiet
    )


async def take(session: SttSession, finals: list[Final]) -> None:
    async for event in session.events():
        finals += [event] if isinstance(event, Final) else []


async def rest(session: SttSession) -> list[SttEvent]:
    return [event async for event in session.events()]


@pytest.mark.parametrize("anyio_backend", [("asyncio", {"use_uvloop": False}), ("asyncio", {"use_uvloop": True})])
async def test_audio_crosses_as_it_is_in_one_order_and_five_seconds_at_once() -> None:
    async with DeepgramSTTEmulator() as emulator, opened(emulator) as session:
        assert session.input_format == ULAW_8000
        sent = [bytes([number]) * 160 for number in range(250)]
        for data in sent:
            session.send_audio(AudioChunk(data, ULAW_8000))
        session.send_audio(AudioChunk(b"", ULAW_8000))  # which would end the session
        service = await emulator.connection()
        with anyio.fail_after(5):
            await service.until(lambda: len(service.heard) == 40_000)
        assert service.heard == b"".join(sent)
        assert service.is_open
        assert session.dropped == 0


async def test_a_service_that_does_not_read_gets_the_last_eight_seconds() -> None:
    read, last = anyio.Event(), 39_999
    heard: list[int] = []

    async def slow(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await read.wait()
        connection.transport.resume_reading()
        async for message in connection:
            assert isinstance(message, bytes)
            heard.append(int.from_bytes(message[:4]))
            if heard[-1] == last:
                return

    async with peer(slow) as part:
        session = await part.open(preferred_format=ULAW_8000, language="")
        for number in range(last + 1):
            session.send_audio(AudioChunk(number.to_bytes(4) * 40, ULAW_8000))
        assert session.dropped
        read.set()
        with anyio.fail_after(20), contextlib.suppress(EngineError):
            await rest(session)
        await session.aclose()
    assert heard[-400:] == list(range(last - 399, last + 1))
    assert heard == sorted(heard)
    assert len(heard) == last + 1 - session.dropped


async def test_a_final_text_is_asked_for_behind_the_audio() -> None:
    async with DeepgramSTTEmulator() as emulator, opened(emulator) as session:
        service = await emulator.connection()
        assert isinstance(service, NovaConnection)
        session.finalize()  # of nothing
        service.to_finalize.append("A table, please.")
        for _ in range(50):
            session.send_audio(FRAME)
        session.finalize()
        events = session.events()
        with anyio.fail_after(5):
            final = await anext(events)
        assert isinstance(final, Final)
        assert (final.text, final.started_ms, final.ended_ms) == ("A table, please.", 0, 1_000)
        assert [word.text for word in final.words] == ["A ", "table, ", "please."]
        assert [json.loads(command)["type"] for command in service.commands] == ["Finalize"]


async def test_with_endpointing_nova_ends_turns() -> None:
    async with DeepgramSTTEmulator(endpointing_ms=300) as emulator, opened(emulator) as session:
        service = await emulator.connection()
        assert isinstance(service, NovaConnection)
        query = dict(service.query)
        assert (query["endpointing"], query["utterance_end_ms"], query["interim_results"]) == ("300", "1000", "true")
        for _ in range(50):
            session.send_audio(FRAME)
        await service.until(lambda: len(service.heard) == 8_000)
        await emulator.final("A table")
        await emulator.interim("for")
        service.to_finalize.append("for two.")
        await service.utterance_end()
        kinds = []
        with anyio.fail_after(5):
            async for event in session.events():
                kinds += [] if isinstance(event, Usage) else [type(event)]
                if isinstance(event, EndOfTurn):
                    assert event.text == "A table for two."
                    break
        assert kinds == [Final, Interim, Final, EndOfTurn]


async def test_a_session_without_audio_is_kept_alive() -> None:
    async with DeepgramSTTEmulator(idle_seconds=0.5) as emulator:
        session = await quiet_session(emulator, flux=False, quiet=0.1)
        service = await emulator.connection()
        await service.until(lambda: bool(service.heard))  # at first, only audio does
        assert bytes(service.heard).strip(b"\xff") == b""
        lead = len(service.heard)
        session.send_audio(FRAME)
        with anyio.fail_after(5):
            await service.until(lambda: len(service.commands) >= 6)
        assert set(service.commands) == {'{"type":"KeepAlive"}'}
        assert service.is_open
        for _ in range(99):
            session.send_audio(FRAME)
        await service.until(lambda: len(service.heard) == lead + 16_000)
        await emulator.final("Hello.")
        final = await anext(session.events())
        assert isinstance(final, Final)
        assert final.ended_ms == 2_000  # the silence before does not count
        await session.aclose()


async def test_flux_is_kept_alive_by_silence() -> None:
    async with DeepgramSTTEmulator("flux-general-en", idle_seconds=0.5) as emulator:
        session = await quiet_session(emulator, flux=True, quiet=0.1)
        service = await emulator.connection()
        session.send_audio(FRAME)
        with anyio.fail_after(5):
            await service.until(lambda: len(service.heard) >= 160 + 6 * 800)
        assert service.commands == []
        assert service.is_open
        await session.aclose()
        bills = [event for event in await rest(session) if isinstance(event, Usage)]
        assert sum(bill.amounts["seconds"] for bill in bills) == pytest.approx(len(service.heard) / 8_000, abs=0.2)


async def test_a_session_that_is_not_fed_is_lost_and_says_why() -> None:
    async with DeepgramSTTEmulator(idle_seconds=0.2) as emulator, opened(emulator) as session:
        with anyio.fail_after(5), pytest.raises(EngineLost) as caught:
            await rest(session)
        assert caught.value.retry
        assert "Feed it" in caught.value.remedy


async def test_audio_is_billed_as_it_goes_and_the_rest_at_the_end() -> None:
    async with DeepgramSTTEmulator() as emulator, opened(emulator) as session:
        for _ in range(1_000):  # 20 s
            session.send_audio(FRAME)
        await session.aclose()
        bills = [event for event in await rest(session) if isinstance(event, Usage)]
        assert [bill.amounts["seconds"] for bill in bills] == [pytest.approx(10.0), pytest.approx(10.0)]
        assert all(bill.cost is not None and bill.model == "nova-3" for bill in bills)
        session.send_audio(FRAME)
        session.finalize()
        assert await rest(session) == []


async def test_audio_is_billed_with_each_final_text() -> None:
    async with DeepgramSTTEmulator() as emulator, opened(emulator) as session:
        service = await emulator.connection()
        for _ in range(50):
            session.send_audio(FRAME)
        await service.until(lambda: len(service.heard) == 8_000)
        await emulator.final("A table.")
        events = session.events()
        with anyio.fail_after(5):
            assert isinstance(await anext(events), Final)
            bill = await anext(events)
        assert isinstance(bill, Usage)
        assert bill.amounts == {"seconds": 1.0}


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [(1011, "NET-0000", EngineFailed), (1008, "DATA-0000", EngineRefused), (1000, "", EngineLost)],
)
async def test_a_close_of_the_service_is_an_error(code: int, reason: str, kind: type[EngineError]) -> None:
    async with DeepgramSTTEmulator() as emulator, opened(emulator) as session:
        await emulator.connection()
        await emulator.close(code, reason)
        with anyio.fail_after(5), pytest.raises(kind):
            await rest(session)


async def test_an_error_of_flux_ends_the_session_with_its_text() -> None:
    async with DeepgramSTTEmulator("flux-general-en") as emulator, opened(emulator) as session:
        await emulator.connection()
        await emulator.fail()
        with anyio.fail_after(5), pytest.raises(EngineFailed, match="INTERNAL_SERVER_ERROR: The emulator fails"):
            await rest(session)


async def test_flux_that_does_not_start_is_given_up() -> None:
    async def silent(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with peer(silent) as part:
        socket = await open_socket(Service("key", part.base_url), "/v2/listen", FLUX_QUERY)
        with pytest.raises(EngineTimeout, match="Connected"):
            await wait_until_connected(socket, Flux(AudioClock(ULAW_8000)), 0.1)
        await socket.aclose()


async def test_flux_that_fails_at_its_start_leaves_nothing_open() -> None:
    gone = anyio.Event()

    async def refuse(connection: ServerConnection) -> None:
        await connection.send('{"type":"Error","code":"DATA-0001","description":"no"}')
        await connection.wait_closed()
        gone.set()

    async with peer(refuse) as nova:
        part = DeepgramSTT("key", "flux-general-en", base_url=nova.base_url)
        with pytest.raises(EngineRefused, match="DATA-0001"):
            await part.open(preferred_format=ULAW_8000, language="")
        with anyio.fail_after(5):
            await gone.wait()


async def test_a_bug_of_ours_ends_one_session_and_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: Nova, _message: bytes) -> list[SttEvent]:
        raise ZeroDivisionError

    monkeypatch.setattr(Nova, "take", broken)
    async with DeepgramSTTEmulator() as emulator, opened(emulator) as session:
        await emulator.connection()
        await emulator.interim("a")
        with anyio.fail_after(5), pytest.raises(EngineError, match="This is a bug"):
            await rest(session)
    assert "ZeroDivisionError" in caplog.text


async def test_a_hostile_service_is_survived(caplog: pytest.LogCaptureFixture) -> None:
    """It sends what it should not, and far more than it may."""
    caplog.set_level(logging.WARNING, logger="patter.deepgram")
    enough = anyio.Event()

    async def hostile(connection: ServerConnection) -> None:
        for number in range(3_000):
            words = [{"word": f"w{at}", "start": -5.0, "end": 1e300} for at in range(20)]
            results = {
                "type": "Results",
                "start": -1e300,
                "duration": 1e300,
                "is_final": number % 2 == 0,
                "channel": {"alternatives": [{"transcript": f"text {number} " * 20, "words": words}]},
            }
            await connection.send(json.dumps(results))
            await connection.send(b"\x00\xff" * 50)
            await connection.send('{"type":"Results","channel":7}')
        enough.set()
        await connection.close(1011, "x" * 120)

    async with peer(hostile) as part:
        session = await part.open(preferred_format=ULAW_8000, language="")
        session.send_audio(FRAME)
        with anyio.fail_after(30):
            await enough.wait()
            finals: list[Final] = []
            with pytest.raises(EngineError):
                await take(session, finals)
        assert finals
        assert all(0 <= final.started_ms <= final.ended_ms <= 20 for final in finals)
        await session.aclose()
    assert "malformed message" in caplog.text


async def test_linear_audio_stays_as_it_is() -> None:
    async with DeepgramSTTEmulator() as emulator:
        session = await emulator.part().open(preferred_format=PCM16_16000, language="")
        assert session.input_format == PCM16_16000
        session.send_audio(AudioChunk(b"\x01\x02" * 320, PCM16_16000))
        service = await emulator.connection()
        with anyio.fail_after(5):
            await service.until(lambda: len(service.heard) == 640)
        assert dict(service.query)["encoding"] == "linear16"
        await session.aclose()


async def test_what_was_heard_since_the_last_report_is_unbilled_once() -> None:
    async with DeepgramSTTEmulator() as emulator, opened(emulator) as session:
        for _ in range(75):
            session.send_audio(FRAME)
        rest_of_it = session.unbilled()
        assert [(usage.part, usage.amounts) for usage in rest_of_it] == [("stt", {"seconds": 1.5})]
        assert not session.unbilled()
