"""Options of names that a class does not have are told with those that it has, wherever an object is made."""

from __future__ import annotations

import abc
import copy
import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any, Self

import pytest

from patter_core import CallOptions, ConfigurationError, Deadlines, HangUp, Limits, Patter, Tool, Transfer
from patter_core.config import Configured, ConfiguredStruct, check_arguments, options
from patter_core.errors import UnknownOption
from patter_core.testing.fakes.carrier import FakeCarrier
from patter_core.testing.fakes.engine import FakeEngine
from patter_core.webhook import Reject


class Contract(Configured, abc.ABC):
    @abc.abstractmethod
    def act(self) -> None: ...


@dataclasses.dataclass(frozen=True)
class Acme(Contract):
    api_key: str = ""
    _hidden: str = ""

    def act(self) -> None: ...


class Plain(Configured):
    """It takes nothing."""


class Open(Configured):
    def __init__(self, **options: object) -> None:
        self.options = options


class Base:
    def __new__(cls, **kwargs: object) -> Self:
        made = super().__new__(cls)
        made.seen = kwargs
        return made

    seen: dict[str, object]


class Joined(Configured, Base):
    def __init__(self, *, size: int) -> None:
        self.size = size


def renames(init: Callable[..., None]) -> Callable[..., None]:
    """Takes an option by its old name, too."""

    @functools.wraps(init)
    def call(self: object, *args: object, **kwargs: object) -> None:
        if "key" in kwargs:
            kwargs["api_key"] = kwargs.pop("key")
        init(self, *args, **kwargs)

    return call


class Renamed(Configured):
    @renames
    def __init__(self, *, api_key: str) -> None:
        self.api_key = api_key


class RenamedAndChecked(Configured):
    @check_arguments
    @renames
    def __init__(self, *, api_key: str) -> None:
        self.api_key = api_key


class Checked(Configured):
    @check_arguments
    def __init__(self, *, api_key: str) -> None:
        self.api_key = api_key


class Named(Configured):
    def __init__(this, /, *, cls: str, self: str) -> None:  # noqa: N805 - the names of options
        this.both = cls + self


class NamedStruct(ConfiguredStruct):
    cls: str


class OwnNew(Configured):
    def __new__(cls, size: int) -> Self:
        return super().__new__(cls, size=size)  # type: ignore[call-arg] # which type checkers do not know


UNKNOWN: dict[str, tuple[Any, str, str]] = {
    "a plugin's class": (Acme, "key", "Acme has no option “key”. Expected api_key. Did you mean api_key?"),
    "a class that takes nothing": (Plain, "x", "Plain has no option “x”. Expected no options."),
    "a checked class": (Checked, "key", "Checked has no option “key”. Expected api_key."),
    "a phone": (Patter, "carier", "Patter has no option “carier”. Expected carrier, phone_number, "),
    "limits": (Limits, "cals", "Did you mean calls?"),
    "deadlines": (Deadlines, "ruote", "Did you mean route?"),
    "a transfer": (Transfer, "too", "Did you mean to?"),
    "a rejection": (Reject, "reson", "Did you mean reason?"),
    "options of a call": (CallOptions, "languag", "Did you mean language?"),
    "a tool": (Tool, "timout", "Did you mean timeout?"),
}


@pytest.mark.parametrize(("cls", "name", "said"), UNKNOWN.values(), ids=UNKNOWN.keys())
def test_an_unknown_option_is_told_with_those_that_are_known(cls: Any, name: str, said: str) -> None:
    with pytest.raises(UnknownOption) as caught:
        cls(**{name: "secret"})
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, ConfigurationError)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Limits(5), "Limits takes no option without a name. Expected calls=…, "),  # type: ignore[call-arg]
        (lambda: Reject("a"), "Reject takes no option without a name. Expected reason=…. Got 1 without a name."),  # type: ignore[call-arg]
        (lambda: HangUp("a", "b"), "HangUp takes 1 of its options without a name. Expected say=…."),  # type: ignore[call-arg]
    ],
)
def test_values_without_a_name_are_told_with_the_class(make: Callable[[], object], said: str) -> None:
    with pytest.raises(UnknownOption) as caught:
        make()
    assert said in str(caught.value)


def test_the_fakes_and_agents_tell_it_too() -> None:
    with pytest.raises(UnknownOption, match="FakeCarrier has no option “nam”"):
        FakeCarrier(nam="x")  # type: ignore[call-arg] # the mistake
    with pytest.raises(UnknownOption, match="Did you mean system_prompt"):
        Patter(carrier=FakeCarrier()).agent(engine=FakeEngine(), system_promt="x")  # type: ignore[arg-type] # as above


def test_the_signature_is_that_of_init() -> None:
    assert list(inspect.signature(Acme).parameters) == ["api_key", "_hidden"]
    assert list(inspect.signature(Plain).parameters) == []
    assert list(inspect.signature(Open).parameters) == ["options"]
    for cls in (Renamed, RenamedAndChecked, Checked):
        assert list(inspect.signature(cls).parameters) == ["api_key"]
    assert next(iter(inspect.signature(Limits).parameters)) == "calls"
    with pytest.raises(TypeError):
        inspect.signature(Plain())  # type: ignore[arg-type] # an instance cannot be called


def test_what_python_can_do_with_a_class_it_still_can() -> None:
    acme = Acme("key", _hidden="yes")
    assert copy.copy(acme) == copy.deepcopy(acme) == dataclasses.replace(acme) == acme
    assert Open(anything=1).options == {"anything": 1}
    joined = Joined(size=3)
    assert (joined.size, joined.seen) == (3, {"size": 3})
    with pytest.raises(TypeError, match="abstract"):
        Contract()  # type: ignore[abstract] # the mistake
    with pytest.raises(TypeError, match="takes no arguments"):
        Plain(1)  # type: ignore[call-arg] # the mistake
    with pytest.raises(TypeError, match="positional argument"):
        Acme("a", "b", "c")  # type: ignore[call-arg] # the mistake


@pytest.mark.parametrize("cls", [Renamed, RenamedAndChecked])
def test_an_option_that_a_decorator_renames_is_taken(cls: Any) -> None:
    assert cls(key="x").api_key == cls(api_key="x").api_key == "x"


def test_options_may_have_the_names_of_first_parameters() -> None:
    assert Named(cls="a", self="b").both == "ab"
    assert NamedStruct(cls="a").cls == "a"


def test_a_class_with_a_new_of_its_own_is_left_alone() -> None:
    assert isinstance(OwnNew(size=1), OwnNew)


def test_the_signature_of_a_struct_is_not_made_where_all_names_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "check_names", None)
    assert NamedStruct("a") == NamedStruct(cls="a")
