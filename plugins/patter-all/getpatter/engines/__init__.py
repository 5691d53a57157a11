"""Engines, one module for each vendor."""
