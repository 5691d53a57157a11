"""Programs for tunnels, as a user installs them: on the PATH, in a folder that is left to a test."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["install"]


def install(folder: Path, *names: str) -> str:
    """Installs programs of `fake_tunnel.py`. Returns a PATH that has these and no other."""
    folder.mkdir(exist_ok=True)
    for name in names:
        program = folder / name
        program.write_text(f"#!{sys.executable} -IS\n" + Path(__file__).with_name("fake_tunnel.py").read_text())
        program.chmod(0o755)
    return str(folder)
