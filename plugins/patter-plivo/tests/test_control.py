from __future__ import annotations

import json
from decimal import Decimal
from xml.etree.ElementTree import Element

import msgspec
import pytest

from patter_core.errors import CarrierRequestFailed
from patter_core.telephony.control import Callbacks, DialRequest
from patter_core.telephony.leg import Direction, Leg, Progress
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.telephony.prices import Cost
from patter_core.testing.api import ApiAnswer, fake_api
from patter_core.webhook import Accept, Reject
from patter_plivo.control import Control
from patter_plivo.instructions import Dial, Hold, Join, SayAndHangUp, read_url
from patter_plivo.rest import PlivoApi

pytestmark = pytest.mark.anyio

ROOT = "https://phone.example/webhooks/plivo"
CALLBACKS = Callbacks(ROOT, "token")
ACCEPT = Accept(call_id="1", media_url="wss://phone.example/media/plivo/t", callbacks=CALLBACKS)
LEG = Leg(carrier="plivo", call_id="c1", webhooks=ROOT)
OUT = Leg(carrier="plivo", call_id="r1", direction=Direction.OUTBOUND, webhooks=ROOT)
NUMBERED = Leg(
    carrier="plivo",
    call_id="r1",
    direction=Direction.OUTBOUND,
    from_number="+15550001234",
    to_number="+15550009876",
    webhooks=ROOT,
)
GONE = ApiAnswer(status=404)


def control(url: str = "http://127.0.0.1:9") -> Control:
    return Control(PlivoApi(url, "MA1", "secret"), "audio/x-mulaw;rate=8000", voice="Polly.Amy", language="")


def shapes(elements: list[Element]) -> list[tuple[str, str | None]]:
    return [(element.tag, element.text) for element in elements]


async def test_a_call_that_is_taken_gets_its_stream_and_asks_again_when_that_is_over() -> None:
    stream, redirect = control().elements(LEG, ACCEPT)
    assert (stream.text, redirect.text) == (ACCEPT.media_url, f"{ROOT}/action?call=token")
    notice, *same = control().elements(LEG, msgspec.structs.replace(ACCEPT, notice="Recorded."))
    assert (notice.tag, notice.text, notice.get("voice")) == ("Speak", "Recorded.", "Polly.Amy")
    assert [element.tag for element in same] == ["Stream", "Redirect"]
    assert (stream.get("keepCallAlive"), stream.get("bidirectional")) == ("true", "true")
    assert stream.get("statusCallbackUrl") == f"{ROOT}/stream?call=token"


@pytest.mark.parametrize(
    ("leg", "reason", "attributes"),
    [
        (LEG, "busy", {"reason": "busy"}),
        (LEG, "rejected", {"reason": "rejected"}),
        (OUT, "busy", {}),
    ],
)
async def test_a_call_that_is_not_taken_is_rejected_before_it_is_answered(
    leg: Leg, reason: str, attributes: dict[str, str]
) -> None:
    (hangup,) = control().elements(leg, Reject(reason=reason))
    assert (hangup.tag, hangup.attrib) == ("Hangup", attributes)


async def test_other_outcomes_speak_in_the_configured_voice() -> None:
    speak, dial = control().elements(LEG, Transfer("+15550003333", "One moment."))
    assert (speak.text, speak.attrib, dial[0].text) == ("One moment.", {"voice": "Polly.Amy"}, "+15550003333")
    assert shapes(control().elements(LEG, HangUp("Bye."))) == [("Speak", "Bye."), ("Hangup", None)]
    assert shapes(control().elements(LEG, HangUp())) == [("Hangup", None)]


