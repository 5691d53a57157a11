"""The dashboard as an app: what users configure."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from patter_core.app import PhoneView, WebApp
from patter_core.config import check_arguments

if TYPE_CHECKING:  # each command loads the plugins, and needs no server
    from starlette.types import ASGIApp

__all__ = ["Dashboard"]


class Dashboard(WebApp):
    """Shows calls, live and past, and lets visitors end, transfer and inform live ones.

    Past calls come from the first sink of the phone that keeps any, such as `SQLiteSink`; else from memory.

    Args:
        actions: False if it only shows.
        recordings: False if the audio of `WavSink` is not played. It is not where redaction removes transcripts, unless
            the visitor may see them.
    """

    name: ClassVar[str] = "dashboard"
    title: ClassVar[str] = "Dashboard"
    in_dev: ClassVar[bool] = True

    @check_arguments
    def __init__(self, *, actions: bool = True, recordings: bool = True) -> None:
        self._actions = actions
        self._recordings = recordings

    def asgi(self, phone: PhoneView) -> ASGIApp:
        from patter_dashboard.routes import routes_of  # noqa: PLC0415 - see above

        return routes_of(phone, actions=self._actions, recordings=self._recordings)
