"""What the dashboard answers, over a real port: calls, one call, figures, actions, and the feed."""

from __future__ import annotations

import contextlib
import json
import logging
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import anyio
import httpx
import msgspec
import pytest

from patter_core.apps.access import AppAccess
from patter_core.errors import CarrierRequestFailed, ConfigurationError
from patter_core.events import CallAnnounced, DtmfReceived, Record, RecordingStarted
from patter_core.observe.redaction import Redaction
from patter_core.storage.archive import CallRow
from patter_core.telephony.leg import Leg
from patter_core.testing.fakes import FakePhone
from patter_dashboard import Dashboard
from patter_dashboard.figures import figures_of
from patter_dashboard.recordings import peaks_of

pytestmark = pytest.mark.anyio

Serve = Callable[..., AbstractAsyncContextManager[Any]]


@contextlib.asynccontextmanager
async def client(serve: Serve, phone: FakePhone, **options: object) -> AsyncIterator[httpx.AsyncClient]:
    async with serve(phone, **options) as served:
        headers = {"origin": served.url}
        async with httpx.AsyncClient(base_url=f"{served.url}/dashboard/", headers=headers) as session:
            token = served.front.links.token
            assert (await session.post(f"{served.url}/-/session", json={"token": token})).status_code == 204
            yield session


async def test_calls_come_in_pages_the_latest_first(serve: Serve, phone: FakePhone) -> None:
    async with client(serve, phone) as session:
        first = (await session.get("api/calls", params={"limit": 40})).json()
        started = [call["started"] for call in first["calls"]]
        assert started == sorted(started, reverse=True)
        assert (len(started), first["has_more"], first["lasting"]) == (40, True, False)
        rest = (await session.get("api/calls", params={"limit": 40, "before": started[-1]})).json()
        assert rest["has_more"] is False
        ids = [call["call_id"] for page in (first, rest) for call in page["calls"]]
        assert len(ids) == len(set(ids)) == 66


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"reason": "engine_failed"}, {"failed"}),
        ({"number": "77"}, {"failed"}),
        ({"text": "ONERROR"}, {"hostile"}),
        ({"agent": "unknown"}, set()),
        ({"before": "1"}, set()),
    ],
)
async def test_calls_are_filtered(serve: Serve, phone: FakePhone, query: dict[str, str], found: set[str]) -> None:
    async with client(serve, phone) as session:
        answer = (await session.get("api/calls", params=query)).json()
        assert {call["call_id"] for call in answer["calls"]} == found


async def test_what_calls_had_once_can_be_asked_for(serve: Serve, phone: FakePhone) -> None:
    phone.carriers, phone.agents = ("twilio", "telnyx"), ("sales",)
    async with client(serve, phone) as session:
        answer = (await session.get("api/calls")).json()
    assert answer["carriers"] == ["twilio", "telnyx", "fake"]
    assert answer["agents"][0] == "sales"
    assert answer["agents"][2:] == ["concierge"]


@pytest.mark.parametrize("query", ["limit=0", "limit=many", "since=-1", "before=1e300", "limit=nan"])
async def test_a_query_out_of_range_is_refused_in_words(serve: Serve, phone: FakePhone, query: str) -> None:
    async with client(serve, phone) as session:
        answer = await session.get(f"api/calls?{query}")
        assert answer.status_code == 400
        assert "out of range" in answer.json()["error"]


async def test_one_call_has_its_records_and_says_what_can_be_done(serve: Serve, phone: FakePhone) -> None:
    async with client(serve, phone) as session:
        over = (await session.get("api/calls/recorded")).json()
        assert (over["is_live"], over["recordings"]) == (False, 1)
        assert over["records"][0]["event"]["type"] == "call_announced"
        live = (await session.get("api/calls/live-0")).json()
        assert (live["is_live"], live["is_here"], live["actions"]) == (True, True, True)
        assert (await session.get("api/calls/unknown")).status_code == 404


