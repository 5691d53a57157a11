"""The phone of `tests.chaos.worker` in an app of its user's, for other servers: `uvicorn tests.chaos.mounted:app`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator

import msgspec
from starlette.applications import Starlette
from starlette.routing import Mount

from tests.chaos.worker import Settings, make_phone

phone, agent = make_phone(msgspec.json.decode(os.environ["CHAOS_SETTINGS"], type=Settings))
voice = phone.asgi(agent)


@contextlib.asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    async with voice.lifespan_context(voice):
        yield


app = Starlette(routes=[Mount("", voice)], lifespan=lifespan)
without_lifespan = Starlette(routes=[Mount("", voice)])
