"""Numbers that are pointed here for a while, if their user agrees, and put back where they were.

Where they were is kept in a file, too, as long as they are pointed here: for the next time, if this process is killed.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from patter_core.call.carrier_wall import ask_carrier
from patter_core.carrier import Carrier
from patter_core.observe.secrets import conceal_secrets
from patter_core.observe.terminal import one_line
from patter_core.storage.files import open_private, write_all
from patter_core.telephony.control import Capability
from patter_core.telephony.numbers import VoiceTarget, voice_path

__all__ = ["FILE", "PointedNumbers"]

FILE = Path(".patter-tunnel.json")
_WITHIN = 20.0
"""Seconds for one command to a carrier."""


class _Pointed(msgspec.Struct, frozen=True, kw_only=True):
    """A number that is pointed here, or is about to be."""

    carrier: str
    number: str
    before: VoiceTarget
    left: VoiceTarget | None = None
    """As it was left; None if it is not known whether that was done."""


class PointedNumbers:
    """The numbers of one phone.

    Args:
        carriers: of the phone.
        numbers: its number at each carrier that has one, by the carrier's name.
        ask: asks its user a question; None if they cannot be asked.
        tell: tells them a line.
        file: where it is kept what was there before.
    """

    def __init__(
        self,
        carriers: Sequence[Carrier],
        numbers: Mapping[str, str],
        *,
        ask: Callable[[str], Awaitable[bool]] | None,
        tell: Callable[[str], None],
        file: Path = FILE,
    ) -> None:
        self._carriers = {one.name: one for one in carriers if Capability.CONFIGURE_NUMBER in one.capabilities}
        self._numbers = {name: number for name, number in numbers.items() if name in self._carriers}
        self._ask = ask
        self._tell = tell
        self._file = file
        self._kept = _read(file)
        """What is in the file: of this process, and of one that was killed."""
        self._ours: list[_Pointed] = []

    async def point(self, base: str) -> None:
        """Points each number at a public address, if its user agrees. A number that fails is told and left out."""
        if self._carriers and not self._numbers:
            self._tell("No number is pointed there: set phone_number (PATTER_PHONE_NUMBER) to be asked for it.")
        for name, number in self._numbers.items():
            try:
                await self._point(self._carriers[name], number, base + voice_path(name))
            except Exception as error:  # noqa: BLE001 - the plugin boundary
                self._tell(f"{number} is not pointed there: {_text(error)}")

    async def put_back(self) -> bool:
        """Puts each back, unless it was changed meanwhile. One that fails is told, and tried again the next time.

        Returns False if one has failed.
        """
        is_done = True
        for one in reversed(self._ours):
            try:
                await self._put_back(one)
            except Exception as error:  # noqa: BLE001 - the plugin boundary
                is_done = False
                self._tell(
                    f"{one.number} could not be put back: {_text(error)} "
                    f"It pointed at {_shown(one.before)}. The next `patter dev --tunnel` here tries it again."
                )
            else:
                self._forget(one)
        self._ours.clear()
        return is_done

    async def _point(self, carrier: Carrier, number: str, url: str) -> None:
        now = await ask_carrier(carrier.voice_target, _WITHIN, number)
        pointed = _Pointed(carrier=carrier.name, number=number, before=self._original(carrier, number, now))
        was_killed = pointed.before != now
        if now.shown == url:
            self._tell(f"{number} points there already.")
            if was_killed:
                self._ours.append(msgspec.structs.replace(pointed, left=now))
            return
        if self._ask is None:
            self._tell(f"{number} is left as it is: there is no terminal to ask at. `--yes` points it there.")
            return
        others = f", and with it {one_line(now.shared)}," if now.shared else ""
        back = f" Then it is pointed at {_shown(pointed.before)} again." if was_killed else ""
        if not await self._ask(f"{number}{others} points at {_shown(now)}. Point it at {url} until this ends?{back}"):
            if was_killed and await self._ask(f"Point it at {_shown(pointed.before)}, as before the last tunnel?"):
                await self._put_back(pointed)
                self._forget(pointed)
            else:
                self._tell(f"{number} is left as it is.")
            return
        self._ours.append(pointed)
        self._keep(pointed)
        try:
            await ask_carrier(carrier.set_voice_url, _WITHIN, number, url)
        finally:  # some of it may have been done
            left = await ask_carrier(carrier.voice_target, _WITHIN, number)
            done = msgspec.structs.replace(pointed, left=left)
            self._ours[-1] = done
            self._keep(done)
        self._tell(f"{number} points here now, until this ends.")

    async def _put_back(self, one: _Pointed) -> None:
        carrier = self._carriers[one.carrier]
        now = await ask_carrier(carrier.voice_target, _WITHIN, one.number)
        if now == one.before:
            return
        if one.left is not None and now != one.left:
            self._tell(f"{one.number} was changed meanwhile, and is left as it is: it points at {_shown(now)}.")
            return
        await ask_carrier(carrier.put_back, _WITHIN, one.number, one.before)
        self._tell(f"{one.number} points at {_shown(one.before)} again.")

    def _original(self, carrier: Carrier, number: str, now: VoiceTarget) -> VoiceTarget:
        """Returns where the number pointed before a process that was killed pointed it; `now`, if none was."""
        for kept in self._kept:
            if (kept.carrier, kept.number) == (carrier.name, number) and kept.left in (now, None):
                return kept.before
        return now

    def _keep(self, one: _Pointed) -> None:
        self._save([*self._others(one), one])

    def _forget(self, one: _Pointed) -> None:
        self._save(self._others(one))

    def _others(self, one: _Pointed) -> list[_Pointed]:
        return [kept for kept in self._kept if (kept.carrier, kept.number) != (one.carrier, one.number)]

    def _save(self, kept: list[_Pointed]) -> None:
        self._kept = kept
        try:
            if kept:
                _write(self._file, kept)
            else:
                self._file.unlink(missing_ok=True)
        except OSError as error:
            self._tell(f"{self._file} cannot be written ({error.strerror}): if this is killed, nothing is put back.")


def _read(file: Path) -> list[_Pointed]:
    """Returns what a process that was killed has left; nothing, if others could have written it."""
    with contextlib.suppress(OSError, msgspec.DecodeError), file.open("rb") as opened:
        if not stat.S_IMODE(os.fstat(opened.fileno()).st_mode) & 0o077:
            return msgspec.json.decode(opened.read(), type=list[_Pointed])
    return []


def _write(file: Path, kept: Sequence[_Pointed]) -> None:
    new = file.with_name(f"{file.name}.new")
    new.unlink(missing_ok=True)
    opened = open_private(new, os.O_EXCL)
    try:
        write_all(opened, msgspec.json.encode(kept))
        os.fsync(opened)
    finally:
        os.close(opened)
    new.replace(file)


def _shown(target: VoiceTarget) -> str:
    return one_line(conceal_secrets(target.shown)) or "nothing"


def _text(error: Exception) -> str:
    return one_line(conceal_secrets(str(error))) or type(error).__name__
