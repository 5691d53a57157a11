"""For how long the start of a call holds up the event loop: `python -m tests.bench.starts --live 20 --calls 50`.

Calls are started one after the other beside live ones, which talk, with TLS to the engine. Told are the longest step of
the loop at the very first call and at the others, in CPU time (see `steps`), and how late the live calls' audio was.
"""

from __future__ import annotations

import click
import msgspec

from patter_core.observe.printing import Printer, Table
from tests.bench import protocol
from tests.bench.certificates import trusted_certificate
from tests.bench.control import Child
from tests.bench.measure import SETTLE, Latency
from tests.bench.steps import Longest, LongestAsked

__all__ = ["Starts", "measure"]


class Starts(msgspec.Struct, frozen=True):
    """One run."""

    first: Longest
    """At the first call of the process."""
    others: Longest
    """At the calls that were started beside live ones, and at those beside them."""
    added: Latency
    """Of the live calls' audio meanwhile, in both directions."""
    fault_count: int


def measure(transport: str, *, live: int, calls: int) -> Starts:
    """Start calls beside live ones.

    Raises:
        BenchFailed: it could not be measured.
    """
    with (
        trusted_certificate() as pem,
        Child("load", "-1", "twilio", "elevenlabs", pem) as load,
        Child("steps", transport, load.ready.url, load.ready.api_url) as target,
    ):

        def dial(count: int, *, beside: bool) -> None:
            url = f"{target.ready.url}/webhooks/twilio/voice"
            command = protocol.Dial(url, count, protocol.Profile.WORST, "ulaw_8000", beside)
            load.ask(command, protocol.Done)

        target.ask(LongestAsked(), Longest)  # before the first call
        dial(1, beside=False)
        first = target.ask(LongestAsked(), Longest)
        dial(live, beside=True)
        target.ask(LongestAsked(), Longest)
        load.ask(protocol.Begin(), protocol.Done)
        dial(calls, beside=True)
        others = target.ask(LongestAsked(), Longest)
        measured = load.ask(protocol.End(), protocol.Measured)
        tally = load.ask(protocol.HangUp(settle=SETTLE), protocol.Tally)
    added = Latency.of([*measured.to_engine_ms, *measured.to_caller_ms])
    return Starts(first=first, others=others, added=added, fault_count=tally.fault_count)


@click.command()
@click.option("--live", default=20, show_default=True, help="Calls that talk meanwhile.")
@click.option("--calls", default=50, show_default=True, help="That are started.")
@click.option("--transports", default="websockets,picows", show_default=True)
def main(*, live: int, calls: int, transports: str) -> None:
    """Measure for how long a call's start holds up the event loop."""
    titles = ("transport", "first call", "the others", "added latency p50", "p99", "max", "faults", "longest")
    rows = list[tuple[str, ...]]()
    for transport in transports.split(","):
        found = measure(transport, live=live, calls=calls)
        steps = (f"{found.first.ms:.1f} ms", f"{found.others.ms:.1f} ms")
        added = (f"{found.added.p50:.2f} ms", f"{found.added.p99:.2f} ms", f"{found.added.most:.1f} ms")
        rows.append((transport, *steps, *added, str(found.fault_count), found.others.what[:60]))
    Printer().table(Table(titles, rows))


if __name__ == "__main__":
    main()
