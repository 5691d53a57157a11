"""Third parties' plugins: one that defines a kind and makes an engine of its parts, and one that offers such a part.

In the default suite their sources are used; the session `thirdparty` installs their wheels.
"""

from __future__ import annotations

import importlib.metadata
import tomllib
from pathlib import Path

import anyio
import pytest

from patter_bell.vocal import Bell
from patter_choir import Vocal
from patter_choir.engine import Choir
from patter_choir.testing import check_vocal
from patter_core import Engine, Patter, serve_app
from patter_core.errors import ConfigurationError
from patter_core.plugins.plugin import Need
from patter_core.registry import Registry
from patter_core.testing.caller import Caller, WaitForAgent, WaitForSilence
from patter_core.testing.fakes import FakeCarrier, MemorySink
from patter_framed.testing import FramedEmulator
from patter_framed.wire import FORMAT

SOURCES = Path(__file__).parent


def installed(folder: Path, *names: str) -> Registry:
    """The registry where those are installed: as they are, or else with metadata of their sources."""
    points: list[importlib.metadata.EntryPoint] = []
    for name in names:
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            project = tomllib.loads((SOURCES / name / "pyproject.toml").read_text())["project"]
            info = folder / f"{name.replace('-', '_')}-{project['version']}.dist-info"
            info.mkdir()
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {project['version']}\n")
            lines = [f"{key} = {value}" for key, value in project["entry-points"]["patter"].items()]
            (info / "entry_points.txt").write_text("\n".join(["[patter]", *lines, ""]))
            distribution = importlib.metadata.Distribution.at(info)
        points += distribution.entry_points.select(group="patter")
    return Registry.discover(points)


@pytest.mark.anyio
async def test_calls_on_an_engine_that_is_made_once_of_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def make(vocals: tuple[Vocal, ...]) -> Choir:
        made.append(Choir(vocals))
        return made[-1]

    monkeypatch.setattr("patter_choir.plugin.Choir", make)
    registry = installed(tmp_path, "patter-choir", "patter-bell")
    sink = MemorySink()
    with anyio.fail_after(60):
        async with FramedEmulator() as emulator:
            phone = Patter(carrier=emulator.carrier(), registry=registry, sinks=[sink])
            agent = phone.agent(vocals=[Bell(800, 0.5), Bell(1000, 0.7)])
            async with serve_app(phone.asgi(agent)) as url:
                recordings = []
                for _ in range(2):
                    caller = Caller([WaitForAgent(heard=1.0), WaitForSilence()], FORMAT)
                    recordings.append(await emulator.call(f"{url}/webhooks/framed/voice", caller))
                await sink.wait_for("call_ended", count=2)
    sung = Bell(800, 0.5).sing(FORMAT).data + Bell(1000, 0.7).sing(FORMAT).data
    assert all(bytes(recording.played).startswith(sung) for recording in recordings)
    assert len(sink.of("response_heard")) == 4
    assert made == [agent.engine]


def test_it_is_found_by_its_kind_and_checked_by_the_kit_of_its_kind(tmp_path: Path) -> None:
    registry = installed(tmp_path, "patter-choir", "patter-bell")
    assert registry.part("vocal", "bell") is Bell
    kind = registry.kinds[-1]
    assert (kind.name, kind.conformance) == ("vocal", f"{check_vocal.__module__}:{check_vocal.__name__}")
    anyio.run(check_vocal, Bell)


def test_without_the_plugin_of_its_kind_the_part_says_which_one_it_needs(tmp_path: Path) -> None:
    (plugin,) = installed(tmp_path, "patter-bell").plugins
    assert (plugin.joined, plugin.needs) == (True, (Need("bell", "patter-choir"),))


def test_one_that_is_composed_is_an_engine_like_others(tmp_path: Path) -> None:
    phone = Patter(carrier=FakeCarrier(), registry=installed(tmp_path, "patter-choir", "patter-bell"))
    engine: Engine = phone.agent(vocal=Bell()).engine
    assert engine == Choir((Bell(),))
    with pytest.raises(ConfigurationError, match="four vocals at most"):
        phone.agent(vocals=[Bell()] * 5)
