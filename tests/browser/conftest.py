"""Without playwright, which `nox -s browser` installs, no test of this folder is collected."""

from __future__ import annotations

import importlib.util

try:
    importlib.util.find_spec("playwright.async_api")
except ImportError:
    collect_ignore_glob = ["test_*.py"]
else:
    from tests.browser.fixtures import anyio_backend, browser, phone, shared

    __all__ = ["anyio_backend", "browser", "phone", "shared"]