async def test_each_command_has_plivo_get_its_instruction_from_us() -> None:
    async with fake_api() as api:
        ours = control(api.url)
        await ours.transfer(LEG, Transfer("+15550003333", "One moment."))
        await ours.say_and_hang_up(LEG, "Bye.")
        await ours.hold(LEG, "https://music.example/a.mp3")
        ours.outbound.note_machine(LEG)
        await ours.say_and_hang_up(LEG, "Please call back.")
    assert {request.path for request in api.requests} == {"/v1/Account/MA1/Call/c1/"}
    asked = [read_url(json.loads(request.body)["aleg_url"]) for request in api.requests]
    assert asked == [
        Dial(to="+15550003333", say="One moment."),
        SayAndHangUp(say="Bye."),
        Hold(audio_url="https://music.example/a.mp3"),
        SayAndHangUp(say="Please call back.", after_beep=True),
    ]


async def test_instructions_are_carried_out_as_documents() -> None:
    ours = control()
    assert shapes(ours.instructed(SayAndHangUp(say="Hi.", after_beep=True))) == [
        ("Wait", None),
        ("Speak", "Hi."),
        ("Hangup", None),
    ]
    assert ours.instructed(SayAndHangUp(say="Hi.", after_beep=True))[0].get("beep") == "true"
    silence = ours.instructed(Hold())
    assert {element.tag for element in silence} == {"Wait"}
    assert sum(int(element.get("length", "0")) for element in silence) == 4 * 3_600
    (music,) = ours.instructed(Hold(audio_url="https://music.example/a.mp3"))
    assert (music.tag, music.get("loop")) == ("Play", "0")
    (room,) = ours.instructed(Join(room="abc"))
    assert (room.tag, room.text, room.get("endConferenceOnExit")) == ("Conference", "abc", "true")


async def test_a_call_is_dialled_with_its_callbacks() -> None:
    request = DialRequest(
        to_number="+15550009876",
        from_number="+15550001234",
        ring_timeout=19.5,
        machine_detection=True,
        callbacks=CALLBACKS,
        command_id="1",
    )
    async with fake_api() as api:
        api.answers = [ApiAnswer(body=b'{"request_uuid":"r1"}')]
        assert await control(api.url).dial(request) == "r1"
    sent = json.loads(api.requests[0].body)
    assert sent["answer_url"] == sent["fallback_url"] == f"{ROOT}/voice?call=token"
    assert sent["hangup_url"] == sent["ring_url"] == f"{ROOT}/status?call=token"
    assert (sent["ring_timeout"], sent["machine_detection"]) == (20, "true")
    assert sent["machine_detection_url"] == f"{ROOT}/machine?call=token"


async def test_a_hold_ends_at_the_voice_webhook() -> None:
    async with fake_api() as api:
        await control(api.url).resume(LEG, ACCEPT)
    assert json.loads(api.requests[0].body)["aleg_url"] == f"{ROOT}/voice?call=token"


async def test_keys_pause_for_half_a_second() -> None:
    async with fake_api() as api:
        await control(api.url).send_dtmf(LEG, "1Wa")
    assert json.loads(api.requests[0].body) == {"digits": "1wA", "leg": "aleg"}


async def test_calls_are_connected_in_one_room_the_human_first() -> None:
    async with fake_api() as api:
        await control(api.url).connect(LEG, OUT)
    assert [request.path.split("/")[-2] for request in api.requests] == ["r1", "c1"]
    rooms = {read_url(json.loads(request.body)["aleg_url"]) for request in api.requests}
    assert len(rooms) == 1


async def test_a_human_who_is_gone_leaves_the_caller_on_hold() -> None:
    async with fake_api() as api:
        api.answers = [GONE]
        with pytest.raises(CarrierRequestFailed):
            await control(api.url).connect(LEG, OUT)
    assert len(api.requests) == 1


async def test_a_call_that_still_rings_is_hung_up_by_its_request() -> None:
    async with fake_api() as api:
        api.answers = [GONE, ApiAnswer(status=204)]
        await control(api.url).hang_up(OUT)
        api.answers = [GONE]
        await control(api.url).hang_up(LEG)
    assert [request.path for request in api.requests] == [
        "/v1/Account/MA1/Call/r1/",
        "/v1/Account/MA1/Request/r1/",
        "/v1/Account/MA1/Call/c1/",
    ]


