"""`patter calls`: the calls in a file of the SQLite sink, and the events of one of them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click
import msgspec

from patter_core.cli.calls_found import complete_id, file_option, no_calls, print_calls, reader_of
from patter_core.cli.lazy_group import LazyGroup
from patter_core.cli.options import DateType, EnvironmentOption
from patter_core.cli.ranges import WholeRange
from patter_core.errors import ConfigurationError
from patter_core.events import CallEnded, CallPriced, MetricsReported, Record, TurnTimings
from patter_core.observe.printing import Printer, Span, Table
from patter_core.observe.terminal import one_line, shown_json
from patter_core.sinks.console import event_words, metrics_table, transcript_line
from patter_core.sinks.sqlite_reader import SQLiteReader
from patter_core.storage.archive import CallFilter
from patter_core.telephony.outcome import Reason

__all__ = ["calls"]


_RECENT = 1000
"""Calls of which the agents and carriers are named where none fits."""
COMMANDS = {"delete": "Erase calls by ID, by number or by age from what the sinks on this machine keep."}
"""The text in `--help` of each command that is a module of its own: `calls_<name>` beside this one."""


@click.group(cls=LazyGroup, modules="patter_core.cli.calls_", texts=COMMANDS, invoke_without_command=True)
@click.option(
    "--db",
    cls=EnvironmentOption,
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("patter.db"),
    envvar="PATTER_DB",
    show_default=True,
    show_envvar=True,
    help="File of the SQLite sink.",
)
@click.option("--since", type=DateType(), help="Only calls that began on that day, at that time, or later; local time.")
@click.option("--agent", default="", metavar="NAME", help="Only calls of this agent.")
@click.option("--carrier", default="", metavar="NAME", help="Only calls of this carrier.")
@click.option("--direction", type=click.Choice(["inbound", "outbound"]), help="Only calls in this direction.")
@click.option(
    "--reason",
    type=click.Choice([reason.value for reason in Reason]),
    metavar="REASON",
    help="Only calls that ended so: caller_hung_up, …",
)
@click.option("--text", default="", metavar="WORDS", help="Only calls with this in a transcript.")
@click.option("--limit", type=WholeRange(1), default=50, show_default=True, help="Only the latest calls.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def calls(
    context: click.Context,
    *,
    db: Path,
    since: dt.datetime | None,
    agent: str,
    carrier: str,
    direction: str | None,
    reason: str | None,
    text: str,
    limit: int,
    as_json: bool,
) -> None:
    """List the calls in a file of the SQLite sink, the latest first; `show` prints one, `delete` erases them."""
    context.obj = db
    if context.invoked_subcommand is not None:
        return
    reader = SQLiteReader(db)
    wanted = CallFilter(
        since=None if since is None else _unix(since),
        agent=agent,
        carrier=carrier,
        direction=direction or "",
        reason=reason or "",
        text=text,
        limit=limit,
    )
    rows = [] if reader.is_new else reader.calls(wanted)
    if as_json:
        click.echo(shown_json(msgspec.json.encode(rows)))
    elif not rows:
        click.echo(one_line(_why_none(reader, db, agent=agent, carrier=carrier)))
    else:
        print_calls(Printer(), rows, reader)


@calls.command()
@click.argument("call_id", metavar="ID")
@file_option
@click.option("--transcript", is_flag=True, help="Print what was said, and no more.")
@click.option("--metrics", is_flag=True, help="Print the metrics, and no more; with --transcript, both.")
@click.option("--json", "as_json", is_flag=True, help="Print each record as a line of JSON.")
@click.pass_obj
def show(db: Path, *, call_id: str, transcript: bool, metrics: bool, as_json: bool) -> None:
    """Print what happened on a call. The beginning of its ID is enough if no other call's begins with it."""
    reader = reader_of(db)
    records = reader.records(complete_id(reader, call_id))
    console = Printer()
    if as_json:
        click.echo(shown_json(msgspec.json.Encoder().encode_lines(records)), nl=False)
        return
    if transcript:
        click.echo("\n".join(_transcript(records)))
    elif not metrics:
        _print_timeline(console, records)
    if transcript == metrics:
        console.print()
    if metrics or not transcript:
        _print_stages(console, records)
        _print_metrics(console, records)


def _why_none(reader: SQLiteReader, db: Path, **wanted: str) -> str:
    """Returns why nothing is listed: there are no calls, or none of that agent or carrier, or no option fits."""
    kept = [] if reader.is_new else reader.calls(CallFilter(limit=_RECENT))
    if not kept:
        return no_calls(db)
    for option, value in wanted.items():
        names = sorted({str(getattr(row, option)) for row in kept} - {""})
        if value and value not in names:
            return f"No call has the {option} “{value}”. The latest have {', '.join(names) or 'none'}."
    return "No call fits these options."


def _unix(since: dt.datetime) -> float:
    try:
        return since.timestamp()
    except (OverflowError, ValueError):  # the first or the last day of the calendar, in some time zones
        raise ConfigurationError("--since is out of range.", got=f"{since}") from None


def _transcript(records: list[Record]) -> list[str]:
    return [line for record in records if (line := transcript_line(record.event)) is not None]


def _print_timeline(console: Printer, records: list[Record]) -> None:
    for record in records:
        description = event_words(record.event)
        if description is not None:
            style, text = description
            console.print(Span(f"{record.elapsed_ms / 1000:7.2f} s  ", "dim"), Span(text, style))


def _print_stages(console: Printer, records: list[Record]) -> None:
    """Prints when each stage of an answer was reached, from the end of the caller's speech, where the engine tells."""
    turns = [(record.elapsed_ms, record.event.stages_ms) for record in records if isinstance(record.event, TurnTimings)]
    stages = dict.fromkeys(stage for _, times in turns for stage in times)
    if not stages:
        return
    rows = [
        (f"{elapsed_ms / 1000:.2f} s", *(f"{times[stage]:.0f} ms" if stage in times else "-" for stage in stages))
        for elapsed_ms, times in turns
    ]
    console.table(Table(("answer at", *(stage.replace("_", " ") for stage in stages)), rows))
    console.print()


def _print_metrics(console: Printer, records: list[Record]) -> None:
    """Prints the latest metrics; the final ones, if the call is over."""
    metrics = [record.event.metrics for record in records if isinstance(record.event, CallEnded | MetricsReported)]
    prices = [record.event.cost for record in records if isinstance(record.event, CallPriced)]
    if not metrics:
        console.print("No metrics yet.")
        return
    table = metrics_table(metrics[-1], prices[-1] if prices else None)
    if table.rows:
        console.table(table)
    else:
        console.print("No metrics: the call had no audio.")
