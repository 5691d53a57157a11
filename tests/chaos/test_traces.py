"""What a worker leaves behind: in its logs neither numbers nor secrets, at any level, and on the disk nothing."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import anyio
import pytest

from patter_elevenlabs.testing import Behaviour, ElevenLabsEmulator
from tests.chaos.agents import Talker
from tests.chaos.callers import Callers
from tests.chaos.fleet import EMULATORS, AnyCarrier, running_fleet
from tests.chaos.floods import announcement, flood, upgrade
from tests.chaos.report import note
from tests.chaos.worker import WATCHED, Settings

pytestmark = [pytest.mark.anyio, pytest.mark.chaos]

CALLS = 5


def files_in(folder: Path) -> list[Path]:
    return list(folder.rglob("*"))


@pytest.mark.quick
@pytest.mark.parametrize("emulator", EMULATORS)
async def test_logs_tell_no_number_and_no_secret_nothing_is_on_the_disk_and_no_other_host_is_talked_to(
    emulator: type[AnyCarrier], tmp_path: Path
) -> None:
    engine = ElevenLabsEmulator(Behaviour(agent=Talker(interrupts=True)), api_key="sk_a-key-that-nobody-may-see")
    async with running_fleet(emulator, engine, tmp_path) as fleet, anyio.create_task_group() as tasks:
        worker = await fleet.start(Settings(log="DEBUG", drain=0.1))
        callers = Callers(fleet, CALLS)
        await callers.talk(tasks)
        callers.calls[0].stream.drop()
        talk = engine.conversations[-1]
        await talk._socket.close(1011, "Internal error")
        await flood(
            worker.port,
            [
                announcement(fleet.carrier, fleet.url_of(worker.port), forged=True),
                upgrade(fleet.carrier, worker.port, "made-up-" * 10),
            ],
        )
        await anyio.sleep(0.5)
        urls = [stream.settings.url for call in callers.calls for stream in call.streams]
        worker.send(signal.SIGTERM)
        with anyio.fail_after(20):
            assert await worker.process.wait() == 0
            await worker.listened.wait()
        tasks.cancel_scope.cancel()
    secrets = {value for name, value in fleet.carrier.environment.items() if name.endswith(("TOKEN", "API_KEY"))}
    secrets |= {engine.api_key, *(url.rpartition("/")[2] for url in urls)}
    numbers = {number.lstrip("+") for call in callers.calls for number in (call.from_number, call.to_number)}
    assert len(secrets) >= 2 + CALLS
    assert len(worker.said) > 1_000  # it did say something
    assert not [text for text in secrets | numbers if text in worker.said]
    assert not re.search(r"\+\d{8,}", worker.said)
    assert WATCHED not in worker.said  # it wrote to no file, and talked to nobody but the carrier and the engine
    assert not files_in(tmp_path)
    note(
        f"{CALLS} calls at level DEBUG, {emulator.__name__}",
        tried=CALLS,
        lost=0,
        figure=f"{len(worker.said):,} characters of log, numbers and secrets in them: 0, files left: 0",
    )
