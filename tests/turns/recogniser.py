"""Speech recognition that knows what is said: it finds each word when a good service would, and never errs.

What it needs to know comes with the address: the name of the case. So what is measured is turn taking, not recognition.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterable

import msgspec
from starlette.websockets import WebSocket

from patter_core.audio import ULAW_8000
from patter_pipeline.testing.fakes import FakeStt, FakeSttEmulator
from patter_pipeline.testing.fakes.stt import Recognised
from tests.turns.cases import Case, Kind
from tests.turns.clips import ClipWord

__all__ = ["Recogniser", "Recognition"]

_INTERIM_MS = 200.0, 400.0
"""From the end of a word to the interim that has it."""
_FINAL_MS = 150.0, 350.0
"""From the request for the final text to it."""
_END_MS = 250.0, 450.0
"""From the end of a turn to its report, of a service that ends turns."""
_EAGER_MS = 250.0
"""Of silence after which such a service reports that the turn has probably ended."""
_NEARLY_MS = 60.0
"""By which a word may reach beyond what was sent, and be in the final text."""


class Recognition:
    """What a service tells of one call, by the place in the caller's audio up to which it has come.

    Args:
        case: the call.
        interims: it tells words before they are final.
        ends_turns: it ends turns, and has no final texts.
    """

    def __init__(self, case: Case, *, interims: bool = True, ends_turns: bool = False) -> None:
        self._random = random.Random(zlib.crc32(case.name.encode()))
        self._interims = interims
        self._ends_turns = ends_turns
        whole = [[word for piece in case.pieces for word in piece.words]]
        turns = whole if case.kind is Kind.TURN else [list(piece.words) for piece in case.pieces]
        self._turns = [turn for turn in turns if turn]
        self._words = [
            (word, word.end_ms + self._random.uniform(*_INTERIM_MS)) for turn in self._turns for word in turn
        ]
        self._told = 0
        """Words that are final."""
        self._shown = 0
        """Words that an interim had."""
        self._at_ms = 0.0
        self._finals: list[tuple[float, float]] = []
        """When the final text is due, and of what."""
        self._edges = sorted(self._ends()) if ends_turns else []

    def finalize(self) -> None:
        """The final text is wanted."""
        if not self._ends_turns:
            self._finals.append((self._at_ms + self._random.uniform(*_FINAL_MS), self._at_ms))

    def hear(self, ms: float) -> list[Recognised]:
        """Takes the audio up to that place."""
        self._at_ms = ms
        told = list[Recognised]()
        while self._finals and self._finals[0][0] <= ms:
            told.extend(self._final(self._finals.pop(0)[1]))
        while self._edges and self._edges[0][0] <= ms:
            told.append(self._edge(*self._edges.pop(0)))
        known = max((place for place, (_, due) in enumerate(self._words, 1) if due <= ms), default=0)
        if self._interims and known > max(self._shown, self._told):
            self._shown = known
            told.append(_recognised("interim", self._of_turn(self._told, known)))
        return told

    def _final(self, until_ms: float) -> Iterable[Recognised]:
        known = sum(word.end_ms <= until_ms + _NEARLY_MS for word, _ in self._words)
        if known > self._told:
            yield _recognised("final", [word for word, _ in self._words[self._told : known]])
            self._told = known

    def _of_turn(self, since: int, until: int) -> list[ClipWord]:
        return [word for word, _ in self._words[since:until]]

    def _ends(self) -> Iterable[tuple[float, str, int]]:
        """What such a service tells, besides words: when, what, and up to which word."""
        place = 0
        for turn in self._turns:
            for word, following in zip(turn, [*turn[1:], None], strict=True):
                place += 1
                if following is None:
                    yield word.end_ms + _EAGER_MS - 10, "eager_end", place
                    yield word.end_ms + self._random.uniform(*_END_MS), "end_of_turn", place
                elif following.start_ms - word.end_ms > _EAGER_MS:
                    yield word.end_ms + _EAGER_MS, "eager_end", place
                    yield following.start_ms + _EAGER_MS, "resumed", place

    def _edge(self, _: float, kind: str, place: int) -> Recognised:
        told = _recognised(kind, self._of_turn(self._told, place))
        if kind == "end_of_turn":
            self._told = place
        return told


def _recognised(kind: str, words: list[ClipWord]) -> Recognised:
    if not words:
        return Recognised(kind)
    return Recognised(kind, " ".join(word.text for word in words), words[0].start_ms, words[-1].end_ms)


class Recogniser(FakeSttEmulator):
    """Plays the service, for all cases at once.

    Args:
        cases: by name.
        interims: as in `Recognition`.
        ends_turns: as in `Recognition`.
    """

    def __init__(self, cases: Iterable[Case], *, interims: bool = True, ends_turns: bool = False) -> None:
        super().__init__(ends_turns=ends_turns)
        self._cases = {str(place): case for place, case in enumerate(cases)}
        self._interims = interims
        self._ends = ends_turns

    def part_for(self, place: int) -> FakeStt:
        """The part for the case at that place."""
        return FakeStt(f"{self.url}/?case={place}", ends_turns=self._ends, interims=self._interims)

    async def converse(self, socket: WebSocket) -> None:
        case = self._cases[socket.query_params["case"]]
        recognition = Recognition(case, interims=self._interims, ends_turns=self._ends)
        heard = 0
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if not message.get("bytes"):
                recognition.finalize()
                continue
            heard += len(message["bytes"])
            for told in recognition.hear(ULAW_8000.duration_ms(heard)):
                await self.send(socket, msgspec.json.encode(told).decode())
