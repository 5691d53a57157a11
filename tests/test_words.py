"""The words: names of an earlier edition are gone, and prose is made of plain statements (docs/glossary.md)."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SUFFIXES = {".py", ".md", ".template"}
SOURCES = (
    "patter_core",
    *(str(path.parent.relative_to(ROOT)) for path in sorted(ROOT.glob("plugins/*/*/__init__.py"))),
)
"""The packages that are shipped."""
TOLD = (*SOURCES, "plugins/*/README.md", "docs", "*.md")
"""Where prose is read by users and developers."""
EVERYTHING = ("patter_core", "plugins", "docs", "tests", "*.md", "noxfile.py")
KIT = ("patter_core/testing", "tests/testing", "plugins/*/tests/test_conformance.py")

OLD_NAMES: dict[str, str] = {
    # the router and what it answers
    "CallDesk": "CallRouter",
    r"(?<!Front )desk(?!@)": "router",  # in tests it may stand for a piece of furniture
    "after_stream": "stream_ended",
    "first_time": "seen",
    "asks_after_stream": "asks_at_stream_end",
    "Admission": "Accept",
    "Rejection": "Reject",
    "Farewell": "HangUp",
    "Handover": "Transfer",
    "TryAgain": "Retry",
    "parting": "final_action",
    "Epilogue": "EndedCall",
    r"Remembered(?! [a-z])": "BoundedDict",
    # tokens
    r"Passes(?! [a-z])": "CallTokens",
    "tickets?": "callback token",
    "read_ticket": "read_callback",
    # the call
    "Succession": "FallbackChain",
    "Recap": "History",
    "LineKeeper": "HistoryWriter",
    "keeper": "history",
    "so_far": "history()",
    "must_dismiss": "must_end_leg",
    "may_be_elsewhere": "may_be_on_another_worker",
    "dismiss": "end_leg",
    "dismissal": "hangup",
    "_?hush": "clear",
    "Bridge": "Uplink, Downlink",
    r"State\.ANNOUNCED": "ACCEPTED",
    r"State\.MEDIA(?!_)": "MEDIA_READY",
    r"State\.ENGINE(?!_)": "ENGINE_READY",
    "LEAVING": "TRANSFERRING",
    r"Signal\.LEAVE": "TRANSFER",
    r"Signal\.LEFT": "TRANSFERRED",
    "STAYED": "TRANSFER_REFUSED",
    "NOT_BACK": "MEDIA_TIMEOUT",
    "CALLER_GONE": "CARRIER_HUNG_UP",
    "EngineTrouble": "Error",
    "shared=(True|False)": "several_workers",
    # the rest
    "checkup": "checks",
    "Finding": "CheckResult",
    "examine": "run_checks",
    r"threads\.Worker|`Worker`": "SerialThread",
    "Threads": "DaemonThreads",
    "PriceDesk": "PriceLookup",
    "rehearsal": "loopback",
    "_?Crew": "Supervisor",
    "AgentPart": "AgentConfig",
    "WorkerOrder": "WorkerSpec",
    "CallLog": "sqlite_reader",
    "[Ww]iretap": "recorder",
    "[Oo]ddity|[Oo]ddities": "anomaly",
}
"""Patterns of whole words that stand nowhere, with the words to use."""
OLD_NAMES_OF_THE_CORE: dict[str, str] = {
    "verdict": "final_action",
    "bridge": "uplink, downlink",
    "ANNOUNCED": "ACCEPTED",
}
OLD_NAMES_OF_THE_KIT: dict[str, str] = {
    "Trial": "Check",
    "Stage": "Harness",
    "Talk": "Probe",
    "junk|JUNK": "fuzz, MALFORMED",
}
OLD_MODULES = (
    "**/checkup.py",
    "**/rehearsal.py",
    "patter_core/testing/conformance/calls.py",
    "patter_core/testing/conformance/junk.py",
    "patter_core/testing/conformance/wiretap.py",
    "plugins/patter-twilio/patter_twilio/notices.py",
    "plugins/patter-twilio/patter_twilio/answers.py",
    "plugins/patter-twilio/patter_twilio/rates.py",
    "plugins/patter-telnyx/patter_telnyx/packets.py",
    "plugins/patter-telnyx/patter_telnyx/ordering.py",
    "plugins/patter-telnyx/patter_telnyx/state.py",
    "plugins/patter-elevenlabs/patter_elevenlabs/endings.py",
    "plugins/patter-elevenlabs/patter_elevenlabs/opening.py",
    "plugins/patter-elevenlabs/patter_elevenlabs/oddity.py",
    "plugins/patter-elevenlabs/patter_elevenlabs/command.py",
)

BARE_VERBS = """
    Add Answer Append Ask Bind Call Cancel Carry Change Check Clear Close Compare Conceal Conduct Connect Convert Count
    Create Cut Decode Delete Deliver Do Drop Empty Encode End Export Fetch Free Get Give Go Greet Have Hear Hide Import
    Join Keep Leave Let Live Load Log Look Make Manage Mark Move Note Offer Open Pause Place Play Point Print Put Query
    Queue Raise Rate Read Record Reject Remember Remove Replace Report Request Resume Return Run Say Send Serve Set
    Show Signal Speak Start Stop Store Stream Take Tell Throw Transfer Try Update Use Verify Wait Wake Write Yield
