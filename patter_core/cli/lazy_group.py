"""Groups of commands: one of which `--help` imports none, and one that says which command may have been meant."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

from patter_core.config import did_you_mean

__all__ = ["LazyGroup", "suggesting"]


class _SuggestingGroup(click.Group):
    """A group that says of an unknown command which may have been meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Returns the command that the arguments begin with. An error says which may have been meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            if args[0].startswith("-"):
                raise
        known = [
            name for name in self.list_commands(ctx) if name not in self.commands or not self.commands[name].hidden
        ]
        all_of_them = f"There {'is' if len(known) == 1 else 'are'} {', '.join(known) or 'none'}."
        return ctx.fail(f"No such command '{args[0]}'. {did_you_mean(args[0], known) or all_of_them}")


def suggesting(command: click.Command) -> click.Command:
    """Returns a command; in place of a plain group, the same one that says which command may have been meant."""
    if type(command) is not click.Group:
        return command
    for name, one in command.commands.items():
        command.commands[name] = suggesting(one)
    group = _SuggestingGroup(command.name)
    vars(group).update(vars(command))
    return group


class LazyGroup(_SuggestingGroup):
    """A group with commands that it only knows by name, beside those that were added to it.

    Each is a module, which is imported when the command is run.

    Args:
        modules: the beginning of the modules' names: the command `name` is the attribute `name` of `<modules><name>`.
        texts: by the command's name, the first line of its help.
    """

    def __init__(self, *arguments: Any, modules: str, texts: Mapping[str, str], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._modules, self._texts = modules, texts

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the names of all, sorted."""
        return sorted({*self._texts, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Returns the command of that name; its module is imported now."""
        if cmd_name not in self._texts or cmd_name in self.commands:
            return super().get_command(ctx, cmd_name)
        command: object = getattr(importlib.import_module(f"{self._modules}{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)  # each of these modules has one
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the commands' names and texts into the help."""
        names = sorted({*self._texts, *self.commands})
        width = max(map(len, names))
        rows = []
        for name in names:
            added = self.commands.get(name)
            text = self._texts[name] if added is None else added.get_short_help_str(formatter.width - width - 6)
            rows.append((name, text))
        with formatter.section("Commands"):
            formatter.write_dl(rows)
