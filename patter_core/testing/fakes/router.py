"""A call router without a server: gives prepared answers, and keeps what webhook handlers report."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import msgspec

from patter_core.telephony.control import Callbacks, RecordingStatus, callback_token
from patter_core.telephony.leg import AnsweredBy, Leg, Progress
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.telephony.prices import Cost
from patter_core.webhook import Accept, Reject

__all__ = ["FakeRouter", "Report"]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One report of a webhook handler about a call."""

    what: str
    """The method of `RoutedCall`: `arrived`, `stream_ended`, `progressed` and so on."""
    value: object = None
    """Its argument."""
    leg: Leg
    verified_url: str
    token: str
    """The callback token, given or read from the URL."""


class FakeRouter:
    """Implements `CallRouter`.

    Args:
        answer: what `arrived` gives.
        at_stream_end: what `stream_ended` gives.
        briefing: of every call.
    """

    def __init__(
        self,
        answer: Accept | Reject | Transfer | None = None,
        *,
        at_stream_end: Accept | HangUp | Transfer | None = None,
        briefing: str = "",
    ) -> None:
        self.answer = answer or Accept(
            call_id="call-1",
            media_url="wss://phone.example/media/fake/token",
            callbacks=Callbacks("https://phone.example", "t"),
        )
        self.at_stream_end = at_stream_end or HangUp()
        self.briefing = briefing
        self.reports: list[Report] = []
        self._seen: set[str] = set()

    def call(self, leg: Leg, verified_url: str, token: str = "") -> _FakeRoutedCall:
        """As `CallRouter.call`."""
        return _FakeRoutedCall(self, leg, verified_url, token or callback_token(verified_url))

    @contextlib.contextmanager
    def seen(self, event_id: str) -> Iterator[bool]:
        """As `CallRouter.seen`."""
        yield event_id in self._seen
        self._seen.add(event_id)

    def of(self, what: str) -> list[Report]:
        """Returns the reports of one kind."""
        return [report for report in self.reports if report.what == what]


class _FakeRoutedCall:
    def __init__(self, router: FakeRouter, leg: Leg, verified_url: str, token: str) -> None:
        self._router = router
        self._leg = leg
        self._verified_url = verified_url
        self._token = token

    async def arrived(self) -> Accept | Reject | Transfer:
        self._report("arrived")
        return self._router.answer

    @property
    def briefing(self) -> str:
        return self._router.briefing

    async def briefed(self) -> None:
        self._report("briefed")

    async def stream_ended(self) -> Accept | HangUp | Transfer:
        self._report("stream_ended")
        return self._router.at_stream_end

    async def progressed(self, progress: Progress) -> None:
        self._report("progressed", progress)

    async def answered_by(self, who: AnsweredBy) -> None:
        self._report("answered_by", who)

    async def keys_pressed(self, digits: str) -> None:
        self._report("keys_pressed", digits)

    async def recording_changed(self, status: RecordingStatus) -> None:
        self._report("recording_changed", status)

    async def priced(self, cost: Cost) -> None:
        self._report("priced", cost)

    def _report(self, what: str, value: object = None) -> None:
        report = Report(what=what, value=value, leg=self._leg, verified_url=self._verified_url, token=self._token)
        self._router.reports.append(report)
