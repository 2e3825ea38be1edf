"""The `anomalyai` command: a lazy group, so that help never pays for NumPy, Flask or scikit-learn.

A command is a module `web.commands.<name>` with a `command: click.Command`. The table below is all that
`anomalyai --help` reads; a module is imported when its command is called. Exit codes: 0 done, 1 failed,
2 usage. Progress goes to stderr, results to stdout.
"""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from typing import Any

import click

from anomalyai.errors import AnomalyAIError

COMMANDS = {
    "serve": "Run the server: ingest, scoring, alerts and the live page.",
    "demo": "Run the server with a starter model and a simulated feed.",
    "simulate": "Make a labelled event stream and send it, or write it to a file.",
    "sample": "Write a labelled sample file.",
    "replay": "Send the records of a file to a server.",
    "train": "Train a model on the records of a file.",
    "score": "Score the records of a file.",
    "models": "List stored models, put one into a feed, take it back.",
    "backtest": "Measure detection on a labelled file.",
    "evaluate": "Evaluate detection on a file, beside simpler scorers.",
    "whatif": "Show what another model or budget would have flagged.",
    "repair": "Save what can be read of a damaged database.",
    "bench": "Measure speed on this machine.",
}


class LazyGroup(click.Group):
    """A click group that imports a command's module only when that command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands whose module is installed, in the table's order."""
        return [name for name in COMMANDS if find_spec(f"web.commands.{name}") is not None]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command; None when there is no such command."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command = importlib.import_module(f"web.commands.{cmd_name}").command
        if not isinstance(command, click.Command):
            raise TypeError(
                f"web.commands.{cmd_name}.command is a {type(command).__name__}, not a click command"
            )
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the table, without importing one of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in self.list_commands(ctx)])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error of ours becomes one line on stderr and exit code 1."""
        try:
            return super().invoke(ctx)
        except AnomalyAIError as error:
            raise click.ClickException(describe(error)) from error


def describe(error: AnomalyAIError) -> str:
    """Return an error of ours as one line: what happened, where, what to do."""
    where = f" (at {error.field})" if error.field and error.field not in error.message else ""
    return f"{error}{where}"


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="anomalyai", message="%(prog)s %(version)s")
def cli() -> None:
    """Show which events of a stream are anomalous, how rare each is, and why."""


def main() -> None:
    """Run the console script; never returns."""
    cli(prog_name="anomalyai")


if __name__ == "__main__":
    main()