async def test_a_recording_is_played_in_parts_and_outlined(serve: Serve, phone: FakePhone, tmp_path: Path) -> None:
    async with client(serve, phone) as session:
        part = await session.get("api/calls/recorded/recordings/0", headers={"range": "bytes=0-3"})
        assert (part.status_code, part.content) == (206, b"RIFF")
        assert part.headers["content-type"] == "audio/wav"
        peaks = (await session.get("api/calls/recorded/recordings/0/peaks")).json()
        assert peaks["seconds"] == pytest.approx(18.4)
        assert len(peaks["caller"]) == len(peaks["agent"]) == 1_200
        at_5_s = int(5 / 18.4 * 1_200)
        assert max(peaks["caller"][at_5_s : at_5_s + 60]) > 0.05
        assert max(peaks["agent"][at_5_s : at_5_s + 60]) == 0
        for path in ("recordings/1", "recordings/1/peaks", "recordings/-1"):
            assert (await session.get(f"api/calls/recorded/{path}")).status_code == 404
        (tmp_path / "talk.wav").write_bytes(b"no wave")
        assert (await session.get("api/calls/recorded/recordings/0/peaks")).status_code == 404


async def test_a_recording_that_is_no_wav_file_is_not_given_out(serve: Serve, phone: FakePhone, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    started = RecordingStarted(by="wav", location=str(secret))
    phone.put(Record(call_id="sly", sequence=1, time=1, elapsed_ms=1, event=started))
    async with client(serve, phone) as session:
        assert (await session.get("api/calls/sly")).json()["recordings"] == 0
        assert (await session.get("api/calls/sly/recordings/0")).status_code == 404


@pytest.mark.parametrize(
    ("redaction", "dashboard"), [(Redaction(transcripts=True), Dashboard()), (Redaction(), Dashboard(recordings=False))]
)
async def test_audio_is_not_played_where_transcripts_are_removed(
    serve: Serve, phone: FakePhone, redaction: Redaction, dashboard: Dashboard
) -> None:
    phone.redaction = redaction
    async with client(serve, phone, dashboard=dashboard) as session:
        assert (await session.get("api/calls/recorded")).json()["recordings"] == 0
        assert (await session.get("api/calls/recorded/recordings/0")).status_code == 404


async def test_figures_count_by_day_number_and_reason(serve: Serve, phone: FakePhone) -> None:
    async with client(serve, phone) as session:
        figures = (await session.get("api/figures", params={"days": 30, "offset": 120})).json()
        assert figures["total"]["calls"] == sum(day["calls"] for day in figures["days"]) == 66
        assert len(figures["days"]) == 30
        assert figures["reasons"]["engine_failed"] == 1
        assert figures["total"]["failed"] == 1
        assert figures["total"]["reply"]["p50_ms"] == 780
        (cost,) = figures["total"]["costs"]
        assert float(cost["amount"]) == pytest.approx(63 * 0.0325 + 0.001)
        assert (cost["currency"], cost["estimated"]) == ("USD", True)
        assert figures["numbers"][0]["calls"] > figures["numbers"][1]["calls"]
        assert (await session.get("api/figures?days=1000")).status_code == 400


def test_figures_name_the_parts_that_are_not_in_a_sum() -> None:
    row = CallRow("1", 10.0, "fake", "inbound", "", "+1", "agent", 20.0, "", "", 9_000.0, None, "0.01 USD", "")
    unpriced = ("", "acme tts", "acme llm, acme tts")
    rows = [msgspec.structs.replace(row, estimated_cost="0.01 USD", unpriced=parts) for parts in unpriced]
    figures = figures_of(rows, [], since=0.0, until=20.0, offset=0.0)
    (day,), (number,) = figures.days, figures.numbers
    assert figures.total.unpriced == day.unpriced == number.unpriced == "acme llm, acme tts"
    figures = figures_of([row, *rows], [], since=0.0, until=20.0, offset=0.0)
    (day,), (number,) = figures.days, figures.numbers
    assert figures.total.unpriced == day.unpriced == number.unpriced == "acme llm, acme tts, fake"


async def test_the_system_page_tells_how_the_worker_is(serve: Serve, phone: FakePhone) -> None:
    async with client(serve, phone) as session:
        system = (await session.get("api/system")).json()
        assert system["health"]["calls"] == 3
        assert system["plugins"][0]["distribution"] == "patter-fake"
        assert system["redaction"] == {"transcripts": False, "numbers": "call"}


async def test_live_calls_are_ended_transferred_and_informed(
    serve: Serve, phone: FakePhone, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="patter.dashboard")
    async with client(serve, phone) as session:
        assert len((await session.get("api/live")).json()["calls"]) == 3
        assert (await session.post("api/calls/live-0/transfer", json={"to": " +15550009999 "})).status_code == 200
        assert (await session.post("api/calls/live-0/context", json={"text": "A regular."})).status_code == 200
        assert (await session.post("api/calls/live-0/hang_up", json={})).status_code == 200
    assert phone.transferred == [("live-0", "+15550009999")]
    assert phone.live["live-0"].context == ["A regular."]
    assert phone.hung_up == ["live-0"]
    assert "'Someone' transfers call 'live-0'" in caplog.text
    assert "0009999" not in caplog.text


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("live-0/transfer", b'{"to": "call me"}', 400),
        ("live-0/transfer", b"[]", 400),
        ("live-0/transfer", b"{" * 50_000, 400),
        ("live-0/transfer", b"\xff", 400),
        ("live-0/context", b'{"text": "  "}', 400),
        ("live-0/context", json.dumps({"text": "x" * 3_000}).encode(), 400),
        ("failed/context", b'{"text": "x"}', 409),
        ("failed/hang_up", b"{}", 409),
        ("unknown/hang_up", b"{}", 409),
    ],
)
async def test_what_cannot_be_done_is_refused_in_words(
    serve: Serve, phone: FakePhone, path: str, body: bytes, status: int
) -> None:
    async with client(serve, phone) as session:
        headers = {"content-type": "application/json"}
        answer = await session.post(f"api/calls/{path}", content=body, headers=headers)
        assert answer.status_code == status
        assert answer.json()["error"]


