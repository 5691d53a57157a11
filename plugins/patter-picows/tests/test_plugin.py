from __future__ import annotations

import importlib.metadata

import pytest

import patter_picows
from patter_core import Patter
from patter_core.errors import PluginNotFound
from patter_core.registry import Registry
from patter_core.testing.fakes import FakeCarrier
from patter_picows import PicowsTransport


def test_the_registry_joins_it() -> None:
    assert Registry.discover().transport("picows") is PicowsTransport


def test_the_public_names_are_there() -> None:
    assert all(hasattr(patter_picows, name) for name in patter_picows.__all__)
    assert importlib.metadata.version("patter-picows") == patter_picows.__version__


def test_installed_it_is_used() -> None:
    assert Patter(carrier=FakeCarrier()).transport == "picows"


def test_the_environment_and_the_argument_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATTER_TRANSPORT", "websockets")
    assert Patter(carrier=FakeCarrier()).transport == "websockets"
    assert Patter(carrier=FakeCarrier(), transport="picows").transport == "picows"


def test_without_it_the_name_is_an_error_and_the_library_that_comes_with_patter_is_used() -> None:
    assert Patter(carrier=FakeCarrier(), registry=Registry()).transport == "websockets"
    with pytest.raises(PluginNotFound, match="picows"):
        Patter(carrier=FakeCarrier(), registry=Registry(), transport="picows")