async def test_a_call_whose_id_is_not_known_is_found_by_its_numbers() -> None:
    async with fake_api() as api:
        api.answers = [ApiAnswer(body=b'{"calls":["u1"]}'), ApiAnswer(body=b'{"recording_id":"rec1"}')]
        await control(api.url).start_recording(NUMBERED, CALLBACKS)
        search, command = api.requests
        assert search.path == (
            "/v1/Account/MA1/Call/?status=live&call_direction=outbound&from_number=15550001234&to_number=15550009876"
        )
        assert command.path == "/v1/Account/MA1/Call/u1/Record/"


@pytest.mark.parametrize("found", [b'{"calls":["u1","r1"]}', b'{"calls":[]}'])
async def test_a_call_that_has_the_id_of_its_request_is_commanded_by_that_however_many_are_found(found: bytes) -> None:
    async with fake_api() as api:
        api.answers = [ApiAnswer(body=found), ApiAnswer(status=202)]
        await control(api.url).send_dtmf(NUMBERED, "1")
        assert api.requests[-1].path == "/v1/Account/MA1/Call/r1/DTMF/"


async def test_of_two_calls_between_the_same_numbers_none_is_taken_for_the_one_whose_id_is_not_known() -> None:
    several = ApiAnswer(body=b'{"calls":["u1","u2"]}')
    async with fake_api() as api:
        ours = control(api.url)
        for answers, command in (([GONE, GONE, several], ours.hang_up), ([several], ours.look_up)):
            api.answers = answers
            with pytest.raises(CarrierRequestFailed, match="2 calls between the numbers") as refused:
                await command(NUMBERED)
            assert not refused.value.taken
    assert not [request for request in api.requests if "/u" in request.path]


async def test_a_call_that_is_answered_while_it_is_cancelled_is_hung_up() -> None:
    async with fake_api() as api:
        api.answers = [GONE, GONE, ApiAnswer(status=204)]
        ours = control(api.url)
        ours.outbound.learn(NUMBERED, "u1")
        await ours.hang_up(NUMBERED)
    assert [request.path.split("/")[-3:-1] for request in api.requests] == [
        ["Call", "u1"],
        ["Request", "r1"],
        ["Call", "u1"],
    ]


async def test_a_call_that_this_worker_has_not_heard_of_is_not_taken_for_one_that_is_over() -> None:
    async with fake_api() as api:
        api.answers = [GONE]
        ours = control(api.url)
        with pytest.raises(CarrierRequestFailed, match="not yet"):
            await ours.look_up(OUT)
        ours.outbound.learn(OUT, "r1")
        assert (await ours.look_up(OUT)).progress is Progress.COMPLETED


@pytest.mark.parametrize(
    ("answers", "progress", "cost"),
    [
        ([ApiAnswer(body=b'{"call_status":"in-progress"}')], Progress.ANSWERED, None),
        ([ApiAnswer(body=b'{"call_status":"ringing"}')], Progress.RINGING, None),
        ([ApiAnswer(body=b'{"call_status":"sleeping"}')], Progress.ANSWERED, None),
        ([GONE, GONE], Progress.COMPLETED, None),
        (
            [GONE, ApiAnswer(body=b'{"answer_time":"2026","total_amount":"0.01667","hangup_cause_code":4000}')],
            Progress.COMPLETED,
            Cost(Decimal("0.01667"), "USD", estimated=False),
        ),
        (
            [GONE, ApiAnswer(body=b'{"answer_time":null,"total_amount":null,"hangup_cause_code":3010}')],
            Progress.BUSY,
            None,
        ),
    ],
)
async def test_a_call_is_looked_up_among_those_in_progress_and_among_those_that_are_over(
    answers: list[ApiAnswer], progress: Progress, cost: Cost | None
) -> None:
    async with fake_api() as api:
        api.answers = answers
        facts = await control(api.url).look_up(LEG)
    assert (facts.progress, facts.cost) == (progress, cost)
    assert api.requests[0].path.endswith("/Call/c1/?status=live")
