"""The whole contract of an engine, as the core's own check tries it."""

from __future__ import annotations

import pytest

from patter_core.errors import ConformanceError
from patter_core.testing import check_engine
from patter_core.testing.conformance.check import Check
from patter_core.testing.conformance.engine_commands import check_capabilities
from patter_pipeline.session import PipelineSession
from patter_pipeline.testing.engine import PipelineEmulator

pytestmark = [pytest.mark.anyio, pytest.mark.slow]  # speech is spoken in real time


async def test_a_pipeline_keeps_the_contract_of_an_engine() -> None:
    await check_engine(PipelineEmulator)


async def test_the_check_finds_a_hold_that_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PipelineSession, "hold", _ignore)
    async with PipelineEmulator() as emulator:
        with pytest.raises(ConformanceError, match="On hold, the agent answers"):
            await check_capabilities(Check("engine", 1.0), emulator.engine(), emulator)


def _ignore(_session: PipelineSession, _on: bool) -> None:
    """The caller is on hold, or back."""
