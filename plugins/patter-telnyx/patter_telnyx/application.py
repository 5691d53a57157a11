"""The Voice API application: Telnyx sends the events of its numbers' calls to its webhook URL.

The API calls it a Call Control application.
"""

from __future__ import annotations

import msgspec

from patter_core.net.rest import path_segment
from patter_telnyx.rest import TelnyxApi

__all__ = ["Application", "ApplicationSettings"]


class ApplicationSettings(msgspec.Struct, frozen=True):
    """The fields that a change must name."""

    application_name: str
    webhook_event_url: str


class _Answer(msgspec.Struct, frozen=True):
    data: ApplicationSettings


class Application:
    """One application. Each method raises `CarrierRequestFailed` if Telnyx refuses or is not reached."""

    def __init__(self, api: TelnyxApi, connection_id: str) -> None:
        self._api = api
        self._path = f"/call_control_applications/{path_segment(connection_id)}"

    async def webhook_url(self) -> str:
        """Returns the URL that events are sent to."""
        return (await self.settings()).webhook_event_url

    async def settings(self) -> ApplicationSettings:
        """Returns what is set."""
        return (await self._api.fetch(self._path, _Answer, action="look up the application")).data

    async def set_webhook_url(self, url: str) -> None:
        """Has events sent to a URL; sends no change if they are."""
        current = await self.settings()
        if current.webhook_event_url != url:
            changed = ApplicationSettings(current.application_name, url)
            await self._api.change(self._path, changed, action="set the application's webhook URL")
