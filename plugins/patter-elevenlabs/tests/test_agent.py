from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_elevenlabs.wire.agent import AgentChange, AgentConfig, AgentRecord, AsrConfig, TtsConfig, allowed_paths


def test_a_change_holds_nothing_but_what_is_changed() -> None:
    change = AgentChange(AgentConfig(asr=AsrConfig("ulaw_8000"), tts=TtsConfig("ulaw_8000")))
    assert msgspec.json.decode(msgspec.json.encode(change)) == {
        "conversation_config": {
            "asr": {"user_input_audio_format": "ulaw_8000"},
            "tts": {"agent_output_audio_format": "ulaw_8000"},
        }
    }


@pytest.mark.parametrize(
    "text",
    [
        b"{}",
        b'{"name":null,"conversation_config":null,"platform_settings":null,"new":1}',
        b'{"conversation_config":{"asr":null,"tts":{"agent_output_audio_format":null},"conversation":{}}}',
        b'{"platform_settings":{"overrides":{"conversation_config_override":null}}}',
    ],
)
def test_every_field_may_be_missing_or_null(text: bytes) -> None:
    assert isinstance(msgspec.json.decode(text, type=AgentRecord), AgentRecord)


def test_leaves_that_are_true_are_allowed() -> None:
    tree = {"agent": {"language": False, "prompt": {"prompt": True, "llm": None}}, "tts": {"voice_id": True}, "x": 1}
    assert list(allowed_paths(tree)) == ["agent.prompt.prompt", "tts.voice_id"]


_trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda children: st.dictionaries(st.text(), children, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text(), _trees, max_size=3))
def test_any_tree_can_be_decoded(tree: dict[str, object]) -> None:
    assert all(isinstance(path, str) for path in allowed_paths(tree))
