from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable

import anyio
import msgspec
import pytest

from patter_core import Patter, Registry
from patter_core.audio import PCM16_16000, ULAW_8000, AudioFormat
from patter_core.engine import ConversationSetup, Engine
from patter_core.errors import ConfigurationError, EngineError
from patter_core.telephony.leg import Leg
from patter_core.testing.fakes import FakeCarrier
from patter_core.tools import Tool
from patter_elevenlabs import ElevenLabsConvAI, wire
from patter_elevenlabs.testing import Behaviour, Conversation, ElevenLabsEmulator

pytestmark = pytest.mark.anyio


def setup(
    *,
    format: AudioFormat = ULAW_8000,
    system_prompt: str = "",
    first_message: str = "",
    visits: int | None = None,
    resumed: bool = False,
) -> ConversationSetup:
    return ConversationSetup(
        leg=Leg(carrier="test", call_id="c1"),
        preferred_format=format,
        system_prompt=system_prompt,
        first_message=first_message,
        resumed=resumed,
        variables={} if visits is None else {"visits": visits},
    )


async def opened(engine: ElevenLabsConvAI, emulator: ElevenLabsEmulator, of: ConversationSetup) -> wire.Initiation:
    session = await engine.open(of)
    await session.aclose()
    return emulator.conversations[-1].initiation


def agent_override(initiation: wire.Initiation) -> wire.AgentOverride:
    assert initiation.conversation_config_override is not None
    assert initiation.conversation_config_override.agent is not None
    return initiation.conversation_config_override.agent


def test_it_reads_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELEVENLABS_API_KEY", "sk_secret")
    monkeypatch.setenv("ELEVENLABS_AGENT_ID", "agent_env")
    engine = ElevenLabsConvAI()
    assert isinstance(engine, Engine)
    assert (engine.api_key, engine.agent_id, engine.voice) == ("sk_secret", "agent_env", "")
    assert ElevenLabsConvAI("sk_1", "agent_1", "v1").voice == "v1"


def test_a_missing_value_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"ElevenLabsConvAI\(api_key=…\).*ELEVENLABS_API_KEY"):
        ElevenLabsConvAI()
    with pytest.raises(ConfigurationError, match=r"ElevenLabsConvAI\(agent_id=…\).*ELEVENLABS_AGENT_ID"):
        ElevenLabsConvAI(api_key="sk_secret")


def test_no_secret_is_in_the_repr() -> None:
    engine = ElevenLabsConvAI(
        "sk_secret",
        "agent_1",
        user_id="u_secret",
        dynamic_variables={"a": "v_secret"},
        custom_llm_extra_body={"b": "x_secret"},
    )
    assert "secret" not in repr(engine)
    assert "agent_1" in repr(engine)


def test_invalid_tools_are_refused_when_the_engine_is_created() -> None:
    with pytest.raises(ConfigurationError, match=r"ElevenLabsConvAI\(client_tools=…\)"):
        ElevenLabsConvAI("sk", "agent_1", client_tools=[lambda *things: things])
    with pytest.raises(ConfigurationError, match=r"ElevenLabsConvAI\(client_tool_timeout=…\)"):
        ElevenLabsConvAI("sk", "agent_1", client_tool_timeout=0)


def test_its_client_tools_are_its_own_tools_under_their_names() -> None:
    def double(number: int) -> int:
        return 2 * number

    own = Tool.of(double, name="own", timeout=60.0)
    tools: dict[str, Callable[..., object] | Tool] = {"double-it": double, "own": own}
    engine = ElevenLabsConvAI("sk", "agent_1", client_tools=tools, client_tool_timeout=3.0)
    assert [(tool.spec.name, tool.timeout) for tool in engine.own_tools] == [("double-it", 3.0), ("own", 60.0)]
    assert ElevenLabsConvAI("sk", "agent_1").own_tools == ()


async def test_the_agent_gets_keys_as_configured() -> None:
    async def agent(talk: Conversation) -> None:
        await talk.until(lambda: wire.UserMessage(text="#") in talk.messages)
        await talk.close(1000)

    async with ElevenLabsEmulator(Behaviour(agent=agent)) as emulator:
        engine = ElevenLabsConvAI(
            emulator.api_key,
            emulator.agent_id,
            base_url=emulator.base_url,
            dtmf_as_message=True,
        )
        session = await engine.open(setup())
        session.send_dtmf("#")
        with anyio.fail_after(5):
            assert not [item async for item in session.events()]
        await session.aclose()


