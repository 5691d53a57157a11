"""One call, from the carrier's announcement to its end."""
