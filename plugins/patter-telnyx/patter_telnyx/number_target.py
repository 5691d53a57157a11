"""Where a number points: at an application, and that at a webhook URL."""

from __future__ import annotations

from patter_core.telephony.numbers import AccountNumber, VoiceTarget
from patter_telnyx.application import Application
from patter_telnyx.numbers import TelnyxNumbers

__all__ = ["NumberTarget"]

_CONNECTION, _URL = "connection_id", "webhook_event_url"


class NumberTarget:
    """Reads and puts back where numbers point, and the webhook URL of the application that they are pointed at.

    Each method raises `CarrierRequestFailed` if Telnyx refuses or is not reached.

    Args:
        numbers: of the account.
        application: that numbers are pointed at.
        connection_id: its id.
    """

    def __init__(self, numbers: TelnyxNumbers, application: Application, connection_id: str) -> None:
        self._numbers = numbers
        self._application = application
        self._connection_id = connection_id

    async def read(self, number: str) -> VoiceTarget:
        """Returns where a number points."""
        found = await self._numbers.find(number)
        now = await self._application.settings()
        is_ours = found.target == self._connection_id
        return VoiceTarget(
            shown=now.webhook_event_url if is_ours else found.target_name or found.target,
            shared=f"all numbers of the application “{now.application_name}”",
            settings={_CONNECTION: found.target, _URL: now.webhook_event_url},
        )

    async def put_back(self, number: str, target: VoiceTarget) -> None:
        """Points a number where it pointed; sends no change of what is so."""
        found: AccountNumber = await self._numbers.find(number)
        if found.target != target.settings[_CONNECTION]:
            await self._numbers.point(found, target.settings[_CONNECTION])
        await self._application.set_webhook_url(target.settings[_URL])
