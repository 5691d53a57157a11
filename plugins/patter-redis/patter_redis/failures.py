"""What an error of Redis means: it passes, or a person must change something. Sans-IO."""

from __future__ import annotations

from patter_core.errors import SinkRefused, SinkUnavailable, StoreRefused, StoreUnavailable
from patter_core.net.unreached import unreached

__all__ = ["Failure", "text_of"]

_PASSING = frozenset(
    {
        "ASK",  # the slot moves to another node
        "BUSY",  # a script runs
        "CLUSTERDOWN",
        "LOADING",
        "MASTERDOWN",
        "MISCONF",  # it cannot write to its disk
        "NOREPLICAS",
        "OOM",
        "READONLY",  # after a failover
        "TRYAGAIN",
    }
)
"""The codes of errors that pass. Every other answer lasts."""
_CREDENTIALS = "Check the user and the password in the URL."
_REMEDIES = {
    "NOAUTH": _CREDENTIALS,
    "WRONGPASS": _CREDENTIALS,
    "NOPERM": "Allow this user the commands and the keys.",
    "WRONGTYPE": "A key of another kind has this name: choose another prefix=, or delete it.",
    "MOVED": "The nodes of the cluster disagree: look at it.",
    "CROSSSLOT": "Use a Redis Cluster without a proxy that splits transactions.",
}
_LONGEST = 200


class Failure:
    """The errors of a sink, or of a store.

    Args:
        unavailable: for what passes.
        refused: for what lasts.
    """

    def __init__(
        self,
        unavailable: type[SinkUnavailable | StoreUnavailable] = SinkUnavailable,
        refused: type[SinkRefused | StoreRefused] = SinkRefused,
    ) -> None:
        self._unavailable = unavailable
        self._refused = refused

    def answer(self, code: str, text: str) -> SinkUnavailable | StoreUnavailable | SinkRefused | StoreRefused:
        """Returns the error for an answer of Redis, by its code."""
        problem = f"Redis: {f'{code} {text}'.rstrip('. ')}."
        if code in _PASSING:
            return self._unavailable(problem)
        return self._refused(problem, remedy=_REMEDIES.get(code, "Look at the server and its version."))

    def unreachable(self, place: str, why: Exception) -> SinkUnavailable | StoreUnavailable:
        """Returns the error for a server that did not answer."""
        told = unreached(why, f"Redis at {place}", setting="the URL in PATTER_REDIS_URL", is_own=True)
        return self._unavailable(told.problem, got=told.got, remedy=told.remedy)


def text_of(text: str) -> str:
    """Returns the text of an answer without what was sent to it, which may be private."""
    text = text.rpartition("caused error: ")[2]  # the client quotes the command in front of it
    if text.startswith(("('", '("')):  # and writes what follows as a tuple
        text = text[2:].removesuffix(",)")[:-1]
    return text.partition(", with args")[0][:_LONGEST]
