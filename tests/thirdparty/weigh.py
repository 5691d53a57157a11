"""What the environment of this Python holds, and whether that is as small as users are told: `python weigh.py`."""

from __future__ import annotations

import importlib.metadata
import sysconfig
from pathlib import Path

MOST_PACKAGES = 26
"""Of others."""
MOST_MB = 60.0

TOOLS = {"pip", "setuptools"}


def main() -> None:
    names = {distribution.name.lower() for distribution in importlib.metadata.distributions()} - TOOLS
    others = sorted(name for name in names if not name.startswith("patter-"))
    site = Path(sysconfig.get_path("purelib"))
    tops = [top for top in site.iterdir() if top.name.split("-")[0] not in TOOLS]
    sizes = {top.name: size(top) for top in tops}
    total = sum(sizes.values()) / 1e6
    print(f"{len(names) - len(others)} packages of ours and {len(others)} of others: {', '.join(others)}")  # noqa: T201
    print(f"{total:.1f} MB:")  # noqa: T201
    for name, size in sorted(sizes.items(), key=lambda item: -item[1])[:8]:
        print(f"  {name} {size / 1e6:.1f}")  # noqa: T201
    assert "numpy" not in others
    assert len(others) <= MOST_PACKAGES, others
    assert total <= MOST_MB


def size(top: Path) -> int:
    """Bytes, of a file or of all files in a folder."""
    return sum(file.stat().st_size for file in (top, *top.rglob("*")) if file.is_file() and file.suffix != ".pyc")


main()
