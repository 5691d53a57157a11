from __future__ import annotations

import pytest

from patter_core.audio import ULAW_8000
from patter_core.engine import ConversationSetup
from patter_core.telephony.leg import Leg
from patter_pipeline.placeholders import filled

LEG = Leg(carrier="fake", call_id="leg-1")


def setup(prompt: str, first: str = "", **variables: str | int) -> ConversationSetup:
    return ConversationSetup(
        leg=LEG, preferred_format=ULAW_8000, system_prompt=prompt, first_message=first, variables=variables
    )


def test_values_stand_in_the_prompt_and_in_the_first_message() -> None:
    made = filled(setup("{{name}} is {{ age }}.", "Hello {{name}}.", name="Ada", age=36))
    assert (made.system_prompt, made.first_message) == ("Ada is 36.", "Hello Ada.")


def test_a_value_is_not_looked_at_for_placeholders() -> None:
    assert filled(setup("{{a}}", a="{{b}}", b="secret")).system_prompt == "{{b}}"


def test_what_has_no_value_stays_and_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    assert filled(setup("{{who}} {{who}}", "{{who}}")).system_prompt == "{{who}} {{who}}"
    assert caplog.text.count("who") == 1


def test_other_braces_are_text() -> None:
    text = '{"a": {"b": 1}} {{}} {{ 1 }} {{a-b}}'
    assert filled(setup(text)).system_prompt == text
