"""`patter new`: a complete distribution, from templates, to start a plugin from."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path

import click
import msgspec

from patter_core import __version__
from patter_core.errors import ConfigurationError

__all__ = ["KINDS", "new", "write_distribution"]

_TEMPLATES = resources.files("patter_core.cli").joinpath("templates")
KINDS = tuple(sorted(folder.name for folder in _TEMPLATES.iterdir() if folder.is_dir()))
"""Those with templates: each has a folder of its name."""

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_SUFFIX = ".template"


class _Names(msgspec.Struct, frozen=True):
    """The words that replace `acme` in the templates."""

    name: str

    @property
    def words(self) -> dict[str, str]:
        """Returns the replacement of each word of the templates, longest word first."""
        module = self.name.replace("-", "_")
        title = "".join(part.capitalize() for part in self.name.split("-"))
        major, minor = __version__.split(".")[:2]
        return {
            "CORE_REQUIREMENT": f"patter-core>={major}.{minor},<{int(major) + 1}",
            "patter_acme": f"patter_{module}",
            "ACME": module.upper(),
            "Acme": title,
            "acme": self.name,
        }

    def put_into(self, text: str) -> str:
        """Returns the text with all words replaced."""
        words = self.words
        return re.sub("|".join(words), lambda match: words[match[0]], text)  # in one pass: a name may contain a word


def write_distribution(kind: str, name: str, parent: Path) -> Path:
    """Writes `parent/patter-<name>`: a plugin that builds, installs, passes its tests and works. Returns its folder.

    Args:
        kind: one of `KINDS`.
        name: of the carrier, engine or sink.
        parent: the folder to write into.

    Raises:
        ConfigurationError: the name is invalid or taken, or the folder exists.
    """
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise ConfigurationError(
            "Invalid plugin name.",
            expected="lower-case letters and digits, separated by single hyphens, beginning with a letter",
            got=repr(name),
        )
    if find_spec(f"patter_{name.replace('-', '_')}") is not None:
        raise ConfigurationError(f"patter-{name} is installed already.", remedy="Choose another name.")
    folder = parent / f"patter-{name}"
    if folder.exists():
        raise ConfigurationError(f"{folder} exists already.", remedy="Choose another name, or another --into.")
    names = _Names(name)
    for path, template in _files(_TEMPLATES.joinpath(kind)):
        target = folder / names.put_into(path.removesuffix(_SUFFIX))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(names.put_into(template.read_text(encoding="utf-8")), encoding="utf-8")
    return folder


def _files(root: Traversable, path: str = "") -> Iterator[tuple[str, Traversable]]:
    for entry in sorted(root.iterdir(), key=lambda entry: entry.name):
        below = f"{path}/{entry.name}" if path else entry.name
        if entry.is_dir():
            yield from _files(entry, below)
        elif entry.name.endswith(_SUFFIX):
            yield below, entry


@click.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("name")
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Folder to write it into. Default: the current one.",
)
def new(kind: str, name: str, into: Path) -> None:
    """Create a plugin: a distribution that installs, works and passes its tests."""
    folder = write_distribution(kind, name, into)
    click.echo(f"{folder} is a complete {kind} plugin. Try it:\n")
    click.echo(f"  pip install -e {folder} pytest\n  patter plugins\n  pytest {folder}")
    if kind != "sink":  # whose service must be running
        click.echo(f"  patter demo --{kind} {name}")
    click.echo("\nThen adapt it to your vendor: its README says where.")
