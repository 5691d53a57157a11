"""`patter events`: what sinks are told, as a table or as JSON Schema."""

from __future__ import annotations

import click

from patter_core.schema import event_schema, event_table

__all__ = ["events"]


@click.command()
@click.option("--schema", is_flag=True, help="Print the JSON Schema of a record.")
def events(*, schema: bool) -> None:
    """Print all events of a call with their fields, as a Markdown table."""
    click.echo(event_schema() if schema else event_table(), nl=not schema)
