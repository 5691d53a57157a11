from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_elevenlabs import wire


@given(st.binary(max_size=2000))
def test_spliced_audio_is_the_json_that_a_serializer_would_write(audio: bytes) -> None:
    text = base64.b64encode(audio).decode()
    assert json.loads(wire.encode_audio(text)) == {"user_audio_chunk": text}


def test_an_initiation_with_nothing_set_holds_nothing_but_its_type() -> None:
    assert json.loads(wire.encode(wire.initiation())) == {"type": "conversation_initiation_client_data"}


def test_an_initiation_holds_what_is_set_and_nothing_else() -> None:
    assert json.loads(wire.encode(wire.initiation(language="it"))) == {
        "type": "conversation_initiation_client_data",
        "conversation_config_override": {"agent": {"language": "it"}},
    }
    whole = wire.initiation(
        voice="v1",
        first_message="Ciao!",
        prompt="Be brief.",
        variables={"name": "Ada", "visits": 0, "vip": False},
        custom_llm_extra_body={"temperature": 0},
        user_id="u1",
        branch_id="b1",
        environment="staging",
    )
    assert json.loads(wire.encode(whole)) == {
        "type": "conversation_initiation_client_data",
        "conversation_config_override": {
            "agent": {"first_message": "Ciao!", "prompt": {"prompt": "Be brief."}},
            "tts": {"voice_id": "v1"},
        },
        "dynamic_variables": {"name": "Ada", "visits": 0, "vip": False},
        "custom_llm_extra_body": {"temperature": 0},
        "user_id": "u1",
        "branch_id": "b1",
        "environment": "staging",
    }


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (wire.Pong(event_id=3), {"type": "pong", "event_id": 3}),
        (wire.Pong(event_id="3"), {"type": "pong", "event_id": "3"}),
        (wire.Pong(), {"type": "pong"}),
        (wire.ContextualUpdate(text="é"), {"type": "contextual_update", "text": "é"}),
        (wire.UserMessage(text="Hi"), {"type": "user_message", "text": "Hi"}),
        (wire.UserActivity(), {"type": "user_activity"}),
        (wire.Feedback(event_id=4, score="like"), {"type": "feedback", "event_id": 4, "score": "like"}),
        (
            wire.ToolResult(tool_call_id="t", result="", is_error=False),
            {"type": "client_tool_result", "tool_call_id": "t", "result": "", "is_error": False},
        ),
    ],
)
def test_client_messages(message: wire.ClientMessage, expected: object) -> None:
    assert json.loads(wire.encode(message)) == expected
