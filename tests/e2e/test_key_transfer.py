"""A key press transfers the call, from a callback, as users write it: whatever the agent is saying meanwhile."""

from __future__ import annotations

import anyio
import pytest

from patter_core import Patter
from patter_core.audio import ULAW_8000
from patter_core.call.handle import PhoneCall
from patter_core.call.limits import Limits
from patter_core.events import CallEnded, CallEvent, DtmfReceived
from patter_core.server.serving import serve_app
from patter_core.telephony.numbers import voice_path
from patter_core.testing.caller import Caller, EndCall, Pause, PressKey, Step, WaitForAgent
from patter_core.testing.emulator import CarrierEmulator
from patter_core.testing.speech import GREETING
from patter_elevenlabs.testing import Behaviour, Conversation, ElevenLabsEmulator
from patter_telnyx.testing import TelnyxEmulator
from patter_twilio.testing import TwilioEmulator

pytestmark = pytest.mark.anyio

CARRIERS = [TwilioEmulator, TelnyxEmulator]
TO = "+15550007777"


async def talkative(talk: Conversation) -> None:
    """An agent with a long first word."""
    await talk.say("A long greeting.", GREETING.audio(ULAW_8000))
    await anyio.sleep_forever()


class Menu:
    """A phone whose key 0 transfers the call."""

    def __init__(self, *, now: bool = False, give_up_after: float = 60.0) -> None:
        self.now = now
        self.give_up_after = give_up_after
        self.ends: list[CallEnded] = []
        self.outcome = ""

    async def on_event(self, call: PhoneCall, event: CallEvent) -> None:
        if not isinstance(event, DtmfReceived):
            return
        with anyio.move_on_after(self.give_up_after) as scope:
            await call.transfer(TO, now=self.now)
            self.outcome = "done"
        if scope.cancelled_caught:
            self.outcome = "given up"

    def on_call_end(self, call: PhoneCall, end: CallEnded) -> None:
        self.ends.append(end)

    async def play(self, carrier: CarrierEmulator, steps: list[Step]) -> list[str]:
        """Has a call of those steps. Returns where it was transferred to."""
        async with carrier, ElevenLabsEmulator(Behaviour(agent=talkative)) as engine:
            played = carrier.carrier()
            phone = Patter(
                carrier=played,
                limits=Limits(callback=1.0),
                on_event=self.on_event,
                on_call_end=self.on_call_end,
            )
            agent = phone.agent(engine=engine.engine())
            async with serve_app(phone.asgi(agent)) as url:
                call = carrier.place(url + voice_path(played.name), Caller(steps, carrier.format))
                await call.run()
                return list(call.transferred_to)


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_the_limit_of_a_callback_does_not_cut_what_waits_for_the_last_word(
    carrier: type[CarrierEmulator], caplog: pytest.LogCaptureFixture
) -> None:
    menu = Menu()
    with anyio.fail_after(60):
        assert await menu.play(carrier(), [WaitForAgent(0.3), PressKey("0"), Pause(50)]) == [TO]
    assert menu.outcome == "done"
    assert menu.ends[0].reason == "transferred"
    assert menu.ends[0].metrics.heard_ms > 2_500
    assert menu.ends[0].metrics.turns == 1
    assert "was cancelled" not in caplog.text


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_now_cuts_the_agent_off(carrier: type[CarrierEmulator]) -> None:
    menu = Menu(now=True)
    with anyio.fail_after(60):
        assert await menu.play(carrier(), [WaitForAgent(0.3), PressKey("0"), Pause(50)]) == [TO]
    assert menu.ends[0].metrics.heard_ms < 2_500


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_a_transfer_that_is_given_up_gives_the_call_back(carrier: type[CarrierEmulator]) -> None:
    menu = Menu(give_up_after=0.3)
    with anyio.fail_after(60):
        steps: list[Step] = [WaitForAgent(0.3), PressKey("0"), Pause(1), EndCall()]
        assert await menu.play(carrier(), steps) == []
    assert menu.outcome == "given up"
    assert menu.ends[0].reason == "caller_hung_up"


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_a_caller_who_hangs_up_while_it_waits_is_noticed_at_once(carrier: type[CarrierEmulator]) -> None:
    menu = Menu()
    with anyio.fail_after(60):
        assert await menu.play(carrier(), [WaitForAgent(0.3), PressKey("0"), Pause(0.3), EndCall()]) == []
    (end,) = menu.ends
    assert (end.reason, end.by) == ("caller_hung_up", "caller")
    assert end.duration_ms < 2_500  # the last word would last for 4 s
