"""Each wheel carries the license, addresses, supported Pythons and types; the files around the code agree with it.

Wheels are built in the process, by the back end that the distributions name: no network, no environment of their own.
"""

from __future__ import annotations

import contextlib
import email
import json
import re
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from pathlib import Path

import pytest
from hatchling.build import build_sdist, build_wheel

from patter_core import __version__
from patter_core.cli.new import KINDS, write_distribution

ROOT = Path(__file__).parents[1]
DISTRIBUTIONS = [ROOT, *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))]
LICENSE = (ROOT / "LICENSE").read_bytes()


def project(folder: Path) -> dict[str, object]:
    """The table `project` of a distribution."""
    table = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert isinstance(table, dict)
    return table


def supported_pythons() -> list[str]:
    """The versions that the session `tests` runs on."""
    (versions,) = re.findall(r"^PYTHONS = (\[.*\])$", (ROOT / "noxfile.py").read_text(), re.MULTILINE)
    pythons: list[str] = json.loads(versions)
    return pythons


@dataclass(frozen=True)
class Wheel:
    """The contents of a built wheel."""

    metadata: Message
    licenses: dict[str, bytes]
    """By path below the folder of the licenses."""
    files: list[str]
    """Paths of what is installed."""

    @property
    def classifiers(self) -> list[str]:
        return self.metadata.get_all("Classifier", [])


def wheel_of(folder: Path, into: Path) -> Wheel:
    """Build the distribution in that folder."""
    with contextlib.chdir(folder):
        name = build_wheel(str(into))
    about = "-".join(name.split("-")[:2]) + ".dist-info/"
    with zipfile.ZipFile(into / name) as archive:
        paths = archive.namelist()
        licenses = [path for path in paths if path.startswith(f"{about}licenses/")]
        return Wheel(
            metadata=email.message_from_bytes(archive.read(f"{about}METADATA")),
            licenses={path.removeprefix(f"{about}licenses/"): archive.read(path) for path in licenses},
            files=[path for path in paths if not path.startswith(about)],
        )


def assert_supported_pythons(wheel: Wheel) -> None:
    """The classifiers name the tested Pythons, and the oldest of them is the least that an installer accepts."""
    pythons = supported_pythons()
    named = [version for line in wheel.classifiers for version in re.findall(r"Python :: (3\.\d+)$", line)]
    assert named == pythons
    assert wheel.metadata["Requires-Python"] == f">={pythons[0]}"


def assert_typed(wheel: Wheel) -> None:
    """The package has the marker that type checkers look for, and the classifiers say so."""
    assert "Typing :: Typed" in wheel.classifiers
    assert [path for path in wheel.files if re.fullmatch(r"\w+/py\.typed", path)]


@pytest.fixture(scope="module", params=DISTRIBUTIONS, ids=lambda folder: str(project(folder)["name"]))
def distribution(request: pytest.FixtureRequest) -> Path:
    folder = request.param
    assert isinstance(folder, Path)
    return folder


@pytest.fixture(scope="module")
def wheel(distribution: Path, tmp_path_factory: pytest.TempPathFactory) -> Wheel:
    return wheel_of(distribution, tmp_path_factory.mktemp("wheel"))


def test_a_wheel_carries_the_license(wheel: Wheel) -> None:
    assert wheel.metadata["License-Expression"] == "Apache-2.0"
    assert wheel.metadata.get_all("License-File") == ["LICENSE"]
    assert wheel.licenses == {"LICENSE": LICENSE}


def test_a_source_distribution_carries_the_license(distribution: Path, tmp_path: Path) -> None:
    with contextlib.chdir(distribution):
        name = build_sdist(str(tmp_path))
    with tarfile.open(tmp_path / name) as archive:
        file = archive.extractfile(f"{name.removesuffix('.tar.gz')}/LICENSE")
        assert file is not None
        assert file.read() == LICENSE


def test_a_wheel_names_the_addresses_of_the_core(wheel: Wheel) -> None:
    urls = dict(line.split(", ", 1) for line in wheel.metadata.get_all("Project-URL", []))
    assert set(urls) == {"Repository", "Documentation", "Changelog", "Issues"}
    assert urls == project(ROOT)["urls"]


