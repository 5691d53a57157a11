"""The pages that the core itself serves to browsers: where they are let in, and the list of apps."""

from __future__ import annotations

import functools
import html
from collections.abc import Mapping
from importlib import resources

from starlette.responses import Response

__all__ = ["apps_page", "entry_page", "static_file"]

_TYPES = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
_PAGE = """<!doctype html>
<html lang="en" data-root="{root}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="icon" href="{root}/-/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="{root}/-/entry.css">
{script}</head>
<body>
<main>
<img src="{root}/-/icon.svg" alt="" width="48" height="48">
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"""
_LINK = '<p id="hint">Open the link that the server printed when it started. Each link works once.</p>'
_FORM = """<form id="password-form">
<label for="password">Password</label>
<input id="password" type="password" autocomplete="current-password" required maxlength="1024">
<button type="submit">Sign in</button>
</form>
"""
_STATUS = '<p id="status" role="status"></p>'


def entry_page(root: str, *, has_password: bool, is_local: bool) -> str:
    """Returns the page that lets a browser in, by the token in its address or by a password.

    Args:
        root: the path where the apps are mounted.
        has_password: a password lets in.
        is_local: a link lets in.
    """
    body = (_LINK if is_local else "") + (_FORM if has_password else "") + _STATUS
    return _page(root, "Patter", body, f'<script src="{html.escape(root)}/-/entry.js" type="module"></script>\n')


def apps_page(root: str, titles: Mapping[str, str]) -> str:
    """Returns the list of apps: their titles by name."""
    root = html.escape(root)
    items = "".join(
        f'<li><a href="{root}/{html.escape(name)}/">{html.escape(title)}</a></li>' for name, title in titles.items()
    )
    return _page(root, "Patter", f'<ul class="apps">{items}</ul>', "")


def _page(root: str, title: str, body: str, script: str) -> str:
    return _PAGE.format(root=html.escape(root), title=html.escape(title), body=body, script=script)


@functools.cache
def _read(name: str) -> bytes | None:
    folder = resources.files("patter_core.apps") / "static"
    found = next((file for file in folder.iterdir() if file.name == name), None)
    return None if found is None else found.read_bytes()


def static_file(name: str) -> Response | None:
    """Returns the answer with one of our files; None if there is none of that name."""
    content = _read(name)
    if content is None:
        return None
    media_type = _TYPES[name.rpartition(".")[2]]
    return Response(content, media_type=media_type, headers={"cache-control": "no-cache"})
