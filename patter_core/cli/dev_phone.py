"""The phone that `patter dev` serves: the user's own, with what is installed to talk to it and to look at it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager

import msgspec

from patter_core.app import WebApp
from patter_core.carrier import Carrier
from patter_core.errors import PluginNotFound
from patter_core.patter import Patter
from patter_core.registry import Registry
from patter_core.server.phone_parts import PhoneParts
from patter_core.server.routing import Routing
from patter_core.settings.choosing import find_all, missing_lines
from patter_core.settings.model import AgentConfig, PluginConfig, Settings
from patter_core.settings.phone import make_phone
from patter_core.settings.target import open_phone, phone_at
from patter_core.settings.unread import unread
from patter_core.sinks.console import ConsoleSink
from patter_core.testing.finding import carrier_emulator, engine_emulator

__all__ = ["DRAIN", "DevPhone", "opened", "parts_of"]

DRAIN = 5.0
"""Seconds that live calls have to end where their program is changed or stopped."""
_NO_PAGE = "No page to talk from is installed: pip install patter-browser."
_NO_LOOK = "No dashboard is installed: pip install patter-dashboard."
_ECHO = "There is no agent of yours here: the echo agent answers, and says what you say."
_ECHO_MEANWHILE = "The echo agent answers in place of your agent, whose engine lacks its credentials:"


class DevPhone(msgspec.Struct, frozen=True):
    """What is served, and what its user is told of it."""

    phone: Patter
    routing: Routing
    notes: tuple[str, ...]


def opened(
    registry: Registry, settings: Settings, app: str, *, apps_port: int, public_url: str = ""
) -> AbstractAsyncContextManager[DevPhone]:
    """Makes the phone now: outside of an event loop, as the user's code may run one. What it needs runs in the context.

    It is the phone of a program or of the settings. Where neither names an engine and no credentials of one are there,
    the agent is that of an emulator.

    Args:
        registry: the plugins.
        settings: of a phone, unless it is that of a program.
        app: the phone of a program, or "".
        apps_port: where its apps are, on this machine only.
        public_url: in place of its own public address.

    Raises:
        PatterError: it cannot be made.
    """
    pages = _page_carriers(registry)
    echoes, made, passed_over = "", None, list[str]()
    if not app:
        settings, passed_over = _with_carrier(registry, settings, pages)
        echoes = _why_it_echoes(registry, settings)
    if not echoes:
        made = open_phone(registry, settings, app)
    if app and made is not None:
        passed_over.extend(unread(settings, made[0]))
    looks = [cls for cls in map(registry.app, registry.names("app")) if cls.in_dev]
    notes = {echoes: bool(echoes), _NO_PAGE: not pages, _NO_LOOK: not looks}
    told = (*(note for note, is_so in notes.items() if is_so), *passed_over)

    @contextlib.asynccontextmanager
    async def opening() -> AsyncIterator[DevPhone]:
        async with contextlib.AsyncExitStack() as stack:
            phone, routing = made or await _echoing(registry, settings, pages, stack)
            phone = _with_apps(phone.copy(local_apps_port=apps_port, webhook_url=public_url), pages, looks)
            yield DevPhone(phone, routing, told)

    return opening()


async def _echoing(
    registry: Registry, settings: Settings, pages: Sequence[type[Carrier]], stack: contextlib.AsyncExitStack
) -> tuple[Patter, Routing]:
    """Returns the phone of the settings, with the agent of an emulator, which speaks the format of a page."""
    emulator = await stack.enter_async_context(engine_emulator(registry, ""))
    for page in pages[:1]:
        emulator.prefer(carrier_emulator(registry, page.name).format)
    phone = make_phone(registry, settings)
    return phone, phone.agent(engine=emulator.engine())


def parts_of(registry: Registry, settings: Settings, app: str) -> PhoneParts:
    """Returns what that phone is made of, without what `patter dev` adds.

    Raises:
        PatterError: it cannot be made.
    """
    if app:
        return phone_at(app).parts
    return make_phone(registry, _with_carrier(registry, settings, _page_carriers(registry))[0]).parts


def _with_apps(phone: Patter, pages: Sequence[type[Carrier]], looks: Sequence[type[WebApp]]) -> Patter:
    parts = phone.parts
    carriers, apps = {one.name for one in parts.carriers}, {one.name for one in parts.apps}
    has_console = any(sink.name == ConsoleSink.name for sink in parts.sinks)
    return phone.copy(
        more_carriers=[cls() for cls in pages if cls.name not in carriers],
        more_sinks=[] if has_console else [ConsoleSink(several_workers=False)],
        more_apps=[cls() for cls in looks if cls.name not in apps],
        limits=msgspec.structs.replace(parts.limits, drain=min(parts.limits.drain, DRAIN), linger=0.0),
    )


def _page_carriers(registry: Registry) -> list[type[Carrier]]:
    """Returns the installed carriers that have a page, and need no account."""
    found = map(registry.carrier, registry.names("carrier"))
    return [cls for cls in found if cls.own_page and not cls.has_api]


def _with_carrier(registry: Registry, settings: Settings, pages: Sequence[type[Carrier]]) -> tuple[Settings, list[str]]:
    """Returns the settings with a page as their carrier, where they name none and there are credentials of none.

    And a line for each carrier that is left out because a part of its credentials is missing or wrong.
    """
    if settings.carriers or settings.carrier != PluginConfig():
        return settings, []
    found = find_all(registry, "carrier", registry.carrier)
    left_out = [f"A carrier is left out: {line}" for line in missing_lines(one for one in found if one.is_meant)]
    if any(one.made is not None for one in found):
        return settings, left_out
    if not pages:
        error = PluginNotFound(
            "No carrier is named, and no page to talk from is installed.", remedy="pip install patter-browser."
        )
        error.details = left_out
        raise error
    return msgspec.structs.replace(settings, carrier=PluginConfig(pages[0].name)), left_out


def _why_it_echoes(registry: Registry, settings: Settings) -> str:
    """Returns why the echo agent answers: nothing says which other agent does; "" if something does."""
    if settings.engine != PluginConfig() or settings.agents:
        return ""
    if settings.agent.parts or settings.agent.engine != PluginConfig():
        return ""
    engines = find_all(registry, "engine", registry.engine)
    if any(one.made is not None for one in engines):
        return ""
    meant = [one for one in engines if one.is_meant]
    if not meant and settings.agent == AgentConfig():
        return _ECHO
    return "\n  ".join([_ECHO_MEANWHILE, *missing_lines(meant or engines)])
