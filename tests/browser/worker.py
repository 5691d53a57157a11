"""A server with a page, to be killed: `python -m tests.browser.worker PORT SECRET KEY`, with the port of its apps."""

from __future__ import annotations

import sys

import anyio

from patter_browser import Browser
from patter_core import CallEnded, Patter, PhoneCall
from patter_core.engine import ConversationSetup, EngineSession
from patter_core.server.ties import WorkerTies
from patter_core.testing.fakes import FakeEngine
from tests.browser.phone import FORMAT


class Engine(FakeEngine):
    """Tells when a conversation begins."""

    async def open(self, setup: ConversationSetup) -> EngineSession:
        print("session", "resumed" if setup.resumed else "new", flush=True)  # noqa: T201 - the test reads it
        return await super().open(setup)


def _ended(_call: PhoneCall, end: CallEnded) -> None:
    print("ended", end.reason, flush=True)  # noqa: T201 - as above


async def _serve(port: int, secret: str, key: bytes) -> None:
    phone = Patter(carrier=Browser(secret), apps_port=port, on_call_end=_ended)
    agent = phone.agent(engine=Engine(input_format=FORMAT, output_format=FORMAT))
    await phone.serve(agent, port=0, ties=WorkerTies(apps_key=key))


if __name__ == "__main__":
    anyio.run(_serve, int(sys.argv[1]), sys.argv[2], bytes.fromhex(sys.argv[3]))
