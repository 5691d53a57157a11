from __future__ import annotations

from decimal import Decimal

import httpx
import pytest

from patter_browser import Browser
from patter_core import Patter
from patter_core.audio import ULAW_8000
from patter_core.errors import ConfigurationError, WebhookRefused
from patter_core.server.serving import serve_app
from patter_core.telephony.prices import Usage
from patter_core.testing.fakes import FakeEngine
from patter_core.webhook import WebhookRequest

SECRET = "a secret of 16 characters or more"


def upgrade(origin: str, *, host: str = "phone.example:8000") -> WebhookRequest:
    urls = (f"wss://{host}/media/browser/token", f"ws://{host}/media/browser/token")
    return WebhookRequest(method="GET", candidate_urls=urls, headers={"origin": origin} if origin else {})


def test_it_needs_no_settings() -> None:
    one, other = Browser(), Browser()
    assert one.token_secret() != other.token_secret()
    assert one.own_page
    assert one.sample_rate == 24_000


def test_the_secret_comes_from_the_environment_and_is_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROWSER_SECRET", SECRET)
    assert Browser().token_secret() == Browser(SECRET).token_secret()
    assert SECRET not in repr(Browser())


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Browser("short"), "secret=…. is too short"),
        (lambda: Browser(public=True), "secret=…. is missing"),
        (lambda: Browser(sample_rate=8_000), "sample_rate"),  # type: ignore[arg-type] # what a user may write
        (lambda: Browser(origins=("www.example.org",)), "not an origin"),
        (lambda: Browser(origins=("https://www.example.org/page",)), "not an origin"),
    ],
)
def test_a_wrong_value_is_told(make: object, said: str) -> None:
    assert callable(make)
    with pytest.raises(ConfigurationError, match=said):
        make()


def test_a_call_costs_nothing_at_the_carrier() -> None:
    rates = Browser().rates
    assert rates is not None
    assert rates.estimate(Usage(connected=600, streamed=600)).amount == Decimal(0)


@pytest.mark.parametrize(
    "origin", ["", "https://phone.example:8000", "http://phone.example:8000", "https://www.example.org"]
)
def test_a_page_of_this_server_or_of_a_named_one_may_open_a_media_socket(origin: str) -> None:
    Browser(origins=("https://www.example.org/",)).verify_upgrade(upgrade(origin))


@pytest.mark.parametrize(
    "origin",
    ["null", "https://evil.example", "https://phone.example", "https://phone.example:8000.evil.example", "https://["],
)
def test_a_page_of_strangers_may_not(origin: str) -> None:
    with pytest.raises(WebhookRefused, match="another address"):
        Browser(origins=("https://www.example.org",)).verify_upgrade(upgrade(origin))


@pytest.mark.anyio
@pytest.mark.parametrize(("public", "status"), [(False, 404), (True, 403)])
async def test_only_a_public_one_is_reached_where_carriers_are(public: bool, status: int) -> None:
    phone = Patter(carrier=Browser(SECRET, public=public))
    agent = phone.agent(engine=FakeEngine(input_format=ULAW_8000, output_format=ULAW_8000))
    async with serve_app(phone.asgi(agent)) as url, httpx.AsyncClient(base_url=url) as client:
        assert (await client.post("/webhooks/browser/voice", json={})).status_code == status
