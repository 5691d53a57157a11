"""The carriers that scenarios of whole calls run with: each of them, but where this module says why not.

A test with `@each_carrier()` gets `emulator`, which makes one carrier's emulator. A module in `tests/e2e` that names an
emulator itself is listed in `OTHERS`; `tests/test_carriers.py` finds those that are not.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import pytest

from patter_core.testing.emulator import CarrierEmulator
from patter_plivo.testing import PlivoEmulator
from patter_telnyx.testing import TelnyxEmulator
from patter_twilio.testing import TwilioEmulator
from patter_vonage.config import SampleRate
from patter_vonage.testing import VonageEmulator

__all__ = ["EMULATORS", "OTHERS", "OWN_PAGES", "MakeEmulator", "each_carrier", "emulators"]

MakeEmulator = Callable[[], CarrierEmulator]

EMULATORS: Mapping[str, type[CarrierEmulator]] = {
    "twilio": TwilioEmulator,
    "telnyx": TelnyxEmulator,
    "vonage": VonageEmulator,
    "plivo": PlivoEmulator,
}
"""By the carrier's name."""

_CORE = "The core's part of a call, in which carriers do not differ: one whose calls need no request to an API."
_ENGINE = "The engine's part of a call, in which carriers do not differ."
_PARTS = "The parts of a pipeline, in which carriers do not differ: μ-law, and one whose calls begin with a command."

OWN_PAGES = frozenset({"browser"})
"""Carriers whose calls come by a page of their own, which their tests open."""

OTHERS: Mapping[str, str] = {
    "test_continuous": "Stalls of the app are the core's; turns are tried with each carrier.",
    "test_false_interruption": _PARTS,
    "test_key_transfer": "For a transfer Twilio leaves the stream, and Telnyx does not: the two ways that there are.",
    "test_mounting": _CORE,
    "test_networks": "The proxy that names a wrong scheme needs one carrier that signs the URL of its socket.",
    "test_openai_commands": _ENGINE,
    "test_openai_renewal": _ENGINE,
    "test_openai_tools": "Options and sessions are the engine's; tools and the transfer are tried with each carrier.",
    "test_pipeline": _PARTS,
    "test_page_pipeline": "The page's program, as it stands there.",
    "test_pipeline_calls": _PARTS,
    "test_pipeline_chat": _PARTS,
    "test_pipeline_deepgram": _PARTS,
    "test_pipeline_elevenlabs": _PARTS,
    "test_pipeline_figures": _PARTS,
    "test_pipeline_worker_lost": "The two ways in which a carrier comes back after its socket is gone.",
    "test_quickstart": "The README's program, as it stands there.",
    "test_recording": _CORE,
    "test_renewal": _CORE,
    "test_tools": _ENGINE,
    "test_two_carriers": "A phone with two carriers: those that refuse calls in the two ways that there are.",
    "test_warm_transfer": "What is refused before any request is refused by the core.",
    "test_wideband": "A sample rate that the user chooses: Vonage's `sample_rate`.",
}
"""Modules of `tests/e2e` with scenarios that do not run with each carrier, and why."""


def emulators(*, linear: SampleRate = 16_000) -> dict[str, MakeEmulator]:
    """Returns what makes an emulator of each carrier, by the carrier's name.

    Args:
        linear: the sample rate of carriers with linear audio, in Hz: where audio is compared byte by byte, that of the
            engine, so that nothing is converted.
    """
    return {**EMULATORS, "vonage": functools.partial(VonageEmulator, sample_rate=linear)}


def each_carrier(*, linear: SampleRate = 16_000) -> pytest.MarkDecorator:
    """Runs a test once with each carrier; `linear` is as above."""
    made = emulators(linear=linear)
    return pytest.mark.parametrize("emulator", made.values(), ids=made)
