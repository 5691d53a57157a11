"""What a module lists as public is there, and every public thing of the core says what it is."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest

import patter_core

MODULES = sorted(module.name for module in pkgutil.walk_packages(patter_core.__path__, "patter_core."))


@pytest.mark.parametrize("name", ["patter_core", *MODULES])
def test_what_is_listed_is_there_and_documented(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    for public in getattr(module, "__all__", ()):
        thing = getattr(module, public)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            assert thing.__doc__, f"{name}.{public} has no docstring"