async def test_a_carrier_that_refuses_is_told(serve: Serve, phone: FakePhone, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(_call_id: str) -> None:
        raise CarrierRequestFailed("The carrier would not.", taken=False, status=400)

    monkeypatch.setattr(phone, "hang_up", refuse)
    async with client(serve, phone) as session:
        answer = await session.post("api/calls/live-0/hang_up", json={})
        assert (answer.status_code, answer.json()["error"].split(".")[0]) == (502, "The carrier would not")


async def test_without_actions_none_is_there(serve: Serve, phone: FakePhone) -> None:
    async with client(serve, phone, dashboard=Dashboard(actions=False)) as session:
        assert (await session.post("api/calls/live-0/hang_up", json={})).status_code == 404
        assert (await session.get("api/calls/live-0")).json()["actions"] is False


async def test_nothing_changes_by_get(serve: Serve, phone: FakePhone) -> None:
    async with client(serve, phone) as session:
        for action in ("hang_up", "transfer", "context"):
            assert (await session.get(f"api/calls/live-0/{action}")).status_code == 405
    assert phone.hung_up == []


async def lines_of(session: httpx.AsyncClient, path: str, count: int) -> list[tuple[str, str]]:
    """The first events of a stream: the name and the data of each."""
    events = list[tuple[str, str]]()
    name = "message"
    with anyio.fail_after(10):
        async with session.stream("GET", path) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            async for line in answer.aiter_lines():
                field, _, value = line.partition(": ")
                if field == "event":
                    name = value
                elif field == "data":
                    events.append((name, value))
                    name = "message"
                    if len(events) == count:
                        break
    return events


def digit(call_id: str, sequence: int, key: str, time: float = 9.0) -> Record:
    return Record(call_id=call_id, sequence=sequence, time=time, elapsed_ms=9, event=DtmfReceived(digit=key))


async def test_the_feed_tells_of_all_calls_and_in_full_of_one(serve: Serve, phone: FakePhone) -> None:
    before = phone.position
    phone.put(digit("live-0", 50, "1"))
    phone.put(digit("live-1", 50, "2"))
    async with client(serve, phone) as session:
        notices = await lines_of(session, f"api/feed?after={before}", 2)
        assert [json.loads(data) for _, data in notices] == [
            {"call_id": "live-0", "kind": "dtmf_received"},
            {"call_id": "live-1", "kind": "dtmf_received"},
        ]
        ((_, record),) = await lines_of(session, f"api/feed?after={before}&call=live-1", 1)
        assert json.loads(record)["event"] == {"type": "dtmf_received", "digit": "2"}


async def test_a_reader_of_another_workers_feed_is_told_that_it_has_lost_some(serve: Serve, phone: FakePhone) -> None:
    async with client(serve, phone) as session:
        assert (await lines_of(session, "api/feed?after=0123abcd.7", 1)) == [("lost", "-1")]


async def until_there_is_room(session: httpx.AsyncClient) -> list[tuple[str, str]]:
    """The first event, once a place is free: the server notices a moment later that a reader has gone."""
    with anyio.fail_after(10):
        while (answer := await session.send(session.build_request("GET", "api/feed"), stream=True)).status_code == 503:
            await answer.aclose()
            await anyio.sleep(0.01)
        await answer.aclose()
    return await lines_of(session, "api/feed?after=0.0", 1)


async def test_more_readers_than_there_is_room_for_are_refused_and_those_that_leave_make_room(
    serve: Serve, phone: FakePhone
) -> None:
    async with client(serve, phone) as session, contextlib.AsyncExitStack() as streams:
        for _ in range(64):
            await streams.enter_async_context(session.stream("GET", "api/feed"))
        assert (await session.get("api/feed")).status_code == 503
        await streams.aclose()
        assert await until_there_is_room(session) == [("lost", "-1")]


@pytest.mark.parametrize(("unmasked", "shown"), [(False, "***********21"), (True, "+15557654321")])
async def test_a_visitor_sees_unmasked_what_a_setting_says(
    serve: Serve, phone: FakePhone, unmasked: bool, shown: str
) -> None:
    def announced(number: str) -> Record:
        leg = Leg(carrier="fake", call_id="leg-x", from_number=number)
        return Record(call_id="x", sequence=1, time=1, elapsed_ms=0, event=CallAnnounced(leg=leg, agent="a"))

    phone.put(announced("***********21"), announced("+15557654321"))
    async with client(serve, phone, access=AppAccess(unmasked=unmasked)) as session:
        call = (await session.get("api/calls/x")).json()
        assert call["records"][0]["event"]["leg"]["from_number"] == shown


async def test_files_of_the_page_are_asked_for_again_and_not_sent_again(serve: Serve, phone: FakePhone) -> None:
    async with client(serve, phone) as session:
        page = await session.get("")
        assert page.headers["content-type"].startswith("text/html")
        script = await session.get("static/app.js")
        again = await session.get("static/app.js", headers={"if-none-match": script.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        for name in ("__init__.py", "..%2fapp.py", "nothing.js", ".js"):
            assert (await session.get(f"static/{name}")).status_code == 404


def test_a_wrong_option_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="Expected a boolean"):
        Dashboard(actions="no")  # type: ignore[arg-type] # the mistake under test


def test_a_mono_file_is_outlined_on_one_side(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "mono.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8_000)
        file.writeframes(b"\x00\x40" * 800)
    peaks = peaks_of(tmp_path / "mono.wav", bins=4)
    assert (peaks.caller, peaks.agent) == ([0.5] * 4, [0.0] * 4)
