"""`patter calls delete`: erases calls from what the sinks of this machine keep."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path

import anyio
import click

from patter_core.checks import CheckResult, Level
from patter_core.cli.calls_found import complete_id, file_option, is_live, print_calls, reader_of
from patter_core.cli.options import app_option, check_app
from patter_core.config import MOST_WORKERS
from patter_core.errors import ConfigurationError, PatterError
from patter_core.events import RecordingChanged, RecordingStarted
from patter_core.observe.printing import Printer
from patter_core.observe.terminal import counted
from patter_core.registry import Registry
from patter_core.settings.load import load
from patter_core.settings.model import PluginConfig
from patter_core.settings.plugins import make_sinks, numbered
from patter_core.settings.target import phone_at
from patter_core.sink import EventSink
from patter_core.sinks.sqlite import SQLiteSink
from patter_core.sinks.sqlite_reader import SQLiteReader
from patter_core.sinks.wav import WavSink
from patter_core.storage.archive import CallFilter, CallRow
from patter_core.telephony.e164 import address_of, number_error

__all__ = ["delete"]

_WHOLE_ID = re.compile(r"[0-9a-f]{32}")
_AGE = re.compile(r"([0-9]{1,6})([hdw])")
_UNITS = {"h": 3600.0, "d": 86_400.0, "w": 7 * 86_400.0}
_SHOWN = 20
_ALL = 1_000_000_000


@click.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@file_option
@click.option("--number", metavar="NUMBER", help="Calls from or to this number, in E.164, or SIP address.")
@click.option(
    "--older-than", "age", metavar="AGE", help="Calls that began before that: 12h, 30d or 8w (hours, days, weeks)."
)
@app_option
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    help="TOML file with the sinks. Default: PATTER_CONFIG, or patter.toml if it exists.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Say what would be erased, and erase nothing.")
@click.pass_context
def delete(
    context: click.Context,
    *,
    ids: tuple[str, ...],
    number: str | None,
    age: str | None,
    app: str,
    config: Path | None,
    yes: bool,
    dry_run: bool,
) -> None:
    """Erase calls by ID, by number or by age from what the sinks on this machine keep.

    Rows, transcripts, recordings and lines go. With --number and --older-than, only calls that meet both. Calls are
    found in the file of --db, and erased there, in the files of the sinks that the settings (or the phone of a
    program) name, and where the calls were recorded; what sinks keep of a call that is not in that file any more, by
    its whole ID. A call that is live is left. What sinks have sent elsewhere, and recordings at a carrier, are named
    and stay.
    """
    db: Path = context.obj
    check_app(app, config)
    reader = reader_of(db)
    console, now = Printer(), time.time()
    address = None if number is None else _address(number)
    found, without_row = _found(reader, ids, address, _seconds(age), now)
    live = [row for row in found if is_live(reader, row)]
    rows = [row for row in found if row not in live]
    if live:
        console.print(f"Live, and left: {', '.join(row.call_id[:8] for row in live)}.")
    call_ids = [*(row.call_id for row in rows), *without_row]
    if not call_ids:
        if not live:
            console.print("No such call.")
        return
    _show(console, reader, rows, address)
    if without_row:
        console.print(f"Not in {db}, but perhaps in what else the sinks keep: {', '.join(without_row)}.")
    erased = counted(len(call_ids), "call")
    if dry_run:
        console.print(f"Would erase {erased}. Nothing was erased.")
        return
    if not yes:
        click.confirm(f"Erase {erased}, for ever?", abort=True)
    registry = context.find_root().obj
    sinks = _sinks(registry if isinstance(registry, Registry) else Registry.discover(), app, config)
    folders, elsewhere = _recordings(reader, rows)
    everywhere = [*sinks, *(WavSink(folder) for folder in folders), SQLiteSink(db)]
    everywhere.sort(key=lambda sink: isinstance(sink, SQLiteSink))  # by which calls are found: last
    anyio.run(_erase, everywhere, call_ids, console)
    for text in elsewhere:
        console.print(f"Not erased: {text}.")


def _show(console: Printer, reader: SQLiteReader, rows: Sequence[CallRow], number: str | None) -> None:
    if rows:
        print_calls(console, rows[:_SHOWN], reader)
    if len(rows) > _SHOWN:
        console.print(f"and {len(rows) - _SHOWN} more.")
    if number and any(number not in {row.from_number, row.to_number} for row in rows):
        console.print("Numbers were kept masked: calls of other numbers that end alike are among these.")


def _found(
    reader: SQLiteReader, ids: Sequence[str], number: str | None, age: float | None, now: float
) -> tuple[list[CallRow], list[str]]:
    """Returns the calls, and the whole ids that were given but are no call's in the file."""
    said = number is not None or age is not None
    ways = "IDs, or one or both of --number and --older-than"
    if ids and said:
        raise ConfigurationError("IDs exclude --number and --older-than.", expected=ways)
    if not ids and not said:
        raise ConfigurationError("It is not said which calls to erase.", expected=ways)
    if ids:
        whole = {one: reader.row(one) for one in map(str.lower, ids) if _WHOLE_ID.fullmatch(one)}
        begun = dict.fromkeys(complete_id(reader, one) for one in ids if one.lower() not in whole)
        found = {**whole, **{one: reader.row(one) for one in begun}}
        return [row for row in found.values() if row is not None], [one for one, row in whole.items() if row is None]
    before = None if age is None else now - age
    if number is not None:
        return [row for row in reader.of_number(number) if before is None or row.started < before], []
    return reader.calls(CallFilter(before=before, limit=_ALL)), []


