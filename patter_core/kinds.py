"""Kinds of plugin classes: those of the core have contracts of their own; plugins add others, whose classes are parts.

The core knows no kind that a plugin defines. A plugin composes an engine of parts of such kinds: see `Patter.agent`.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import msgspec

from patter_core.checks import CheckResult
from patter_core.config import Configured

__all__ = ["Kind", "Part", "Parts"]


class Part(Configured, abc.ABC):
    """The base of the classes of all kinds that plugins define, such as speech to text.

    A kind has a base class of its own below this one, which says what its parts do. The class is the spec; an instance
    holds the user's frozen configuration. Constructing it with missing or wrong values raises `ConfigurationError`; its
    `repr` shows no secret.
    """

    api_version: ClassVar[int]
    """The version of its kind's contract that the class implements; the kind's base class sets it."""
    name: ClassVar[str]
    """In the registry, among those of its kind: lower-case letters, digits and hyphens."""
    emulator: ClassVar[str] = ""
    """`module:Class` of what plays the vendor in tests; "" if none."""

    async def check(self) -> Sequence[CheckResult]:
        """Checks what this configuration needs: keys, settings at the vendor, reachability.

        The engine that is composed of parts calls it in its own `check`. Never raises for what it finds; costs nothing,
        and changes nothing at the vendor.
        """
        return ()


class Kind(msgspec.Struct, frozen=True, eq=False):
    """A kind of classes that plugins offer.

    A plugin defines kinds by the hook `patter_kinds`. A class is of the kind whose base comes first in its method
    resolution order.
    """

    name: str
    """The argument of `Patter.agent` for one part of it; with an "s", for several. A Python name in lower case."""
    base: type
    """What its classes derive from: an abstract subclass of `Part`, in the plugin's own package."""
    api_version: int
    """The version of its contract. A class of another version is refused, with its plugin."""
    conformance: str = ""
    """`module:function` of the check that its plugins run in their tests; "" if there is none."""
    required: bool = False
    """True if no engine can be composed without a part of it."""
    template: str = ""
    """`package:folder` of the files from which `patter new` writes a distribution with a class of it; "" for none.

    They are named and written as those of the core, in `patter_core/cli/templates`; KIND_REQUIREMENT in them becomes a
    requirement of the distribution that defines the kind.
    """
    brought_by: tuple[str, ...] = ()
    """Distributions that are known to bring parts of it: what to install where there are none."""


Parts = Mapping[str, Part | tuple[Part | Callable[..., object], ...]]
"""What an engine is composed of, by the names of kinds: a part, or several in a tuple, functions among them."""