def test_tools_of_an_agent_are_ignored_with_a_warning_that_says_where_they_go(
    caplog: pytest.LogCaptureFixture,
) -> None:
    phone = Patter(carrier=FakeCarrier(), registry=Registry())
    phone.agent(engine=ElevenLabsConvAI("sk", "agent_1"), tools=[print])
    assert "client_tools" in caplog.text


def test_reserved_variables_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"ElevenLabsConvAI\(dynamic_variables=…\).*system__"):
        ElevenLabsConvAI("sk", "agent_1", dynamic_variables={"system__x": 1})


async def test_reserved_variables_of_a_call_are_refused_before_anything_is_sent() -> None:
    given = msgspec.structs.replace(setup(), variables={"visits": 1, "system__x": "secret value"})
    async with ElevenLabsEmulator() as emulator:
        with pytest.raises(EngineError, match=r"variables=….*system__.*system__x") as refused:
            await emulator.engine().open(given)
        assert not emulator.conversations
    assert not refused.value.retry
    assert "secret" not in str(refused.value)


async def test_nothing_set_is_nothing_sent() -> None:
    async with ElevenLabsEmulator() as emulator:
        assert await opened(emulator.engine(), emulator, setup()) == wire.Initiation()


async def test_what_is_set_is_sent() -> None:
    async with ElevenLabsEmulator() as emulator:
        engine = ElevenLabsConvAI(
            emulator.api_key,
            emulator.agent_id,
            "v1",
            base_url=emulator.base_url,
            language="it",
            first_message="Ciao!",
            dynamic_variables={"name": "Ada", "visits": 1},
            user_id="u1",
        )
        assert await opened(engine, emulator, setup(visits=2)) == wire.initiation(
            voice="v1",
            language="it",
            first_message="Ciao!",
            variables={"name": "Ada", "visits": 2},
            user_id="u1",
        )


async def test_the_voice_and_language_of_the_agent_or_the_call_come_before_those_of_the_engine() -> None:
    async with ElevenLabsEmulator() as emulator:
        engine = ElevenLabsConvAI(
            emulator.api_key, emulator.agent_id, "v1", base_url=emulator.base_url, language="en", first_message="Hi."
        )
        given = msgspec.structs.replace(setup(), voice="v2")
        assert await opened(engine, emulator, given) == wire.initiation(voice="v2", language="en", first_message="Hi.")
        given = msgspec.structs.replace(setup(), language="it")
        assert await opened(engine, emulator, given) == wire.initiation(voice="v1", language="it", first_message="Hi.")


BRANCHES = Behaviour(branches=frozenset({"b1", "b2"}), environments=frozenset({"production", "staging"}))


@pytest.mark.parametrize("signed", [False, True])
async def test_a_branch_and_an_environment_are_sent_and_those_of_the_call_come_first(signed: bool) -> None:
    async with ElevenLabsEmulator(BRANCHES) as emulator:
        engine = ElevenLabsConvAI(
            emulator.api_key,
            emulator.agent_id,
            base_url=emulator.base_url,
            branch_id="b1",
            environment="production",
            use_signed_url=signed,
        )
        assert await opened(engine, emulator, setup()) == wire.initiation(branch_id="b1", environment="production")
        given = msgspec.structs.replace(setup(), engine_options={"branch_id": "b2", "environment": "staging"})
        assert await opened(engine, emulator, given) == wire.initiation(branch_id="b2", environment="staging")
    asked = [(query["branch_id"], query["environment"]) for query in emulator.signed_url_queries]
    assert asked == ([("b1", "production"), ("b2", "staging")] if signed else [])


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("wrong", [{"branch_id": "b3"}, {"environment": "moon"}])
async def test_a_branch_or_environment_that_is_not_there_is_refused_and_not_tried_again(
    wrong: dict[str, str], signed: bool
) -> None:
    async with ElevenLabsEmulator(BRANCHES) as emulator:
        engine = ElevenLabsConvAI(
            emulator.api_key, emulator.agent_id, base_url=emulator.base_url, use_signed_url=signed
        )

        async def converse() -> None:
            session = await engine.open(msgspec.structs.replace(setup(), engine_options=wrong))
            async for _ in session.events():
                pass

        with pytest.raises(EngineError) as refused:
            await converse()
    assert not refused.value.retry
    assert emulator.signed_url_queries == []


async def test_a_route_may_choose_the_branch_of_a_call() -> None:
    phone = Patter(carrier=FakeCarrier(), registry=Registry())
    agent = phone.agent(engine=ElevenLabsConvAI("sk_1", "agent_1"))
    assert agent.with_options(engine_options={"branch_id": "b1"}).options.engine_options == {"branch_id": "b1"}
    with pytest.raises(ConfigurationError, match=r"no option 'branch' for one call.*Expected branch_id, environment"):
        agent.with_options(engine_options={"branch": "b1"})


