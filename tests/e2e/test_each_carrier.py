"""What users are promised of every carrier beyond its contract, over real sockets with the real server."""

from __future__ import annotations

import anyio
import pytest

from patter_core import Patter
from patter_core.server.serving import serve_app
from patter_core.testing.caller import Caller, Pause
from patter_core.testing.fakes import FakeEngine
from tests.carriers import MakeEmulator, each_carrier

pytestmark = pytest.mark.anyio

SALES, SERVICE, NOBODY = "+15550001234", "+15550005678", "+15550000000"


@each_carrier()
async def test_a_mapping_chooses_the_agent_by_the_called_number_and_refuses_the_rest(emulator: MakeEmulator) -> None:
    sales, service = FakeEngine(), FakeEngine()
    with anyio.fail_after(20):
        async with emulator() as vendor:
            carrier = vendor.carrier()
            phone = Patter(carrier=carrier)
            agents = {SALES: phone.agent(engine=sales), SERVICE: phone.agent(engine=service)}
            async with serve_app(phone.asgi(agents)) as url, anyio.create_task_group() as tasks:
                voice_url = f"{url}/webhooks/{carrier.name}/voice"
                call, other = (
                    vendor.place(voice_url, Caller((Pause(60.0),), vendor.format), to_number=number)
                    for number in (SERVICE, NOBODY)
                )
                tasks.start_soon(call.run)
                assert (await service.session()).setup.leg.call_id == call.call_id
                call.end()
                await other.run()
    assert sales.sessions == []
    assert not other.streams
