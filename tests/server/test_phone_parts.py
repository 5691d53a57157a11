"""What a phone is made of: no two of its sinks write one file or folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from patter_core import Patter, Registry
from patter_core.errors import ConfigurationError
from patter_core.settings.model import PluginConfig
from patter_core.settings.plugins import make_sinks
from patter_core.sink import EventSink
from patter_core.sinks.jsonl import JsonLinesSink
from patter_core.sinks.sqlite import SQLiteSink
from patter_core.sinks.wav import WavSink
from patter_core.testing.fakes import FakeCarrier
from patter_webhook import WebhookSink

SECRET = "whsec_" + 40 * "a1" + "=="


def webhook(outbox: Path) -> WebhookSink:
    return WebhookSink(f"https://example.org/{outbox.name}", SECRET[:38], outbox=outbox)


@pytest.mark.parametrize("make", [JsonLinesSink, SQLiteSink, WavSink, webhook])
def test_two_sinks_with_one_path_are_refused(tmp_path: Path, make: Callable[[Path], EventSink]) -> None:
    path = tmp_path / "kept"
    (tmp_path / "folder").mkdir()
    name = make(path).name
    told = rf"^The sinks {name} and {name} have the same path\. Expected a file or a folder of its own for each\. Got "
    with pytest.raises(ConfigurationError, match=told):
        Patter(
            carrier=FakeCarrier(), registry=Registry(), sinks=[make(path), make(tmp_path / "folder" / ".." / "kept")]
        )
    phone = Patter(carrier=FakeCarrier(), registry=Registry(), sinks=[make(path), make(tmp_path / "other")])
    with pytest.raises(ConfigurationError, match=told):
        phone.copy(more_sinks=[make(path)])


def test_so_are_two_of_different_classes_and_those_of_settings(tmp_path: Path) -> None:
    path = tmp_path / "calls"
    with pytest.raises(ConfigurationError, match="sinks sqlite and jsonl have the same path"):
        Patter(carrier=FakeCarrier(), registry=Registry(), sinks=[SQLiteSink(path), JsonLinesSink(path)])
    with pytest.raises(ConfigurationError, match="sinks jsonl and jsonl have the same path"):
        make_sinks(Registry.discover(), [PluginConfig("jsonl"), PluginConfig("jsonl")])
