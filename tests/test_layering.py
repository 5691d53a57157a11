"""Imports run downwards only; the core names no vendor; no plugin knows another; only the demo loads emulators.

Modules and functions are short.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LONGEST_MODULE = 350
LONGEST_FUNCTION = 60
CORE = ROOT / "patter_core"
VENDORS = ("twilio", "telnyx", "vonage", "plivo", "elevenlabs", "openai", "deepgram")
PACKAGES = sorted(path for path in ROOT.glob("plugins/*/*") if (path / "__init__.py").is_file())

# From the bottom up. A module may import those of its own layer and of the layers below it.
LAYERS = (
    ("aio", "errors", "lazy", "observe.printing", "observe.terminal", "storage"),
    ("audio", "checks", "config", "transport"),
    ("telephony",),
    ("observe",),
    ("events", "media", "webhook"),
    ("history", "observe.redaction", "storage.archive", "store", "tools"),
    ("carrier", "engine", "kinds", "net", "sink"),
    ("app",),
    ("agent",),
    ("hookspecs",),
    ("plugins",),
    ("registry", "call", "sinks"),
    ("server",),
    ("apps",),
    ("patter",),
    ("settings", "testing"),
    ("cli",),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
CALL = [
    "timeouts",
    "limits",
    "destinations",
    "token",
    "state",
    "turns",
    "spoken",
    "playback",
    "meter",
    "history",
    "shared_notes",
    "fallback",
    "capture",
    "config",
    "records",
    "engine_breakers",
    "notice",
    "context",
    "carrier_wall",
    "codec_faults",
    "variables",
    "engine_wall",
    "uplink",
    "media_writer",
    "kept_audio",
    "send_queue",
    "downlink",
    "keys",
    "media_leg",
    "last_word",
    "tool_uses",
    "derived_turns",
    "gated_turns",
    "output_watch",
    "reply_watch",
    "steady_input",
    "transcripts",
    "engine_events",
    "continuation",
    "session_opener",
    "engine_hold",
    "idle_prompts",
    "renewal",
    "conversation",
    "hangup",
    "ending",
    "actions",
    "consult_leg",
    "consult",
    "reports",
    "watch",
    "metric_reports",
    "call",
    "handle",
    "tool_context",
    "ready_tools",
    "callbacks",
]
"""The modules of the call, from the bottom up: each imports those before it only."""
SERVER = [
    "importing",
    "counts",
    "descriptors",
    "handed_socket",
    "connections",
    "ending",
    "service_manager",
    "signals",
    "serving",
    "phone_settings",
    "urls",
    "voice_urls",
    "rate_limit",
    "bounded",
    "reserved",
    "backlog",
    "sink_queue",
    "delivery",
    "call_lines",
    "price_lookup",
    "hang_ups",
    "call_table",
    "board",
    "tokens",
    "trunks",
    "held_calls",
    "launcher",
    "consults",
    "machines",
    "routing",
    "agents",
    "phone_parts",
    "router",
    "dialing",
    "watchdog",
    "host",
    "calling",
    "control_messages",
    "control",
    "ties",
    "running",
    "nowhere",
    "requests",
    "asgi_socket",
    "media_endpoint",
    "app",
]
"""Those of the server."""


def modules(package: Path) -> list[Path]:
    return sorted(path for path in package.rglob("*.py") if path.name != "conftest.py")


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, at run time or for types, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""


def part(module: str) -> str:
    """`patter_core.call.state` is of the part `call`."""
    names = module.split(".")[1:]
    return next((name for name in (".".join(names[:2]), names[0]) if name in RANK), names[0]) if names else ""


@pytest.mark.parametrize("path", modules(CORE), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_core_imports_downwards_only(path: Path) -> None:
    own = part("patter_core." + ".".join(path.relative_to(CORE).with_suffix("").parts))
    if own in {"__init__", "hookspecs"}:  # the front page shows everything; the specs name types they do not load
        return
    for module in imports(path):
        if module.startswith("patter_core."):
            assert RANK[part(module)] <= RANK[own], f"{path.name} imports {module} from above"
        assert module.split(".")[0] not in {package.name for package in PACKAGES}


def test_every_part_of_the_core_has_its_layer() -> None:
    parts = {path.relative_to(CORE).parts[0].removesuffix(".py") for path in modules(CORE)}
    assert parts - {"__init__"} == {name.partition(".")[0] for name in RANK}


def test_the_root_of_the_core_has_at_most_18_modules() -> None:
    assert len(list(CORE.glob("*.py"))) <= 18


@pytest.mark.parametrize(("folder", "order"), [("call", CALL), ("server", SERVER)])
def test_within_a_folder_imports_run_downwards_too(folder: str, order: list[str]) -> None:
    assert {path.stem for path in modules(CORE / folder)} - {"__init__"} == set(order)
    for path in modules(CORE / folder):
        for module in imports(path):
            if module.startswith(f"patter_core.{folder}."):
                assert order.index(module.split(".")[2]) < order.index(path.stem), f"{path.stem} imports {module}"


@pytest.mark.parametrize("path", modules(CORE), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_core_names_no_vendor(path: Path) -> None:
    text = path.read_text().lower()
    assert not [vendor for vendor in VENDORS if vendor in text]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_no_plugin_imports_another(package: Path) -> None:
    if package.name == "getpatter":  # the bundle is what joins them
        return
    others = {other.name for other in PACKAGES} - {
        package.name,
        "patter_pipeline",
    }  # it defines kinds that others bring
    for path in modules(package):
        assert not {module.split(".")[0] for module in imports(path)} & others


@pytest.mark.parametrize("package", [CORE, *PACKAGES], ids=lambda path: path.name)
def test_only_the_demo_and_testing_itself_import_testing(package: Path) -> None:
    for path in modules(package):
        if "testing" in path.parts or (package == CORE and path.parent.name == "cli"):
            continue
        assert not [module for module in imports(path) if ".testing" in module], path


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_plugins_use_the_core_below_the_call_only(package: Path) -> None:
    if package.name == "getpatter":
        return
    for path in modules(package):
        for module in imports(path):
            if module.startswith("patter_core.") and "testing" not in path.parts:
                assert RANK[part(module)] <= RANK["hookspecs"], f"{path.name} imports {module}"


def test_importing_the_core_loads_no_http_client_no_numpy_and_no_server() -> None:
    code = "import sys, patter_core; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not {"httpx", "cryptography", "numpy", "packaging", "starlette", "uvicorn", "click"} & set(loaded)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_importing_a_plugin_loads_no_http_client_and_no_numpy(package: Path) -> None:
    name = package.name if package.name == "getpatter" else f"{package.name}.plugin"
    code = f"import sys, {name}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not {"httpx", "numpy"} & set(loaded)


@pytest.mark.parametrize("package", [CORE, *PACKAGES], ids=lambda path: path.name)
def test_a_long_module_says_why(package: Path) -> None:
    """In its docstring, in a sentence that begins with “Longer than other modules”."""
    for path in modules(package):
        text = path.read_text()
        if len(text.splitlines()) > LONGEST_MODULE:
            docstring = ast.get_docstring(ast.parse(text)) or ""
            assert re.search(r"(^|\. )Longer than other modules, ", docstring, re.MULTILINE), f"{path} is too long"


@pytest.mark.parametrize("package", [CORE, *PACKAGES], ids=lambda path: path.name)
def test_a_function_fits_a_screen(package: Path) -> None:
    assert not [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in modules(package)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION
    ]


def test_the_sessions_of_nox_are_no_longer_than_a_module() -> None:
    assert len((ROOT / "noxfile.py").read_text().splitlines()) <= LONGEST_MODULE
