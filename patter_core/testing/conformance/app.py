"""`check_app`: whether an app's pages work behind the core's headers, and below any path."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urljoin

import httpx
from starlette.types import Receive, Scope, Send

from patter_core.app import APP_API_VERSION, VISITOR, PhoneView, Visitor, WebApp
from patter_core.testing.conformance.check import Check
from patter_core.testing.fakes.phone import FakePhone

__all__ = ["check_app"]

_INLINE = re.compile(
    r"<script(?![^>]*\b(?:src|type=.application/json))|<style\b|\sstyle=|\son[a-z]+=|javascript:", re.IGNORECASE
)
_ELSEWHERE = re.compile(
    r"""(?:src|href|action)\s*=\s*["']?(?:https?:)?//|@import|url\(\s*["']?(?:https?:)?//""", re.IGNORECASE
)
_LOADED = re.compile(r"""<(?:script|link|img|audio|source)\b[^>]*?\b(?:src|href)\s*=\s*["']([^"'#]+)""", re.IGNORECASE)
_ROOT = "/some/where"
_TYPES = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}


async def check_app(make: Callable[[], WebApp], phone: PhoneView | None = None) -> None:
    """Checks an app against its contract.

    It is served below a path that it does not know. Its first page must run nothing inline and load nothing of another
    host, what the page loads must be there, and a path that does not exist must be answered with status 404.

    Args:
        make: returns the app, as a user would configure it.
        phone: what it sees; by default a `FakePhone`.

    Raises:
        ConformanceError: it does not keep the contract; the error says where.
    """
    check = Check("app")
    app = make()
    check.now("the class")
    check.require(
        app.api_version == APP_API_VERSION,
        "It was made for another version of the contract.",
        expected=str(APP_API_VERSION),
        got=str(app.api_version),
    )
    endpoint = app.asgi(phone or FakePhone())

    async def mounted(scope: Scope, receive: Receive, send: Send) -> None:
        await endpoint({**scope, VISITOR: Visitor(""), "root_path": _ROOT}, receive, send)

    transport = httpx.ASGITransport(mounted, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        await _check_page(check, client)
        check.now("a path that does not exist")
        missing = await client.get(f"{_ROOT}/there/is/no/such/thing.js")
        check.require(missing.status_code == 404, "It is answered.", expected="404", got=str(missing.status_code))
        check.now("a path that leads out of the app")
        outside = await client.get(f"{_ROOT}/..%2f..%2f..%2f..%2fetc/passwd")
        check.require(outside.status_code == 404, "It is answered.", expected="404", got=str(outside.status_code))


async def _check_page(check: Check, client: httpx.AsyncClient) -> None:
    check.now("its first page")
    page = await client.get(f"{_ROOT}/")
    check.require(page.status_code == 200, "It is not there.", expected="status 200", got=str(page.status_code))
    _check_text(check, page.text)
    loaded = _LOADED.findall(page.text)
    check.require(loaded, "It loads nothing, so it was not looked at.", expected="a script, a style sheet, an image")
    for reference in loaded:
        check.now(f"what the first page loads: {reference}")
        file = await client.get(urljoin(f"http://127.0.0.1{_ROOT}/", reference))
        check.require(file.status_code == 200, "It is not there.", expected="status 200", got=str(file.status_code))
        wanted = _TYPES.get(reference.rpartition(".")[2], "")
        given = file.headers.get("content-type", "").partition(";")[0]
        check.require(
            not wanted or given == wanted, "It is of the wrong type: browsers refuse it.", expected=wanted, got=given
        )
        if wanted == "text/css":
            _check_text(check, file.text)


def _check_text(check: Check, text: str) -> None:
    inline, elsewhere = _INLINE.search(text), _ELSEWHERE.search(text)
    check.require(
        inline is None,
        "It has a script or a style in it, which the browser does not run.",
        expected="scripts and styles in files of their own",
        got="" if inline is None else inline[0],
    )
    check.require(
        elsewhere is None,
        "It loads something of another host, which the browser refuses.",
        expected="all files from the app",
        got="" if elsewhere is None else elsewhere[0],
    )
