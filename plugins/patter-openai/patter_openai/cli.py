"""`patter openai`: shows what a key may use."""

from __future__ import annotations

import anyio
import click

from patter_core.observe.terminal import one_line
from patter_openai.config import Service
from patter_openai.rest import voice_models

__all__ = ["openai"]


@click.group()
def openai() -> None:
    """Show what an OpenAI key may use."""


@openai.command()
@click.option("--base-url", default="", help="Of another service. Default: OPENAI_BASE_URL.")
def models(*, base_url: str) -> None:
    """List the Realtime and Live models that the key may use.

    The API key is read from OPENAI_API_KEY.
    """
    found = anyio.run(voice_models, Service.resolve("OpenAIRealtime", base_url=base_url))
    for name in found:
        click.echo(one_line(name))
    if not found:
        click.echo("The key may use no Realtime or Live model.")
