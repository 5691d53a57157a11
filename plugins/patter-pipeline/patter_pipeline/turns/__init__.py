"""The turn-taking core of a pipeline: who speaks, when an answer is due, and what was heard. Without IO or clocks.

`Turns.step` takes an input of `inputs` and returns what is to be done, of `outputs`. What happens when is in `table`.
"""

from __future__ import annotations

from patter_pipeline.turns.settings import Settings
from patter_pipeline.turns.states import State
from patter_pipeline.turns.turns import Turns

__all__ = ["Settings", "State", "Turns"]
