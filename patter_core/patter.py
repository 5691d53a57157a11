"""Patter: the front door."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Callable, Mapping, Sequence

import anyio
from starlette.types import ASGIApp

from patter_core.agent import Agent
from patter_core.call.state import Deadlines
from patter_core.carrier import Carrier
from patter_core.config import from_environment
from patter_core.engine import Engine
from patter_core.errors import ConfigurationError
from patter_core.leg import Leg
from patter_core.registry import Registry
from patter_core.server.app import make_app
from patter_core.server.host import CallHost, Limits
from patter_core.server.serving import bind, serve_app
from patter_core.server.urls import public_base
from patter_core.sink import EventSink

__all__ = ["Patter"]

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")


class Patter:
    """A carrier's number, and the agents that answer it.

        phone = Patter(carrier=carrier, phone_number="+15550001234")
        agent = phone.agent(engine=engine, system_prompt="You are a friendly concierge.")
        asyncio.run(phone.serve(agent))

    Args:
        carrier: who brings the calls.
        phone_number: the number, in E.164 (`+` and digits). Calls to other numbers of the account are taken too.
        webhook_url: the public address of this server. Without it, the address is the one that the carrier's verified
            request was sent to.
        trust_forwarded: believe a proxy's X-Forwarded-Host, -Proto and -Prefix headers as to that address. Needed where
            the proxy changes `Host` or the path; to be set only where nobody gets past the proxy.
        sinks: where events go.
        limits: what one worker takes on.
        deadlines: how long a call may stay in each state.
        registry: the plugins; by default those that are installed.

    Raises:
        ConfigurationError: a value is missing or wrong; the error says which, and what to do.
    """

    def __init__(
        self,
        *,
        carrier: Carrier,
        phone_number: str = "",
        webhook_url: str = "",
        trust_forwarded: bool = False,
        sinks: Sequence[EventSink] = (),
        limits: Limits | None = None,
        deadlines: Deadlines | None = None,
        registry: Registry | None = None,
    ) -> None:
        if not isinstance(carrier, Carrier):
            raise ConfigurationError(
                "carrier is no carrier.", expected="an object of a carrier's class", got=type(carrier).__name__
            )
        if phone_number and not _E164.fullmatch(phone_number):
            raise ConfigurationError("phone_number is not in E.164.", expected="a plus sign and 7 to 15 digits")
        self._carrier = carrier
        self._phone_number = phone_number
        self._base = public_base(webhook_url)
        self._trust_forwarded = trust_forwarded
        self._sinks = tuple(sinks)
        self._limits = limits or Limits()
        self._deadlines = deadlines or Deadlines()
        self._registry = registry or Registry.discover()
        self._agents: dict[str, Agent] = {}

    def __repr__(self) -> str:
        return f"<Patter on {self._carrier.name}>"

    def agent(
        self,
        *,
        engine: Engine | None = None,
        name: str = "",
        system_prompt: str = "",
        first_message: str = "",
        variables: Mapping[str, str | int | float | bool] | None = None,
        stt: object = None,
        llm: object = None,
        tts: object = None,
    ) -> Agent:
        """Make an agent that this phone can use.

        Args:
            engine: who listens and talks.
            name: told in events, and the same on every worker; by default `agent`, `agent-2` and so on.
            system_prompt: what the engine makes of it stands in the engine's documentation.
            first_message: what the agent says first.
            variables: values for placeholders in the agent's prompt.
            stt: for pipeline mode, which needs a plugin of its own; refused here, as are `llm` and `tts`.
            llm: as above.
            tts: as above.

        Raises:
            ConfigurationError: a value is wrong, or the name is taken.
        """
        _refuse_pipeline(engine, stt=stt, llm=llm, tts=tts)
        if not isinstance(engine, Engine):
            raise ConfigurationError(
                "An agent needs an engine.",
                expected="engine=, an object of an engine's class",
                got=type(engine).__name__,
            )
        number = len(self._agents) + 1
        name = name or ("agent" if number == 1 else f"agent-{number}")
        if name in self._agents:
            raise ConfigurationError(f"There is an agent “{name}” already.", remedy="Give each its own name=.")
        agent = Agent(
            engine=engine,
            name=name,
            system_prompt=system_prompt,
            first_message=first_message,
            variables=dict(variables or {}),
        )
        self._agents[name] = agent
        return agent

    def asgi(self, agent: Agent | None = None) -> ASGIApp:
        """The ASGI app that answers this phone: to be served as it is, or mounted in another app.

        Args:
            agent: who takes the calls that no plugin routes. None refuses them.
        """
        return make_app(self._host(agent), base=self._base, trust_forwarded=self._trust_forwarded)

    async def serve(
        self,
        agent: Agent | None = None,
        *,
        host: str = "",
        port: int = 0,
        on_ready: Callable[[str], None] | None = None,
    ) -> None:
        """Answer calls until SIGINT or SIGTERM; then the live ones get their time, and no new ones are taken.

        Args:
            agent: as in `asgi`.
            host: address to listen on; else PATTER_HOST, else 127.0.0.1.
            port: else PATTER_PORT, else 8000.
            on_ready: called with `http://host:port` once calls can come; by default it is told on standard error.

        Raises:
            ConfigurationError: the address cannot be had.
        """
        listener = bind(from_environment(host, "PATTER_HOST") or "127.0.0.1", _port(port))
        call_host = self._host(agent)
        app = make_app(call_host, base=self._base, trust_forwarded=self._trust_forwarded)
        async with serve_app(app, listener) as url:
            (on_ready or self._tell_ready)(url)
            with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                async for _ in signals:
                    break
            await call_host.drain()

    def _host(self, agent: Agent | None) -> CallHost:
        def route(leg: Leg) -> Agent | None:
            return self._registry.route_call(leg) or agent

        def find_agent(name: str) -> Agent | None:
            return agent if agent is not None and agent.name == name else self._agents.get(name)

        return CallHost(
            carrier=self._carrier,
            sinks=self._sinks,
            route=route,
            find_agent=find_agent,
            limits=self._limits,
            deadlines=self._deadlines,
        )

    def _tell_ready(self, url: str) -> None:
        public = self._base or url
        hint = "" if self._base else " (as seen from outside)"
        print(  # noqa: T201 - serve() is a program's main loop, and this is what its user waits for
            f"Ready for calls at {url}.\nPoint your number's voice webhook at "
            f"{public}/webhooks/{self._carrier.name}/voice{hint}.",
            file=sys.stderr,
            flush=True,
        )


def _refuse_pipeline(engine: object, **parts: object) -> None:
    """Speech recognition, model and voice by themselves are another mode, which no plugin offers yet."""
    given = [f"{name}=" for name, part in parts.items() if part is not None]
    if not given:
        return
    if engine is not None:
        raise ConfigurationError(
            f"An agent on an engine takes no {' or '.join(given)}.",
            expected="engine= alone: it listens, thinks and talks",
            remedy="Leave them out, and set voice and model where the engine's agent is made.",
        )
    raise ConfigurationError(
        f"{' and '.join(given)} ask for pipeline mode, and no plugin that is installed offers it.",
        expected="engine=",
        remedy="Use an engine, or a plugin that offers stt, llm and tts as one: see “Pipeline or engine” in the docs.",
    )


def _port(port: int) -> int:
    if port:
        return port
    value = from_environment("", "PATTER_PORT") or "8000"
    if not value.isdecimal() or not int(value) < 65536:
        raise ConfigurationError("PATTER_PORT is no port.", expected="0 to 65535", got=repr(value))
    return int(value)
