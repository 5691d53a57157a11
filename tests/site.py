"""A folder of distributions that offer plugins, for tests of their discovery."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from patter_core.registry import Registry

__all__ = ["Site"]


class Site:
    """A site-packages folder to which distributions are added as pip would leave them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, name: str, source: str, *, distribution: str = "", requires: str = "") -> None:
        distribution = distribution or f"patter-{name}"
        module = f"plugin_{distribution.replace('-', '_')}"
        (self.path / f"{module}.py").write_text(source)
        self.add_entry_points(distribution, f"{name} = {module}", requires=requires)

    def add_entry_points(self, distribution: str, *lines: str, requires: str = "") -> None:
        """Adds a distribution without code."""
        info = self.path / f"{distribution.replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n{requires}")
        (info / "entry_points.txt").write_text("\n".join(["[patter]", *lines, ""]))

    def entry_points(self) -> list[importlib.metadata.EntryPoint]:
        return [
            point
            for dist in importlib.metadata.distributions(path=[str(self.path)])
            for point in dist.entry_points.select(group="patter")
        ]

    def discover(self) -> Registry:
        return Registry.discover(reversed(self.entry_points()))
