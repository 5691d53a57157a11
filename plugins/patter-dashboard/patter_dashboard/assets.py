"""The files of the page, from the wheel."""

from __future__ import annotations

import functools
import hashlib
from importlib import resources

import msgspec
from starlette.requests import Request
from starlette.responses import Response

__all__ = ["asset", "index"]

_TYPES = {"css": "text/css", "html": "text/html", "js": "text/javascript", "svg": "image/svg+xml"}


class _File(msgspec.Struct, frozen=True):
    content: bytes
    media_type: str
    etag: str


@functools.cache
def _files() -> dict[str, _File]:
    folder = resources.files("patter_dashboard") / "static"
    files = {}
    for file in folder.iterdir():
        content, kind = file.read_bytes(), _TYPES.get(file.name.rpartition(".")[2])
        if kind is not None:
            files[file.name] = _File(content, kind, f'"{hashlib.blake2b(content, digest_size=12).hexdigest()}"')
    return files


def _answer(name: str, request: Request) -> Response:
    file = _files().get(name)
    if file is None:
        return Response("There is no such file.", status_code=404, media_type="text/plain")
    headers = {"etag": file.etag, "cache-control": "no-cache"}  # the browser asks whether it has changed
    if request.headers.get("if-none-match") == file.etag:
        return Response(status_code=304, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)


async def index(request: Request) -> Response:
    """The page."""
    return _answer("index.html", request)


async def asset(request: Request) -> Response:
    """One of its files."""
    return _answer(request.path_params["name"], request)
