from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_elevenlabs import wire
from patter_elevenlabs.wire import Anomaly, Decoder, Ignored


def decode(message: object) -> wire.ServerMessage | Ignored:
    decoder = Decoder()
    decoded = decoder.decode(json.dumps(message).encode())
    assert not decoder.anomalies
    return decoded


def test_metadata_tells_the_conversation_and_both_formats() -> None:
    event = {
        "conversation_id": "conv_1",
        "agent_output_audio_format": "ulaw_8000",
        "user_input_audio_format": "pcm_16000",
    }
    metadata = decode(
        {
            "type": "conversation_initiation_metadata",
            "conversation_initiation_metadata_event": event,
        }
    )
    assert isinstance(metadata, wire.Metadata)
    assert metadata.event.conversation_id == "conv_1"
    assert metadata.event.agent_output_audio_format == "ulaw_8000"
    assert metadata.event.user_input_audio_format == "pcm_16000"


def test_audio_may_bring_an_alignment_and_its_type_may_come_last() -> None:
    alignment = {"chars": ["a"], "char_start_times_ms": [0], "char_durations_ms": [10]}
    audio = decode({"audio_event": {"audio_base_64": "/w==", "event_id": 7, "alignment": alignment}, "type": "audio"})
    assert audio == wire.Audio(wire.AudioEvent(base64="/w==", event_id=7))


def test_a_ping_may_tell_a_latency_or_null_or_nothing() -> None:
    for event in ({"event_id": 3, "ping_ms": 20}, {"event_id": 3, "ping_ms": None}, {"event_id": 3}):
        ping = decode({"type": "ping", "ping_event": event})
        assert isinstance(ping, wire.Ping)
        assert ping.event.event_id == 3


def test_the_texts_of_both_sides() -> None:
    heard = decode({"type": "user_transcript", "user_transcription_event": {"user_transcript": "Hello", "event_id": 2}})
    assert heard == wire.UserTranscript(wire.UserTranscriptEvent(text="Hello", event_id=2))
    said = decode({"type": "agent_response", "agent_response_event": {"agent_response": "Hi", "event_id": 3}})
    assert said == wire.AgentResponse(wire.AgentResponseEvent(text="Hi", event_id=3))


def test_a_correction_holds_both_texts() -> None:
    event = {"original_agent_response": "One two", "corrected_agent_response": "One", "event_id": 4}
    correction = decode({"type": "agent_response_correction", "agent_response_correction_event": event})
    assert correction == wire.Correction(wire.CorrectionEvent(text="One", original="One two", event_id=4))


def test_an_interruption_has_an_event_id() -> None:
    message = decode({"type": "interruption", "interruption_event": {"event_id": 9}})
    assert message == wire.Interruption(wire.Numbered(event_id=9))


def test_a_tool_call_keeps_its_parameters_as_json() -> None:
    event = {"tool_name": "look", "tool_call_id": "t1", "parameters": {"at": [1]}, "event_id": 5}
    call = decode({"type": "client_tool_call", "client_tool_call": event})
    assert isinstance(call, wire.ToolCall)
    assert call.event.expects_response
    assert msgspec.json.decode(call.event.parameters) == {"at": [1]}


def test_a_tool_call_may_say_null_for_whether_it_expects_a_response() -> None:
    event = {"tool_name": "look", "tool_call_id": "t1", "expects_response": None}
    call = decode({"type": "client_tool_call", "client_tool_call": event})
    assert isinstance(call, wire.ToolCall)
    assert call.event.expects_response is None


@pytest.mark.parametrize(
    ("message", "text", "label"),
    [
        ({"type": "error", "error_event": {"code": 1008, "message": "No", "error_type": "x"}}, "No", "1008"),
        ({"type": "error", "error_event": {"code": 1, "reason": "Because"}}, "Because", "1"),
        ({"type": "client_error", "client_error_event": {"code": "e", "error_name": "bad_thing"}}, "bad_thing", "e"),
        ({"type": "error", "message": "Flat"}, "Flat", ""),
        ({"type": "error", "code": 1, "error_name": "boom"}, "boom", "1"),
        ({"type": "error", "reason": "boom"}, "boom", ""),
        ({"type": "error", "error_type": "boom"}, "boom", ""),
        ({"type": "error", "code": 1.5, "message": "boom"}, "boom", "1.5"),
        ({"type": "error", "error_event": {"code": 1008.0, "reason": "boom"}}, "boom", "1008"),
        ({"type": "error", "error_event": "boom", "code": 7}, "boom", "7"),
        ({"type": "client_error", "client_error_event": "boom"}, "boom", ""),
        ({"type": "error"}, "The service reports an unnamed error.", ""),
    ],
)
def test_every_shape_of_an_error_is_one_error(message: object, text: str, label: str) -> None:
    error = decode(message)
    assert isinstance(error, wire.Error)
    assert (error.text, error.label) == (text, label)


