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
from patter_core.config import did_you_mean
from patter_core.errors import ConfigurationError
from patter_core.registry import Registry

__all__ = ["KINDS", "new", "write_distribution"]

_TEMPLATES = resources.files("patter_core.cli").joinpath("templates")
KINDS = tuple(sorted(folder.name for folder in _TEMPLATES.iterdir() if folder.is_dir()))
"""Those of the core with templates: each has a folder of its name. Plugins bring others: `Kind.template`."""

_OURS = frozenset(_TEMPLATES.joinpath("taken.txt").read_text(encoding="utf-8").split())
"""What stands behind `patter-` in the names of Patter's own distributions, installed or not."""
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_SUFFIX = ".template"


class _Source(msgspec.Struct, frozen=True):
    """Where the files of a kind are."""

    folder: Traversable
    requirement: str = ""
    """Of the distribution that defines the kind; "" for the core."""


class _Names(msgspec.Struct, frozen=True):
    """The words that replace `acme` in the templates."""

    kind: str
    name: str
    requirement: str

    @property
    def words(self) -> dict[str, str]:
        """Returns the replacement of each word of the templates, longest word first."""
        module = self.name.replace("-", "_")
        is_part = bool(self.requirement)
        own = self.name.removesuffix(f"-{self.kind.replace('_', '-')}") if is_part else self.name  # it stands behind it
        title = "".join(part.capitalize() for part in own.split("-"))
        return {
            "CORE_REQUIREMENT": _requirement("patter-core", __version__),
            "KIND_REQUIREMENT": self.requirement,
            "patter_acme": f"patter_{module}",
            "ACME": module.upper(),
            "Acme": title,
            "acme": self.name,
        }

    def put_into(self, text: str) -> str:
        """Returns the text with all words replaced."""
        words = self.words
        return re.sub("|".join(words), lambda match: words[match[0]], text)  # in one pass: a name may contain a word


def write_distribution(kind: str, name: str, parent: Path, registry: Registry | None = None) -> Path:
    """Writes `parent/patter-<name>`: a plugin that builds, installs, passes its tests and works. Returns its folder.

    Args:
        kind: one of `KINDS`, or one that a plugin defines with a template.
        name: of the carrier, engine, sink or part; `patter-` before it is left out.
        parent: the folder to write into.
        registry: the plugins; None to find those that are installed.

    Raises:
        ConfigurationError: the kind has no templates, the name is invalid or taken, or the folder exists or cannot be
            written.
    """
    registry = registry or Registry.discover()
    source = _source_of(kind, registry)
    given, name = name, name.removeprefix("patter-")
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            "Invalid plugin name.",
            expected="lower-case letters and digits, separated by single hyphens, beginning with a letter",
            got=repr(given),
        )
    if keyword.iskeyword(name):
        raise ConfigurationError(f"“{name}” is a word of Python.", remedy="Choose another name.")
    for plugin in registry.plugins:
        if any((offer.kind.name, offer.name) == (kind, name) for offer in plugin.offers):
            raise ConfigurationError(
                f"The {kind} name “{name}” belongs to {plugin.distribution or plugin.name}.",
                remedy="Choose another name: only one of the two would be joined.",
            )
    if find_spec(f"patter_{name.replace('-', '_')}") is not None:
        raise ConfigurationError(f"patter-{name} is installed already.", remedy="Choose another name.")
    if name in _OURS:
        raise ConfigurationError(f"patter-{name} is a distribution of Patter's own.", remedy="Choose another name.")
    folder = parent / f"patter-{name}"
    try:
        if folder.exists():
            raise ConfigurationError(f"{folder} exists already.", remedy="Choose another name, or another --into.")
        _write(folder, source.folder, _Names(kind, name, source.requirement))
    except OSError as error:
        raise ConfigurationError(
            f"{folder} cannot be written.",
            got=error.strerror or type(error).__name__,
            remedy="Choose another folder with --into.",
        ) from None
    return folder


def _write(folder: Path, templates: Traversable, names: _Names) -> None:
    for path, template in _files(templates):
        target = folder / names.put_into(path.removesuffix(_SUFFIX))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(names.put_into(template.read_text(encoding="utf-8")), encoding="utf-8")


def _source_of(kind: str, registry: Registry) -> _Source:
    if kind in KINDS:
        return _Source(_TEMPLATES.joinpath(kind))
    sources = _sources(registry)
    if kind in {known.name for known in registry.kinds} - sources.keys():
        raise ConfigurationError(
            f"There is no template of a {kind}.",
            expected=", ".join([*KINDS, *sources]),
            remedy="The page “Write a plugin” (docs/plugins.md) says what a plugin with one consists of.",
        )
    if kind not in sources:
        raise ConfigurationError(
            "No installed plugin defines this kind.",
            expected=", ".join([*KINDS, *sources]),
            got=repr(kind),
            remedy=did_you_mean(kind, [*KINDS, *sources])
            or "Kinds of parts come with patter-pipeline; `patter plugins` lists those that are installed.",
        )
    return sources[kind]


def _sources(registry: Registry) -> dict[str, _Source]:
    """Returns the templates that plugins bring, by kind."""
    sources: dict[str, _Source] = {}
    for plugin in registry.plugins:
        for kind in plugin.kinds if plugin.joined else ():
            package, _, path = kind.template.partition(":")
            if package:
                folder = resources.files(package).joinpath(*path.split("/"))
                sources[kind.name] = _Source(folder, _requirement(plugin.distribution, plugin.version))
    return sources


def _requirement(distribution: str, version: str) -> str:
    """Returns the requirement of that release, and of those after it that keep the contracts."""
    release = re.match(r"(\d+)\.(\d+)", version)
    return distribution if release is None else f"{distribution}>={release[0]},<{int(release[1]) + 1}"


def _files(root: Traversable, path: str = "") -> Iterator[tuple[str, Traversable]]:
    for entry in sorted(root.iterdir(), key=lambda entry: entry.name):
        below = f"{path}/{entry.name}" if path else entry.name
        if entry.is_dir():
            yield from _files(entry, below)
        elif entry.name.endswith(_SUFFIX):
            yield below, entry


@click.command()
@click.argument("kind", metavar=f"{{{'|'.join(KINDS)}|…}}")
@click.argument("name")
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Folder to write it into. Default: the current one.",
)
@click.pass_context
def new(context: click.Context, kind: str, name: str, into: Path) -> None:
    """Create a plugin: a distribution that installs, works and passes its tests.

    KIND is app, carrier, engine or sink, or one that an installed plugin defines: stt, llm, tts, vad, turn_detector or
    guardrail of patter-pipeline.
    """
    registry = context.obj if isinstance(context.obj, Registry) else None
    folder = write_distribution(kind, name, into, registry)
    name = folder.name.removeprefix("patter-")
    click.echo(f"{folder} is a complete {kind} plugin. Try it:\n")
    click.echo(f"  pip install -e {folder} pytest\n  patter plugins\n  pytest {folder}")
    if kind in {"carrier", "engine"}:  # a sink's service must be running, and the demo knows no emulator of the part
        click.echo(f"  patter demo --{kind} {name}")
    elif kind == "app":
        click.echo(f"  patter serve --apps {name}")
    click.echo("\nThen adapt it: its README says where.")
