from __future__ import annotations

import pytest

from patter_core.errors import EngineError, EngineQuotaExceeded, EngineRefused, EngineTimeout
from patter_deepgram.config import Service
from patter_deepgram.opening import open_socket
from patter_deepgram.testing import DeepgramSTTEmulator

pytestmark = pytest.mark.anyio

QUERY = (("model", "nova-3"), ("encoding", "mulaw"), ("sample_rate", "8000"))


@pytest.mark.parametrize(
    ("status", "kind", "retry"),
    [
        (400, EngineRefused, False),
        (402, EngineQuotaExceeded, False),
        (429, EngineRefused, True),
        (503, EngineRefused, True),
    ],
)
async def test_a_refusal_says_why_and_whether_to_try_again(status: int, kind: type[EngineRefused], retry: bool) -> None:
    async with DeepgramSTTEmulator(refuse=status) as emulator:
        emulator.reason = "Because."
        with pytest.raises(kind) as caught:
            await open_socket(Service(emulator.api_key, emulator.base_url), "/v1/listen", QUERY)
    assert type(caught.value) is kind
    assert caught.value.retry is retry
    assert caught.value.got == f"HTTP status {status} (Because.)"


async def test_a_wrong_key_is_refused_and_not_shown() -> None:
    async with DeepgramSTTEmulator() as emulator:
        with pytest.raises(EngineRefused, match="Check DEEPGRAM_API_KEY") as caught:
            await open_socket(Service("wrong-key", emulator.base_url), "/v1/listen", QUERY)
    assert "wrong-key" not in str(caught.value)


async def test_a_service_that_says_nothing_is_a_time_out_and_none_is_unreachable() -> None:
    async with DeepgramSTTEmulator() as emulator:
        service = Service(emulator.api_key, emulator.base_url)
        emulator.stall()
        with pytest.raises(EngineTimeout, match=r"Deepgram at 127\.0\.0\.1 did not answer"):
            await open_socket(service, "/v1/listen", QUERY, within=0.1)
    with pytest.raises(EngineError, match=r"Deepgram at 127\.0\.0\.1 cannot be reached") as caught:
        await open_socket(service, "/v1/listen", QUERY)
    assert caught.value.retry