async def test_the_first_message_of_the_agent_comes_before_that_of_the_engine() -> None:
    async with ElevenLabsEmulator() as emulator:
        engine = ElevenLabsConvAI(
            emulator.api_key, emulator.agent_id, base_url=emulator.base_url, first_message="of the engine"
        )
        assert agent_override(await opened(engine, emulator, setup())).first_message == "of the engine"
        sent = await opened(engine, emulator, setup(first_message="of the agent", system_prompt="Be kind."))
        assert agent_override(sent) == wire.AgentOverride(first_message="of the agent")


async def test_a_conversation_that_continues_a_call_says_its_resume_message_and_no_greeting() -> None:
    async with ElevenLabsEmulator() as emulator:
        engine = ElevenLabsConvAI(
            emulator.api_key, emulator.agent_id, base_url=emulator.base_url, first_message="of the engine"
        )
        sent = await opened(engine, emulator, setup(first_message="Where were we?", resumed=True))
        assert agent_override(sent).first_message == "Where were we?"
        sent = await opened(engine, emulator, setup(resumed=True))
        assert agent_override(sent).first_message == ""
        assert b'"first_message":""' in emulator.conversations[-1].initiation_json


@pytest.mark.parametrize("why", ["the agent's message", "a prompt that is said", "the option"])
async def test_the_greeting_of_the_dashboard_is_left_out_where_the_override_is_allowed(why: str) -> None:
    async with ElevenLabsEmulator() as emulator:
        engine = ElevenLabsConvAI(
            emulator.api_key, emulator.agent_id, base_url=emulator.base_url, quiet_resume=why == "the option"
        )
        prompt = "You are kind." if why == "a prompt that is said" else ""
        if why == "the agent's message":
            await opened(engine, emulator, setup(first_message="Hello!"))
        sent = await opened(engine, emulator, setup(system_prompt=prompt, resumed=True))
        assert agent_override(sent) == wire.AgentOverride(first_message="")


async def test_an_override_that_may_not_be_allowed_is_not_sent_and_the_remedy_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with ElevenLabsEmulator(Behaviour(allowed_overrides=frozenset())) as emulator:
        engine = emulator.engine()
        for _ in range(2):
            sent = await opened(engine, emulator, setup(resumed=True))
            assert sent.conversation_config_override is None
    assert caplog.text.count("quiet_resume=True") == 1


async def test_a_prompt_that_is_overridden_leaves_the_greeting_as_it_is() -> None:
    async with ElevenLabsEmulator() as emulator:
        engine = ElevenLabsConvAI(emulator.api_key, emulator.agent_id, base_url=emulator.base_url, override_prompt=True)
        sent = await opened(engine, emulator, setup(system_prompt="Be kind.", resumed=True))
        assert agent_override(sent) == wire.AgentOverride(prompt=wire.PromptOverride("Be kind."))


async def test_a_system_prompt_becomes_the_first_message_and_a_hint_names_the_two_ways_out() -> None:
    said = setup(system_prompt="You are kind.")
    async with ElevenLabsEmulator() as emulator:
        engine = emulator.engine()
        sent = await opened(engine, emulator, said)
        assert agent_override(sent) == wire.AgentOverride(first_message="You are kind.")
    (hint,) = engine.hints(said)
    assert hint.startswith("The caller will hear the system_prompt")
    assert "first_message=…" in hint
    assert "override_prompt=True" in hint
    assert "kind" not in hint
    assert not engine.hints(setup(system_prompt="You are kind.", first_message="Hello."))
    assert not dataclasses.replace(engine, override_prompt=True).hints(said)
    assert not dataclasses.replace(engine, first_message="Hello.").hints(said)


async def test_override_prompt_sends_a_real_prompt() -> None:
    async with ElevenLabsEmulator() as emulator:
        engine = ElevenLabsConvAI(emulator.api_key, emulator.agent_id, base_url=emulator.base_url, override_prompt=True)
        sent = agent_override(await opened(engine, emulator, setup(system_prompt="Be kind.", first_message="Hi")))
        assert sent == wire.AgentOverride("Hi", "", wire.PromptOverride("Be kind."))


async def test_formats_that_need_conversion_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async with ElevenLabsEmulator(Behaviour(output_format="pcm_16000")) as emulator:
        engine = emulator.engine()
        for _ in range(2):
            session = await engine.open(setup())
            assert (session.input_format, session.output_format) == (ULAW_8000, PCM16_16000)
            await session.aclose()
        emulator.behaviour = Behaviour()
        await opened(emulator.engine(), emulator, setup())
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "pcm_16000" in record.message
    assert "μ-law" in record.message
