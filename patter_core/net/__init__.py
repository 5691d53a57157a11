"""HTTP and WebSocket clients for plugins, and the bases of what they build on them."""
