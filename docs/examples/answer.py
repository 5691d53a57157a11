"""Answers the calls to a Twilio number. If the agent fails twice, a colleague takes the call."""

import asyncio
import os

from getpatter import ElevenLabsConvAI, Patter, Twilio
from patter_core import Retry, Transfer

phone = Patter(carrier=Twilio(), phone_number=os.environ["PATTER_PHONE_NUMBER"])
agent = phone.agent(
    engine=ElevenLabsConvAI(),
    first_message="Hello, this is the reception. How can I help you?",
    resume_message="Sorry, the line was interrupted. Where were we?",
    fallback=Retry(times=1, then=Transfer(os.environ["OFFICE_NUMBER"], say="I connect you with a colleague.")),
)

if __name__ == "__main__":
    asyncio.run(phone.serve(agent))
