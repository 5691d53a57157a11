"""What users set is of the annotated type: what is told of what is not, and what is let through."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Protocol

import msgspec
import pytest

from patter_core.config import Language, check_arguments, check_fields
from patter_core.errors import ConfigurationError

if TYPE_CHECKING:
    from nowhere import Unknown  # type: ignore[import-not-found] # it exists for type checkers only


class Quacks(Protocol):
    def quack(self) -> None: ...


class Duck:
    def quack(self) -> None:
        """Quacks."""


class Mode(msgspec.Struct, frozen=True):
    loud: bool = False


class Acme:
    @check_arguments
    def __init__(
        self,
        key: str = "",
        *,
        tokens: Sequence[str] = (),
        pair: tuple[str, ...] = (),
        ratio: float = 0.0,
        count: int = 0,
        loud: bool = False,
        size: Literal["big", "small"] = "big",
        mode: Mode | None = None,
        modes: Sequence[Mode] = (),
        names: Mapping[str, str | int | float | bool] | Callable[[str], object] | None = None,
        hook: Callable[[], None] | None = None,
        marked: Annotated[int, "a count"] = 0,
        language: Language = "",
        languages: Sequence[Language] = (),
        duck: Quacks | None = None,
        unknown: Unknown | None = None,
    ) -> None:
        self.spoken = (language, languages)
        self.given = (key, tokens, pair, ratio, count, loud, size, mode, modes, names, hook, marked, duck, unknown)


TAKEN: list[dict[str, object]] = [
    {},
    {"key": "k", "tokens": ["a"], "pair": ("a", "b"), "ratio": 1, "count": 2, "loud": True, "size": "small"},
    {"tokens": ("a",), "mode": Mode(), "modes": [Mode(), Mode()], "names": {"a": 1, "b": "c", "d": True, "e": 0.5}},
    {"names": len, "hook": print, "marked": 3, "duck": Duck(), "unknown": "anything"},
]


@pytest.mark.parametrize("arguments", TAKEN)
def test_what_fits_is_passed_on_as_it_is(arguments: dict[str, object]) -> None:
    made = Acme(**arguments)  # type: ignore[arg-type] # of several types
    assert all(any(value is one for one in made.given) for value in arguments.values())


REFUSED = {
    "a number for a text": ({"key": 5}, r"Acme\(key=…\) is of the wrong type\. Expected a text\. Got int\."),
    "nothing for a text": ({"key": None}, r"Expected a text\. Got None\."),
    "bytes for a text": ({"key": b"secret"}, r"Got bytes"),
    "a text for a list of texts": ({"tokens": "secret"}, r"Expected a list, each a text\. Got str\."),
    "a text for a tuple of texts": ({"pair": "secret"}, r"Expected a list, each a text\. Got str\."),
    "a mapping for a list": ({"tokens": {"a": "b"}}, "Got dict"),
    "a wrong one in a list": ({"tokens": ["a", 1]}, r"Expected a text\. Got int at tokens\[1\]\."),
    "a text for a number": ({"ratio": "1"}, r"Expected a number\. Got str"),
    "a boolean for a number": ({"count": True}, r"Expected a whole number\. Got bool"),
    "a fraction for a whole number": ({"count": 1.5}, r"Expected a whole number\. Got float"),
    "a text for a boolean": ({"loud": "yes"}, r"Expected a boolean\. Got str"),
    "another word": ({"size": "secret"}, r"Expected 'big' or 'small'\. Got str"),
    "a text for a struct": ({"mode": "loud"}, r"Expected a Mode or None\. Got str"),
    "a class for its instance": ({"modes": [Mode]}, r"Expected a Mode\. Got the class Mode at modes\[0\]"),
    "a text for a function": ({"hook": "print"}, r"Expected a function or None\. Got str"),
    "a list for a mapping": ({"names": ["a"]}, r"a mapping of a text to a text, a number or a boolean.*Got list"),
    "a wrong value in a mapping": ({"names": {"a": None}}, r"Expected a text, a number or a boolean\. .*names\['a'\]"),
    "a wrong name in a mapping": ({"names": {1: "a"}}, r"Expected a text\. Got int at names, a name"),
    "an annotation with a note": ({"marked": "3"}, r"Expected a whole number"),
    "a text of another form": (
        {"language": "secret!"},
        r"^Acme\(language=…\) is not the code of a language\. Expected one in BCP 47, such as it or pt-BR\. Got 7 char",
    ),
    "one in a list": ({"languages": ["it", "secret!"]}, r"Acme\(languages=…\)\[1\] is not the code of a language"),
    "a number for a text with a form": ({"language": 5}, r"Expected a text\. Got int\."),
}


@pytest.mark.parametrize(("arguments", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_does_not_fit_is_told_with_its_place_and_not_its_value(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        Acme(**arguments)  # type: ignore[arg-type] # mistakes under test
    assert "secret" not in str(caught.value)


def test_arguments_that_do_not_exist_are_a_type_error_as_ever() -> None:
    with pytest.raises(TypeError, match="Acme has no option “colour”"):
        Acme(colour="red")  # type: ignore[call-arg] # the mistake


@dataclasses.dataclass(frozen=True)
class Settings:
    kind: ClassVar[str] = "settings"
    key: str = ""
    tokens: tuple[str, ...] = ()
    derived: int = dataclasses.field(init=False, default=0)

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "derived", "set by the class itself")


class More(Settings):
    pass


class Record(msgspec.Struct, frozen=True):
    key: str = ""

    def __post_init__(self) -> None:
        check_fields(self, "record")


def test_fields_are_checked_by_the_class_that_has_them() -> None:
    for cls in (Settings, More):
        assert cls("k", ("a",)).tokens == ("a",)
        with pytest.raises(ConfigurationError, match=rf"{cls.__name__}\(tokens=…\) is of the wrong type"):
            cls(tokens="abc")  # type: ignore[arg-type] # the mistake
    with pytest.raises(ConfigurationError, match=r"record\(key=…\)"):
        Record(key=5)  # type: ignore[arg-type] # the mistake
    with pytest.raises(ConfigurationError, match=r"record\(key=…\)"):
        msgspec.structs.replace(Record(), key=None)
