"""Objects of the user's own code, by their paths."""

from __future__ import annotations

from pathlib import Path

import pytest

from patter_core.errors import ConfigurationError
from patter_core.settings.objects import function_at, object_at


def test_a_module_in_the_current_folder_is_found(program: Path) -> None:
    program.write_text("class Shop:\n    bell = 'ding'\n\ndef book():\n    return 1\n")
    assert object_at("shop:Shop.bell", where="tools") == "ding"
    assert function_at("shop:book", where="tools")() == 1


WRONG = {
    "no colon": ("shop", r"tools: “shop” names no object\. Expected module:name\. Did you mean shop\.py\?"),
    "no name": ("shop:", "tools: “shop:” names no object"),
    "no module": ("shopp:book", r"“shopp” is no module\. Expected a module in the current folder.* mean shop\.py\?"),
    "a module like none": ("hotel:book", r"“hotel” is no module\. Expected .* an installed one\.$"),
    "a file": ("shp.py:book", r"“shp\.py” is no file\. .* Did you mean shop\.py\?"),
    "no such name": ("shop:bok", r"“shop” has no “bok”\. Did you mean book"),
    "no function": ("shop:SIZE", r"“shop:SIZE” is no function\. Got int"),
}


@pytest.mark.parametrize(("path", "said"), WRONG.values(), ids=WRONG.keys())
def test_what_is_not_there_is_told(program: Path, path: str, said: str) -> None:
    program.write_text("SIZE = 5\n\ndef book():\n    return 1\n")
    with pytest.raises(ConfigurationError, match=said):
        function_at(path, where="tools")


def test_what_the_module_itself_lacks_or_raises_is_raised_as_it_is(program: Path) -> None:
    program.write_text("import a_package_that_is_not_installed\n")
    with pytest.raises(ModuleNotFoundError, match="a_package_that_is_not_installed"):
        object_at("shop:phone", where="The phone")
    program.write_text("1 / 0\n# longer than before\n")
    with pytest.raises(ZeroDivisionError):
        object_at("shop:phone", where="The phone")
