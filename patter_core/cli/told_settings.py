"""Tells which settings are passed over with the phone of a program."""

from __future__ import annotations

import logging

from patter_core.cli.told import tell
from patter_core.patter import Patter
from patter_core.settings.model import Settings
from patter_core.settings.unread import unread

__all__ = ["tell_unread"]


def tell_unread(settings: Settings, app: str, phone: Patter) -> None:
    """Tells the settings that the phone of a program has not; nothing of a phone that is made from them."""
    if app:
        for sentence in unread(settings, phone):
            tell(sentence, logging.WARNING)
