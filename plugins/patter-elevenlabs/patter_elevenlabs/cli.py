"""`patter elevenlabs`: what can be known and changed about an agent without its dashboard."""

from __future__ import annotations

import anyio
import click

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
"""Those that options of ours send."""
_USED_EVENTS = {
    "audio": "the agent is not heard without it",
    "interruption": "the caller cannot interrupt the agent without it",
    "agent_response": "gives the agent's transcript",
    "user_transcript": "gives the caller's transcript",
    "agent_response_correction": "tells what was said of an interrupted answer",
    "client_tool_call": "brings the calls of client_tools=",
}
"""Those that we make something of, beside metadata and pings."""


@click.group()
def elevenlabs() -> None:
    """Look after ElevenLabs agents."""


@elevenlabs.command()
@click.argument("agent_id", envvar="ELEVENLABS_AGENT_ID")
@click.option("--set-ulaw", is_flag=True, help="Make the agent hear and speak μ-law, 8 kHz, after asking.")
@click.option("--base-url", default="", help="Another region; else ELEVENLABS_BASE_URL.")
def agent(agent_id: str, *, set_ulaw: bool, base_url: str) -> None:
    """Show an agent's formats, the overrides that it allows, and its client events.

    The key is read from ELEVENLABS_API_KEY.
    """
    service = Service.resolve("ElevenLabsConvAI", agent_id=agent_id, base_url=base_url)
    settings = anyio.run(agent_settings, service)
    _show(settings)
    on_a_phone = settings.input_format == settings.output_format == _ULAW
    if not set_ulaw:
        if not on_a_phone:
            click.echo(
                f"\nOn a phone call its audio is converted. To save that: patter elevenlabs agent {agent_id} --set-ulaw"
            )
        return
    if on_a_phone:
        click.echo("\nIts formats are μ-law already.")
        return
    click.echo()
    click.confirm(f"Change both formats to {_ULAW}, for every client of this agent?", abort=True)
    anyio.run(set_formats, service, _ULAW)
    click.echo(f"The agent hears and speaks {_ULAW}, from its next conversation on.")


def _show(settings: AgentSettings) -> None:
    click.echo(f"{settings.name or 'An agent without a name'}\n")
    click.echo(f"hears   {settings.input_format or 'a format that the service does not tell'}")
    click.echo(f"speaks  {settings.output_format or 'a format that the service does not tell'}\n")
    click.echo("Overrides that it allows (Security, Overrides):")
    for path in sorted(_USED_OVERRIDES.keys() | set(settings.allowed_overrides)):
        _line(path, on=path in settings.allowed_overrides, note=_USED_OVERRIDES.get(path, ""))
    click.echo("\nClient events that it sends (Advanced, Client events):")
    for name in sorted(_USED_EVENTS.keys() | set(settings.client_events)):
        _line(name, on=name in settings.client_events, note=_USED_EVENTS.get(name, ""))


def _line(name: str, *, on: bool, note: str) -> None:
    click.echo(f"  {'yes' if on else 'no ':<3}  {name:<34} {note}".rstrip())
