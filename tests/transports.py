"""On which transport tests run: `PATTER_TRANSPORT=picows pytest tests/e2e` tries calls on picows."""

from __future__ import annotations

import os

import pytest

__all__ = ["TRANSPORT", "of_websockets"]

TRANSPORT = os.environ.get("PATTER_TRANSPORT") or "websockets"
"""Its name. An installed one does not decide."""

of_websockets = pytest.mark.skipif(TRANSPORT != "websockets", reason="this is of the library websockets")
"""Marks a test of what only the transport that comes with Patter has."""
