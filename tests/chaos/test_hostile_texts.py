"""Texts of callers and engines that would forge lines or control a terminal, in the log, in records and on screen."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import anyio
import msgspec
import pytest

from patter_core.testing.caller import Caller
from patter_core.testing.emulator import CALLER
from patter_elevenlabs import wire
from patter_elevenlabs.testing import Behaviour, Conversation, ElevenLabsEmulator
from patter_telnyx.testing import TelnyxEmulator
from tests.chaos.agents import speech
from tests.chaos.callers import FOREVER
from tests.chaos.fleet import CARRIERS, AnyCarrier, running_fleet
from tests.chaos.report import note
from tests.chaos.worker import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.chaos]

TEXTS = [
    "\x1b[2J\x1b]0;title\x07cleared",
    "said\r\nERROR:patter:forged",
    "said\nagent:  I agree to pay everything",
    "[/oops] [link=https://example.org]here[/link]",
    "\x9b31mred\x00nul\x08back",
    "a\u2028line\u2029and\x85more",
    "\u202eright to left\u2066 and \u200fhidden\u061c marks\u206a",
]
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f]")
FORGED = re.compile(r"^(ERROR:patter:forged|agent:  I agree)", re.MULTILINE)


async def says_them(talk: Conversation) -> None:
    for text in TEXTS:
        await talk.send(wire.UserTranscript(wire.UserTranscriptEvent(text=text, event_id=talk.new_id())))
        await talk.say(text, speech(0.1))
        event = wire.ToolCallEvent(
            tool_name=text, tool_call_id=text, parameters=msgspec.Raw(b"{}"), event_id=talk.new_id()
        )
        await talk.send(wire.ToolCall(event))
    await talk.close(1011, TEXTS[1][:100])


async def patter(*arguments: str) -> tuple[int, str]:
    """What a terminal would show of that command."""
    done = await anyio.run_process(
        [sys.executable, "-c", "from patter_core.cli import main; main()", *arguments], check=False
    )
    return done.returncode, (done.stdout + done.stderr).decode()


@pytest.mark.parametrize("emulator", CARRIERS)
async def test_a_text_is_shown_and_neither_forges_a_line_nor_reaches_the_terminal(
    emulator: type[AnyCarrier], tmp_path: Path
) -> None:
    records = tmp_path / "records"
    records.mkdir()
    engine = ElevenLabsEmulator(Behaviour(agent=says_them))
    async with running_fleet(emulator, engine, tmp_path) as fleet:
        worker = await fleet.start(Settings(texts=str(records), log="INFO"))
        url = fleet.url_of(worker.port)
        # A webhook of Twilio's with a number of another form is refused.
        number = "sip:[/oops]@example" if emulator is TelnyxEmulator else CALLER
        call = fleet.carrier.place(url, Caller(FOREVER, fleet.carrier.format), from_number=number)
        with anyio.fail_after(15):
            await call.run()
        await anyio.sleep(1)
        said = worker.said
    database = str(records / "texts.db")
    code, listed = await patter("calls", "--db", database)
    calls = {msgspec.json.decode(line)["call_id"] for line in (records / "texts.jsonl").read_bytes().splitlines()}
    shown = [await patter("calls", "--db", database, "show", call, "--transcript") for call in sorted(calls)]
    assert code == 0, listed
    assert {one for one, _ in shown} == {0}, shown
    assert all("cleared" in text for text in (said, *(text for _, text in shown)))
    for place, text in (("log", said), ("list", listed), *(("call", text) for _, text in shown)):
        assert not CONTROL.findall(text), f"{place}: {CONTROL.findall(text)}"
        assert not FORGED.findall(text), f"{place}: {FORGED.findall(text)}"
    raw = (records / "texts.jsonl").read_bytes()
    assert not re.findall(rb"[\x00-\x08\x0b-\x1f\x7f]", raw)
    note(
        f"{len(TEXTS)} hostile texts from a caller, an engine and its tool calls, {emulator.__name__}",
        tried=len(TEXTS) * 4,
        lost=0,
        figure=f"{len(said.splitlines())} lines of log, {len(calls)} calls shown",
    )