"""
"""First words of a command to the reader. What a function does is told in the third person."""


def files(places: tuple[str, ...]) -> Iterator[Path]:
    for place in places:
        for path in sorted(ROOT.glob(place)):
            found = sorted(path.rglob("*")) if path.is_dir() else [path]
            yield from (one for one in found if one.suffix in SUFFIXES and one != Path(__file__))


@functools.cache
def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def found(pattern: str, places: tuple[str, ...], *, flags: int = 0) -> list[str]:
    """Every line with a whole word of that pattern, with its place. The parts of a name are words, too."""
    word = re.compile(rf"(?<![A-Za-z0-9])(?:{pattern})(?![A-Za-z0-9])", flags)
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files(places)
        if word.search(text_of(path))
        for number, line in enumerate(text_of(path).splitlines(), 1)
        if word.search(line)
    ]


def docstrings(path: Path) -> Iterator[tuple[int, str]]:
    """Every string that stands alone: docstrings, and those below an attribute; with their line."""
    for node in ast.walk(ast.parse(text_of(path))):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else ():
            match statement:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    yield statement.lineno, text
                case _:
                    pass


def is_command(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """True for a command of click, or a group of them: its docstring is its help."""
    decorators = (one.func if isinstance(one, ast.Call) else one for one in function.decorator_list)
    return any(isinstance(one, ast.Attribute) and one.attr in {"command", "group"} for one in decorators)


def functions_told_as_commands(path: Path) -> Iterator[str]:
    """Every function whose docstring begins with a bare verb, with its place."""
    for node in ast.walk(ast.parse(text_of(path))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not is_command(node):
            text = ast.get_docstring(node) or ""
            first = re.match(r"[A-Za-z]+", text)
            if first is not None and first[0] in BARE_VERBS.split():
                line = text.partition("\n")[0]
                yield f"{path.relative_to(ROOT)}:{node.lineno}: {node.name}: {line}"


@pytest.mark.parametrize(("old", "new"), OLD_NAMES.items(), ids=OLD_NAMES.values())
def test_an_old_name_is_nowhere(old: str, new: str) -> None:
    assert not found(old, EVERYTHING), f"say {new}"


@pytest.mark.parametrize(("old", "new"), OLD_NAMES_OF_THE_CORE.items(), ids=OLD_NAMES_OF_THE_CORE)
def test_an_old_name_is_not_in_the_core_and_not_in_the_pages(old: str, new: str) -> None:
    assert not found(old, ("patter_core", "docs")), f"say {new}"


@pytest.mark.parametrize(("old", "new"), OLD_NAMES_OF_THE_KIT.items(), ids=OLD_NAMES_OF_THE_KIT)
def test_an_old_name_is_not_in_the_conformance_kit(old: str, new: str) -> None:
    assert not found(old, KIT), f"say {new}"


@pytest.mark.parametrize("old", OLD_MODULES)
def test_no_module_has_an_old_name(old: str) -> None:
    assert not [path for path in ROOT.glob(old) if "site-packages" not in path.parts]


def test_no_docstring_begins_with_a_question() -> None:
    assert not [
        f"{path.relative_to(ROOT)}:{number}: {text.splitlines()[0]}"
        for path in files(SOURCES)
        if path.name.endswith((".py", ".py.template"))
        for number, text in docstrings(path)
        if re.search(r"\?(\s|$)", text.strip().partition("\n")[0])
    ]


def test_docstrings_are_statements() -> None:
    sources = [path for path in files(SOURCES) if path.name.endswith((".py", ".py.template"))]
    assert not [function for path in sources for function in functions_told_as_commands(path)]


def test_people_are_they() -> None:
    assert not found("he|him|his|himself", EVERYTHING, flags=re.IGNORECASE)


def test_prose_has_no_riddles() -> None:
    assert not found("whoever|again and at any time", EVERYTHING, flags=re.IGNORECASE)
    assert not found("nobody", TOLD, flags=re.IGNORECASE)
