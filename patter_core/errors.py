"""Every error that Patter raises, as one tree.

* `PatterError`
    * `ConfigurationError`: an option is missing or wrong; found before any call is taken.
        * `UnknownOption`: a class or a function has no option of that name; also a `TypeError`.
        * `SettingMissing`: neither the parameter nor the environment variable is set.
    * `PluginError`
        * `PluginNotFound`: no installed distribution offers a carrier, engine, sink or store of that name.
        * `PluginFailed`: one does, but it could not be joined; `__cause__` says why.
    * `AudioError`: audio that is not what its format says, or a conversion that does not exist.
    * `CarrierError`
        * `WebhookRefused`: a request that is not proved to be the carrier's.
        * `CarrierRequestFailed`: the carrier's API refused, or did not answer.
    * `EngineError`: the engine cannot be reached, refuses, or is lost; `retry` is True if a new session may help.
        * `EngineRefused`: it answered, and refused.
            * `EngineQuotaExceeded`: because what the account may use is used up.
        * `EngineTimeout`: it did not answer in time.
        * `EngineLost`: a live session broke.
            * `EngineFrozen`: it no longer answered what the caller said.
            * `EngineFailed`: because of a fault that the engine itself reports.
            * `SocketClosed`: its socket was closed, with a code and a reason that the engine's plugin understands.
    * `CallError`
        * `IllegalTransition`: the state table has no row for a signal of our own: a fault of Patter.
        * `CallLimitReached`: no more calls, or none to that number, are allowed here now.
    * `NetworkMisconfigured`: the environment's proxies or certificates cannot be used, so nothing is reached.
    * `WorkerStopping`: this worker takes no new calls; another one may.
    * `SinkUnavailable`: where a sink writes cannot be reached at the moment.
    * `SinkRefused`: where a sink writes does not take the records, and will not take them later.
    * `StoreUnavailable`: a call store cannot be reached at the moment.
    * `StoreRefused`: a call store does not take a line, or does not return it, and will not later.
    * `ForeignFault`: code that is not Patter's raised what is no `Exception`, such as `SystemExit`.
    * `ForeignHang`: code that is not Patter's took longer than it may.
    * `ConformanceError`: a plugin does not keep its contract; raised by `patter_core.testing`, and an `AssertionError`.

An error says what was expected, what came, and what to do about it. No error holds a secret, a phone number or audio.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "AudioError",
    "CallError",
    "CallLimitReached",
    "CarrierError",
    "CarrierRequestFailed",
    "ConfigurationError",
    "ConformanceError",
    "EngineError",
    "EngineFailed",
    "EngineFrozen",
    "EngineLost",
    "EngineQuotaExceeded",
    "EngineRefused",
    "EngineTimeout",
    "ForeignFault",
    "ForeignHang",
    "IllegalTransition",
    "NetworkMisconfigured",
    "PatterError",
    "PluginError",
    "PluginFailed",
    "PluginNotFound",
    "SettingMissing",
    "SinkRefused",
    "SinkUnavailable",
    "SocketClosed",
    "StoreRefused",
    "StoreUnavailable",
    "UnknownOption",
    "WebhookRefused",
    "WorkerStopping",
]


class PatterError(Exception):
    """The root of the tree: catch this to catch everything that Patter raises on purpose.

    `problem` is one sentence; `expected`, `got` and `remedy` are added to it where they are known.
    """

    details: Sequence[str] = ()
    """Sentences that are told on a line each, after the others."""

    def __init__(self, problem: str, *, expected: str = "", got: str = "", remedy: str = "") -> None:
        self.problem = problem
        self.expected = expected
        self.got = got
        self.remedy = remedy
        super().__init__(problem, expected, got, remedy)

    def __str__(self) -> str:
        return "\n  ".join(self.lines)

    @property
    def lines(self) -> Sequence[str]:
        """What it says: all of it in one line, and each of the details."""
        parts = [self.problem]
        if self.expected:
            parts.append(f"Expected {self.expected}.")
        if self.got:
            parts.append(f"Got {self.got}.")
        if self.remedy:
            parts.append(self.remedy)
        return [" ".join(parts), *self.details]


class ConfigurationError(PatterError):
    """An option is missing or wrong. Raised when the object that holds it is made, before any call."""

    def __init__(
        self, problem: str, *, expected: str = "", got: str = "", remedy: str = "", details: Sequence[str] = ()
    ) -> None:
        self.details = details
        super().__init__(problem, expected=expected, got=got, remedy=remedy)


class UnknownOption(ConfigurationError, TypeError):
    """A class or a function has no option of that name. It is a `TypeError`, as Python's own error for this is."""


class SettingMissing(ConfigurationError):
    """A value is neither given nor in the environment.

    `variable` is the environment variable, and `where` the end of a sentence that says where the value is found.
    """

    def __init__(self, problem: str, *, variable: str, where: str, remedy: str, got: str = "neither") -> None:
        self.variable = variable
        self.where = where
        expected = f"the parameter, or the environment variable {variable}"
        super().__init__(problem, expected=expected, got=got, remedy=remedy)


class PluginError(PatterError):
    """A carrier, engine, sink or store cannot be had under the name that was asked for."""


class PluginNotFound(PluginError):
    """Nothing that is installed offers that name."""


class PluginFailed(PluginError):
    """A distribution offers that name but could not be joined; `__cause__` is what it raised, if it raised."""


class AudioError(PatterError):
    """Audio that is not what its format says it is, or a conversion that does not exist."""


