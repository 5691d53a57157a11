"""Every class that a plugin offers refuses a value of another type, or of another form, where it is set."""

from __future__ import annotations

import inspect

import pytest

from patter_core import Registry
from patter_core.config import Language
from patter_core.config.types import hints_of
from patter_core.errors import ConfigurationError

CLASSES = [(offer.name, offer.cls) for plugin in Registry.discover().plugins for offer in plugin.offers]


@pytest.mark.parametrize("cls", [cls for _, cls in CLASSES], ids=[f"{cls.__name__}" for _, cls in CLASSES])
def test_a_value_of_another_type_is_refused_by_name(cls: type) -> None:
    known = {**hints_of(cls), **hints_of(inspect.getattr_static(cls, "__init__"))}
    checkable = [
        name for name in inspect.signature(cls).parameters if known.get(name) in {str, int, float, bool, Language}
    ]
    for name in checkable:
        with pytest.raises(ConfigurationError, match=rf"{cls.__name__}\({name}=…\) is of the wrong type"):
            cls(**{name: object()})


SPEAKING = [cls for _, cls in CLASSES if "language" in inspect.signature(cls).parameters]


@pytest.mark.parametrize("cls", SPEAKING, ids=[cls.__name__ for cls in SPEAKING])
def test_what_is_no_code_of_a_language_is_refused(cls: type) -> None:
    with pytest.raises(ConfigurationError, match=rf"{cls.__name__}\(language=…\) is not the code of a language\."):
        cls(language="italian!")


def test_there_are_classes_with_a_language() -> None:
    assert len(SPEAKING) > 5
