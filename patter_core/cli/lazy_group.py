"""Groups of commands: one of which `--help` imports none, and one that says which command may have been meant."""

from __future__ import annotations

import copy
import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import click
from click.shell_completion import CompletionItem

from patter_core.config import did_you_mean
from patter_core.errors import PluginFailed

__all__ = ["LazyGroup", "prepared"]

Prepare = Callable[[], object]


class _SuggestingGroup(click.Group):
    """A group that says of an unknown command which may have been meant.

    Attributes:
        prepare: as of `prepared`, for all commands below.
    """

    prepare: Prepare | None = None

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Returns the command of that name; a group below says what may have been meant, too."""
        found = super().get_command(ctx, cmd_name)
        return None if found is None else prepared(found, self.prepare)

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


def prepared(command: click.Command, prepare: Prepare | None = None) -> click.Command:
    """Returns the same command, as another object; in place of a plain group, one that says what may have been meant.

    Args:
        command: what is to be run.
        prepare: called when a command runs, after its options were read; what it returns becomes `obj` of the root
            context, and of the command's where a group has put nothing there. A group that has a command below run is
            not what runs, unless its class is one of a plugin's.
    """
    if type(command) is click.Group:
        group = _SuggestingGroup(command.name)
        vars(group).update(vars(command))
        command = group
    else:
        command = copy.copy(command)
    if prepare is not None:
        if isinstance(command, _SuggestingGroup):
            command.prepare = prepare
        _prepare_first(command, prepare)
    return command


def _prepare_first(command: click.Command, prepare: Prepare) -> None:
    run = command.callback

    def prepare_and_run(*arguments: object, **options: object) -> object:
        context = click.get_current_context()
        if context.invoked_subcommand is None or not isinstance(command, _SuggestingGroup):
            root = context.find_root()
            root.obj = prepare()
            context.obj = root.obj if context.obj is None else context.obj
        result = None if run is None else run(*arguments, **options)
        if inspect.iscoroutine(result):
            result.close()
            raise PluginFailed(
                f"The command “{context.command_path}” is a coroutine function.",
                expected="a plain function",
                remedy="Let it call `anyio.run`.",
            )
        return result

    command.callback = prepare_and_run


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
        return prepared(command, self.prepare)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the commands' names and texts into the help."""
        for title, rows in self.sections(formatter.width).items():
            with formatter.section(title):
                formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Returns the commands and options that begin so, for a shell. No command is imported."""
        rows = [row for section in self.sections().values() for row in section]
        names = [CompletionItem(name, help=text) for name, text in rows if name.startswith(incomplete)]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]

    def sections(self, width: int = 80) -> dict[str, list[tuple[str, str]]]:
        """Returns the names and texts of the commands, under their titles in the help of that width in characters."""
        names = sorted({*self._texts, *(name for name, command in self.commands.items() if not command.hidden)})
        limit = width - max(map(len, names)) - 6
        texts = {**{name: one.get_short_help_str(limit) for name, one in self.commands.items()}, **self._texts}
        return {"Commands": [(name, texts[name]) for name in names]}
