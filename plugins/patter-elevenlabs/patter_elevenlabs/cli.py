"""`patter elevenlabs`: shows and changes the settings of an agent."""

from __future__ import annotations

import anyio
import click

from patter_core.observe.terminal import one_line
from patter_elevenlabs.config import Service
from patter_elevenlabs.rest import AgentSettings, agent_settings, set_formats

__all__ = ["elevenlabs"]

_ULAW = "ulaw_8000"
_USED_OVERRIDES = {
    "agent.first_message": "first_message=, system_prompt=",
    "agent.language": "language=",
    "agent.prompt.prompt": "override_prompt=True",
    "tts.voice_id": "voice=",
}
"""Overrides that our options send."""
_USED_EVENTS = {
    "audio": "required: without it the agent cannot be heard",
    "interruption": "without it the caller cannot interrupt the agent",
    "agent_response": "the agent's transcript",
    "user_transcript": "the caller's transcript",
    "agent_response_correction": "how much of an interrupted answer was said",
    "client_tool_call": "calls of client_tools=",
}
"""Events that are used, besides metadata and pings."""


@click.group()
def elevenlabs() -> None:
    """Manage ElevenLabs agents."""


@elevenlabs.command()
@click.argument("agent_id", envvar="ELEVENLABS_AGENT_ID")
@click.option("--set-ulaw", is_flag=True, help="Set both audio formats to μ-law, 8 kHz, after a confirmation.")
@click.option("--yes", is_flag=True, help="With --set-ulaw: do not ask.")
@click.option("--base-url", default="", help="Of another region. Default: ELEVENLABS_BASE_URL.")
def agent(agent_id: str, *, set_ulaw: bool, yes: bool, base_url: str) -> None:
    """Show an agent's audio formats, allowed overrides and client events.

    The API key is read from ELEVENLABS_API_KEY.
    """
    service = Service.resolve("ElevenLabsConvAI", agent_id=agent_id, base_url=base_url)
    settings = anyio.run(agent_settings, service)
    _show(settings)
    on_a_phone = settings.input_format == settings.output_format == _ULAW
    if not set_ulaw:
        if not on_a_phone:
            command = f"patter elevenlabs agent {agent_id} --set-ulaw"
            click.echo(f"\nOn a phone call its audio is converted. To avoid that: {command}")
        return
    if on_a_phone:
        click.echo("\nBoth formats are μ-law already.")
        return
    click.echo()
    if not yes:
        click.confirm(f"Change both formats to {_ULAW}, for all clients of this agent?", abort=True)
    anyio.run(set_formats, service, _ULAW)
    click.echo(f"Both formats are {_ULAW}, from the next conversation on.")


def _show(settings: AgentSettings) -> None:
    click.echo(f"{one_line(settings.name) or 'Agent without a name'}\n")
    click.echo(f"input format   {one_line(settings.input_format) or 'unknown'}")
    click.echo(f"output format  {one_line(settings.output_format) or 'unknown'}\n")
    click.echo("Allowed overrides (Security, Overrides):")
    for path in sorted(_USED_OVERRIDES.keys() | set(settings.allowed_overrides)):
        _line(path, on=path in settings.allowed_overrides, note=_USED_OVERRIDES.get(path, ""))
    click.echo("\nClient events (Advanced, Client events):")
    for name in sorted(_USED_EVENTS.keys() | set(settings.client_events)):
        _line(name, on=name in settings.client_events, note=_USED_EVENTS.get(name, ""))


def _line(name: str, *, on: bool, note: str) -> None:
    click.echo(f"  {'yes' if on else 'no ':<3}  {one_line(name):<34} {note}".rstrip())
