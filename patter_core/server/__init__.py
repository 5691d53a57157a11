"""The ASGI server: webhooks and media sockets on one side, the calls in flight on the other."""
