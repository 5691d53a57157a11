"""Whatever a text holds, on a terminal it is text, and in the line where it was put."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_core.observe.terminal import counted, indented, one_line, shown_json, write_past_buffer

HOSTILE = "a\x1b[2J\x1b]0;title\x07\r\n\tb\x9b31m\u2028\u202ec\u2066\u200f\u061c\ud800\x00\x7f"


def test_control_characters_are_written_out() -> None:
    shown = r"a\x1b[2J\x1b]0;title\x07\r\n\tb\x9b31m\u2028\u202ec\u2066\u200f\u061c\ud800\x00\x7f"
    assert one_line(HOSTILE) == shown


@pytest.mark.parametrize("text", ["Grüße, 你好, שלום, 👩‍👩‍👧", "C:\\new [bold]x[/]", ""])
def test_letters_of_any_language_stay(text: str) -> None:
    assert one_line(text) == indented(text) == text


@given(st.text())
def test_any_text_is_one_line_that_can_be_encoded(text: str) -> None:
    line = one_line(text)
    assert len(line.encode().decode().splitlines()) <= 1
    assert one_line(line) == line


@given(st.text(st.sampled_from("a \n\r\t\x0b\x85")))
def test_further_lines_are_indented(text: str) -> None:
    shown = indented(text)
    assert all(not line or line.startswith("  ") for line in shown.splitlines()[1:])
    assert indented(shown) == shown


def test_json_keeps_its_value() -> None:
    texts = [HOSTILE.replace("\ud800", ""), "Grüße"]
    document = shown_json(msgspec.json.encode(texts)).decode()
    assert one_line(document) == document
    assert msgspec.json.decode(document) == texts


def test_a_file_in_memory_is_written_to() -> None:
    file = io.StringIO()
    write_past_buffer(file, "ab")
    assert file.getvalue() == "ab"


def test_a_pipe_that_is_full_or_closed_holds_no_lock_of_the_file() -> None:
    read, write = os.pipe()
    with os.fdopen(write, "w", encoding="ascii") as file:
        thread = threading.Thread(target=write_past_buffer, args=(file, "é" * 1_000_000))
        thread.start()
        assert not file.closed
        file.flush()  # would wait for the thread, if that held the lock
        received = b""
        while len(received) < 4_000_000:
            received += os.read(read, 1 << 16)
        thread.join(10)
        assert received == rb"\xe9" * 1_000_000
        os.close(read)
        with pytest.raises(BrokenPipeError):
            write_past_buffer(file, "a")


def test_an_error_that_ends_a_command_shows_no_secret_and_no_control_character() -> None:
    program = """
import sys
from patter_core.cli.commands import main
from patter_core.observe.secrets import hide
from patter_core.registry import Registry

def fail():
    hide("the-key-of-it")
    raise RuntimeError(chr(27) + chr(10) + "ERROR the-key-of-it")

Registry.discover = fail
sys.argv = ["patter", "plugins"]
main()
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "RuntimeError: \\x1b\n  ERROR [hidden]" in result.stderr


@pytest.mark.parametrize(
    ("count", "words", "said"),
    [
        (0, ("call",), "0 calls"),
        (1, ("call",), "1 call"),
        (2, ("call",), "2 calls"),
        (1, ("try", "tries"), "1 try"),
        (3, ("try", "tries"), "3 tries"),
    ],
)
def test_of_one_thing_the_singular_is_said(count: int, words: tuple[str, ...], said: str) -> None:
    assert counted(count, *words) == said
