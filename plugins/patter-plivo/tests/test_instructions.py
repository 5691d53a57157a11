from __future__ import annotations

import anyio
import pytest

from patter_core.errors import CarrierRequestFailed, WebhookRefused
from patter_core.telephony.leg import Leg
from patter_plivo import instructions
from patter_plivo.instructions import (
    LONGEST_URL,
    Dial,
    Hold,
    Instruction,
    Join,
    SayAndHangUp,
    Unrequested,
    instruction_url,
    read_url,
)

ROOT = "https://phone.example/webhooks/plivo"
LEG = Leg(carrier="plivo", call_id="1", webhooks=ROOT)


@pytest.mark.parametrize(
    "instruction",
    [
        Dial(to="+15550001234"),
        Dial(to="sip:ada@example.org", say="Ünal? & <so>"),
        SayAndHangUp(say="Goodbye.", after_beep=True),
        Hold(),
        Hold(audio_url="https://music.example/a.mp3?x=1&y=2"),
        Join(room="abc"),
    ],
)
def test_an_instruction_comes_back_from_its_url_and_is_not_readable_in_it(instruction: Instruction) -> None:
    url = instruction_url(LEG, instruction, action="do it")
    assert url.startswith(f"{ROOT}/do?i=")
    assert not any(private in url for private in ("555", "Goodbye", "music"))
    assert read_url(url) == instruction
    assert repr(instruction) == f"<{type(instruction).__name__}>"


def test_a_text_that_is_too_long_for_a_url_is_an_error_and_nothing_was_done() -> None:
    fits = SayAndHangUp(say="a" * 1_400)
    assert len(instruction_url(LEG, fits, action="speak")) <= LONGEST_URL
    with pytest.raises(CarrierRequestFailed, match="too long for a URL") as failure:
        instruction_url(LEG, SayAndHangUp(say="a" * 1_600), action="speak")
    assert not failure.value.taken


def test_without_a_known_address_there_is_no_url() -> None:
    with pytest.raises(CarrierRequestFailed, match="PATTER_WEBHOOK_URL") as failure:
        instruction_url(Leg(carrier="plivo", call_id="1"), Hold(), action="hold")
    assert not failure.value.taken


@pytest.mark.parametrize("query", ["", "?i=", "?i=%00", "?i=e30", "?i=eyJ0eXBlIjoieCJ9", "?i=////", "?i=ä", "?i=_w"])
def test_a_url_without_an_instruction_is_refused(query: str) -> None:
    with pytest.raises(WebhookRefused, match="no instruction"):
        read_url(f"{ROOT}/do{query}")


@pytest.mark.anyio
async def test_an_instruction_that_is_requested_of_another_worker_is_waited_for_only_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(instructions, "_REQUESTED_WITHIN", 0.1)
    unrequested = Unrequested()
    unrequested.add(Leg(carrier="plivo", call_id="c1"))
    unrequested.add(Leg(carrier="plivo", call_id="c2"))
    with anyio.fail_after(1):
        await unrequested.wait()
