"""The transport contract, as the core's conformance check tries it, on both event loops, with TLS."""

from __future__ import annotations

import ssl

import pytest

from patter_core.testing import check_transport
from patter_picows import PicowsTransport

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "anyio_backend",
    [("asyncio", {"use_uvloop": False}), ("asyncio", {"use_uvloop": True})],
    ids=["asyncio", "uvloop"],
)
async def test_it_keeps_the_contract(tls: ssl.SSLContext) -> None:
    await check_transport(PicowsTransport, tls=tls, patience=4)
