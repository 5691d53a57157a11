from __future__ import annotations

import logging

import msgspec
import pytest

from patter_core.errors import CarrierRequestFailed
from patter_core.telephony.leg import Leg
from patter_core.telephony.outcome import Transfer
from patter_core.testing.api import ApiAnswer, FakeApi, fake_api
from patter_telnyx.client_state import ClientState
from patter_telnyx.control import LONGEST_TEXT, Control, recording_id
from patter_telnyx.formats import Codec
from patter_telnyx.rest import TelnyxApi

pytestmark = pytest.mark.anyio

LEG = Leg(carrier="telnyx", call_id="v3:a")
REFUSED = ApiAnswer(status=422, body=b'{"errors":[{"code":"10015"}]}')
NOT_ANSWERED = ApiAnswer(status=422, body=b'{"errors":[{"code":"90034"}]}')


def control(api: FakeApi) -> Control:
    return Control(
        api=TelnyxApi(api.url, "KEY"),
        connection_id="17",
        codec=Codec.PCMU,
        target_legs="",
        voice="alice",
        premium_detection=False,
    )


def commands(api: FakeApi) -> list[tuple[str, dict[str, str]]]:
    return [
        (request.path.rpartition("/")[2], msgspec.json.decode(request.body, type=dict[str, str]))
        for request in api.requests
    ]


async def test_a_transfer_speaks_a_text_first_in_the_configured_voice() -> None:
    async with fake_api() as api:
        await control(api).transfer(LEG, Transfer("+15005550009", "One moment."))
    ((action, fields),) = commands(api)
    assert (action, fields["payload"], fields["voice"]) == ("speak", "One moment.", "alice")
    assert ClientState.decode(fields["client_state"]).transfer_to == "+15005550009"


async def test_a_hold_without_audio_is_silence() -> None:
    async with fake_api() as api:
        await control(api).hold(LEG, "")
    assert [action for action, _ in commands(api)] == ["streaming_stop"]


@pytest.mark.parametrize(("answers", "taken"), [([ApiAnswer(), REFUSED], True), ([REFUSED], False)])
async def test_a_hold_whose_music_is_refused_has_ended_the_stream(answers: list[ApiAnswer], taken: bool) -> None:
    async with fake_api() as api:
        api.answers = answers
        with pytest.raises(CarrierRequestFailed) as failure:
            await control(api).hold(LEG, "https://phone.example/music.mp3")
    assert failure.value.taken is taken


async def test_a_text_that_is_too_long_for_telnyx_is_cut_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="patter.telnyx"):
        async with fake_api() as api:
            await control(api).say_and_hang_up(LEG, "A" * (LONGEST_TEXT + 1))
    assert commands(api)[0][1]["payload"] == "A" * LONGEST_TEXT
    assert f"a text of {LONGEST_TEXT + 1} is cut" in caplog.text


async def test_commands_of_one_cause_have_one_id_and_others_a_new_one() -> None:
    async with fake_api() as api:
        for cause in (["e-1"], ["e-1"], [], []):
            await control(api).transfer(LEG, Transfer("+15005550009"), *cause)
    first, again, new, newer = [fields["command_id"] for _, fields in commands(api)]
    assert first == again
    assert len({first, new, newer}) == 3


async def test_a_call_that_was_not_answered_is_rejected_instead_of_hung_up() -> None:
    async with fake_api() as api:
        api.answers = [NOT_ANSWERED, ApiAnswer()]
        await control(api).hang_up(LEG.call_id)
    assert [action for action, _ in commands(api)] == ["hangup", "reject"]


async def test_a_recording_has_an_id_that_every_worker_derives() -> None:
    async with fake_api() as api:
        assert await control(api).start_recording(LEG) == recording_id(LEG)


async def test_a_call_on_hold_is_bridged_once_its_music_is_over() -> None:
    async with fake_api() as api:
        api.answers = [ApiAnswer(status=422, body=b'{"errors":[{"code":"90046"}]}'), ApiAnswer()]  # nothing was played
        for _ in range(2):
            await control(api).connect(LEG, Leg(carrier="telnyx", call_id="v3:b"))
    assert [action for action, _ in commands(api)] == ["playback_stop", "bridge"] * 2
    first, again = [fields for action, fields in commands(api) if action == "bridge"]
    assert first == again  # one command id: it is carried out once
    assert first["call_control_id"] == "v3:b"
    assert "park_after_unbridge" not in first  # Telnyx then hangs up the one that is left


async def test_a_call_that_is_over_is_not_bridged() -> None:
    async with fake_api() as api:
        api.answers = [ApiAnswer(status=422, body=b'{"errors":[{"code":"90018"}]}')]
        with pytest.raises(CarrierRequestFailed):
            await control(api).connect(LEG, Leg(carrier="telnyx", call_id="v3:b"))
    assert [action for action, _ in commands(api)] == ["playback_stop"]
