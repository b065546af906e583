"""`callsheet reconcile`: ask the provider's task list about takes in doubt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import runner
from runner.commands import options
from runner.commands.answering import spoken
from runner.outputs.text import few, table

if TYPE_CHECKING:
    from runner.answering import Reconciled
    from runner.reconcile import Verdict
    from runner.shots import Manifest

_SETTLED = {"bound", "never_arrived"}


@click.command("reconcile")
@options.manifest_argument
@options.trust_option
@options.json_option
@options.reading
def command(manifest: Path | None, trust: tuple[str, ...], as_json: bool, **how: Any) -> int:
    """Look for takes in doubt in their provider's task list. What is beyond doubt is bound; for the rest it says why not.

    Submits nothing. It may have to wait until a task has ended, since only then its prompt can be seen.

    \b
      callsheet reconcile film.callsheet.yaml
    """
    import anyio  # the road to the network is loaded only now

    read = options.read(manifest, told=not as_json, **how)
    with runner.hold(read) as held:
        if held.lock.orphaned_run and not as_json:
            click.echo(_warning(held.lock.orphaned_run.host), err=True)
        found = anyio.run(
            partial(runner.settle, held, _Waiting(quiet=as_json), trust=trust, environ=options.environ(how["env_file"]))
        )
        providers = {take: entry.provider or "" for take, entry in held.lock.takes.items()}
    open_ = [one for one in found.verdicts if one.finding not in _SETTLED]
    if as_json:
        options.say_json(_data(found, providers))
    else:
        _say(found, read, providers)
    if any(one.finding != "no_answer" for one in open_):
        return 1
    return 75 if open_ or not found.is_settled else 0


def _warning(host: str) -> str:
    return f"the lock names a run on {host} whose journal is not here; go on only if that run has ended"


class _Waiting:
    """Says once what a long look is waiting for."""

    def __init__(self, *, quiet: bool) -> None:
        self.is_said = quiet

    def __call__(self, event: Mapping[str, Any]) -> None:
        if event["event"] == "waiting" and not self.is_said:
            self.is_said = True
            click.echo(f"waiting: {event['reason']}", err=True)


def _data(found: Reconciled, providers: Mapping[str, str]) -> dict[str, Any]:
    run = found.run
    return {
        "bound": [{"take": one.take, "task_id": one.task_id} for one in found.verdicts if one.finding == "bound"],
        "never_arrived": [one.take for one in found.verdicts if one.finding == "never_arrived"],
        "in_doubt": [
            {
                "take": one.take,
                "reason": one.finding,
                "message": _message(one, providers.get(one.take, "")),
                "candidates": list(one.candidates),
            }
            for one in found.verdicts
            if one.finding not in _SETTLED
        ],
        "run": {"id": run.id, "host": run.host, "since": run.since, "settled": found.is_settled} if run else None,
    }


def _say(found: Reconciled, manifest: Manifest, providers: Mapping[str, str]) -> None:
    """A line a take, then what to do about those that stay in doubt."""
    states = {"bound": click.style("bound", fg="green"), "never_arrived": "not sent"}
    doubt = click.style("in doubt", fg="red")
    rows = [[one.take, states.get(one.finding, doubt), _message(one, providers.get(one.take, ""))] for one in found.verdicts]
    for line in table(rows):
        click.echo(line)
    if not rows:
        click.echo("no take is in doubt", err=True)
    for line in _advice(found, manifest):
        click.echo(line, err=True)


def _advice(found: Reconciled, manifest: Manifest) -> Iterable[str]:
    findings = {one.finding for one in found.verdicts}
    if findings - _SETTLED - {"no_answer"}:
        yield f"a task that you know: {spoken('adopt', manifest, 'TAKE TASK_ID')}"
        yield f"pay for a new attempt: {spoken('again', manifest, 'TAKE')}"
    if "no_answer" in findings:
        yield f"to try again: {spoken('reconcile', manifest, '')}"
    if found.run and found.is_settled:
        yield f"the run on {found.run.host} has been looked into; takes that it surely did not send can be submitted again"
    if findings & _SETTLED:
        yield f"to go on: {spoken('run', manifest, '')}"


def _message(one: Verdict, provider: str) -> str:
    """Why a take is bound or not, in one clause."""
    tasks = f"task {one.candidates[0]}" if len(one.candidates) == 1 else f"{len(one.candidates)} tasks"
    match one.finding:
        case "bound":
            return f"task {one.task_id}"
        case "never_arrived":
            return "the request never arrived; the next run submits it"
        case "no_list":
            return f"{provider or 'its provider'} has no task list that could be asked"
        case "no_answer":
            return "the list could not be had whole, or a lock beside this one not be read"
        case "other_account":
            return "it was sent with another key or to another host; reconcile with those"
        case "too_old":
            return "it was sent longer ago than the list reaches back"
        case "no_candidate":
            return "no task of the list fits; it may not have arrived, or the list may be late"
        case "hidden":
            return f"{tasks} may be its own, but shows no prompt"
        case "several":
            return f"{tasks} may be its own, {one.alike or 'none'} with its prompt: {few(one.candidates, 3)}"
        case "rivals":
            return f"{tasks} fits, but another take in doubt as well"
        case "no_time":
            return f"{tasks} has its prompt, but nothing here says when this take was sent"
        case "other_key":
            return f"{tasks} fits, but several keys are at work in that account and nothing says which is ours"