def test_the_addresses_are_those_of_one_repository_and_lead_to_what_is_in_it() -> None:
    urls = project(ROOT)["urls"]
    assert isinstance(urls, dict)
    home = urls.pop("Repository")
    for url in urls.values():
        assert url.startswith(f"{home}/")
        path = url.removeprefix(f"{home}/")
        assert path == "issues" or (ROOT / re.sub(r"^(tree|blob)/main/", "", path)).exists()


def test_all_distributions_have_one_version(wheel: Wheel) -> None:
    assert wheel.metadata["Version"] == __version__


def test_a_wheel_names_the_pythons_that_are_tested(wheel: Wheel) -> None:
    assert_supported_pythons(wheel)


def test_a_wheel_is_typed(wheel: Wheel) -> None:
    assert_typed(wheel)


def test_a_wheel_can_be_found_and_read_about(wheel: Wheel) -> None:
    assert "telephony" in wheel.metadata["Keywords"].split(",")
    assert "Topic :: Communications :: Telephony" in wheel.classifiers
    assert wheel.metadata["Summary"]
    assert wheel.metadata["Description-Content-Type"] == "text/markdown"
    links = re.findall(r"\]\(([^)]+)\)", str(wheel.metadata.get_payload()))
    assert all(link.startswith("https://") for link in links)  # its readers have no files beside it


def test_a_wheel_holds_one_package_and_no_tests(wheel: Wheel) -> None:
    name = {"patter-all": "getpatter"}.get(wheel.metadata["Name"], wheel.metadata["Name"].replace("-", "_"))
    assert {path.partition("/")[0] for path in wheel.files} == {name}
    assert not [path for path in wheel.files if path.startswith(f"{name}/tests/")]


@pytest.mark.parametrize("kind", [*KINDS, "llm", "stt", "tts", "vad", "turn_detector", "guardrail"])
def test_a_plugin_that_was_generated_is_described_in_the_same_way(kind: str, tmp_path: Path) -> None:
    folder = write_distribution(kind, "loud-horn", tmp_path)
    (folder / "LICENSE").write_text("Of the author's choice.")
    wheel = wheel_of(folder, tmp_path)
    assert_supported_pythons(wheel)
    assert_typed(wheel)
    assert wheel.metadata["Keywords"].split(",") == ["loud-horn", "patter", "telephony"]
    assert wheel.licenses == {"LICENSE": b"Of the author's choice."}


def sections() -> Iterator[tuple[str, str]]:
    """Each section of the changelog with the version that it belongs to."""
    version = ""
    for level, title in re.findall(r"^(##+) (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE):
        if level == "##":
            version = title
        else:
            yield version, title


def test_the_changelog_is_sorted_into_the_known_sections() -> None:
    known = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
    versions = dict.fromkeys(version for version, _ in sections())
    assert next(iter(versions)) == "Unreleased"
    for version in versions:
        titles = [title for of, title in sections() if of == version]
        assert titles == sorted(set(titles), key=known.index)


def test_editors_are_told_the_line_length_of_the_linter() -> None:
    ruff = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]
    settings = (ROOT / ".editorconfig").read_text()
    assert re.findall(r"^max_line_length = (\d+)$", settings, re.MULTILINE) == [str(ruff["line-length"])]


def test_hooks_before_a_commit_run_sessions_that_exist() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    sessions = re.findall(r"^ +entry: nox .*-s (\w+)$", hooks, re.MULTILINE)
    assert {"lint", "types"} <= set(sessions)
    noxfile = (ROOT / "noxfile.py").read_text()
    assert not [name for name in sessions if f"\ndef {name}(session" not in noxfile]


def test_nothing_tells_anybody_to_install_another_projects_package() -> None:
    ours = {str(project(folder)["name"]) for folder in DISTRIBUTIONS}
    assert "getpatter" not in ours
    texts = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/README.md")]
    told = [path for path in [*texts, *ROOT.glob("patter_core/**/*.py")] if "install getpatter" in path.read_text()]
    assert not told
