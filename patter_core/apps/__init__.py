"""The apps of a phone: who is let in to them, what they see of the calls, and the listener that serves them."""
