"""Webhooks that were recorded, and sent again or cut at other places, beside live calls: they change nothing."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from patter_elevenlabs.testing import Behaviour, ElevenLabsEmulator
from patter_twilio.signing import signature
from patter_twilio.testing import TwilioEmulator
from tests.chaos.agents import Steady
from tests.chaos.callers import Callers
from tests.chaos.fleet import CARRIERS, AnyCarrier, Fleet, running_fleet
from tests.chaos.floods import flood
from tests.chaos.report import bound, note
from tests.chaos.worker import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.chaos]

LIVE = 4
AGAIN = 25
"""How often each is sent."""
GAP_BOUND_MS = 800
"""As in `test_intruders`, on two cores that others use too."""


def recorded(fleet: Fleet) -> list[str]:
    """All webhooks that came by the balancer, as they were sent, but to be answered on a connection of their own."""
    whole = [link.said.decode("latin-1") for link in fleet.balancer.all_links if link.said.startswith(b"POST ")]
    return [text.replace("Connection: keep-alive", "Connection: close") for text in whole]


def recut(webhook: str) -> Iterator[str]:
    """The same text under Twilio's signature, which has no separators, as other fields: CallSid takes what follows."""
    head, _, body = webhook.partition("\r\n\r\n")
    items = sorted(urllib.parse.parse_qsl(body, keep_blank_values=True))
    names = [name for name, _ in items]
    first, last = names.index("CallSid"), names.index("To")
    between = "".join(name + value for name, value in items[first + 1 : last])
    for size in range(1, len(between)):
        cut = [*items[:first], ("CallSid", items[first][1] + between[:size]), (between[size:], ""), *items[last:]]
        if sorted(set(cut)) == cut:  # Twilio's own order, in which it is signed
            form = urllib.parse.urlencode(cut)
            lines = [line for line in head.split("\r\n") if not line.lower().startswith("content-length")]
            yield "\r\n".join([*lines, f"Content-Length: {len(form)}"]) + f"\r\n\r\n{form}"


def is_signed(webhook: str, fleet: Fleet) -> bool:
    assert isinstance(fleet.carrier, TwilioEmulator)
    head, _, body = webhook.partition("\r\n\r\n")
    fields = urllib.parse.parse_qsl(body, keep_blank_values=True)
    return signature(fleet.carrier.auth_token, fleet.voice_url, fields) in head


@pytest.mark.parametrize("emulator", CARRIERS)
@pytest.mark.parametrize("to", ["the worker that knows them", "another worker"])
async def test_webhooks_that_were_recorded_move_no_live_call(
    emulator: type[AnyCarrier], to: str, tmp_path: Path
) -> None:
    """Those of the calls' beginnings, and of a stream that was lost and came back."""
    settings = Settings(several_workers=True, calls_per_second=1_000.0)
    engine = ElevenLabsEmulator(Behaviour(agent=Steady()))
    async with running_fleet(emulator, engine, tmp_path) as fleet, anyio.create_task_group() as tasks:
        worker = await fleet.start(settings)
        callers = Callers(fleet, LIVE)
        await callers.talk(tasks)
        callers.calls[0].stream.drop()
        await anyio.sleep(0.5)
        await callers.all_hear_more(callers.heard(), within=5)
        webhooks = recorded(fleet)
        if to == "another worker":
            worker = await fleet.start(settings)
        since, streams, talks = callers.positions(), callers.streams(), len(engine.conversations)
        answers = await flood(worker.port, webhooks * AGAIN, at_once=10)
        await anyio.sleep(12)  # what was taken for a call, and has no media, is given up by then
        gap, lost, opened = callers.longest_gap_ms(since), callers.lost, len(engine.conversations) - talks
        moved = callers.streams() != streams
        tasks.cancel_scope.cancel()
    assert len(webhooks) > LIVE
    assert answers.total() == len(webhooks) * AGAIN
    assert set(answers) <= {"200", "204", "403"}, answers
    assert (lost, moved, opened) == (0, False, 0)
    assert gap < bound(GAP_BOUND_MS)
    note(
        f"{len(webhooks)} recorded webhooks, {AGAIN} times each, to {to}, {emulator.__name__}",
        tried=LIVE,
        lost=lost,
        figure=f"conversations opened for them: {opened}, longest gap {gap:.0f} ms",
    )


async def test_a_webhook_that_is_cut_at_other_places_is_refused(tmp_path: Path) -> None:
    engine = ElevenLabsEmulator(Behaviour(agent=Steady()))
    async with running_fleet(TwilioEmulator, engine, tmp_path) as fleet, anyio.create_task_group() as tasks:
        worker = await fleet.start(Settings(calls_per_second=1_000.0))
        callers = Callers(fleet, LIVE)
        await callers.talk(tasks)
        since, talks = callers.positions(), len(engine.conversations)
        voice = [webhook for webhook in recorded(fleet) if "/voice" in webhook.partition("\r\n")[0]]
        cuts = [cut for webhook in voice for cut in recut(webhook)]
        forged = [cut for cut in cuts if not is_signed(cut, fleet)]
        answers = await flood(worker.port, cuts, at_once=10)
        gap, lost, opened = callers.longest_gap_ms(since), callers.lost, len(engine.conversations) - talks
        tasks.cancel_scope.cancel()
    assert len(cuts) >= 5 * LIVE
    assert not forged  # each is what Twilio signed
    assert answers == {"403": len(cuts)}
    assert (lost, opened) == (0, 0)
    assert gap < bound(GAP_BOUND_MS)
    note(
        "webhooks of Twilio's, cut at other places",
        tried=len(cuts),
        lost=lost + opened,
        figure=f"conversations opened for them: {opened}, longest gap {gap:.0f} ms",
    )
