from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from patter_core.errors import CarrierRequestFailed, ConfigurationError
from patter_plivo.numbers import PlivoNumbers, read_answer_url
from patter_plivo.rest import PlivoApi
from patter_plivo.testing import PlivoEmulator
from patter_plivo.testing.account import EmulatedApplication

pytestmark = pytest.mark.anyio

NUMBERS = [f"+1500555{number:04}" for number in range(45)]
URL = "https://phone.example/webhooks/plivo/voice"


@pytest.fixture
async def plivo() -> AsyncIterator[PlivoEmulator]:
    async with PlivoEmulator() as emulator:
        for number in NUMBERS:
            emulator.add_number(number)
        yield emulator


def numbers_of(plivo: PlivoEmulator) -> PlivoNumbers:
    return PlivoNumbers(PlivoApi(plivo.base_url, plivo.auth_id, plivo.auth_token))


async def test_all_pages_of_numbers_and_applications_are_listed(plivo: PlivoEmulator) -> None:
    account = plivo.api.account
    account.applications = [
        EmulatedApplication(app_name=f"app{n}", answer_url=f"https://{n}.example") for n in range(30)
    ]
    account.numbers[44].app_id = account.applications[29].app_id
    found = await numbers_of(plivo).fetch()
    assert [number.number for number in found] == NUMBERS
    assert (found[44].target, found[44].target_name) == ("https://29.example", "app29")
    assert found[0].target == ""
    assert "+1500" not in repr(found)


async def test_one_number_is_pointed_here_once_with_a_fallback_and_a_hangup_url(plivo: PlivoEmulator) -> None:
    for _ in range(2):
        await plivo.carrier().set_voice_url(NUMBERS[3], URL)
    (application,) = plivo.api.account.applications
    assert (application.answer_url, application.fallback_answer_url) == (URL, URL)
    assert application.hangup_url == "https://phone.example/webhooks/plivo/status"
    assert [plivo.voice_url(number) for number in NUMBERS[2:5]] == ["", URL, ""]
    assert [request.method for request in plivo.api_requests].count("POST") == 2


async def test_a_second_number_uses_the_same_application_and_others_are_not_changed(plivo: PlivoEmulator) -> None:
    others = EmulatedApplication(app_name="theirs", answer_url="https://other.example", app_id="7")
    plivo.api.account.applications.append(others)
    plivo.api.account.numbers[1].app_id = plivo.api.account.numbers[2].app_id = "7"
    for number in NUMBERS[:2]:
        await plivo.carrier().set_voice_url(number, URL)
    assert len(plivo.api.account.applications) == 2
    assert others.answer_url == "https://other.example"
    assert [plivo.voice_url(number) for number in NUMBERS[:3]] == [URL, URL, "https://other.example"]


async def test_an_application_without_a_fallback_is_not_enough(plivo: PlivoEmulator) -> None:
    plivo.api.account.applications.append(EmulatedApplication(app_name="ours", answer_url=URL, app_id="7"))
    plivo.api.account.numbers[0].app_id = "7"
    await plivo.carrier().set_voice_url(NUMBERS[0], URL)
    application = plivo.api.account.application_of(NUMBERS[0])
    assert application is not None
    assert application.fallback_answer_url == URL


async def test_an_application_that_is_not_listed_is_told_by_its_id(plivo: PlivoEmulator) -> None:
    plivo.api.account.numbers[0].app_id = "42"  # of the main account, for one
    assert (await numbers_of(plivo).find(NUMBERS[0])).target == "42"


async def test_a_number_of_another_account_is_an_error(plivo: PlivoEmulator) -> None:
    with pytest.raises(CarrierRequestFailed, match="patter plivo numbers") as failure:
        await plivo.carrier().set_voice_url("+15005559999", URL)
    assert "+1500" not in str(failure.value)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("phone.example", URL),
        ("https://phone.example/", URL),
        (URL, URL),
        ("https://phone.example/prefix?shop=main", "https://phone.example/prefix/webhooks/plivo/voice?shop=main"),
    ],
)
def test_a_public_address_is_completed_with_the_path_of_the_voice_webhook(text: str, url: str) -> None:
    assert read_answer_url(text) == url


@pytest.mark.parametrize("text", ["ftp://phone.example", "https://", ""])
def test_what_is_not_a_public_address_is_an_error(text: str) -> None:
    with pytest.raises(ConfigurationError, match="URL is not a public address"):
        read_answer_url(text)


async def test_a_number_is_put_back_and_the_application_that_was_made_for_it_is_gone_with_its_last_number(
    plivo: PlivoEmulator,
) -> None:
    account = plivo.api.account
    account.applications = [EmulatedApplication(app_name="theirs", answer_url="https://other.example", app_id="7")]
    account.numbers[0].app_id = "7"
    carrier = plivo.carrier()
    targets = {number: await carrier.voice_target(number) for number in NUMBERS[:2]}
    assert [target.shown for target in targets.values()] == ["https://other.example", ""]
    for number in targets:
        await carrier.set_voice_url(number, URL)
    for number, target in targets.items():
        assert len(account.applications) == 2
        await carrier.put_back(number, target)
        assert await carrier.voice_target(number) == target
    assert [one.app_name for one in account.applications] == ["theirs"]


async def test_an_application_of_somebody_elses_is_not_deleted(plivo: PlivoEmulator) -> None:
    theirs = EmulatedApplication(
        app_name="theirs",
        answer_url=URL,
        fallback_answer_url=URL,
        hangup_url="https://phone.example/webhooks/plivo/status",
    )
    plivo.api.account.applications = [theirs]
    target = await plivo.carrier().voice_target(NUMBERS[0])
    await plivo.carrier().set_voice_url(NUMBERS[0], URL)
    await plivo.carrier().put_back(NUMBERS[0], target)
    assert plivo.voice_url(NUMBERS[0]) == ""
    assert plivo.api.account.applications == [theirs]
