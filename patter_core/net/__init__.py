"""HTTP and WebSocket clients for plugins."""
