"""The page as an app of the phone. What serves it is loaded when it is served: `page.py`."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from patter_browser.carrier import Browser
from patter_core.app import PhoneView, WebApp
from patter_core.errors import CallError, ConfigurationError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

__all__ = ["BrowserPhone"]


@dataclasses.dataclass(frozen=True)
class BrowserPhone(WebApp):
    """A telephone in a web page: its calls come by the carrier `Browser()` of the same phone."""

    name: ClassVar[str] = Browser.name
    title: ClassVar[str] = "Phone"

    def asgi(self, phone: PhoneView) -> ASGIApp:
        """As in `WebApp`.

        Raises:
            ConfigurationError: the phone does not have the carrier.
        """
        from patter_browser.page import Page  # noqa: PLC0415 - see above

        try:
            carrier = phone.carrier(Browser.name)
        except CallError:
            carrier = None
        if not isinstance(carrier, Browser):
            raise ConfigurationError(
                "The app browser needs the carrier of that name.",
                expected="Browser() among the carriers",
                remedy="Patter(carrier=[…, Browser()]).",
            )
        return Page(phone, carrier).app
