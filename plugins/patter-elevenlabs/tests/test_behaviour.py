from __future__ import annotations

from patter_elevenlabs import wire
from patter_elevenlabs.formats import FORMATS
from patter_elevenlabs.testing import DEFAULT_CLIENT_EVENTS, Behaviour, EchoAgent


def test_by_default_an_echo_agent_speaks_mu_law() -> None:
    behaviour = Behaviour()
    assert behaviour.agent == EchoAgent()
    assert behaviour.input_format == behaviour.output_format == "ulaw_8000"
    assert behaviour.output_format in FORMATS


def test_the_default_client_events_are_messages_that_the_decoder_knows() -> None:
    for kind in DEFAULT_CLIENT_EVENTS:
        decoder = wire.Decoder()
        decoder.decode(f'{{"type":"{kind}"}}')
        assert wire.Anomaly.UNKNOWN_TYPE not in decoder.anomalies
