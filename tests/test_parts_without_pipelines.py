"""Parts of plugins where no package of pipelines is installed: what is to be installed is told."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys

class NoPipelines:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, NoPipelines())
import {package}
print({package}.__version__)
try:
    from {package} import {part}
except ImportError as error:
    print(type(error).__name__, error.name, error)
"""


def imported_without(blocked: str, package: str, part: str) -> str:
    code = PROGRAM.format(blocked=blocked, package=package, part=part)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split("\n")[1]


PARTS = [
    ("patter_openai", "OpenAILLM"),
    ("patter_deepgram", "DeepgramSTT"),
    ("patter_deepgram", "DeepgramTTS"),
    ("patter_elevenlabs", "ElevenLabsSTT"),
    ("patter_elevenlabs", "ElevenLabsTTS"),
]


@pytest.mark.parametrize(("package", "part"), PARTS)
def test_the_error_says_what_to_install(package: str, part: str) -> None:
    needs = f"{part} of {package.replace('_', '-')} needs patter-pipeline: pip install patter-pipeline"
    assert imported_without("patter_pipeline", package, part) == f"ModuleNotFoundError patter_pipeline {needs}"


def test_another_package_that_is_missing_is_told_as_it_is() -> None:
    assert imported_without("msgspec", "patter_openai", "OpenAIRealtime").endswith("No module named 'msgspec'")
