"""What a webhook handler is given and answers; where its requests came from is in `tests/server/test_requests.py`."""

from __future__ import annotations

from patter_core.telephony.control import Callbacks
from patter_core.webhook import Accept, MediaIdentity


def test_an_accept_has_its_stream_token_and_the_url_without_it_and_shows_neither() -> None:
    accept = Accept(
        call_id="call-1",
        media_url="wss://phone.example/prefix/media/acme/t0-ken_",
        callbacks=Callbacks("https://phone.example/prefix/webhooks/acme", "other"),
    )
    assert (accept.token, accept.socket_url) == ("t0-ken_", "wss://phone.example/prefix/media/acme")
    assert repr(accept) == "<Accept call-1>"
    assert repr(MediaIdentity(token=accept.token)) == "<MediaIdentity token>"
