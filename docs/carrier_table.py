"""The reference of carriers: a table of what each one can, made from the classes of the installed plugins.

`python docs/carrier_table.py docs/reference` writes it into `carriers.md` of that folder.
"""  # noqa: INP001 - a script, which the tests import

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Sequence
from pathlib import Path

from patter_core.carrier import Carrier
from patter_core.registry import Registry
from patter_core.telephony import control
from patter_core.telephony.control import Capability

__all__ = ["carrier_table", "installed_carriers", "write_page"]

_PLUGINS = Path(__file__).parents[1] / "plugins"
_PAGE = "carriers.md"
_BEGIN, _END = "<!-- made by `python docs/carrier_table.py docs/reference` -->", "<!-- end -->"
_WHAT = {
    "dial": "Make calls.",
    "transfer": "Transfer a call.",
    "record": "Record a call.",
    "hold": "Put a call on hold.",
    "look_up": "Tell how far a call has come.",
    "configure_number": "Point a number here, and put it back: `serve(configure_number=True)`, `patter dev --tunnel`.",
}
"""Of the capabilities that their class says nothing about."""


def installed_carriers() -> list[type[Carrier]]:
    """Returns the carriers of this repository that are installed, by name."""
    registry = Registry.discover()
    return [
        registry.carrier(name) for name in sorted(registry.names("carrier")) if (_PLUGINS / f"patter-{name}").is_dir()
    ]


def carrier_table(carriers: Sequence[type[Carrier]]) -> str:
    """Returns the capabilities of carriers as a Markdown table."""
    titles = [carrier.__name__ for carrier in carriers]
    notes = _notes()
    rows = [
        f"| `{capability.name}` | {notes.get(capability.value, '') or _WHAT[capability.value]} | "
        + " | ".join("yes" if capability in carrier.capabilities else "no" for carrier in carriers)
        + " |"
        for capability in Capability
    ]
    return "\n".join(
        [f"| capability | what | {' | '.join(titles)} |", "|---|---" + "|---" * len(carriers) + "|", *rows]
    )


def write_page(folder: Path) -> None:
    """Brings the table in `folder` up to date."""
    page = folder / _PAGE
    before, _, rest = page.read_text(encoding="utf-8").partition(_BEGIN)
    _, _, after = rest.partition(_END)
    page.write_text(f"{before}{_BEGIN}\n\n{carrier_table(installed_carriers())}\n\n{_END}{after}", encoding="utf-8")


def _notes() -> dict[str, str]:
    """Returns the docstring below each capability, which Python itself does not keep."""
    (node,) = (
        node
        for node in ast.parse(inspect.getsource(control)).body
        if isinstance(node, ast.ClassDef) and node.name == Capability.__name__
    )
    notes: dict[str, str] = {}
    for field, note in zip(node.body, node.body[1:], strict=False):
        match field, note:
            case ast.Assign(value=ast.Constant(value=str(name))), ast.Expr(value=ast.Constant(value=str(text))):
                notes[name] = " ".join(text.split())
            case _:
                pass
    return notes


if __name__ == "__main__":
    write_page(Path(sys.argv[1]))
