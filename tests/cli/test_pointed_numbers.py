"""Numbers that are pointed here for a while: only with consent, and put back whole, whatever happened meanwhile."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from patter_core.carrier import Carrier
from patter_core.cli.pointed_numbers import PointedNumbers
from patter_core.testing.fakes import FakeCarrier
from patter_telnyx.testing import TelnyxEmulator
from patter_twilio.testing import EmulatedNumber, TwilioEmulator
from patter_twilio.testing.rest import Refusal

pytestmark = pytest.mark.anyio

NUMBER = "+15005550001"
BASE = "https://tunnel.example"
URL = f"{BASE}/webhooks/twilio/voice"
OLD = "https://old.example/voice"


class Scene:
    """A user's terminal, the file, and their number."""

    def __init__(self, folder: Path, twilio: TwilioEmulator) -> None:
        self.file = folder / "kept.json"
        self.twilio = twilio
        self.number = EmulatedNumber(
            phone_number=NUMBER,
            voice_url=OLD,
            voice_method="GET",
            voice_fallback_url=OLD,
            voice_fallback_method="GET",
            voice_application_sid="AP1",
        )
        twilio.api.numbers.append(self.number)
        self.before = msgspec.structs.astuple(self.number)
        self.said: list[str] = []
        self.asked: list[str] = []
        self.agrees = True

    @property
    def is_as_before(self) -> bool:
        return msgspec.structs.astuple(self.number) == self.before

    async def ask(self, question: str) -> bool:
        self.asked.append(question)
        return self.agrees

    def numbers(
        self, carrier: Carrier | None = None, ask: Callable[[str], Awaitable[bool]] | None = None
    ) -> PointedNumbers:
        one = carrier or self.twilio.carrier()
        return PointedNumbers(
            [one, FakeCarrier()], {one.name: NUMBER}, ask=ask or self.ask, tell=self.said.append, file=self.file
        )


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with TwilioEmulator() as twilio:
        yield Scene(tmp_path, twilio)


async def test_a_number_is_pointed_with_consent_and_put_back_with_every_field(scene: Scene) -> None:
    numbers = scene.numbers()
    await numbers.point(BASE)
    assert scene.asked == [f"{NUMBER} points at AP1. Point it at {URL} until this ends?"]
    assert scene.twilio.voice_url(NUMBER) == URL
    assert not scene.number.voice_application_sid
    assert stat.S_IMODE(scene.file.stat().st_mode) == 0o600
    assert await numbers.put_back()
    assert scene.is_as_before
    assert not scene.file.exists()


async def test_without_consent_or_a_terminal_nothing_is_touched(scene: Scene) -> None:
    scene.agrees = False
    refused = scene.numbers()
    alone = PointedNumbers(
        [scene.twilio.carrier()], {"twilio": NUMBER}, ask=None, tell=scene.said.append, file=scene.file
    )
    for numbers in (refused, alone):
        await numbers.point(BASE)
        assert await numbers.put_back()
    assert scene.said == [
        f"{NUMBER} is left as it is.",
        f"{NUMBER} is left as it is: there is no terminal to ask at. `--yes` points it there.",
    ]
    assert {request.method for request in scene.twilio.api_requests} == {"GET"}
    assert not scene.file.exists()


async def test_one_that_was_changed_meanwhile_is_left_alone_and_told(scene: Scene) -> None:
    numbers = scene.numbers()
    await numbers.point(BASE)
    scene.number.voice_url = "https://colleague.example/\x1b[2J"
    assert await numbers.put_back()
    assert scene.number.voice_url.startswith("https://colleague.example")
    assert scene.said[-1].endswith(r"is left as it is: it points at https://colleague.example/\x1b[2J.")


async def test_one_that_points_there_already_is_neither_asked_for_nor_put_back(scene: Scene) -> None:
    scene.number.voice_url, scene.number.voice_application_sid = URL, ""
    numbers = scene.numbers()
    await numbers.point(BASE)
    await numbers.put_back()
    assert (scene.asked, scene.number.voice_url) == ([], URL)


