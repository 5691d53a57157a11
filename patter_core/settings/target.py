"""The phone that a command serves: of the settings, or of a user's program, named as `module:phone`."""

from __future__ import annotations

from collections.abc import Sequence

from patter_core.agent import Agent, AgentForCall
from patter_core.carrier import Carrier
from patter_core.config import quoted
from patter_core.errors import ConfigurationError
from patter_core.patter import Patter
from patter_core.registry import Registry
from patter_core.server.routing import Routing
from patter_core.settings.agents import make_agents
from patter_core.settings.model import Settings
from patter_core.settings.objects import folder_of, object_at, parts_of
from patter_core.settings.phone import make_phone
from patter_core.settings.user_code import from_user_code
from patter_core.sink import EventSink

__all__ = ["caller_of", "open_phone", "path_of_phone", "phone_at"]


def open_phone(
    registry: Registry,
    settings: Settings,
    app: str = "",
    *,
    carrier: Carrier | None = None,
    more_sinks: Sequence[EventSink] = (),
) -> tuple[Patter, Routing]:
    """Returns a phone, and who answers it.

    Args:
        registry: the plugins.
        settings: of the phone; not used for that of a program.
        app: the phone of a program, as `module:phone`, or a function that returns one.
        carrier: in place of the phone's own.
        more_sinks: beside the phone's own.

    Raises:
        ConfigurationError: a setting is wrong, there is no such phone, or it is not said who answers it.
    """
    if app:
        phone = phone_at(app).copy(carrier=carrier, more_sinks=more_sinks)
        return phone, _routing_of(phone)
    phone = make_phone(registry, settings, carrier=carrier, more_sinks=more_sinks)
    return phone, make_agents(phone, registry, settings)


def caller_of(phone: Patter, routing: Routing, name: str = "") -> Agent | AgentForCall:
    """Returns the agent that makes a call.

    Args:
        phone: whose agents there are.
        routing: who answers the phone: where that is one agent, it makes calls, too.
        name: of the agent.

    Raises:
        ConfigurationError: there is none of that name, or there are several and none is named.
    """
    named = {agent.name: agent for agent in phone.agents}
    if name in named:
        return named[name]
    if not name and isinstance(routing, Agent | AgentForCall):
        return routing
    raise ConfigurationError(
        f"There is no agent “{name}”." if name else "It is not said which agent makes the call.",
        expected=f"--agent with {quoted(named, ' or ')}" if named else "an agent of the phone",
    )


def phone_at(path: str) -> Patter:
    """Returns the phone of a program, as `module:phone` or as a file, or that which a function returns.

    Raises:
        ConfigurationError: there is none, or the program raised.
    """
    remedy = f"Write there: phone = Patter(…). Or name its variable: {path}:NAME." if path.endswith(".py") else ""
    found = object_at(path_of_phone(path), where="", remedy=remedy)
    if callable(found) and not isinstance(found, type):
        with from_user_code(folder_of(path)):
            found = found()
    if not isinstance(found, Patter):
        raise ConfigurationError(
            f"“{path}” is no phone.", expected="a Patter, or a function that returns one", got=type(found).__name__
        )
    return found


def path_of_phone(app: str) -> str:
    """Returns a phone that a command was given as `module:name`: that of a file is called `phone`.

    Raises:
        ConfigurationError: it has another form.
    """
    path = f"{app}:phone" if app.endswith(".py") else app
    parts_of(path, where="")
    return path


def _routing_of(phone: Patter) -> Routing:
    """Returns what `Patter.route` was given, or the phone's only agent."""
    if phone.routing is not None:
        return phone.routing
    if len(phone.agents) == 1:
        return phone.agents[0]
    raise ConfigurationError(
        "It is not said which agent answers the phone.",
        expected="one agent, or phone.route(…) with the agents by number or a function of the call's Leg",
        got=f"agents {quoted((agent.name for agent in phone.agents), ', ')}" if phone.agents else "no agent",
    )
