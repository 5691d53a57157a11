"""Plugins to check: what `patter new` writes, as it is or with a piece of its text replaced."""

from __future__ import annotations

import gc
import importlib
import itertools
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from patter_core.cli.new import write_distribution

Make = Callable[..., object]
_numbers = itertools.count()


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Make]]:
    """Write a plugin; gives the class in its `testing` that plays the vendor.

    A file's text `sound` is replaced by `broken`, in which `acme` stands for the plugin's name as in the templates.
    """

    def write(kind: str, file: str = "", sound: str = "", broken: str = "") -> Make:
        name = f"acme{next(_numbers)}"
        folder = write_distribution(kind, name, tmp_path)
        if file:
            path = folder / f"patter_{name}" / file
            text = path.read_text()
            sound, broken = (
                piece.replace("Acme", name.capitalize()).replace('"acme"', f'"{name}"') for piece in (sound, broken)
            )
            assert text.count(sound) == 1, f"{file} has {text.count(sound)} times {sound}"
            path.write_text(text.replace(sound, broken))
        monkeypatch.syspath_prepend(folder)
        module = importlib.import_module(f"patter_{name}.testing")
        made: Make = getattr(module, f"{name.capitalize()}{'Service' if kind == 'sink' else 'Emulator'}")
        return made

    yield write
    for module in [module for module in sys.modules if module.startswith("patter_acme")]:
        del sys.modules[module]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # some mistakes are sockets that nobody closes
        gc.collect()
