"""The checks of `patter doctor`: the credentials, and the agent's settings for phone calls."""

from __future__ import annotations

from patter_core.checks import CheckResult, Level, problem_of
from patter_core.errors import EngineError
from patter_elevenlabs.config import Service
from patter_elevenlabs.refusals import PermissionLacking, lacking, untried
from patter_elevenlabs.rest import AgentSettings, agent_settings

__all__ = ["run_checks"]

_ULAW = "ulaw_8000"
_NEEDED_EVENTS = ("audio", "interruption", "agent_response", "user_transcript")


async def run_checks(service: Service, overrides: list[str]) -> list[CheckResult]:
    """Checks an agent.

    Args:
        service: address and credentials.
        overrides: the fields that conversations will override, such as `agent.first_message`.
    """
    try:
        settings = await agent_settings(service)
    except PermissionLacking:
        remedy = f"{lacking('convai_read')} Then run the check again."
        return [CheckResult(Level.UNKNOWN, "The agent was not checked: the key may not read it.", remedy)]
    except EngineError as error:
        return [problem_of(error)]
    return [
        CheckResult(Level.OK, f"ElevenLabs accepts the key, and has the agent. {untried('convai_write')}"),
        _formats(settings),
        *_events(settings),
        *_overrides(settings, overrides),
    ]


def _formats(settings: AgentSettings) -> CheckResult:
    if settings.input_format == settings.output_format == _ULAW:
        return CheckResult(Level.OK, f"The agent hears and speaks {_ULAW}: audio is not converted.")
    hears, speaks = settings.input_format or "?", settings.output_format or "?"
    return CheckResult(
        Level.WARNING,
        f"The agent hears {hears} and speaks {speaks}: audio is converted.",
        "Run `patter elevenlabs agent --set-ulaw`.",
    )


def _events(settings: AgentSettings) -> list[CheckResult]:
    missing = [name for name in _NEEDED_EVENTS if name not in settings.client_events]
    if not missing:
        return []
    level = Level.PROBLEM if "audio" in missing else Level.WARNING
    remedy = "Enable them in the agent's dashboard, under Advanced, Client events."
    return [CheckResult(level, f"The agent does not send {', '.join(missing)}.", remedy)]


def _overrides(settings: AgentSettings, overrides: list[str]) -> list[CheckResult]:
    refused = [path for path in overrides if path not in settings.allowed_overrides]
    allow = "Allow it in the agent's dashboard, under Security, Overrides."
    return [CheckResult(Level.PROBLEM, f"The agent does not allow {path} to be overridden.", allow) for path in refused]