@pytest.mark.parametrize("kind", ["error", "client_error"])
def test_an_error_in_an_unknown_shape_is_quoted_and_counted(kind: str) -> None:
    for odd in (f'{{"type":"{kind}","error_event":["boom"]}}', f'{{"type":"{kind}","message":{{"detail":"boom"}}}}'):
        for message in (odd, odd.encode()):
            decoder = Decoder()
            error = decoder.decode(message)
            assert isinstance(error, wire.Error)
            assert (error.text, error.label) == (odd, "")
            assert decoder.anomalies == {Anomaly.MALFORMED: 1}
    error = Decoder().decode(f'{{"type":"{kind}","message":["{"x" * 10_000}"]}}')
    assert isinstance(error, wire.Error)
    assert len(error.text) < 1000


@pytest.mark.parametrize("kind", sorted(wire.IGNORED_TYPES | {"internal_turn_probability"}))
def test_known_types_that_are_not_used_are_ignored_without_a_count(kind: str) -> None:
    assert decode({"type": kind, f"{kind}_event": {"anything": [1, None]}}) == Ignored(kind)


@pytest.mark.parametrize(
    ("message", "anomaly"),
    [
        (b'{"type":"shiny_new_thing","x":1}', Anomaly.UNKNOWN_TYPE),
        (b'{"no":"type"}', Anomaly.UNKNOWN_TYPE),
        (b'{"type":"audio","audio_event":{"event_id":1}}', Anomaly.MALFORMED),
        (b'{"type":"audio","audio_event":null}', Anomaly.MALFORMED),
        (b'{"type":"ping","ping_event":{"event_id":99999999999999999999999}}', Anomaly.MALFORMED),
        (b'{"type":7}', Anomaly.MALFORMED),
        (b"[]", Anomaly.MALFORMED),
        (b"", Anomaly.MALFORMED),
        (b"\xff\x00\x01", Anomaly.MALFORMED),
        (b'{"type":"audio","audio_event":{"audio_base_64":"\xff"}}', Anomaly.MALFORMED),
        (b'{"type":"ping","x":' + b"[" * 50_000, Anomaly.MALFORMED),
        ("\ud800", Anomaly.MALFORMED),
    ],
)
def test_a_message_that_cannot_be_decoded_is_counted_and_survived(message: bytes | str, anomaly: Anomaly) -> None:
    decoder = Decoder()
    assert isinstance(decoder.decode(message), Ignored)
    assert decoder.anomalies == {anomaly: 1}


@pytest.mark.parametrize(
    ("event_id", "number", "anomalies"),
    [
        (12, 12, {}),
        (None, None, {Anomaly.MISSING_ID: 1}),
        ("12", 12, {Anomaly.STRING_ID: 1}),
        ("evt_12", None, {Anomaly.STRING_ID: 1}),
        ("9" * 5000, None, {Anomaly.STRING_ID: 1}),
    ],
)
def test_an_event_id_becomes_a_number_if_it_is_one(
    event_id: wire.EventId, number: int | None, anomalies: dict[Anomaly, int]
) -> None:
    decoder = Decoder()
    assert decoder.number(event_id) == number
    assert decoder.anomalies == anomalies


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=8,
)
_types = st.sampled_from(["audio", "ping", "interruption", "error", "agent_response", "client_tool_call", "x"])
_fields = st.sampled_from(
    ["audio_event", "ping_event", "interruption_event", "error_event", "client_tool_call", "message"]
)
_messages = st.builds(
    lambda kind, fields: {"type": kind, **fields},
    _types | _json,
    st.dictionaries(_fields, st.dictionaries(st.sampled_from(["event_id", "audio_base_64", "code"]), _json) | _json),
)


@given(st.binary() | st.text() | (_json | _messages).map(json.dumps) | _messages.map(lambda m: json.dumps(m).encode()))
def test_decoding_never_raises(message: bytes | str) -> None:
    decoder = Decoder()
    decoded = decoder.decode(message)
    if isinstance(decoded, wire.Ping):
        assert json.loads(wire.encode(wire.Pong(event_id=decoded.event.event_id)))["type"] == "pong"
    if isinstance(decoded, wire.Error):
        assert decoded.text
        assert isinstance(decoded.label, str)