async def test_what_a_killed_process_left_is_put_back_by_the_next_one(scene: Scene) -> None:
    await scene.numbers().point(BASE)
    again = scene.numbers()
    await again.point("https://other.example")
    assert scene.asked[-1].endswith("/webhooks/twilio/voice until this ends? Then it is pointed at AP1 again.")
    await again.put_back()
    assert scene.is_as_before


async def test_who_declines_after_a_kill_is_asked_whether_it_goes_back(scene: Scene) -> None:
    async def only_back(question: str) -> bool:
        return "as before the last tunnel" in question

    await scene.numbers().point(BASE)
    again = scene.numbers(ask=only_back)
    await again.point("https://other.example")
    assert scene.is_as_before
    assert not scene.file.exists()


async def test_one_that_points_there_since_a_kill_is_put_back(scene: Scene) -> None:
    await scene.numbers().point(BASE)
    again = scene.numbers()
    await again.point(BASE)
    assert len(scene.asked) == 1
    await again.put_back()
    assert scene.is_as_before


async def test_a_number_that_was_changed_since_the_kill_is_put_back_to_that(scene: Scene) -> None:
    await scene.numbers().point(BASE)
    scene.number.voice_url = "https://colleague.example"
    again = scene.numbers()
    await again.point("https://other.example")
    await again.put_back()
    assert scene.number.voice_url == "https://colleague.example"


@pytest.mark.parametrize(
    "content", [None, b"[", b'{"a":1}', b"\xff"], ids=["others may write it", "cut", "other", "no text"]
)
async def test_a_file_of_strangers_or_one_that_is_broken_counts_for_nothing(
    scene: Scene, content: bytes | None
) -> None:
    await scene.numbers().point(BASE)
    if content is None:
        scene.file.chmod(0o644)
    else:
        scene.file.write_bytes(content)
    again = scene.numbers()
    await again.point("https://other.example")
    assert "At the end" not in scene.asked[-1]


async def test_where_the_file_cannot_be_written_it_is_told_and_the_number_put_back_all_the_same(scene: Scene) -> None:
    scene.file.with_name("kept.json.new").mkdir()
    numbers = scene.numbers()
    await numbers.point(BASE)
    assert any("kept.json cannot be written" in line for line in scene.said)
    assert await numbers.put_back()
    assert scene.is_as_before


async def test_one_whose_carrier_fails_is_told_and_tried_again_the_next_time(scene: Scene) -> None:
    numbers = scene.numbers()
    await numbers.point(BASE)
    scene.twilio.api.refusals = [Refusal(status=404, code=20404)]
    assert not await numbers.put_back()
    assert f"{NUMBER} could not be put back: " in scene.said[-1]
    assert "It pointed at AP1." in scene.said[-1]
    assert scene.file.exists()


async def test_one_that_was_pointed_in_part_is_put_back(scene: Scene) -> None:
    async def fail(number: str, url: str) -> None:
        kept.append(scene.file.exists())
        await carrier_class.set_voice_url(carrier, number, url)
        raise SystemExit

    carrier = scene.twilio.carrier()
    carrier_class = type(carrier)
    kept: list[bool] = []
    object.__setattr__(carrier, "set_voice_url", fail)
    numbers = scene.numbers(carrier)
    await numbers.point(BASE)
    assert f"{NUMBER} is not pointed there: It raised SystemExit." in scene.said[-1]
    assert kept == [True]
    await numbers.put_back()
    assert scene.is_as_before


async def test_other_numbers_that_go_with_it_are_named_in_the_question(scene: Scene) -> None:
    async with TelnyxEmulator() as telnyx:
        telnyx.add_number(NUMBER)
        telnyx.api.application.webhook_event_url = OLD
        numbers = scene.numbers(telnyx.carrier())
        await numbers.point(BASE)
        await numbers.put_back()
        assert telnyx.api.application.webhook_event_url == OLD
    (asked,) = scene.asked
    assert asked.startswith(f"{NUMBER}, and with it all numbers of the application “patter”, points at nothing. Point ")


async def test_a_phone_without_a_number_is_told_what_to_set(scene: Scene) -> None:
    numbers = PointedNumbers([scene.twilio.carrier()], {}, ask=scene.ask, tell=scene.said.append, file=scene.file)
    await numbers.point(BASE)
    assert scene.said == ["No number is pointed there: set phone_number (PATTER_PHONE_NUMBER) to be asked for it."]
