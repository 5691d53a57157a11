"""Bell, a made-up vocal for agents that are made of parts."""
