"""`callsheet adopt`: bind tasks that a person knows from the provider's console."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import runner
from runner.commands import options
from runner.commands.answering import apart, spoken
from runner.errors import UsageError
from runner.outputs.text import table

if TYPE_CHECKING:
    from runner.adopting import Adopted, Declined

_HOW = "callsheet adopt film.callsheet.yaml s010@1 TASK_ID, or --from FILE with a line `TAKE TASK_ID` for each"


@click.command("adopt")
@click.argument("words", nargs=-1, metavar="[MANIFEST] [TAKE TASK_ID]")
@click.option("--from", "listed", metavar="FILE", help="Read lines `TAKE TASK_ID` from this file, or from standard input (-).")
@options.trust_option
@options.json_option
@options.reading
def command(words: Sequence[str], listed: str | None, trust: tuple[str, ...], as_json: bool, **how: Any) -> int:
    """Bind a task that the provider's console shows to a take in doubt. The provider is asked first, nothing is submitted.

    Takes that are failed, canceled, lost, absent or not yet made can be given a task too. The next run fetches it.

    \b
      callsheet adopt film.callsheet.yaml s010@1 cf7185ba-9489-477c
      callsheet adopt --from found.txt
    """
    import anyio  # the road to the network is loaded only now

    manifest, rest = apart(words) if words else (options.find(None), [])
    if len(rest) != (0 if listed else 2):
        raise UsageError("adopt takes a take and a task id, or --from FILE", hint=_HOW)
    pairs = _read(listed) if listed else [(rest[0], rest[1])]
    read = options.read(manifest, told=not as_json, **how)
    with runner.hold(read) as held:
        found = anyio.run(partial(runner.adopt, held, pairs, trust=trust, environ=options.environ(how["env_file"])))
    adopted, refused = _told(found)
    if as_json:
        options.say_json({"adopted": adopted, "refused": refused})
        return 3 if refused else 0
    for line in table(
        [[one["take"], click.style("adopted", fg="green"), f"task {one['task_id']} ({one['word']})"] for one in adopted]
    ):
        click.echo(line)
    for one in refused:
        click.echo(f"{click.style('callsheet: error:', fg='red', bold=True)} {one['take']}: {one['reason']}", err=True)
        if one["hint"]:
            click.echo(f"callsheet: hint: {one['hint']}", err=True)
    if adopted:
        click.echo(f"to fetch {'it' if len(adopted) == 1 else 'them'}: {spoken('collect', read, '')}", err=True)
    return 3 if refused else 0


def _told(found: Iterable[Adopted | Declined]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The two lists of the JSON object; what a person has typed is cleaned, for it is shown."""
    from runner.answers import clean

    adopted: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    for one in found:
        names = {"take": clean(one.take, 80), "task_id": clean(one.task_id, 120)}
        if hasattr(one, "word"):
            adopted.append({**names, "word": one.word})
        else:
            refused.append({**names, "reason": one.reason, "hint": one.hint})
    return adopted, refused


def _read(listed: str) -> list[tuple[str, str]]:
    """The pairs of a file; raises UsageError naming the first line that is none."""
    try:
        text = sys.stdin.read() if listed == "-" else Path(listed).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{listed}: cannot be read") from error
    pairs = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if words and len(words) != 2:
            raise UsageError(f"{listed}:{number}: not a take and a task id", hint="a line is `TAKE TASK_ID`; nothing was bound")
        if words:
            pairs.append((words[0], words[1]))
    if not pairs:
        raise UsageError(f"{listed}: there is no take in it", hint="a line is `TAKE TASK_ID`")
    return pairs
