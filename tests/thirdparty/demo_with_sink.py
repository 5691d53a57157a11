"""Checks that every record of `patter demo --sink NAME` arrives at the service of that sink's own `testing`."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import anyio


async def main(name: str) -> None:
    module, title = name.replace("-", "_"), "".join(part.capitalize() for part in name.split("-"))
    service = getattr(importlib.import_module(f"patter_{module}.testing"), f"{title}Service")()
    async with service.running():
        keys = {f"{module.upper()}_URL": service.url, f"{module.upper()}_API_KEY": service.api_key}
        patter = Path(sys.executable).parent / "patter"
        await anyio.run_process([str(patter), "demo", "--sink", name], env={**os.environ, **keys}, stdout=None)
    kinds = [record.event.kind for record in service.records]
    assert kinds[0] == "call_announced", kinds
    assert kinds[-1] == "call_ended", kinds
    print(f"{len(kinds)} records have reached {title}.")  # noqa: T201 - what the session shows


anyio.run(main, sys.argv[1])
