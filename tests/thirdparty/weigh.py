"""What the environment of this Python holds, and whether that is as small as users are told: `python weigh.py`."""

from __future__ import annotations

import importlib.metadata
import sysconfig
from pathlib import Path

MOST_PACKAGES = 25
"""Of others."""
MOST_MB = 90.0

TOOLS = {"pip", "setuptools", "wheel"}
"""What an empty environment may have."""


def main() -> None:
    weights = {
        distribution.name.lower(): weight(distribution)
        for distribution in importlib.metadata.distributions(path=[sysconfig.get_path("purelib")])
        if distribution.name.lower() not in TOOLS
    }
    ours = {name for name in weights if name.startswith("patter-")}
    others = weights.keys() - ours
    total = sum(weights.values()) / 1e6
    print(f"{len(ours)} packages of ours and {len(others)} of others, {total:.1f} MB:")  # noqa: T201
    for name, bytes_of_it in sorted(weights.items(), key=lambda item: -item[1]):
        print(f"  {bytes_of_it / 1e6:5.1f}  {name}")  # noqa: T201
    assert "numpy" not in others
    assert len(others) <= MOST_PACKAGES, sorted(others)
    assert total <= MOST_MB, total


def weight(distribution: importlib.metadata.Distribution) -> int:
    """Bytes of all its files, without what Python compiles them to."""
    files = (Path(str(file.locate())) for file in distribution.files or () if file.suffix != ".pyc")
    return sum(file.stat().st_size for file in files if file.is_file())


main()
