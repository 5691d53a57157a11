"""Settings of the commands: `patter.toml`, the environment and options, or the phone of a user's program."""

from __future__ import annotations
