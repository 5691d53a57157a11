"""The headers that the core sends with every answer of an app, in place of the app's own of these names."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["CONTENT_SECURITY_POLICY", "with_security"]

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; media-src 'self' blob:; manifest-src 'self'; worker-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
"""Nothing of another host, nothing inline, and in no frame."""

_FIXED = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(self), payment=(), usb=()"),
)
_NAMES = frozenset(name for name, _ in _FIXED)
_NOT_SENT = _NAMES | {b"access-control-allow-origin", b"access-control-allow-credentials"}
"""What an app says of these is not sent: no other site reads an answer."""


def with_security(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Returns an answer's headers with ours. Where the app does not say whether the answer may be kept, it may not."""
    kept = [(name, value) for name, value in headers if name.lower() not in _NOT_SENT]
    if not any(name.lower() == b"cache-control" for name, _ in kept):
        kept.append((b"cache-control", b"no-store"))
    return [*kept, *_FIXED]
