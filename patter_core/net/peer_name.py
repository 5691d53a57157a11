"""How a vendor's service is named in an error: with the host that was asked, since base URLs are set by hand."""

from __future__ import annotations

from urllib.parse import urlsplit

from patter_core.observe.terminal import one_line

__all__ = ["peer_name"]

_LONGEST = 100


def peer_name(vendor: str, url: str) -> str:
    """Returns a name such as `Acme at api.example.org`; of the URL, which may hold secrets, the host alone."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:  # no URL
        host = ""
    return vendor if host in {"", vendor} else f"{vendor} at {one_line(host)[:_LONGEST]}"
