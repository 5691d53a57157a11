"""Scenarios of live calls that the app hangs up, by each way that the carrier has."""

from __future__ import annotations

from patter_core.testing.conformance.scene import SOON, Scenario, Scene

__all__ = ["HANG_UPS"]


async def _hung_up(scene: Scene) -> None:
    """By `hang_up` alone: nothing else ends the call, and no webhook asks what to do with it."""
    if not scene.harness.carrier.has_api:
        return
    live = await scene.live()
    with (
        scene.check.within(SOON, "hang_up() does not return."),
        scene.check.raises_only(problem="hang_up() of a live call raises."),
    ):
        await scene.harness.watched.hang_up(live.session.setup.leg)
    await scene.over(
        live.call, "hang_up() returns, and the call stays up.", mistake="hang_up() does not end the call at the vendor"
    )


async def _hung_up_by_socket(scene: Scene) -> None:
    """By a message on the media socket alone, where the carrier takes one."""
    live = await scene.live()
    if not scene.codec_of(live).encode_hang_up():
        scene.check.require(
            scene.harness.carrier.has_api,
            "The carrier has no API, and its media socket does not end calls.",
            expected="a message from encode_hang_up(), or `has_api = True` and a hang_up() that ends calls",
        )
        return
    scene.harness.watched.left_up.add(live.call.call_id)
    with (
        scene.check.within(SOON, "Hanging up does not return."),
        scene.check.raises_only(problem="Hanging up raises."),
    ):
        await live.handle.hang_up()
    await scene.over(
        live.call,
        "The message of encode_hang_up() is sent, and the call stays up.",
        mistake="the vendor takes another message, or none: then encode_hang_up() gives ()",
    )


HANG_UPS = (
    Scenario("hanging up a live call", _hung_up),
    Scenario("hanging up by the media socket", _hung_up_by_socket),
)
