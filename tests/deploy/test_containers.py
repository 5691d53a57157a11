"""The container image, the compose file and the chart: linted, validated, and agreeing with the code."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hatchling.build import build_wheel

from patter_core.call.limits import Limits
from patter_core.call.timeouts import Deadlines
from patter_core.registry import Registry
from patter_core.settings.load import address, load
from patter_core.settings.phone import make_phone
from patter_core.settings.plugins import make_apps, make_carrier, make_engine, make_sinks, require_shareable

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "deploy" / "docker"
CHART = ROOT / "deploy" / "helm" / "patter"
HADOLINT = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:/usr/local/bin")
CHECK_JSONSCHEMA = shutil.which("check-jsonschema", path=str(Path(sys.executable).parent))
HELM = shutil.which("helm")
KUBERNETES_VALIDATE = shutil.which("kubernetes-validate", path=str(Path(sys.executable).parent))
CREDENTIALS = {
    "TWILIO_ACCOUNT_SID": f"AC{0:032x}",
    "TWILIO_AUTH_TOKEN": "0123456789abcdef" * 2,
    "ELEVENLABS_API_KEY": "sk_test",
    "ELEVENLABS_AGENT_ID": "agent_test",
}


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def longest_stop(limits: Limits, deadlines: Deadlines) -> float:
    """Seconds that a worker may take to stop."""
    return limits.drain + deadlines.last_word + limits.linger + limits.flush + 5


# --- the image -----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(HADOLINT is None, reason="hadolint is not installed here: nox -s deploy")
def test_the_dockerfile_is_sound() -> None:
    assert HADOLINT is not None
    run(HADOLINT, str(DOCKER / "Dockerfile"))


@pytest.mark.parametrize("folder", [".", "plugins/patter-twilio"])
def test_what_the_image_is_built_from_is_let_through(folder: str, tmp_path: Path) -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    left_out = shutil.ignore_patterns(*(line.removeprefix("**/") for line in lines if line.startswith("**/")), ".nox")
    for name in (line.removeprefix("!") for line in lines if line.startswith("!")):
        source, target = ROOT / name, tmp_path / "context" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target, ignore=left_out) if source.is_dir() else shutil.copy(source, target)
    assert (tmp_path / "context" / ".ci" / "constraints.txt").is_file()
    with contextlib.chdir(tmp_path / "context" / folder):
        assert (tmp_path / build_wheel(str(tmp_path))).is_file()


def test_it_stops_later_than_live_calls_may_take() -> None:
    (seconds,) = re.findall(r"stop_grace_period: (\d+)s", (DOCKER / "compose.yaml").read_text())
    assert int(seconds) >= longest_stop(Limits(), Deadlines())


@pytest.mark.skipif(CHECK_JSONSCHEMA is None, reason="check-jsonschema is not installed here: nox -s deploy")
def test_compose_would_take_the_file() -> None:
    assert CHECK_JSONSCHEMA is not None
    run(CHECK_JSONSCHEMA, "--builtin-schema", "vendor.compose-spec", str(DOCKER / "compose.yaml"))


def test_the_variables_and_the_file_of_compose_are_enough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    compose = (DOCKER / "compose.yaml").read_text()
    (toml,) = re.findall(r"  patter:\n    content: \|\n((?:      .*\n|\n)+)", compose)
    file = tmp_path / "patter.toml"
    file.write_text("\n".join(line.removeprefix("      ") for line in toml.splitlines()))
    variables = dict(re.findall(r"^      (PATTER_\w+): (\S+)", compose, re.MULTILINE))
    for name, value in {
        **variables,
        **CREDENTIALS,
        "PATTER_CONFIG": str(file),
        "PATTER_APPS_PASSWORD": "x" * 12,
    }.items():
        monkeypatch.setenv(name, value)
    settings, registry = load(None), Registry.discover()
    phone = make_phone(registry, settings)
    assert [app.name for app in make_apps(registry, settings.apps)] == ["dashboard"]
    assert [sink.name for sink in phone.parts.sinks] == ["sqlite", "prometheus"]
    assert phone.parts.store is not None
    require_shareable(registry, settings.sinks)
    assert settings.apps_access.resolved().listen == "0.0.0.0"


# --- the chart -----------------------------------------------------------------------------------------------------


@pytest.fixture(params=["defaults", "all"])
def manifests(request: pytest.FixtureRequest) -> str:
    """What the chart makes, with its defaults, or with all that can be switched on."""
    if HELM is None:
        pytest.skip("helm is not installed here: nox -s deploy")
    more = "autoscaling.enabled=true,ingress.enabled=true,networkPolicy.enabled=true,store.name=redis"
    return run(HELM, "template", "voice", str(CHART), *(["--set", more] if request.param == "all" else []))


@pytest.mark.skipif(HELM is None, reason="helm is not installed here: nox -s deploy")
def test_the_chart_is_sound() -> None:
    assert HELM is not None
    run(HELM, "lint", "--strict", str(CHART))


@pytest.mark.skipif(KUBERNETES_VALIDATE is None, reason="kubernetes-validate is not installed here: nox -s deploy")
@pytest.mark.parametrize("version", ["1.30", "1.34"])
def test_kubernetes_would_take_it(manifests: str, version: str, tmp_path: Path) -> None:
    assert KUBERNETES_VALIDATE is not None
    file = tmp_path / "manifests.yaml"
    file.write_text(manifests)
    run(KUBERNETES_VALIDATE, "--strict", "--quiet", "--kubernetes-version", version, str(file))


def variables_of(manifests: str) -> dict[str, str]:
    return dict(re.findall(r'- name: ([A-Z_]+)(?: +#.*)?\n +value: "?([^"\n]*)', manifests))


def config_of(manifests: str) -> str:
    (text,) = re.findall(r"  patter\.toml: \|\n((?:    .*\n|\n)+)", manifests)
    return "\n".join(line.removeprefix("    ") for line in text.splitlines())


def test_its_variables_and_its_file_are_enough(manifests: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "patter.toml"
    file.write_text(config_of(manifests))
    for name, value in {**variables_of(manifests), **CREDENTIALS, "PATTER_CONFIG": str(file)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATTER_REDIS_URL", "redis://127.0.0.1:1/0")
    settings, registry = load(None), Registry.discover()
    assert make_phone(registry, settings).several_workers
    assert make_carrier(registry, settings.carrier).name == "twilio"
    assert make_engine(registry, settings.engine).name == "elevenlabs"
    assert [sink.name for sink in make_sinks(registry, settings.sinks)] == ["prometheus"]
    assert address(settings) == ("0.0.0.0", 8000)
    (grace,) = re.findall(r"terminationGracePeriodSeconds: (\d+)", manifests)
    (before,) = re.findall(r"sleep:\s+seconds: (\d+)", manifests)
    assert int(grace) >= int(before) + longest_stop(settings.limits, settings.deadlines)


def test_a_public_address_without_tls_is_refused() -> None:
    if HELM is None:
        pytest.skip("helm is not installed here: nox -s deploy")
    done = subprocess.run(
        [HELM, "template", "voice", str(CHART), "--set", "webhookUrl=http://voice.example.org"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "webhookUrl" in done.stderr
