"""`callsheet cancel`: take tasks back, where the provider lets them go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import click

import runner
from runner.commands import options
from runner.commands.answering import apart, named, spoken, step_of, unknown
from runner.errors import LockHeld, UsageError
from runner.lock import Entry, Lock, shot_of
from runner.outputs.text import few, table
from runner.plan import Plan
from runner.shots import Manifest

if TYPE_CHECKING:
    from runner.canceling import Canceled


@click.command("cancel")
@click.argument("words", nargs=-1, metavar="[MANIFEST] TAKE…")
@click.option("--all", "everything", is_flag=True, help="Every take that is under way.")
@options.trust_option
@options.json_option
@options.reading
def command(words: Sequence[str], everything: bool, trust: tuple[str, ...], as_json: bool, **how: Any) -> int:
    """Cancel takes at the provider, where it can and the task is still waiting; says what stays under way and billed.

    A run that is alive meanwhile hears of it from the provider, and goes on with the others.

    \b
      callsheet cancel film.callsheet.yaml s010@1 's02*'
      callsheet cancel --all
    """
    manifest, patterns = apart(words) if words else (options.find(None), [])
    if bool(patterns) == everything:
        raise UsageError("cancel takes the names of takes, or --all")
    read = options.read(manifest, told=not as_json, **how)
    environ = options.environ(how["env_file"])
    holder = None
    try:
        with runner.hold(read) as held:
            chosen, takes, others = _sorted_out(read, held.lock, patterns, everything=everything)
            found = _run(partial(runner.cancel, held, takes, trust=trust, environ=environ)) if takes else {}
    except LockHeld as error:
        holder = error
        known = runner.known(read)
        chosen, takes, others = _sorted_out(read, known, patterns, everything=everything)
        others = {take: told for take, told in others.items() if told["outcome"] != "in_doubt"}  # its reply is on its way
        found = _run(partial(runner.cancel_beside, read, takes, trust=trust, environ=environ)) if takes else {}
    shown = {take: told for take, told in others.items() if take in patterns or told["outcome"] == "in_doubt"}
    said_of = {take: _data(found[take]) if take in found else shown[take] for take in chosen if take in found or take in shown}
    if as_json:
        options.say_json(said_of)
    else:
        _say(said_of)
        if left := [take for take, one in found.items() if one.outcome != "canceled"]:
            click.echo(f"still under way and billed as if nothing had been asked: {few(left)}", err=True)
            if not holder:
                click.echo(f"to watch and fetch: {spoken('collect', read, '')}", err=True)
        if holder:
            click.echo(f"{holder.fact}; it hears of it when it next asks, and goes on with the others", err=True)
    return _code(said_of)


def _run(ask: Callable[[], Awaitable[dict[str, Canceled]]]) -> dict[str, Canceled]:
    import anyio  # the road to the network is loaded only now

    return anyio.run(ask)


def _sorted_out(
    read: Manifest, known: Lock, patterns: Sequence[str], *, everything: bool
) -> tuple[dict[str, Entry], list[str], dict[str, dict[str, Any]]]:
    """The takes that are meant, those of them that are under way, and what is said of the others."""
    chosen = _chosen(runner.decide(read, known), known, patterns or ["*"])
    others = {take: _other(entry) for take, entry in chosen.items() if entry.state != "submitted"}
    takes = [take for take in chosen if take not in others]
    if not takes and not (everything or any(entry.state == "intended" for entry in chosen.values())):
        said = "; ".join(f"{take} {told['message']}" for take, told in list(others.items())[:5])
        raise UsageError("none of these takes is under way", hint=said)
    return chosen, takes, others


def _chosen(plan: Plan, known: Lock, patterns: Sequence[str]) -> dict[str, Entry]:
    """The lock's takes that are meant, also by the name that a renamed shot gives them."""
    found = {}
    for take, entry in known.takes.items():
        step = step_of(plan, take)
        names = {take, shot_of(take), *((step.take, step.shot) if step else ())}
        if named(sorted(names), patterns):
            found[take] = entry
    if not found and patterns != ["*"]:
        raise unknown(patterns, plan, known)
    return found


def _other(entry: Entry) -> dict[str, Any]:
    """What is said of a take that has no task under way."""
    if entry.state == "intended":
        message = "is in doubt: its task is not known; reconcile or adopt it first"
        return {"outcome": "in_doubt", "task_id": None, "word": None, "message": message}
    return {"outcome": "not_under_way", "task_id": None, "word": None, "message": f"is {entry.state}, not under way"}


def _data(one: Canceled) -> dict[str, Any]:
    return {"outcome": one.outcome, "task_id": one.task_id, "word": one.word, "message": one.message}


def _say(said_of: Mapping[str, Mapping[str, Any]]) -> None:
    words = {"canceled": click.style("canceled", fg="green"), "in_doubt": click.style("in doubt", fg="red")}
    rows = [[take, words.get(told["outcome"], "not canceled"), told["message"]] for take, told in said_of.items()]
    for line in table(rows):
        click.echo(line)
    if not rows:
        click.echo("no take is under way", err=True)


def _code(said_of: Mapping[str, Mapping[str, Any]]) -> int:
    """1 where a take waits for an answer, 75 where one is still under way, else 0."""
    outcomes = {told["outcome"] for told in said_of.values()}
    if "in_doubt" in outcomes:
        return 1
    return 75 if outcomes - {"canceled", "not_under_way"} else 0
