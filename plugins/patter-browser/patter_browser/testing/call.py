"""One emulated call from a page."""

from __future__ import annotations

import time

import anyio
import msgspec

from patter_browser.calls import Answer, Lost, NewCall
from patter_browser.signing import HEADER, sign
from patter_browser.testing.stream import BrowserStream
from patter_core.net.json import UNREADABLE
from patter_core.testing.call import EmulatedCall
from patter_core.testing.caller import Caller
from patter_core.testing.http import WebhookSender
from patter_core.testing.stream import StreamEnd

__all__ = ["BrowserCall"]

_TRIES = 3
_PAUSE = 0.1
"""Seconds between them. The page waits longer."""


class BrowserCall(EmulatedCall):
    """A call: it is asked for, has a media socket, and asks where to go on when that is lost.

    Args:
        sender: of the page's web server.
        call_id: made up by it.
        caller: who is at the page.
        secret: signs the requests.
        voice_url: the webhook that takes calls.
        from_number: what the web server says of the caller.
        to_number: as above, of who is called.
    """

    streams: list[BrowserStream]

    def __init__(
        self,
        sender: WebhookSender,
        call_id: str,
        caller: Caller,
        *,
        secret: str,
        voice_url: str,
        from_number: str,
        to_number: str,
    ) -> None:
        super().__init__(call_id, caller, from_number=from_number, to_number=to_number)
        self.answers: list[Answer] = []
        """Of the app, in order."""
        self._sender = sender
        self.tunnels = sender.tunnels
        self._secret = secret
        self._voice_url = voice_url
        self._life = anyio.CancelScope()

    async def live(self) -> None:
        with self._life:
            new = NewCall(call_id=self.call_id, from_number=self.from_number, to_number=self.to_number)
            answer = await self._ask(self._voice_url, new)
            while answer.media_url:
                stream = BrowserStream(self, answer, self.call_id)
                self.streams.append(stream)
                end = await stream.run()
                if stream.hung_up or end is StreamEnd.CALLER_HUNG_UP:
                    return
                answer = await self._ask(answer.stream_url, Lost(call_id=self.call_id))

    def end(self) -> None:
        self._life.cancel()

    async def _ask(self, url: str, what: NewCall | Lost) -> Answer:
        """Asks the app, again if it does not answer."""
        body = msgspec.json.encode(what)
        answer = Answer(reason="unreachable")
        for _ in range(_TRIES):
            headers = {HEADER: sign(self._secret, url, body, time.time()), "Content-Type": "application/json"}
            exchange = await self._sender.request("POST", url, headers=headers, content=body)
            if exchange.status == 200:
                try:
                    answer = msgspec.json.decode(exchange.answer, type=Answer)
                except UNREADABLE:
                    answer = Answer(reason="unreadable")
                break
            if exchange.status not in {0, 502, 503, 504}:
                answer = Answer(reason=f"status {exchange.status}")
                break
            await anyio.sleep(_PAUSE)
        self.answers.append(answer)
        return answer
