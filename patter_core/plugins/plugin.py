"""A plugin that is installed: what is known of it, and what it offers."""

from __future__ import annotations

import msgspec

from patter_core.app import WebApp
from patter_core.carrier import Carrier
from patter_core.engine import Engine
from patter_core.kinds import Kind, Part
from patter_core.net.transport import Transport
from patter_core.plugins.installed import Installed
from patter_core.sink import EventSink
from patter_core.store import CallStore

__all__ = ["Need", "Offer", "OfferedClass", "Plugin", "plugin_of"]

OfferedClass = (
    type[Carrier] | type[Engine] | type[EventSink] | type[CallStore] | type[WebApp] | type[Transport] | type[Part]
)


class Offer(msgspec.Struct, frozen=True):
    """A class that a plugin offers."""

    kind: Kind
    name: str
    cls: OfferedClass


class Need(msgspec.Struct, frozen=True):
    """A part that a plugin offers, and that cannot be used for want of another plugin."""

    name: str
    """Of the part; "" if it could not be imported."""
    distribution: str
    """What defines its kind, as `pip` calls it; or another package that its module imports."""


class Plugin(Installed, eq=False):
    """An installed plugin, joined or not. Its `problem` is why it is not."""

    kinds: tuple[Kind, ...] = ()
    """Those that it defines."""
    composes: bool = False
    """It makes an engine of the parts that an agent is given."""
    offers: tuple[Offer, ...] = ()
    needs: tuple[Need, ...] = ()
    """The parts that it offers and that cannot be used. Everything else of it is in use."""
    disabled: bool = False
    """It is not joined because the user switched it off."""
    cause: BaseException | None = None

    @property
    def joined(self) -> bool:
        """True if it is in use."""
        return not self.problem


def plugin_of(installed: Installed) -> Plugin:
    """Returns the plugin of an entry point."""
    return Plugin(**msgspec.structs.asdict(installed))