class CarrierError(PatterError):
    """Something between us and the carrier went wrong."""


class WebhookRefused(CarrierError):
    """The request does not prove that the carrier sent it: answered with 403, and nothing else is done for it."""


class CarrierRequestFailed(CarrierError):
    """The carrier's API refused a request or did not answer it.

    `status` is the HTTP status (0 without an answer), `code` the carrier's own error code ("" if it has none). `taken`
    is False if the request has certainly not been carried out: it was refused, or never reached the carrier. After a
    timeout, a broken connection or a fault of the carrier's server (5xx) it is True: a call may have been dialled.
    """

    def __init__(
        self,
        problem: str,
        *,
        taken: bool = True,
        status: int = 0,
        code: str = "",
        expected: str = "",
        got: str = "",
        remedy: str = "",
    ) -> None:
        self.taken = taken
        self.status = status
        self.code = code
        super().__init__(problem, expected=expected, got=got, remedy=remedy)


class EngineError(PatterError):
    """The engine could not be reached, refused, or was lost.

    `retry` is True if a new session may succeed, `retry_after` how many seconds the engine asks to wait before it.
    """

    def __init__(
        self,
        problem: str,
        *,
        retry: bool = False,
        retry_after: float = 0.0,
        expected: str = "",
        got: str = "",
        remedy: str = "",
    ) -> None:
        self.retry = retry
        self.retry_after = retry_after
        super().__init__(problem, expected=expected, got=got, remedy=remedy)


class EngineRefused(EngineError):
    """The engine answered, and the answer was no: a wrong key, an unknown agent, an option it does not allow.

    `status` is the HTTP status of the answer, or 0.
    """

    def __init__(
        self,
        problem: str,
        *,
        status: int = 0,
        retry: bool = False,
        retry_after: float = 0.0,
        expected: str = "",
        got: str = "",
        remedy: str = "",
    ) -> None:
        self.status = status
        super().__init__(problem, retry=retry, retry_after=retry_after, expected=expected, got=got, remedy=remedy)


class EngineQuotaExceeded(EngineRefused):
    """The engine's account has used up what it may use. Another engine can help, the same one cannot."""


class EngineTimeout(EngineError):
    """The engine did not answer in time."""


class EngineLost(EngineError):
    """A conversation that was live is gone."""


class EngineFrozen(EngineLost):
    """A conversation that no longer answered what the caller said: `Deadlines.reply`."""


class EngineFailed(EngineLost):
    """A conversation that was live is gone because of a fault that the engine itself reports."""


class SocketClosed(EngineLost):
    """The engine's socket is closed: `code` and `reason` as in its close frame (1006, "" if there was none)."""

    def __init__(self, code: int, reason: str = "") -> None:
        self.code = code
        self.reason = reason
        got = f"code {code} ({reason})" if reason else f"code {code}"
        super().__init__("The engine's socket is closed.", retry=True, got=got)


class CallError(PatterError):
    """A call was asked for something that it cannot do."""


class IllegalTransition(CallError):
    """The state table has no such move. It names the state and the signal, and is a fault of ours."""


class CallLimitReached(CallError):
    """As many calls as allowed are live on this worker, or were made; or calls to that number are switched off."""


class NetworkMisconfigured(PatterError, ConnectionRefusedError):
    """A proxy or the certificates that the environment names cannot be used: the peer is not reached."""


class WorkerStopping(PatterError):
    """This worker is stopping: a webhook that raises it is answered with 503, so that it is brought to another."""


class SinkUnavailable(PatterError):
    """Where a sink writes cannot be reached now: the same records may be written later. Sinks raise it from `write`."""


class SinkRefused(PatterError):
    """Where a sink writes refuses the records, and will refuse them again: a wrong key, a path that is a folder.

    Sinks raise it from `write` and `run`. It is told once, with its remedy, and the records are dropped and counted.
    `lost` is how many records of the batch were refused; None if all of them.
    """

    def __init__(
        self, problem: str, *, lost: int | None = None, expected: str = "", got: str = "", remedy: str = ""
    ) -> None:
        self.lost = lost
        super().__init__(problem, expected=expected, got=got, remedy=remedy)


class StoreUnavailable(PatterError):
    """A call store cannot be reached now; it may be later. Stores raise it from `append` and `history`."""


class StoreRefused(PatterError):
    """A call store refuses, and will refuse again: a wrong password, another schema. As `SinkRefused`, for stores."""


class ForeignFault(PatterError):
    """A plugin, callback or tool raised what is no `Exception`, its `__cause__`; for its callers it is one."""


class ForeignHang(PatterError, TimeoutError):
    """A plugin, callback or tool took longer than it may, and was cancelled."""


class ConformanceError(PatterError, AssertionError):
    """A plugin does not keep its contract.

    `check` is what was being tried, `mistake` what is probably wrong in the plugin.
    """

    def __init__(
        self, problem: str, *, check: str = "", expected: str = "", got: str = "", mistake: str = "", remedy: str = ""
    ) -> None:
        self.check = check
        self.mistake = mistake
        super().__init__(problem, expected=expected, got=got, remedy=remedy)

    def __str__(self) -> str:
        parts = [f"[{self.check}] {self.problem}" if self.check else self.problem]
        for label, text in (
            ("expected", self.expected),
            ("got", self.got),
            ("probable mistake", self.mistake),
            ("remedy", self.remedy),
        ):
            if text:
                parts.append(f"  {label}: {text}")
        return "\n".join(parts)
