from __future__ import annotations

import socket

import pytest

from patter_core.testing.network import Route, Tunnels, free_port

TUNNELS = Tunnels({"https://Phone.example/": "http://127.0.0.1:8000", "http://plain.example:81": "https://[::1]:9"})
FROM_HTTPS = {"X-Forwarded-Proto": "https"}
FROM_HTTP = {"X-Forwarded-Proto": "http"}


@pytest.mark.parametrize(
    ("url", "route"),
    [
        ("https://phone.example/a?b=c", Route("http://127.0.0.1:8000/a?b=c", "phone.example", FROM_HTTPS)),
        ("wss://phone.example/a", Route("ws://127.0.0.1:8000/a", "phone.example", FROM_HTTPS)),
        ("http://plain.example:81/a", Route("https://[::1]:9/a", "plain.example:81", FROM_HTTP)),
        ("ws://plain.example:81/a", Route("wss://[::1]:9/a", "plain.example:81", FROM_HTTP)),
        ("http://phone.example/a", Route("http://phone.example/a", "phone.example")),
        ("http://127.0.0.1:8000/a", Route("http://127.0.0.1:8000/a", "127.0.0.1:8000")),
    ],
)
def test_a_public_url_leads_through_its_tunnel_and_another_straight(url: str, route: Route) -> None:
    assert TUNNELS.route(url) == route


def test_a_free_port_is_one_that_nothing_listens_on_and_that_can_be_listened_on() -> None:
    port = free_port()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    with socket.create_server(("127.0.0.1", port)):
        pass
