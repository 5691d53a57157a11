"""Two numbers, an agent for each; in office hours a person takes the calls to one of them.

A plugin decides first, by number and time. What it leaves open is decided by the mapping that `serve` gets.
"""

import asyncio
import os
import time

from getpatter import ElevenLabsConvAI, Patter, Twilio
from patter_core import Leg, Registry, Reject, Transfer, hookimpl

SALES = os.environ["SALES_NUMBER"]
SERVICE = os.environ["SERVICE_NUMBER"]
OFFICE = os.environ["OFFICE_NUMBER"]
OPENS, CLOSES = (int(hour) for hour in os.environ.get("OFFICE_HOURS", "9-17").split("-"))


class OfficeHours:
    """The plugin. One that is installed is a module with such a function, behind an entry point."""

    @hookimpl
    def patter_route_call(self, leg: Leg) -> Reject | Transfer | None:
        if not leg.from_number.startswith(("+", "sip:")):  # the caller withholds their number
            return Reject()
        if leg.to_number == SERVICE and OPENS <= time.localtime().tm_hour < CLOSES:
            return Transfer(OFFICE, say="Our office takes your call.")
        return None


registry = Registry.discover()
registry.manager.register(OfficeHours())

phone = Patter(carrier=Twilio(), phone_number=SALES, registry=registry)
sales = phone.agent(name="sales", engine=ElevenLabsConvAI(), first_message="This is sales.")
service = phone.agent(name="service", engine=ElevenLabsConvAI(), first_message="Our office is closed. I can help you.")

if __name__ == "__main__":
    asyncio.run(phone.serve({SALES: sales, SERVICE: service}))
