"""The way in to apps over real sockets: by a link, by a password, by a proxy; and what strangers get: nothing."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, Router, WebSocketRoute
from starlette.types import ASGIApp, Scope
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from patter_core.app import visitor_of
from patter_core.apps.access import AppAccess
from patter_core.apps.front import Front
from patter_core.server.serving import serve_app

pytestmark = pytest.mark.anyio

PASSWORD = "correct horse battery"
KEY = bytes(32)


async def page(request: Request) -> Response:
    visitor = visitor_of(request.scope)
    return JSONResponse({"user": visitor.user, "unmasked": visitor.unmasked}, headers={"x-frame-options": "ALLOWALL"})


async def broken(_request: Request) -> Response:
    raise ValueError("a secret of the app")


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text(await socket.receive_text())
    await socket.close()


ROUTES = Router([Route("/", page, methods=["GET", "POST"]), Route("/broken", broken), WebSocketRoute("/echo", echo)])


class Scene:
    def __init__(self, front: Front, url: str) -> None:
        self.front = front
        self.url = url
        self.host = url.removeprefix("http://")
        self.new_links = 0

    def client(self, **headers: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, headers={"origin": self.url, **headers})

    async def enter(self, client: httpx.AsyncClient, **proof: str) -> httpx.Response:
        return await client.post("/-/session", json=proof)


@contextlib.asynccontextmanager
async def served(
    access: AppAccess | None = None, apps: dict[str, ASGIApp] | None = None, key: bytes = KEY
) -> AsyncIterator[Scene]:
    scene: Scene
    front = Front(
        apps or {"tool": ROUTES},
        titles={"tool": "Tool"},
        access=(access or AppAccess()).resolved(),
        key=key,
        on_link_used=lambda: setattr(scene, "new_links", scene.new_links + 1),
    )
    async with serve_app(front) as url:
        scene = Scene(front, url)
        yield scene


async def test_a_link_lets_one_browser_in_and_is_used_up() -> None:
    async with served() as scene, scene.client() as client:
        token = scene.front.links.token
        entered = await scene.enter(client, token=token)
        assert entered.status_code == 204
        cookie = entered.headers["set-cookie"].lower()
        assert all(part in cookie for part in ("httponly", "samesite=strict", "path=/", "max-age=43200"))
        assert (await client.get("/tool/")).json() == {"user": "", "unmasked": False}
        async with scene.client() as other:
            assert (await scene.enter(other, token=token)).status_code == 403
            assert (await other.get("/tool/")).status_code == 401
        assert scene.new_links == 1


async def test_a_browser_without_a_cookie_gets_the_way_in_and_others_an_error() -> None:
    async with served() as scene, scene.client() as client:
        asked = await client.get("/tool/", headers={"accept": "text/html"})
        assert asked.status_code == 401
        assert "/-/entry.js" in asked.text
        assert "password" not in asked.text
        assert (await client.get("/tool/")).json() == {"error": "Sign in first."}
        assert (await client.get("/-/entry.js")).headers["content-type"].startswith("text/javascript")
        assert (await client.get("/-/../front.py")).status_code in {401, 404}
        assert (await client.get("/-/nothing")).status_code == 404


async def test_every_answer_has_the_headers_that_keep_other_sites_out() -> None:
    async with served() as scene, scene.client() as client:
        strange = await client.get("/tool/")
        await scene.enter(client, token=scene.front.links.token)
        for answer in (strange, await client.get("/tool/"), await client.get("/tool/broken")):
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["x-frame-options"] == "DENY"  # in place of the app's own
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert answer.headers["cross-origin-resource-policy"] == "same-origin"
            assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example.com"},
        {"host": "evil.example.com", "x-forwarded-host": "127.0.0.1"},
        {"x-forwarded-for": "203.0.113.9"},
        {"origin": "https://evil.example.com"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors"},
    ],
)
async def test_even_with_the_cookie_a_strange_request_is_refused(headers: dict[str, str]) -> None:
    async with served() as scene, scene.client() as client:
        await scene.enter(client, token=scene.front.links.token)
        assert (await client.get("/tool/", headers=headers)).status_code == 403
        assert (await client.get("/tool/")).status_code == 200


async def test_what_changes_something_needs_the_own_origin() -> None:
    async with served() as scene, scene.client() as client:
        await scene.enter(client, token=scene.front.links.token)
        assert (await client.post("/tool/", json={})).status_code == 200
        assert (await client.post("/tool/", data={"a": "b"})).status_code == 403
        cookies = dict(client.cookies)
        async with httpx.AsyncClient(base_url=scene.url, cookies=cookies) as script:  # sends no Origin
            assert (await script.get("/tool/")).status_code == 200
            assert (await script.post("/tool/", json={})).status_code == 403


async def test_a_websocket_needs_the_cookie_and_the_own_origin() -> None:
    async with served() as scene, scene.client() as client:
        await scene.enter(client, token=scene.front.links.token)
        cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        url = f"ws://{scene.host}/tool/echo"
        async with connect(url, origin=scene.url, additional_headers={"cookie": cookie}) as socket:  # type: ignore[arg-type] # a str serves
            await socket.send("heard")
            assert await socket.recv() == "heard"
        for origin, headers in (
            (scene.url, {}),
            (None, {"cookie": cookie}),
            ("https://evil.example.com", {"cookie": cookie}),
            (scene.url, {"cookie": cookie, "x-forwarded-for": "203.0.113.9"}),
        ):
            with pytest.raises(InvalidStatus, match="403"):
                async with connect(url, origin=origin, additional_headers=headers):  # type: ignore[arg-type] # as above
                    pass


async def test_a_password_lets_in_by_a_public_name_and_its_cookie_is_secure_over_https() -> None:
    access = AppAccess(hosts=("voice.example.org",), password=PASSWORD)
    async with served(access) as scene:
        public = {"host": "voice.example.org", "origin": "https://voice.example.org", "x-forwarded-proto": "https"}
        async with scene.client(**public) as client:
            page = await client.get("/", headers={"accept": "text/html"})
            assert "password-form" in page.text
            assert "link" not in page.text.replace("<link", "")
            assert (await scene.enter(client, password="wrong")).status_code == 403
            assert (
                await scene.enter(client, token=scene.front.links.token)
            ).status_code == 403  # for this machine only
            entered = await scene.enter(client, password=PASSWORD)
            assert "secure" in entered.headers["set-cookie"].lower()
            cookie = entered.headers["set-cookie"].partition(";")[0]
            assert (await client.get("/tool/", headers={"cookie": cookie})).status_code == 200


async def test_the_cookie_of_a_link_is_of_no_use_by_a_public_name() -> None:
    access = AppAccess(hosts=("voice.example.org",), password=PASSWORD)
    async with served(access) as scene, scene.client() as client:
        entered = await scene.enter(client, token=scene.front.links.token)
        value = entered.headers["set-cookie"].partition(";")[0].partition("=")[2]
        stolen = {"host": "voice.example.org", "cookie": f"patter-apps={value}", "origin": "https://voice.example.org"}
        assert (await client.get("/tool/", headers=stolen)).status_code == 401


async def test_a_flood_of_passwords_is_not_looked_at() -> None:
    async with served(AppAccess(password=PASSWORD)) as scene, scene.client() as client:
        answers = [(await scene.enter(client, password=f"guess {number}")).status_code for number in range(50)]
        assert answers.count(403) <= 6
        assert answers[-1] == 429
        assert (await scene.enter(client, password=PASSWORD)).status_code == 429
        assert (await scene.enter(client, token=scene.front.links.token)).status_code == 204  # it is not kept out


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"token": 5}', b'{"token": ""}', b"\xff", b"x" * 10_000])
async def test_a_malformed_proof_lets_nothing_in(body: bytes) -> None:
    async with served() as scene, scene.client() as client:
        answer = await client.post("/-/session", content=body, headers={"content-type": "application/json"})
        assert answer.status_code in {400, 403}
        assert "set-cookie" not in answer.headers


async def test_a_proxy_says_who_comes_by_the_public_name_only() -> None:
    access = AppAccess(hosts=("voice.example.org",), trusted_header="X-User", unmasked=("ada",))
    async with served(access) as scene:
        async with scene.client(host="voice.example.org", origin="https://voice.example.org") as client:
            named = await client.get("/tool/", headers={"x-user": "ada"})
            assert named.json() == {"user": "ada", "unmasked": True}
            assert (await client.get("/tool/", headers={"x-user": "bob"})).json()["unmasked"] is False
            assert (await client.get("/tool/", headers={"x-user": ""})).status_code == 401
        async with scene.client() as client:
            assert (await client.get("/tool/", headers={"x-user": "ada"})).status_code == 401


async def test_a_worker_in_the_place_of_another_one_takes_its_cookies_with_the_same_key_only() -> None:
    async with served() as scene, scene.client() as client:
        entered = await scene.enter(client, token=scene.front.links.token)
        name, _, value = entered.headers["set-cookie"].partition(";")[0].partition("=")
    for key, status in ((KEY, 200), (secrets.token_bytes(32), 401)):
        async with served(key=key) as scene, scene.client() as client:
            port = scene.url.rpartition(":")[2]
            cookie = f"{name.rpartition('-')[0]}-{port}={value}"
            assert (await client.get("/tool/", headers={"cookie": cookie})).status_code == status


async def test_a_browser_that_leaves_is_not_let_in_again_by_its_cookie() -> None:
    async with served() as scene, scene.client() as client:
        await scene.enter(client, token=scene.front.links.token)
        cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        assert (await client.post("/-/logout")).status_code == 204
        async with httpx.AsyncClient(base_url=scene.url) as other:
            assert (await other.get("/tool/", headers={"cookie": cookie})).status_code == 401


async def test_an_app_that_fails_costs_its_request_and_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with served() as scene, scene.client() as client:
        await scene.enter(client, token=scene.front.links.token)
        answer = await client.get("/tool/broken")
        assert answer.status_code == 500
        assert "secret" not in answer.text
        assert (await client.get("/tool/")).status_code == 200
    assert "The app tool failed." in caplog.text


async def test_the_first_page_leads_to_the_app_or_lists_several() -> None:
    async with served() as scene, scene.client() as client:
        await scene.enter(client, token=scene.front.links.token)
        assert (await client.get("/")).headers["location"] == "/tool/"
        assert (await client.get("/tool")).headers["location"] == "/tool/"
        assert (await client.get("/other/")).status_code == 404
    async with served(apps={"tool": ROUTES, "other": ROUTES}) as scene, scene.client() as client:
        await scene.enter(client, token=scene.front.links.token)
        assert 'href="/tool/">Tool<' in (await client.get("/")).text


@pytest.mark.parametrize(("user", "status"), [(lambda _: "ada", 200), (lambda _: "", 401), (lambda _: 1 / 0, 401)])
async def test_in_a_server_of_the_users_own_their_function_decides(user: Callable[[Scope], str], status: int) -> None:
    front = Front({"": ROUTES}, titles={}, access=AppAccess(), key=KEY, authenticate=user)
    outer = Router([Mount("/staff/calls", front)])
    async with serve_app(outer) as url, httpx.AsyncClient(base_url=url, headers={"host": "shop.example.org"}) as client:
        answer = await client.get("/staff/calls/")
        assert answer.status_code == status
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert (await client.post("/staff/calls/-/session", json={"token": front.links.token})).status_code == 403
        away = await client.get("/staff/calls/", headers={"origin": "https://evil.example.com"})
        assert away.status_code == 403
