"""Calls a number, leaves a message if a machine answers, and tells how the call ended.

python outbound.py +15550009876
"""

import asyncio
import os
import sys

from getpatter import ElevenLabsConvAI, Patter, Twilio
from patter_core import serve_app


async def main(number: str) -> int:
    phone = Patter(
        carrier=Twilio(),
        phone_number=os.environ["PATTER_PHONE_NUMBER"],
        webhook_url=os.environ["PATTER_WEBHOOK_URL"],  # leads to the port below
    )
    agent = phone.agent(engine=ElevenLabsConvAI())
    async with serve_app(phone.asgi(agent), port=int(os.environ.get("PATTER_PORT", "8000"))):
        call = await phone.call(
            number,
            agent=agent,
            first_message="Hello, this is the restaurant. Your table is ready.",
            voicemail_message="Hello, this is the restaurant. Please call us back about your table.",
            ring_timeout=25,
        )
        answered = await call.wait_answered()
        end = await call.wait()
    print(f"{call.status}: {end.reason}, after {end.duration_ms / 1000:.1f} s")
    return 0 if answered else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
