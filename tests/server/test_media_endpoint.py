"""Media sockets over the network: whose they are, who says so, and what those cost that never say it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import anyio
import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from patter_core.agent import Agent
from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.call.limits import Limits
from patter_core.errors import WebhookRefused
from patter_core.events import CallEnded
from patter_core.server import media_endpoint
from patter_core.telephony.leg import Leg
from patter_core.telephony.outcome import Transfer
from patter_core.testing.fakes import FakeCarrier, FakeMessage, FakeSession
from patter_core.transport import Message
from patter_core.webhook import MediaIdentity, Reject, WebhookRequest
from tests.server.test_app import FAKE, Scene, arrive, say

pytestmark = pytest.mark.anyio

FRAME = AudioChunk(bytes(range(160)), ULAW_8000)


class Hello(FakeMessage, frozen=True, omit_defaults=True):
    """The message by which a socket says whose it is; for the codec it is the start, or nothing."""

    token: str = ""


class ByQuery(FakeCarrier):
    """A carrier that gives the token back in the query."""

    def identify(self, request: WebhookRequest, hello: Message | None) -> MediaIdentity:
        assert hello is None
        return MediaIdentity(token=parse_qs(urlsplit(request.likely_url).query).get("token", [""])[0])


class ByHello(FakeCarrier):
    """A carrier that gives the token back in a message."""

    media_hello = True

    def identify(self, request: WebhookRequest, hello: Message | None) -> MediaIdentity:
        assert hello is not None
        return MediaIdentity(token=read(hello).token)


class Announcing(FakeCarrier):
    """A carrier that names a call in a message, and authenticates the upgrade."""

    media_hello = True
    authenticates_upgrade = True
    legs: ClassVar[str] = "fake"

    def identify(self, request: WebhookRequest, hello: Message | None) -> MediaIdentity:
        assert hello is not None
        message = read(hello)
        if message.event not in {"start", "hello"}:
            return MediaIdentity()
        return MediaIdentity(leg=Leg(carrier=self.legs, call_id=message.value, from_number="+15550001111"))


class Unauthenticated(Announcing):
    authenticates_upgrade = False


class Foreign(Announcing):
    legs = "another"


def read(message: Message) -> Hello:
    try:
        return msgspec.json.decode(message, type=Hello)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Hello("")


class Door(Scene):
    """A worker, and how often it was asked who takes a call."""

    def __init__(
        self,
        carrier: FakeCarrier,
        *,
        routed: Agent | Reject | Transfer | None = None,
        limits: Limits | None = None,
    ) -> None:
        super().__init__(carrier=carrier, limits=limits)
        self.asked: list[Leg] = []
        assert self.agent is not None
        answer = routed or self.agent

        async def route(leg: Leg) -> Agent | Reject | Transfer | None:
            self.asked.append(leg)
            return answer

        self.host.routers["fake"].route = route

    @property
    def bare(self) -> str:
        """The URL of a media socket without a token."""
        return self.url.replace("http", "ws") + "/media/fake"

    @property
    def cost(self) -> tuple[int, int, int]:
        """Of sockets that are nothing: engines, questions, calls."""
        return len(self.engine.sessions), len(self.asked), len(self.host.table)


def token_of(url: str) -> str:
    return url.rpartition("/")[2]


async def send(media: ClientConnection, message: FakeMessage) -> None:
    await media.send(msgspec.json.encode(message).decode())


async def closed_with(media: ClientConnection) -> int | None:
    with contextlib.suppress(ConnectionClosed):
        while True:
            await media.recv()
    return media.close_code


async def talks(door: Scene, media: ClientConnection, number: int = 0) -> FakeSession:
    """Both sides hear each other."""
    session = await door.engine.session(number)
    session.give(FRAME)
    assert msgspec.json.decode(await media.recv(), type=FakeMessage) == FakeMessage("audio", FRAME.base64)
    await say(media, "audio", FRAME.base64)
    await session.until(lambda: bool(session.received))
    return session


# --- by the URL ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("carrier", "url"),
    [(FakeCarrier, "{0}/{1}"), (ByQuery, "{0}?token={1}"), (ByQuery, "{0}/anything?a=%20&token={1}&b")],
    ids=["path", "query", "query and path"],
)
async def test_a_token_in_the_url_opens_its_call_once(carrier: type[FakeCarrier], url: str) -> None:
    door = Door(carrier())
    async with door.serving() as client:
        url = url.format(door.bare, token_of(await arrive(client)))
        async with connect(url, additional_headers=FAKE) as media:
            await say(media, "start", "leg-1")
            await talks(door, media)
            with pytest.raises(InvalidStatus, match="403"):
                await connect(url, additional_headers=FAKE)
        assert door.cost[:2] == (1, 1)


@pytest.mark.parametrize("carrier", [FakeCarrier, ByQuery])
@pytest.mark.parametrize("rest", ["", "?token=", "?token=nonsense", "/nonsense", "/a?token=b", "?token=%ff%00"])
async def test_a_url_without_a_token_of_ours_is_a_403(carrier: type[FakeCarrier], rest: str) -> None:
    door = Door(carrier())
    async with door.serving():
        with pytest.raises(InvalidStatus, match="403"):
            await connect(door.bare + rest, additional_headers=FAKE)
    assert door.cost == (0, 0, 0)


# --- by a message ----------------------------------------------------------------------------------------------------


async def test_a_token_in_a_message_opens_its_call_and_the_codec_reads_that_message_too() -> None:
    door = Door(ByHello())
    async with door.serving() as client:
        token = token_of(await arrive(client))
        async with connect(door.bare, additional_headers=FAKE) as media:
            for _ in range(20):  # audio and keep-alives come first
                await say(media, "audio", FRAME.base64)
                await media.send(b"\x00")
            await send(media, Hello("start", "leg-1", token))
            session = await talks(door, media)
            assert len(session.received) == 1  # what came before is dropped
            await say(media, "stop")
            await media.wait_closed()
        (end,) = await door.sink.wait_for("call_ended")
        assert isinstance(end.event, CallEnded)
        assert end.event.reason == "caller_hung_up"


async def test_a_token_in_a_message_opens_its_call_at_another_worker() -> None:
    first, second = Door(ByHello()), Door(ByHello())
    async with first.serving() as client, second.serving():
        token = token_of(await arrive(client))
        async with connect(second.bare, additional_headers=FAKE) as media:
            await send(media, Hello("start", "leg-1", token))
            await talks(second, media)


async def test_a_token_in_a_message_is_good_once_and_a_wrong_one_never() -> None:
    door = Door(ByHello())
    async with door.serving() as client:
        token = token_of(await arrive(client))
        async with connect(door.bare, additional_headers=FAKE) as media:
            await send(media, Hello("start", "leg-1", token))
            await talks(door, media)
            for bad in (token, token[:-1], "nonsense", "x" * 5_000, "ä"):
                async with connect(door.bare, additional_headers=FAKE) as other:
                    await send(other, Hello("start", "leg-1", bad))
                    assert await closed_with(other) == 1008
            await talks(door, media)
        assert door.cost[:2] == (1, 1)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("x" * (8 * 1024 + 1), 1009),
        ("€" * 3_000, 1009),  # as bytes it is longer
        (b"\x00" * (8 * 1024 + 1), 1009),
    ],
    ids=["text", "letters", "binary"],
)
async def test_a_message_that_is_too_long_before_the_hello_closes_the_socket(message: Message, code: int) -> None:
    door = Door(ByHello())
    async with door.serving(), connect(door.bare, additional_headers=FAKE) as media:
        await media.send(message)
        assert await closed_with(media) == code
    assert door.cost == (0, 0, 0)


async def test_a_socket_that_says_too_much_before_its_hello_is_closed() -> None:
    door = Door(ByHello())
    async with door.serving(), connect(door.bare, additional_headers=FAKE) as media:
        with contextlib.suppress(ConnectionClosed):
            for _ in range(1_000):
                await say(media, "audio", FRAME.base64)
        assert await closed_with(media) == 1008
    assert door.cost == (0, 0, 0)


@pytest.mark.parametrize("talks", [False, True], ids=["silent", "talking"])
async def test_a_socket_that_does_not_say_in_time_whose_it_is_is_closed(
    talks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media_endpoint, "_HELLO_WITHIN", 0.3)
    door = Door(ByHello())
    async with door.serving(), connect(door.bare, additional_headers=FAKE) as media:
        began = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            if talks:
                tasks.start_soon(chatter, media)
            assert await closed_with(media) == 1008
            tasks.cancel_scope.cancel()
        assert 0.25 < anyio.current_time() - began < 5
    assert door.cost == (0, 0, 0)


async def chatter(media: ClientConnection) -> None:
    with contextlib.suppress(ConnectionClosed):
        while True:
            await say(media, "audio", FRAME.base64)
            await anyio.sleep(0.02)


async def test_one_socket_too_many_that_says_nothing_closes_the_oldest_and_those_in_time_are_served() -> None:
    door = Door(ByHello())
    async with door.serving() as client, contextlib.AsyncExitStack() as sockets:
        token = token_of(await arrive(client))
        first, *others = [
            await sockets.enter_async_context(connect(door.bare, additional_headers=FAKE)) for _ in range(65)
        ]
        assert await closed_with(first) == 1008
        await send(others[0], Hello("start", "leg-1", token))
        await talks(door, others[0])
        await sockets.enter_async_context(connect(door.bare, additional_headers=FAKE))  # there is room again
        await say(others[1], "audio")
        await others[1].ping()
        assert all(media.close_code is None for media in others)


async def test_a_stop_does_not_wait_for_sockets_that_say_nothing() -> None:
    door = Door(ByHello())
    async with door.serving():
        media = await connect(door.bare, additional_headers=FAKE)
        began = anyio.current_time()
    assert anyio.current_time() - began < 2.5
    await media.close()


# --- a plugin that fails ---------------------------------------------------------------------------------------------


class Odd(FakeCarrier):
    """A carrier whose plugin does that, once it is asked for the second time."""

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__()
        self._act = act
        self._count = 0

    def identify(self, request: WebhookRequest, hello: Message | None) -> MediaIdentity:
        self._count += 1
        if self._count == 1:
            return MediaIdentity(token=request.path_token or read(hello or "").token)
        return self._act()  # type: ignore[return-value] # the fault under test


class OddHello(Odd):
    media_hello = True


def raising(error: BaseException) -> Callable[[], object]:
    def act() -> object:
        raise error

    return act


ODD: Sequence[Callable[[], object]] = [
    raising(WebhookRefused("no")),
    raising(LookupError("a bug")),
    raising(TimeoutError()),
    raising(SystemExit(3)),
    raising(asyncio.CancelledError()),
    lambda: None,
    lambda: "token",
    lambda: MediaIdentity(token=5),  # type: ignore[arg-type] # the fault under test
    lambda: MediaIdentity(token=b"token"),  # type: ignore[arg-type] # as above
    lambda: MediaIdentity(token=["token"]),  # type: ignore[arg-type] # as above
    lambda: MediaIdentity(leg="leg-1"),  # type: ignore[arg-type] # as above
    lambda: MediaIdentity(leg=Leg(carrier="fake", call_id="")),
    lambda: MediaIdentity(token="\udc80"),
]
NAMES = ["refused", "bug", "timeout", "exit", "cancel", "none", "text", "number", "bytes", "list", "leg", "id", "half"]


@pytest.mark.parametrize("act", ODD, ids=NAMES)
@pytest.mark.parametrize("carrier", [Odd, OddHello])
async def test_whatever_identify_does_the_socket_is_refused_and_live_calls_go_on(
    carrier: type[Odd], act: Callable[[], object], caplog: pytest.LogCaptureFixture
) -> None:
    door = Door(carrier(act))
    async with door.serving() as client:
        token = token_of(await arrive(client))
        async with connect(f"{door.bare}/{token}", additional_headers=FAKE) as media:
            await send(media, Hello("start", "leg-1", token))
            await talks(door, media)
            other = connect(f"{door.bare}/other", additional_headers=FAKE)
            if carrier.media_hello:
                async with other as second:
                    await say(second, "audio")
                    assert await closed_with(second) == 1008
            else:
                with pytest.raises(InvalidStatus, match="403"):
                    await other
            await talks(door, media)
        assert door.cost[:2] == (1, 1)
    assert "A media socket was refused" in caplog.text
    assert "Exception in ASGI" not in caplog.text


# --- calls that a socket announces -----------------------------------------------------------------------------------


async def test_a_socket_may_announce_a_call_and_its_leg_is_what_the_carrier_says() -> None:
    door = Door(Announcing())
    async with door.serving():
        async with connect(door.bare, additional_headers=FAKE) as media:
            await say(media, "audio", FRAME.base64)
            await say(media, "start", "leg-1")
            session = await talks(door, media)
            assert session.setup.leg.from_number == "+15550001111"
        assert [leg.call_id for leg in door.asked] == ["leg-1"]


@pytest.mark.parametrize("carrier", [Unauthenticated, Foreign])
async def test_a_call_that_nothing_proves_or_of_another_carrier_is_refused_unasked(carrier: type[Announcing]) -> None:
    door = Door(carrier())
    async with door.serving(), connect(door.bare, additional_headers=FAKE) as media:
        await say(media, "start", "leg-1")
        assert await closed_with(media) == 1008
    assert door.cost == (0, 0, 0)
    assert door.sink.records == []


async def test_an_upgrade_without_proof_announces_nothing() -> None:
    door = Door(Announcing())
    async with door.serving():
        with pytest.raises(InvalidStatus, match="403"):
            await connect(door.bare)
    assert door.cost == (0, 0, 0)


@pytest.mark.parametrize(
    ("routed", "code", "commands"),
    [(Reject(), 1008, []), (Transfer("+15550009999"), 1000, ["transfer leg-1 +15550009999 "])],
    ids=["rejected", "transferred"],
)
async def test_an_announced_call_that_is_not_taken_is_closed_and_transferred_where_that_was_said(
    routed: Reject | Transfer, code: int, commands: list[str]
) -> None:
    door = Door(Announcing(), routed=routed)
    async with door.serving():
        async with connect(door.bare, additional_headers=FAKE) as media:
            await say(media, "start", "leg-1")
            assert await closed_with(media) == code
        assert door.carrier.commands == commands
    assert door.cost == (0, 1, 0)


async def test_a_call_that_is_announced_twice_is_one_and_its_first_socket_goes_on() -> None:
    door = Door(Announcing())
    async with door.serving():
        async with connect(door.bare, additional_headers=FAKE) as media:
            await say(media, "start", "leg-1")
            await talks(door, media)
            async with connect(door.bare, additional_headers=FAKE) as other:
                await say(other, "start", "leg-1")
                await closed_with(other)
            await talks(door, media)
        assert door.cost[:2] == (1, 1)


async def test_sockets_that_announce_a_call_at_once_are_one_call() -> None:
    door = Door(Announcing())
    async with door.serving(), contextlib.AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(connect(door.bare, additional_headers=FAKE)) for _ in range(10)]
        for media in sockets:
            await say(media, "start", "leg-1")
        session = await door.engine.session()
        closed = set[ClientConnection]()
        async with anyio.create_task_group() as tasks:

            async def watch(media: ClientConnection) -> None:
                await closed_with(media)
                closed.add(media)
                if len(closed) == 9:
                    tasks.cancel_scope.cancel()

            for media in sockets:
                tasks.start_soon(watch, media)
        (served,) = set(sockets) - closed
        await say(served, "audio", FRAME.base64)
        await session.until(lambda: bool(session.received))
        assert door.cost == (1, 1, 1)


async def test_a_call_whose_socket_breaks_before_its_start_can_be_announced_again() -> None:
    door = Door(Announcing())
    async with door.serving():
        async with connect(door.bare, additional_headers=FAKE) as media:
            await say(media, "hello", "leg-1")
            await door.sink.wait_for("call_announced")
        async with connect(door.bare, additional_headers=FAKE) as again:
            await say(again, "hello", "leg-1")
            await say(again, "start", "leg-1")
            await talks(door, again)
        assert door.cost[:2] == (1, 1)


async def test_a_call_that_is_over_is_not_announced_again() -> None:
    door = Door(Announcing())
    async with door.serving():
        async with connect(door.bare, additional_headers=FAKE) as media:
            await say(media, "start", "leg-1")
            await talks(door, media)
            await say(media, "stop")
            await door.sink.wait_for("call_ended")
        async with connect(door.bare, additional_headers=FAKE) as again:
            await say(again, "start", "leg-1")
            assert await closed_with(again) == 1008
    assert door.cost[:2] == (1, 1)


async def test_a_worker_that_stops_takes_no_announced_call() -> None:
    door = Door(Announcing())
    async with door.serving():
        door.host.table.draining = True
        async with connect(door.bare, additional_headers=FAKE) as media:
            await say(media, "start", "leg-1")
            assert await closed_with(media) == 1001
    assert door.cost == (0, 0, 0)


# --- subprotocols ----------------------------------------------------------------------------------------------------


class Speaking(FakeCarrier):
    subprotocols = ("first", "second")


@pytest.mark.parametrize(
    ("offered", "agreed"),
    [
        (["second", "first"], "first"),
        (["other", "second"], "second"),
        (["First", "other"], None),
        (None, None),
    ],
)
async def test_the_carriers_first_subprotocol_that_is_offered_is_agreed_on(
    offered: list[Subprotocol] | None, agreed: str | None
) -> None:
    door = Door(Speaking())
    async with door.serving() as client:
        url = await arrive(client)
        async with connect(url, additional_headers=FAKE, subprotocols=offered) as media:
            assert media.subprotocol == agreed
            await say(media, "start", "leg-1")
            await talks(door, media)


async def test_a_carrier_without_subprotocols_agrees_on_none() -> None:
    door = Door(FakeCarrier())
    async with (
        door.serving() as client,
        connect(await arrive(client), additional_headers=FAKE, subprotocols=[Subprotocol("audio.any")]) as media,
    ):
        assert media.subprotocol is None
