"""A carrier's commands: declared and written, about a call that is over, and to a vendor that is away."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable

import anyio

from patter_core.carrier import Carrier
from patter_core.errors import CarrierRequestFailed
from patter_core.telephony.control import Callbacks, Capability, DialRequest
from patter_core.telephony.leg import Leg
from patter_core.telephony.outcome import Transfer
from patter_core.testing.conformance.check import SENTINEL, Check, at_once
from patter_core.testing.conformance.harness import NUMBER
from patter_core.webhook import Accept

__all__ = ["check_capabilities", "check_hang_up", "check_unreachable"]

_METHODS: dict[Capability, tuple[str, ...]] = {
    Capability.DIAL: ("dial",),
    Capability.TRANSFER: ("transfer",),
    Capability.SAY: ("say_and_hang_up",),
    Capability.SEND_DTMF: ("send_dtmf",),
    Capability.HOLD: ("hold", "resume"),
    Capability.CONNECT: ("connect",),
    Capability.RECORD: ("start_recording", "stop_recording"),
    Capability.PAUSE_RECORDING: ("pause_recording",),
    Capability.LOOK_UP: ("look_up",),
    Capability.CONFIGURE_NUMBER: ("set_voice_url", "voice_target", "put_back"),
}
"""What implements each capability."""
_PART_OF = {
    Capability.MACHINE_DETECTION: Capability.DIAL,
    Capability.HUMAN_DETECTION: Capability.MACHINE_DETECTION,
    Capability.PAUSE_RECORDING: Capability.RECORD,
    Capability.PRICE: Capability.LOOK_UP,
}
"""Capabilities that are part of another one."""


def check_capabilities(check: Check, carrier: Carrier) -> None:
    """Checks that what is declared is written."""
    check.now("the capabilities")
    declared: object = carrier.capabilities
    if not isinstance(declared, frozenset) or not all(isinstance(one, Capability) for one in declared):
        raise check.failed("`capabilities` is not a frozenset of Capability.", got=repr(declared))
    for capability in sorted(carrier.capabilities):
        for method in _METHODS.get(capability, ()):
            check.require(
                getattr(type(carrier), method) is not getattr(Carrier, method),
                f"The capability {capability.value} is declared, and {method}() is not written.",
                expected=f"a method {method}(), or no Capability.{capability.name} in `capabilities`",
            )
        whole = _PART_OF.get(capability)
        check.require(
            whole is None or whole in carrier.capabilities,
            f"The capability {capability.value} is declared without {whole and whole.value}, of which it is a part.",
            expected=f"both, or no Capability.{capability.name} in `capabilities`",
        )


async def check_hang_up(check: Check, carrier: Carrier, leg: Leg) -> None:
    """Hangs up a call that is over, and gives the command up."""
    # A call that is over is hung up with success, however often.
    check.now("hanging up a call that is over")
    with (
        check.within(15, "hang_up() does not return."),
        check.raises_only(
            problem="hang_up() of a call that is over is an error.",
            mistake="the vendor's “not found” and “not in progress” are not taken as success",
        ),
    ):
        await carrier.hang_up(leg)
        await carrier.hang_up(leg)
    # hang_up() can be cancelled.
    check.now("cancelling hang_up()")
    with check.within(2, "hang_up() does not let itself be cancelled.", mistake="`except BaseException`, or a shield"):
        for delay in (0.0, 0.002):
            with anyio.move_on_after(delay):
                await carrier.hang_up(leg)


async def check_unreachable(check: Check, carrier: Carrier, leg: Leg) -> None:
    """Every command that the carrier is capable of, once its emulator is gone."""
    await check.check_own_checks(carrier.check, " without the vendor")
    check.now("a vendor that cannot be reached")

    async def try_one(name: str, command: Callable[[], Awaitable[object]]) -> None:
        raised = False
        with (
            check.within(20, f"{name}() does not return if the vendor does not answer."),
            check.raises_only(
                problem=f"{name}() raises something else than CarrierRequestFailed.",
                mistake="an exception of the HTTP client that is passed on",
            ),
        ):
            try:
                await command()
            except CarrierRequestFailed as error:
                raised = True
                check.shows_nothing("the text of an error", f"{error!r} {error}")
        check.require(
            raised,
            f"The vendor cannot be reached, and {name}() returns as if it had been.",
            expected="CarrierRequestFailed",
        )

    await at_once(*(functools.partial(try_one, name, command) for name, command in _commands(carrier, leg).items()))


def _commands(carrier: Carrier, leg: Leg) -> dict[str, Callable[[], Awaitable[object]]]:
    root = f"https://phone.example/webhooks/{carrier.name}"
    callbacks = Callbacks(root, SENTINEL)
    accept = Accept(call_id="1", media_url=f"wss://phone.example/media/{carrier.name}/{SENTINEL}", callbacks=callbacks)
    request = DialRequest(
        to_number=NUMBER, from_number=NUMBER, ring_timeout=30, callbacks=callbacks, command_id="command-1"
    )
    optional: dict[Capability, dict[str, Callable[[], Awaitable[object]]]] = {
        Capability.DIAL: {"dial": lambda: carrier.dial(request)},
        Capability.TRANSFER: {"transfer": lambda: carrier.transfer(leg, Transfer(NUMBER))},
        Capability.SAY: {"say_and_hang_up": lambda: carrier.say_and_hang_up(leg, "Goodbye.")},
        Capability.SEND_DTMF: {"send_dtmf": lambda: carrier.send_dtmf(leg, "1")},
        Capability.HOLD: {
            "hold": lambda: carrier.hold(leg, ""),
            "resume": lambda: carrier.resume(leg, accept),
        },
        Capability.CONNECT: {"connect": lambda: carrier.connect(leg, leg)},
        Capability.RECORD: {
            "start_recording": lambda: carrier.start_recording(leg, callbacks),
            "stop_recording": lambda: carrier.stop_recording(leg, "1"),
        },
        Capability.PAUSE_RECORDING: {"pause_recording": lambda: carrier.pause_recording(leg, "1", paused=True)},
        Capability.LOOK_UP: {"look_up": lambda: carrier.look_up(leg)},
        Capability.CONFIGURE_NUMBER: {
            "set_voice_url": lambda: carrier.set_voice_url(NUMBER, f"{root}/voice"),
            "voice_target": lambda: carrier.voice_target(NUMBER),
        },
    }
    commands: dict[str, Callable[[], Awaitable[object]]] = {}
    if carrier.has_api:
        commands["hang_up"] = lambda: carrier.hang_up(leg)
    for capability in carrier.capabilities:
        commands |= optional.get(capability, {})
    return commands
