"""The plugins of the command that is run. This loads them all, so no help needs it."""

from __future__ import annotations

import logging

from patter_core.cli.told import tell
from patter_core.cli.useless_variables import useless_variables
from patter_core.registry import Registry

__all__ = ["joined_plugins"]


def joined_plugins() -> Registry:
    """Joins the plugins that are installed, and tells of variables that have no effect."""
    registry = Registry.discover()
    for told in useless_variables(registry):
        tell(told, logging.WARNING)
    return registry
