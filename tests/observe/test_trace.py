"""A call's trace context is valid by W3C's rules, and one trace on every worker."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_core.observe.trace import TraceContext


@given(st.text())
def test_every_call_has_a_valid_context(call_id: str) -> None:
    context = TraceContext.of_call(call_id)
    assert TraceContext.parse(context.traceparent) == context


def test_two_workers_write_into_one_trace_with_a_span_each() -> None:
    call_id = uuid.uuid4().hex
    one, other = TraceContext.of_call(call_id), TraceContext.of_call(call_id)
    assert one.trace_id == other.trace_id == call_id
    assert one.span_id != other.span_id


def test_an_id_of_zeros_is_no_trace() -> None:
    assert TraceContext.of_call("0" * 32).trace_id != "0" * 32


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00-" + "0" * 32 + "-" + "1" * 16 + "-01",
        "00-" + "1" * 32 + "-" + "0" * 16 + "-01",
        "01-" + "1" * 32 + "-" + "1" * 16 + "-01",
        "00-" + "G" * 32 + "-" + "1" * 16 + "-01",
    ],
)
def test_what_is_not_valid_is_none(text: str) -> None:
    assert TraceContext.parse(text) is None
