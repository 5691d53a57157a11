"""The process that serves one version of a program under `patter dev`."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import anyio.to_thread

from patter_core.cli.dev_phone import DevPhone, opened
from patter_core.cli.options import start_log
from patter_core.cli.told import INTERRUPTED, read_environment, shows_traceback, tell
from patter_core.cli.useless_variables import useless_variables
from patter_core.cli.worker import READY, TOLD, ProcessSpec, end_with_parent, read_spec, report
from patter_core.errors import PatterError
from patter_core.observe.log_setup import LogSettings
from patter_core.observe.terminal import lines_of, one_line, print_whole
from patter_core.registry import Registry
from patter_core.server.phone_settings import run_serving
from patter_core.server.ties import WorkerTies
from patter_core.server.voice_urls import ready_text
from patter_core.settings.load import load
from patter_core.settings.user_code import told_fault

__all__ = ["DevSpec"]


class DevSpec(ProcessSpec, frozen=True, kw_only=True):
    """The input of the process."""

    app: str
    config: str
    carrier: str
    engine: str
    sinks: tuple[str, ...]
    store: str
    apps_port: int
    apps_key: bytes
    public_url: str = ""
    """In place of the phone's own public address."""
    logs: LogSettings
    is_first: bool = True
    """Nothing was served before: it tells where it is."""
    opens_page: bool = False
    told: tuple[str, ...] = ()
    """What was told of variables without effect, when the command began."""


def _opened(registry: Registry, spec: DevSpec) -> AbstractAsyncContextManager[DevPhone]:
    settings = load(
        Path(spec.config) if spec.config else None,
        carrier=spec.carrier,
        engine=spec.engine,
        sinks=spec.sinks,
        store=spec.store,
    )
    return opened(registry, settings, spec.app, apps_port=spec.apps_port, public_url=spec.public_url)


async def _serve(opening: AbstractAsyncContextManager[DevPhone], spec: DevSpec, started: threading.Event) -> None:
    async with opening as dev:
        report(READY, spec)
        await anyio.to_thread.run_sync(started.wait, abandon_on_cancel=True)
        await dev.phone.serve(
            dev.routing,
            listener=socket.socket(fileno=spec.listener),
            shared_listener=True,
            on_ready=functools.partial(_tell_ready, dev, spec),
            ties=WorkerTies(apps_key=spec.apps_key, is_service=False, on_link=_teller(dev, spec)),
        )


def _tell_ready(dev: DevPhone, spec: DevSpec, url: str) -> None:
    if not spec.is_first:
        print_whole("Reloaded: calls from now on get the new version.")
        return
    parts = dev.phone.parts
    carriers = {carrier.name: carrier for carrier in parts.carriers}
    for line in (*dev.notes, ready_text(carriers, url, parts.base), "Ctrl-C ends it."):
        print_whole(line)


def _teller(dev: DevPhone, spec: DevSpec) -> Callable[[str], None]:
    """Returns what tells the links of the apps: with the first one, where each app is."""
    parts = dev.phone.parts
    pages = [one.name for one in parts.carriers if one.own_page]
    apps = sorted(parts.apps, key=lambda app: app.name not in pages)
    is_first = spec.is_first

    def tell(link: str) -> None:
        nonlocal is_first
        root, _, token = link.partition("/#")
        entry = f"{root}/{apps[0].name}/#{token}" if token else f"{root}/{apps[0].name}/"
        if not is_first:
            print_whole(f"For another browser, once: {entry}")
            return
        is_first = False
        print_whole(f"{'Talk to the agent' if apps[0].name in pages else apps[0].title or apps[0].name}: {entry}")
        for app in apps[1:]:
            print_whole(f"{app.title or app.name}: {root}/{app.name}/ (in the same browser)")
        if spec.opens_page and _has_display():
            threading.Thread(target=_open, args=(entry,), daemon=True).start()  # some browsers only return at their end

    return tell


def _has_display() -> bool:
    """True if a browser has a window of its own: one in a terminal would write over what is told here."""
    if sys.platform in {"darwin", "win32"}:
        return True
    return any(os.environ.get(name) for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"))


def _open(url: str) -> None:
    with contextlib.suppress(webbrowser.Error, OSError):  # the link was printed
        webbrowser.open(url)


def _main() -> None:
    spec = read_spec(DevSpec)
    started = threading.Event()
    end_with_parent(started)
    try:
        read_environment()
        registry = Registry.discover()
        start_log(spec.logs, registry)
        for sentence in useless_variables(registry):
            if sentence not in spec.told:
                tell(sentence, logging.WARNING)
        run_serving(functools.partial(_serve, _opened(registry, spec), spec, started))
    except KeyboardInterrupt:  # a second one, when it has served
        sys.exit(INTERRUPTED)
    except BaseException as error:  # also SystemExit of the user's program, when it is imported
        if shows_traceback():
            report(TOLD, spec)
            raise
        print_whole(f"patter: {lines_of(error) if isinstance(error, PatterError) else one_line(told_fault(error))}")
        report(TOLD, spec)
        sys.exit(1)


if __name__ == "__main__":
    _main()
