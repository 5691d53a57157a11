"""`phone.run`: the event loop of a program that has none, and how it ends."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import sys

import anyio
import pytest

from patter_core import Registry
from patter_core.audio import ULAW_8000
from patter_core.errors import PluginNotFound
from patter_core.server.phone_settings import choose_transport
from patter_core.testing.caller import Caller, Pause
from patter_elevenlabs.testing import ElevenLabsEmulator
from patter_twilio.testing import TwilioEmulator

pytestmark = pytest.mark.anyio

PROGRAM = """
import asyncio

from patter_core import EventSink, Patter
from patter_elevenlabs import ElevenLabsConvAI
from patter_twilio import Twilio


class Told(EventSink):
    name = "told"

    async def write(self, records):
        for record in records:
            loop = type(asyncio.get_running_loop()).__module__.split(".")[0]
            print(record.event.kind, loop, getattr(record.event, "reason", ""), flush=True)


phone = Patter(carrier=Twilio(), sinks=[Told()])
phone.run(phone.agent(engine=ElevenLabsConvAI()), port=0)
print("it has returned", flush=True)
"""


def test_an_unknown_transport_is_told_with_the_one_that_comes_with_patter() -> None:
    with pytest.raises(PluginNotFound, match=r"Got transports: .*websockets\. Did you mean websockets\?"):
        choose_transport(Registry.discover(), "websocket")


@pytest.mark.slow
async def test_it_runs_on_uvloop_where_that_is_installed_and_a_first_interrupt_lets_the_live_call_end() -> None:
    output, told = "", anyio.Event()
    with anyio.fail_after(60):
        async with TwilioEmulator() as twilio, ElevenLabsEmulator() as engine, anyio.create_task_group() as tasks:
            environment = {**os.environ, **twilio.environment, **engine.environment}
            async with await anyio.open_process([sys.executable, "-c", PROGRAM], env=environment, stderr=-2) as process:
                assert process.stdout is not None
                async for piece in process.stdout:
                    output += piece.decode()
                    ready = re.search(r"http://127\.0\.0\.1:\d+", output)
                    if ready and not told.is_set():
                        told.set()
                        caller = Caller([Pause(2.0)], ULAW_8000)
                        tasks.start_soon(twilio.call, f"{ready[0]}/webhooks/twilio/voice", caller)
                    if "response_start" in output and "interrupted" not in output:
                        output += "interrupted\n"
                        process.send_signal(signal.SIGINT)
                code = await process.wait()
    loop = "asyncio" if importlib.util.find_spec("uvloop") is None else "uvloop"
    assert code == 0, output
    assert f"call_ended {loop} caller_hung_up" in output.partition("interrupted\n")[2]
    assert output.endswith("it has returned\n")
