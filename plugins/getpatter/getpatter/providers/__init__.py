"""Lower-level access to the vendors, one module for each."""