def _address(number: str) -> str:
    """Returns the number as rows have it, without separators."""
    address = address_of(number)
    if not address:
        raise number_error(ConfigurationError, "--number is not an E.164 number.", number)
    return address


def _seconds(age: str | None) -> float | None:
    if age is None:
        return None
    parts = _AGE.fullmatch(age)
    if parts is None:
        raise ConfigurationError("--older-than is no age.", expected="such as 12h, 30d or 8w", got=age)
    return int(parts[1]) * _UNITS[parts[2]]


def _sinks(registry: Registry, app: str, config: Path | None) -> list[EventSink]:
    """Returns the sinks of the phone; those of which each worker has one, of all workers."""
    if app:
        return list(phone_at(app).parts.sinks)
    sinks: list[EventSink] = []
    for one in load(config).sinks:
        sinks += make_sinks(registry, _of_all_workers(one))
    return sinks


def _of_all_workers(config: PluginConfig) -> list[PluginConfig]:
    numbers = [numbered([config], number)[0] for number in range(MOST_WORKERS)]
    return [one for place, one in enumerate(numbers) if one not in numbers[:place]]


def _recordings(reader: SQLiteReader, rows: Sequence[CallRow]) -> tuple[list[Path], list[str]]:
    """Returns the folders in which these calls were recorded, and what of them is elsewhere."""
    folders, elsewhere = dict[Path, None](), dict[str, None]()
    for row in rows:
        for record in reader.records(row.call_id):
            match record.event:
                case RecordingStarted(location=location) if Path(location).name.startswith(row.call_id):
                    folders[Path(location).parent] = None
                case RecordingStarted(by=by, location=location):
                    elsewhere[f"the recording of {by} at {location}"] = None
                case RecordingChanged(recording=recording):
                    elsewhere[f"the recording {recording.recording_id} at {row.carrier}"] = None
                case _:
                    pass
    return list(folders), list(elsewhere)


async def _erase(sinks: Sequence[EventSink], call_ids: Sequence[str], console: Printer) -> None:
    """Erases the calls from all sinks. What fails is told last, and stays to be tried again.

    Then SQLite sinks keep the calls, which are found there, and are only asked whether they can be written.
    """
    kept_elsewhere, failures, found = dict[str, None](), dict[str, None](), False
    for sink in sinks:
        try:
            if failures and isinstance(sink, SQLiteSink):
                failures.update({_failure(sink, one): None for one in await sink.check() if one.level is not Level.OK})
                continue
            erased = await sink.erase(call_ids)
        except (PatterError, OSError) as error:
            failures[_failure(sink, error)] = None
            continue
        finally:
            await sink.aclose()
        for text in erased or ():
            console.print(f"Erased: {text}.")
            found = True
        if erased is None:
            kept_elsewhere[sink.name] = None
    if not found and not failures:
        console.print("Nothing was erased: no sink on this machine keeps anything of that.")
    if kept_elsewhere:
        console.print(f"Not erased: what the sinks {', '.join(kept_elsewhere)} have sent. Erase it there.")
    if failures:
        raise ConfigurationError("Not everything was erased.", got="; ".join(failures), remedy="Try again.")


def _failure(sink: EventSink, problem: CheckResult | PatterError | OSError) -> str:
    return f"{sink.name}: {problem}".removesuffix(".")  # sentences follow
