"""What a plugin is told of a request, and what it may answer: methods, headers, and the likely URL."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from patter_core.server.requests import Address, webhook_request
from patter_core.testing.fakes import FakeCarrier
from patter_core.webhook import CallRouter, Webhook, WebhookRequest, WebhookResponse
from tests.server.test_app import Scene

pytestmark = pytest.mark.anyio


class Answering(FakeCarrier):
    """A carrier whose webhook `odd` takes some methods only, and answers so."""

    def __init__(self, answer: WebhookResponse, *methods: str) -> None:
        super().__init__()
        self._answer = answer
        self._methods = methods or ("POST",)

    def webhooks(self) -> Mapping[str, Webhook]:
        async def handler(_request: WebhookRequest, _router: CallRouter) -> WebhookResponse:
            return self._answer

        return {"odd": Webhook(handler, self._methods)}

    def stopping_response(self) -> WebhookResponse:
        return self._answer


# --- answers ---------------------------------------------------------------------------------------------------------


async def test_an_answers_own_headers_are_sent() -> None:
    answer = WebhookResponse(
        status=429, body=b"{}", content_type="application/json", headers={"Retry-After": "2", "x-letters": "\xe9"}
    )
    async with Scene(carrier=Answering(answer)).serving() as client:
        response = await client.post("/webhooks/fake/odd")
    assert (response.status_code, response.content) == (429, b"{}")
    assert response.headers["content-type"] == "application/json"
    assert response.headers["retry-after"] == "2"
    assert response.headers["content-length"] == "2"
    assert dict(response.headers.raw)[b"x-letters"] == b"\xe9"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-a", "b\r\nx-injected: yes"),
        ("x-a", "b\nx-injected: yes"),
        ("x-a", "b\x00"),
        ("x-a", "ł"),
        ("x-a: b\r\nx-injected", "yes"),
        ("x a", "b"),
        ("", "b"),
        ("Content-Length", "3"),
        ("transfer-encoding", "chunked"),
        ("Connection", "keep-alive"),
        ("CONTENT-TYPE", "text/html"),
    ],
)
async def test_a_header_that_cannot_be_sent_or_is_the_servers_is_a_500(
    name: str, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with Scene(carrier=Answering(WebhookResponse(headers={name: value}))).serving() as client:
        response = await client.post("/webhooks/fake/odd")
        assert (await client.get("/health/live")).status_code == 200
    assert response.status_code == 500
    assert "x-injected" not in response.headers
    assert "header" in caplog.text


@pytest.mark.parametrize("content_type", ["text/plain\r\nx-injected: yes", "text/plain\n", "ł"])
async def test_a_content_type_that_cannot_be_sent_is_a_500(content_type: str) -> None:
    async with Scene(carrier=Answering(WebhookResponse(content_type=content_type))).serving() as client:
        response = await client.post("/webhooks/fake/odd")
        assert (await client.get("/health/live")).status_code == 200
    assert response.status_code == 500
    assert "x-injected" not in response.headers


@pytest.mark.parametrize("status", [0, 100, 600])
async def test_a_status_that_does_not_exist_is_a_500(status: int) -> None:
    async with Scene(carrier=Answering(WebhookResponse(status=status))).serving() as client:
        assert (await client.post("/webhooks/fake/odd")).status_code == 500
        assert (await client.get("/health/live")).status_code == 200


# --- methods ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("methods", "asked", "status"),
    [
        ((), "POST", 200),
        ((), "GET", 405),
        ((), "HEAD", 405),
        ((), "PUT", 405),
        (("GET",), "GET", 200),
        (("GET",), "POST", 405),
        (("GET", "POST"), "POST", 200),
        (("get",), "GET", 200),
        (("PUT",), "POST", 405),
    ],
)
async def test_a_method_that_a_webhook_does_not_take_is_a_405(
    methods: tuple[str, ...], asked: str, status: int
) -> None:
    async with Scene(carrier=Answering(WebhookResponse(), *methods)).serving() as client:
        response = await client.request(asked, "/webhooks/fake/odd")
    assert response.status_code == status


# --- the likely URL --------------------------------------------------------------------------------------------------


def request(
    host: str | None = "phone.example",
    *,
    address: Address | None = None,
    socket: bool = False,
    root: str = "",
    **headers: str,
) -> WebhookRequest:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    if host is not None:
        raw.append((b"host", host.encode()))
    path = f"{root}/webhooks/fake/odd"
    scope: dict[str, object] = {
        "type": "websocket" if socket else "http",
        "headers": raw,
        "root_path": root,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"a=b",
    }
    return webhook_request(scope, address or Address("", trust_forwarded=False), b"")


@pytest.mark.parametrize(
    ("host", "scheme"),
    [
        ("phone.example", "https"),
        ("phone.example:8443", "https"),
        ("8.8.8.8", "https"),
        ("[2001:db8::1]:80", "https"),
        ("localhost.example", "https"),
        ("localhost", "http"),
        ("LOCALHOST:8000", "http"),
        ("phone.localhost", "http"),
        ("127.0.0.1:8000", "http"),
        ("127.1.2.3", "http"),
        ("[::1]:8000", "http"),
        ("0.0.0.0:80", "http"),
    ],
)
def test_the_likely_url_is_secure_unless_the_host_is_this_machine(host: str, scheme: str) -> None:
    assert request(host).likely_url == f"{scheme}://{host}/webhooks/fake/odd?a=b"
    assert request(host, socket=True).likely_url == f"{scheme.replace('http', 'ws')}://{host}/webhooks/fake/odd?a=b"


def test_the_public_address_is_the_likely_url_whatever_the_request_says() -> None:
    address = Address("http://phone.example/x", trust_forwarded=True)
    asked = request("localhost", address=address, root="/mounted", x_forwarded_host="evil.example")
    assert asked.likely_url == "http://phone.example/x/webhooks/fake/odd?a=b"
    assert asked.is_configured


def test_what_a_trusted_proxy_says_is_the_likely_url_and_an_untrusted_one_says_nothing() -> None:
    headers = {"x_forwarded_host": "phone.example", "x_forwarded_proto": "https"}
    for trust, url in ((True, "wss://phone.example"), (False, "ws://127.0.0.1:8000")):
        asked = request("127.0.0.1:8000", address=Address("", trust), socket=True, **headers)
        assert asked.likely_url == f"{url}/webhooks/fake/odd?a=b"
        assert not asked.is_configured


@pytest.mark.parametrize("host", [None, "", "a b", "phone.example/x", "user@phone.example", "phone.example?x"])
def test_a_request_without_a_host_that_can_be_one_has_no_likely_url(host: str | None) -> None:
    assert request(host).likely_url == ""
