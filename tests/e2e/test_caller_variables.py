"""The line of the documentation that tells an agent who is calling, run with each carrier's emulator."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from patter_core import Agent, Patter
from patter_core.engine import Engine
from patter_core.server.serving import serve_app
from patter_core.testing.caller import Caller, Pause
from patter_elevenlabs.testing import Behaviour, ElevenLabsEmulator
from tests.carriers import MakeEmulator, each_carrier

pytestmark = pytest.mark.anyio

DOCS = Path(__file__).parents[2] / "docs" / "how-to"
ADA = "+15550009876"


def line_of(page: str) -> str:
    """What that page has in place of the agent's variables."""
    found: list[str] = re.findall(r"phone\.agent\(engine=\S+, variables=(lambda .*\})\)", (DOCS / page).read_text())
    assert len(found) == 1, page
    return found[0]


def test_the_line_is_the_same_on_both_pages() -> None:
    assert line_of("route.md") == line_of("elevenlabs.md")


@each_carrier()
async def test_a_prompt_with_the_number_of_the_caller_gets_it(emulator: MakeEmulator) -> None:
    as_documented: Callable[[Patter, Engine], Agent] = eval(
        f"lambda phone, engine: phone.agent(engine=engine, variables={line_of('elevenlabs.md')})"
    )
    needs_it = Behaviour(required_variables=frozenset({"caller_number"}))
    with anyio.fail_after(20):
        async with emulator() as carrier, ElevenLabsEmulator(needs_it) as service, anyio.create_task_group() as tasks:
            phone = Patter(carrier=carrier.carrier())
            agent = as_documented(phone, service.engine())
            async with serve_app(phone.asgi(agent)) as url:
                voice_url = f"{url}/webhooks/{carrier.carrier().name}/voice"
                call = carrier.place(voice_url, Caller((Pause(60.0),), carrier.format), from_number=ADA)
                tasks.start_soon(call.run)
                conversation = await service.conversation()
                await conversation.until(lambda: bool(conversation.agent_audio))  # it was not refused
                call.end()
                await conversation.until(lambda: conversation.close_code is not None)
    assert conversation.initiation.dynamic_variables == {"caller_number": ADA}
