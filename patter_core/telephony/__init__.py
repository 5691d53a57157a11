"""The carrier's side of a call: legs, control, outcomes, prices, numbers."""
