"""Where a number points: at an application or a number it is forwarded to; and the webhooks of the application."""

from __future__ import annotations

from patter_core.telephony.numbers import VoiceTarget
from patter_vonage.application import Application
from patter_vonage.numbers import VonageNumbers

__all__ = ["NumberTarget"]

_VOICE = "voice"


class NumberTarget:
    """Reads and puts back where numbers point, and the webhooks of the application that they are linked to.

    Each method raises `CarrierRequestFailed` if Vonage refuses or is not reached.

    Args:
        numbers: of the account.
        application: that numbers are linked to.
        application_id: its id.
    """

    def __init__(self, numbers: VonageNumbers, application: Application, application_id: str) -> None:
        self._numbers = numbers
        self._application = application
        self._application_id = application_id

    async def read(self, number: str) -> VoiceTarget:
        """Returns where a number points."""
        found = await self._numbers.find(number)
        settings, voice = await self._application.settings(), await self._application.voice()
        return VoiceTarget(
            shown=settings.answer_url if found.target == self._application_id else found.target,
            shared=f"all numbers of the application “{settings.name}”",
            settings={**await self._numbers.link(number), _VOICE: voice},
        )

    async def put_back(self, number: str, target: VoiceTarget) -> None:
        """Points a number where it pointed."""
        link = {name: value for name, value in target.settings.items() if name != _VOICE}
        await self._numbers.put_link(await self._numbers.find(number), link)
        await self._application.put_voice(target.settings[_VOICE])
