"""A folder in which this process may not write, also where it runs as root."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_OTHER = 65534


@contextmanager
def open_folder() -> Iterator[Path]:
    """A temporary folder that other users may search, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        try:
            yield folder
        finally:
            folder.chmod(0o755)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Lets this process read the folder and its files only, inside. Root is another user meanwhile."""
    for file in folder.iterdir():
        file.chmod(0o444)
    folder.chmod(0o555)
    with as_other():
        yield


@contextmanager
def as_other() -> Iterator[None]:
    """Obeys permissions inside: root is another user meanwhile."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(_OTHER)
    try:
        yield
    finally:
        os.seteuid(user)
