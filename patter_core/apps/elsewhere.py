"""What happens at other workers, for the feed of this one: read from the archive that all of them write into.

While no page is open, only the place where the archive ends is read: no record is decoded for nothing.
"""

from __future__ import annotations

import logging
import time

import anyio

from patter_core.aio.foreign import run_foreign
from patter_core.apps.feed import Feed, Kept
from patter_core.server.backlog import bytes_of
from patter_core.storage.archive import SharedArchive

__all__ = ["Elsewhere"]

_log = logging.getLogger("patter.apps")

_EVERY = 1.0
"""Seconds between two looks."""
_AT_ONCE = 500
"""Records of one look; where there are more, the next one follows at once."""
_WITHIN = 30.0
"""Seconds that a look may take: others may hold the file."""
_STAY = 60.0
"""Seconds for which it goes on after somebody asked for the feed's position: they come back with it."""


class Elsewhere:
    """Puts the records of other workers into the feed.

    Args:
        archive: that the workers share.
        feed: of this worker. It has its own records already, and takes none twice.
        every: seconds between two looks.
    """

    def __init__(self, archive: SharedArchive, feed: Feed, *, every: float = _EVERY) -> None:
        self._archive = archive
        self._feed = feed
        self._every = every
        self._asked = -_STAY
        self._failed = False

    def expect_reader(self) -> None:
        """Somebody will read the feed from where it is now."""
        self._asked = time.monotonic()

    async def run(self) -> None:
        """Looks again and again, until cancelled."""
        position = ""
        while True:
            is_wanted = self._feed.readers > 0 or time.monotonic() - self._asked < _STAY
            before = position if is_wanted else ""
            position = await self._look(before) or position
            await anyio.sleep(self._every)

    async def _look(self, after: str) -> str:
        """Reads what is new. Returns the position behind it; "" if it cannot be read."""
        while True:
            try:
                found = await run_foreign(self._archive.latest, _WITHIN, after, limit=_AT_ONCE)
            except Exception as error:  # noqa: BLE001 - the plugin boundary: the archive of a sink
                if not self._failed:
                    _log.warning("Calls of other workers are not followed, since the archive fails: %s", error)
                self._failed = True
                return after
            self._failed = False
            after = found.position
            for record in found.records:
                self._feed.put(Kept(record, None, bytes_of(record)))
            if len(found.records) < _AT_ONCE:
                return after
