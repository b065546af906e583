"""Words in, words out, one exit code: the verbs are loaded when they are called."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from runner.errors import UsageError

if TYPE_CHECKING:
    from runner.commands.ending import Said

VERBS = {
    "init": "a starter manifest that runs as it stands",
    "check": "everything that is wrong with a manifest, before a cent is spent",
    "plan": "what a run would do, and what it would cost",
    "run": "carry the plan out; run again to go on",
    "preview": "the whole manifest through the studio: free, no key, an animatic in seconds",
    "collect": "watch and fetch what is under way, submit nothing",
    "status": "what is known of every take, without any network",
    "why": "what changed since a take was made, field by field",
    "retake": "want more takes of a shot",
    "pick": "choose the take that a shot's output shows",
    "export": "for editors, spreadsheets and data sets: otio, edl, csv, jsonl, md, numbered files",
    "clean": "list outdated and orphaned takes and caches with bytes, delete after a yes",
    "adopt": "bind a task that you know from the provider's console to a take",
    "again": "allow a new, paid attempt for takes in doubt, failed, lost or absent",
    "reconcile": "look for takes in doubt in the provider's task list",
    "cancel": "cancel takes at the provider, where it can be",
    "board": "the storyboard as one HTML page: posters, players, takes side by side",
    "reel": "one film of the takes that are shown, with a card for each missing shot",
    "models": "the video models, and what each accepts",
    "providers": "the services, and what each does",
    "schema": "a JSON Schema of the catalogue",
    "doctor": "machine, folder and account looked over, without a paid request",
    "studio": "the embedded provider as a server, for anyone's tests",
}


class _Verbs(click.Group):
    """Loads `runner.commands.VERB` only when that verb is asked for: start-up time."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"runner.commands.{name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from runner.judge import suggestion

            hint = suggestion(args[0], VERBS) or "`callsheet --help` lists them"
            raise UsageError(f'there is no command "{args[0]}"', hint=hint) from error


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from runner.version import version

        click.echo(f"callsheet {version()}")
        ctx.exit()


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Say the version.")
def callsheet() -> None:
    """Render the shots of a storyboard: checked before a cent is spent, resumed after any failure, never paid twice.

    \b
      callsheet init film && cd film
      callsheet run

    A manifest that is named nowhere is the only *.callsheet.yaml of the folder.
    """  # noqa: D301 - click's own mark for text that is not to be wrapped


def main(args: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    sys.exit(code(args))


def code(args: list[str] | None = None) -> int:
    """Run the command line; its exit code, never a traceback."""
    color = _color(os.environ)
    with click.Context(callsheet, color=color):  # for what is said when the command has ended: its error
        return _code(sys.argv[1:] if args is None else args, color)


def _color(environ: Mapping[str, str]) -> bool | None:
    """NO_COLOR and FORCE_COLOR as https://no-color.org and https://force-color.org have them; None: colours for terminals."""
    return False if environ.get("NO_COLOR") else True if environ.get("FORCE_COLOR") else None


def _code(words: Sequence[str], color: bool | None) -> int:
    told: Said = {}
    try:
        try:
            result: Any = callsheet.main(args=[*words], prog_name="callsheet", standalone_mode=False, color=color, obj=told)
            return result if isinstance(result, int) else 0
        except BrokenPipeError:
            raise
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last border: what is none of ours is our own bug
            from runner.commands import ending  # not for --version and --help

            return ending.end(error, words, told)
    except KeyboardInterrupt:  # once more, while that was said
        return 130
    except BrokenPipeError:
        # The reader has gone (`| head`); Python's own complaint at exit must not follow.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError:  # a full disk under both streams: nobody can be told, and Python's own complaint at exit would be lost too
        for stream in (sys.stdout, sys.stderr):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return 75


if __name__ == "__main__":
    main()
