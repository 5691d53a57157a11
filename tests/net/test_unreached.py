"""One form of error for each service that was not reached."""

from __future__ import annotations

import pytest

from patter_core.errors import EngineError, EngineTimeout, NetworkMisconfigured
from patter_core.net.unreached import Unreached, engine_unreached, unreached

REMEDY = "Check the network, and base_url or ACME_BASE_URL, if one is set."
PROXY = NetworkMisconfigured("The proxy is none.", expected="a URL", got="x", remedy="Unset HTTPS_PROXY.")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ConnectionRefusedError("ConnectError"), Unreached(" cannot be reached.", "", "ConnectError", REMEDY)),
        (ConnectionResetError(), Unreached(" cannot be reached.", "", "ConnectionResetError", REMEDY)),
        (ValueError("wss://secret@acme"), Unreached(" cannot be reached.", "", "ValueError", REMEDY)),
        (TimeoutError("ReadTimeout"), Unreached(" did not answer in time.", "", "", REMEDY)),
        (PROXY, Unreached(" cannot be reached. The proxy is none.", "a URL", "x", "Unset HTTPS_PROXY.")),
    ],
)
def test_it_says_what_was_tried_where_why_and_what_to_do(error: Exception, told: Unreached) -> None:
    said = unreached(error, "Acme at acme.example", setting="base_url or ACME_BASE_URL", action="make the call")
    problem = f"Could not make the call: Acme at acme.example{told.problem}"
    assert said == Unreached(problem, told.expected, told.got, told.remedy)
    own = unreached(error, "Acme", setting="base_url or ACME_BASE_URL", is_own=True)
    assert own.remedy == told.remedy.replace("Check the", "Check that it runs, the")
    assert unreached(error, "Acme").problem == f"Acme{told.problem}"


@pytest.mark.parametrize(
    ("error", "kind", "retry"),
    [(ConnectionResetError(), EngineError, True), (TimeoutError(), EngineTimeout, True), (PROXY, EngineError, False)],
)
def test_an_engine_is_tried_again_unless_a_person_must_change_something(
    error: Exception, kind: type[EngineError], retry: bool
) -> None:
    raised = engine_unreached(error, "Acme")
    assert (type(raised), raised.retry) == (kind, retry)
    assert raised.problem.startswith("Acme ")
