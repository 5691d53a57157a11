"""A FastAPI app with a phone in it: calls come in below /phone, and a page of the app lists them.

uvicorn mount:app --ws websockets-sansio --no-access-log
"""

import contextlib
import os
from collections.abc import AsyncIterator

from fastapi import FastAPI

from getpatter import ElevenLabsConvAI, Patter, Twilio

phone = Patter(carrier=Twilio(), phone_number=os.environ["PATTER_PHONE_NUMBER"])
voice = phone.asgi(phone.agent(engine=ElevenLabsConvAI()))


@contextlib.asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    async with voice.lifespan_context(voice):  # at the end, live calls get their time
        yield


app = FastAPI(lifespan=lifespan)
app.mount("/phone", voice)


@app.get("/calls")
async def calls() -> dict[str, str]:
    """How far each live call has come, by its id."""
    return {call.id: call.status for call in phone.calls}
