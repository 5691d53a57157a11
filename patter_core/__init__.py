"""Patter gives a voice agent a phone number: a carrier brings the call, an engine talks, Patter joins the two.

The names that most programs and plugins need can be imported from here; the rest of a contract is in its module. Each
is loaded when it is first used, so that a plugin that imports a contract does not pay for the server.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from patter_core.agent import Agent, AgentForCall, CallOptions, Retry
    from patter_core.app import PhoneView, WebApp
    from patter_core.apps.access import AppAccess
    from patter_core.audio import ALAW_8000, PCM16_16000, ULAW_8000, AudioChunk, AudioFormat
    from patter_core.call.callbacks import Transcript
    from patter_core.call.handle import OutboundCall, PhoneCall
    from patter_core.call.limits import Limits
    from patter_core.call.ready_tools import collect_keys_tool, hang_up_tool, press_keys_tool, transfer_tool
    from patter_core.call.timeouts import Deadlines
    from patter_core.call.tool_context import ToolContext
    from patter_core.carrier import Carrier
    from patter_core.checks import CheckResult
    from patter_core.engine import ConversationSetup, Engine, EngineSession
    from patter_core.errors import (
        CallError,
        CarrierRequestFailed,
        ConfigurationError,
        EngineError,
        PatterError,
        SinkRefused,
        SinkUnavailable,
        StoreRefused,
        StoreUnavailable,
        WebhookRefused,
    )
    from patter_core.events import CallEnded, CallEvent, Record
    from patter_core.hookspecs import hookimpl
    from patter_core.kinds import Kind, Part
    from patter_core.media import MediaCodec
    from patter_core.observe.metrics import CallMetrics
    from patter_core.observe.redaction import Redaction
    from patter_core.patter import Patter
    from patter_core.registry import Registry
    from patter_core.server.serving import serve_app
    from patter_core.sink import EventSink, SinkFigures, WorkerFigures, WorkerStatistics
    from patter_core.store import CallStore, HistoryLine, Lease
    from patter_core.telephony.control import Capability
    from patter_core.telephony.leg import AnsweredBy, Direction, Leg, Progress
    from patter_core.telephony.outcome import By, ConsultResult, HangUp, Reason, Transfer
    from patter_core.tools.tool import Tool
    from patter_core.webhook import Accept, CallRouter, Reject, WebhookRequest, WebhookResponse

__all__ = [
    "ALAW_8000",
    "PCM16_16000",
    "ULAW_8000",
    "Accept",
    "Agent",
    "AgentForCall",
    "AnsweredBy",
    "AppAccess",
    "AudioChunk",
    "AudioFormat",
    "By",
    "CallEnded",
    "CallError",
    "CallEvent",
    "CallMetrics",
    "CallOptions",
    "CallRouter",
    "CallStore",
    "Capability",
    "Carrier",
    "CarrierRequestFailed",
    "CheckResult",
    "ConfigurationError",
    "ConsultResult",
    "ConversationSetup",
    "Deadlines",
    "Direction",
    "Engine",
    "EngineError",
    "EngineSession",
    "EventSink",
    "HangUp",
    "HistoryLine",
    "Kind",
    "Lease",
    "Leg",
    "Limits",
    "MediaCodec",
    "OutboundCall",
    "Part",
    "Patter",
    "PatterError",
    "PhoneCall",
    "PhoneView",
    "Progress",
    "Reason",
    "Record",
    "Redaction",
    "Registry",
    "Reject",
    "Retry",
    "SinkFigures",
    "SinkRefused",
    "SinkUnavailable",
    "StoreRefused",
    "StoreUnavailable",
    "Tool",
    "ToolContext",
    "Transcript",
    "Transfer",
    "WebApp",
    "WebhookRefused",
    "WebhookRequest",
    "WebhookResponse",
    "WorkerFigures",
    "WorkerStatistics",
    "collect_keys_tool",
    "hang_up_tool",
    "hookimpl",
    "press_keys_tool",
    "serve_app",
    "transfer_tool",
]

__version__ = "0.1.0"

_MODULES = {
    "Agent": "agent",
    "AgentForCall": "agent",
    "CallOptions": "agent",
    "Retry": "agent",
    "PhoneView": "app",
    "WebApp": "app",
    "AppAccess": "apps.access",
    "ALAW_8000": "audio",
    "PCM16_16000": "audio",
    "ULAW_8000": "audio",
    "AudioChunk": "audio",
    "AudioFormat": "audio",
    "Transcript": "call.callbacks",
    "OutboundCall": "call.handle",
    "PhoneCall": "call.handle",
    "Limits": "call.limits",
    "collect_keys_tool": "call.ready_tools",
    "hang_up_tool": "call.ready_tools",
    "press_keys_tool": "call.ready_tools",
    "transfer_tool": "call.ready_tools",
    "Deadlines": "call.timeouts",
    "ToolContext": "call.tool_context",
    "Carrier": "carrier",
    "CheckResult": "checks",
    "ConversationSetup": "engine",
    "Engine": "engine",
    "EngineSession": "engine",
    "CallError": "errors",
    "CarrierRequestFailed": "errors",
    "ConfigurationError": "errors",
    "EngineError": "errors",
    "PatterError": "errors",
    "SinkRefused": "errors",
    "SinkUnavailable": "errors",
    "StoreRefused": "errors",
    "StoreUnavailable": "errors",
    "WebhookRefused": "errors",
    "CallEnded": "events",
    "CallEvent": "events",
    "Record": "events",
    "hookimpl": "hookspecs",
    "Kind": "kinds",
    "Part": "kinds",
    "MediaCodec": "media",
    "CallMetrics": "observe.metrics",
    "Redaction": "observe.redaction",
    "Patter": "patter",
    "Registry": "registry",
    "serve_app": "server.serving",
    "EventSink": "sink",
    "SinkFigures": "sink",
    "WorkerFigures": "sink",
    "WorkerStatistics": "sink",
    "CallStore": "store",
    "HistoryLine": "store",
    "Lease": "store",
    "Capability": "telephony.control",
    "AnsweredBy": "telephony.leg",
    "Direction": "telephony.leg",
    "Leg": "telephony.leg",
    "Progress": "telephony.leg",
    "By": "telephony.outcome",
    "ConsultResult": "telephony.outcome",
    "HangUp": "telephony.outcome",
    "Reason": "telephony.outcome",
    "Transfer": "telephony.outcome",
    "Tool": "tools.tool",
    "Accept": "webhook",
    "CallRouter": "webhook",
    "Reject": "webhook",
    "WebhookRequest": "webhook",
    "WebhookResponse": "webhook",
}


def __getattr__(name: str) -> object:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"patter_core.{module}"), name)
