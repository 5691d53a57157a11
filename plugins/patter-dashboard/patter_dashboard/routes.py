"""The routes of the dashboard."""

from __future__ import annotations

from starlette.routing import Route, Router

from patter_core.app import PhoneView
from patter_dashboard.actions import Actions
from patter_dashboard.assets import asset, index
from patter_dashboard.history import History
from patter_dashboard.live import Live
from patter_dashboard.recordings import Recordings

__all__ = ["routes_of"]


def routes_of(phone: PhoneView, *, actions: bool, recordings: bool) -> Router:
    """Returns the ASGI app.

    Args:
        phone: whose calls are shown.
        actions: live calls can be ended, transferred and informed.
        recordings: audio can be played.
    """
    audio = Recordings(phone, allowed=recordings)
    history = History(phone, audio, actions=actions)
    live = Live(phone)
    acts = Actions(phone)
    done = [
        Route("/api/calls/{id}/hang_up", acts.hang_up, methods=["POST"]),
        Route("/api/calls/{id}/transfer", acts.transfer, methods=["POST"]),
        Route("/api/calls/{id}/context", acts.add_context, methods=["POST"]),
    ]
    return Router(
        [
            Route("/", index),
            Route("/static/{name}", asset),
            Route("/api/live", live.calls),
            Route("/api/feed", live.feed),
            Route("/api/calls", history.calls),
            Route("/api/calls/{id}", history.call),
            Route("/api/calls/{id}/recordings/{number:int}", audio.file),
            Route("/api/calls/{id}/recordings/{number:int}/peaks", audio.peaks),
            Route("/api/figures", history.figures),
            Route("/api/system", history.system),
            *(done if actions else ()),
        ]
    )
