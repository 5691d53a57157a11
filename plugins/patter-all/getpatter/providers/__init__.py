"""Low-level access to vendors, one module for each."""
