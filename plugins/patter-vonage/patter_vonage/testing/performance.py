"""What an emulated call does with an NCCO: one action after the other, until one leads elsewhere."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import anyio

from patter_core.telephony.leg import Progress
from patter_core.testing.conference import Conference
from patter_core.testing.stream import StreamEnd
from patter_vonage.testing.requests import (
    Action,
    ConnectAction,
    ConversationAction,
    NotifyAction,
    PhoneTarget,
    RecordAction,
    SipTarget,
    StreamAction,
    TalkAction,
    WaitAction,
    WebsocketTarget,
)
from patter_vonage.testing.stream import StreamSettings, VonageStream
from patter_vonage.testing.webhooks import Fields

if TYPE_CHECKING:
    from patter_vonage.testing.call import VonageCall

__all__ = ["Performance"]

PLAY_SECONDS = 0.1
"""How long audio takes to be played once."""

_Following = tuple[Action, ...] | None


class Performance:
    """The actions on one call."""

    def __init__(self, call: VonageCall) -> None:
        self._call = call

    async def perform(self, actions: tuple[Action, ...]) -> _Following:
        """Does one after the other. Returns the NCCO that replaces the rest; None at the end, when the call is over."""
        for action in actions:
            self._call.answer()
            following = await self._do(action)
            if following is not None:
                return following
        return None

    async def _do(self, action: Action) -> _Following:
        call = self._call
        match action:
            case ConnectAction():
                return await self._connect(action)
            case TalkAction(text=text):
                await call.speak(text)
            case StreamAction(streamUrl=(url,), loop=loop):
                call.played.append(url)
                call.changes.notify()
                await (anyio.sleep(PLAY_SECONDS) if loop else anyio.sleep_forever())
            case RecordAction():
                call.record(action)
            case ConversationAction():
                await self._confer(action)
            case NotifyAction():
                return await self._notify(action)
            case WaitAction(timeout=seconds):
                await anyio.sleep(seconds)
        return None

    async def _confer(self, action: ConversationAction) -> None:
        """Goes to a room of two. One without `endOnExit` is left alone there."""
        rooms = self._call.network.rooms
        room = rooms.get(action.name)
        if room is None or room.is_over:
            room = rooms[action.name] = Conference()
        await room.join(self._call)
        if not action.endOnExit:
            await anyio.sleep_forever()

    async def _notify(self, action: NotifyAction) -> _Following:
        call = self._call
        fields: Fields = {"payload": action.payload, "conversation_uuid": call.conversation_id}
        return call.ncco_of(await call.network.sender.ask(action.eventUrl[0], fields))

    async def _connect(self, action: ConnectAction) -> _Following:
        match action.endpoint[0]:
            case WebsocketTarget() as target:
                return await self._stream(action, target)
            case PhoneTarget(number=number):
                await self._transfer(f"+{number}")
            case SipTarget(uri=uri):
                await self._transfer(uri)
        return None

    async def _transfer(self, to: str) -> None:
        call = self._call
        callee = call.network.callee_at(to)
        call.transferred_to.append(to)
        call.changes.notify()
        await anyio.sleep(callee.rings)
        if callee.outcome is Progress.ANSWERED:
            await anyio.sleep(callee.talks)

    async def _stream(self, action: ConnectAction, target: WebsocketTarget) -> _Following:
        """Lives through a media socket, which is a leg of its own, with events of its own."""
        call, network = self._call, self._call.network
        url = "" if action.eventUrl is None else action.eventUrl[0]
        leg = str(uuid.uuid4())

        def fields(status: str, **more: str) -> Fields:
            return {
                **call.fields(),
                "uuid": leg,
                "to": target.uri,
                "direction": "outbound",
                "endpoint_type": "websocket",
                "headers": target.headers,
                "status": status,
                **more,
            }

        settings = StreamSettings(
            target=target,
            token=network.sender.token(),
            announces=network.announces,
            older_keys=network.older_keys,
            tunnels=network.tunnels,
        )
        call.streams.append(VonageStream(call, settings))
        call.mailbox.put(url, fields("started"))
        try:
            end = await call.stream.run()
        finally:
            call.mailbox.put(
                url, fields("completed", **({"price": network.socket_price} if network.socket_price else {}))
            )
        if end is StreamEnd.CALLER_HUNG_UP:
            call.end()
            await anyio.sleep_forever()
        if not url or action.eventType != "synchronous":
            return None
        over = fields("failed", detail="internal_error") if end is StreamEnd.NOT_CONNECTED else fields("disconnected")
        return call.ncco_of(await network.sender.ask(url, over))
