"""`callsheet run`: carry the plan out."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

import runner
from runner import money
from runner.budget import Caps
from runner.commands import absent, options, unblocking
from runner.commands.answering import spoken
from runner.errors import Refused, UsageError
from runner.lock import shot_of
from runner.outputs import progress
from runner.outputs.data import plan_json
from runner.outputs.text import few, totals
from runner.plan import Plan
from runner.report import Report
from runner.unseen import marked


@click.command("run")
@options.manifest_argument
@click.option(
    "--plan",
    "saved",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Carry out this plan, or nothing if the world has moved.",
)
@click.option("--yes", is_flag=True, help="Do not ask before paid submits.")
@click.option("--fail-fast", is_flag=True, help="After a take has failed, submit no more.")
@click.option("--max-cost", metavar="N", help="Spend at most this in this run: 12.50, or USD=12.50.")
@click.option("--max-seconds", type=click.FloatRange(min=0), metavar="N", help="At most so many seconds of video in this run.")
@click.option("--max-takes", type=click.IntRange(min=0), metavar="N", help="At most so many paid takes in this run.")
@click.option(
    "--in-flight", type=click.IntRange(min=1), metavar="N", help="Tasks under way at once, never above the provider's limit."
)
@options.trust_option
@options.json_option
@options.reading
@options.selecting
def command(
    manifest: Path | None,
    saved: Path | None,
    yes: bool,
    fail_fast: bool,
    max_cost: str | None,
    max_seconds: float | None,
    max_takes: int | None,
    in_flight: int | None,
    trust: tuple[str, ...],
    as_json: bool,
    **how: Any,
) -> int:
    """Submit what is missing, watch it, fetch it, write the lock. Interrupted? Run again: it goes on where it stopped.

    \b
      callsheet run film.callsheet.yaml
      callsheet run --provider qwencloud --max-cost USD=5
      callsheet plan --out tonight.json && callsheet run --plan tonight.json
    """
    chosen = options.Selection(**{name: how.pop(name) for name in ("only", "skip", "scene", "state", "limit")})
    environ = options.environ(how["env_file"])
    told = _Told(as_json)
    read = options.read(manifest, told=not as_json, **how)
    with runner.hold(read) as held:
        plan = runner.decide(read, held.lock)
        if chosen:
            plan = runner.decide(read, held.lock, only=chosen.chosen(plan, held.lock))
        if saved:
            _same(saved, plan)
        caps = _caps(max_cost, max_seconds, max_takes, plan)
        _announce(plan, quiet=as_json)
        _approve(plan, environ, trust, yes=yes, capped=bool(caps), held=held)
        road = partial(runner.run, max_cost=caps, fail_fast=fail_fast, in_flight=in_flight)
        report = told.carry_out(partial(road, trust=trust, environ=environ, signals=True), plan, held)
        return told.end(report, plan)


class _Told:
    """How the run is told: live or in lines, or as JSON events."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.seq = 0
        self.run = ""

    def carry_out(self, road: Callable[..., Any], plan: Plan, held: runner.Held) -> Report:
        import anyio  # the road to the network is loaded only now

        report: Report
        self.held = held
        if self.as_json:
            report = anyio.run(partial(road, plan, held, on_event=self._line))
        else:
            with progress.view(plan, held.lock) as view:
                report = anyio.run(partial(road, plan, held, on_event=view))
        return report

    def _line(self, event: Mapping[str, Any]) -> None:
        self.seq, self.run = event["seq"] + 1, event["run"]
        options.say_line(event)

    def _report(self, data: Mapping[str, Any]) -> None:
        import time

        from runner.clock import stamp

        self._line({"event": "report", "at": stamp(time.time()), "run": self.run, "seq": self.seq, **data})

    def end(self, report: Report, plan: Plan) -> int:
        if self.as_json:
            self._report(report.data)
        else:
            _summary(report, plan, self.held)
        return report.exit_code


def _same(saved: Path, plan: Plan) -> None:
    """A saved plan is carried out as it was shown, or not at all."""
    try:
        before = json.loads(saved.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(f"{saved}: this is no plan") from error
    if before != {**json.loads(json.dumps(plan_json(plan))), "serial": plan.serial}:
        raise Refused(
            "the plan no longer fits: the manifest, its files or the lock have changed since", hint="plan again, and look at it"
        )


def _caps(cost: str | None, seconds: float | None, takes: int | None, plan: Plan) -> Caps:
    moneys: dict[str, int] = {}
    if cost is not None:
        currencies = sorted({step.cost.currency for step in plan.doing("submit") if step.cost and step.cost.micros})
        name, equals, number = cost.partition("=")
        if not equals and len(currencies) > 1:
            raise UsageError(f"this plan costs {' and '.join(currencies)}", hint=f"say which: --max-cost {currencies[0]}={cost}")
        try:
            moneys[name.upper() if equals else (currencies or ["USD"])[0]] = money.micros(number if equals else cost)
        except ValueError as error:
            raise UsageError(f'--max-cost: "{cost}" is not an amount', hint="12.50, or USD=12.50") from error
    return Caps(money=moneys, seconds=seconds, takes=takes)


def _announce(plan: Plan, *, quiet: bool, submits_nothing: bool = False) -> None:
    if not quiet:
        manifest = plan.manifest
        by_default = "  (no provider named: the studio, free)" if manifest.provider_defaulted else ""
        title = click.style(marked(manifest.title or manifest.name), bold=True)
        click.echo(f"{title}: {totals(plan, submits_nothing=submits_nothing)}{by_default}", err=True)
        if not submits_nothing and (hint := _font_hint(plan)):
            click.echo(hint, err=True)


def _font_hint(plan: Plan) -> str | None:
    """What to install so that the studio's cards can show every prompt; None where they can."""
    prompts = {shot.id: shot.prompt or "" for shot in plan.manifest.shots}
    carded = "".join(prompts.get(step.shot, "") for step in plan.doing("submit") if step.provider == "studio")
    if carded.isascii():
        return None
    from runner.studio.animatic import missing_font_hint  # looks through the machine's fonts

    return missing_font_hint(carded)


def _approve(
    plan: Plan, environ: Mapping[str, str], trust: tuple[str, ...], *, yes: bool, capped: bool, held: runner.Held
) -> None:
    """Paid submits need a yes, or a cap that says how far they may go."""
    from runner import gates

    paid = gates.paid_steps(plan)
    gates.check_lock(plan, held.lock)
    gates.check_spending(plan, held.lock, Caps(), environ)
    if not paid or yes:
        return
    gates.keys(plan, held.lock, environ, trust)  # nobody is asked for a yes that cannot be carried out
    if not sys.stdin.isatty():
        if capped or plan.manifest.budget:
            return
        raise Refused(
            f"{len(paid)} takes are paid for, and there is no terminal to ask on",
            hint="add --yes, or a cap: --max-cost, or budget: in the manifest",
        )
    if not click.confirm(f"Submit {len(paid)} paid takes?", err=True):
        raise Refused("not approved, nothing was sent")


# What a state means when no run is alive any more.
_ENDED = {"intended": "in doubt", "submitted": "under way", "rendered": "to be fetched"}
_LAST = ("outdated", "orphaned")


def _summary(report: Report, plan: Plan, held: runner.Held) -> None:
    """What happened in a line or two, and what to do next."""
    if report.exit_code in {130, 143}:
        click.echo("stopped; whatever was sent is written down", err=True)
    elif not plan.has_work:
        click.echo("nothing to do, no request was sent", err=True)
    if plan.has_work:
        click.echo(_counted(report), err=True)
    for sums in report.data["cost"]:
        click.echo(
            f"{sums['currency']}: {sums['spent']} spent, {sums['under_way']} under way, {sums['in_doubt']} in doubt", err=True
        )
    for line in _advice(report, plan, held):
        click.echo(line, err=True)


def _counted(report: Report) -> str:
    """How many takes stand how, each told once, in the words that hold when no run is alive."""
    left = {take: word for word in ("absent", "blocked") for take in report.left.get(word, ())}
    words = {one["take"]: _standing(one) for one in report.data["takes"]} | left
    counts = Counter(sorted(words.values(), key=lambda word: (word in _LAST, word)))
    return ", ".join(f"{count} {word}" for word, count in counts.items())


def _standing(take: Mapping[str, Any]) -> str:
    """A saved take that no shot wants any more is not among those that the storyboard has."""
    if take["state"] == "saved" and not take["current"]:
        return "orphaned" if take["orphaned"] else "outdated"
    return _ENDED.get(take["state"]) or str(take["state"])


def _outshone(takes: Sequence[Mapping[str, Any]]) -> Iterable[tuple[str, str]]:
    """Outdated takes that are picked, each with the newest current one of its shot: nobody else says why the output stays."""
    newest = {shot_of(one["take"]): one["take"] for one in takes if one["current"] and one["state"] == "saved"}
    for one in takes:
        newer = newest.get(shot_of(one["take"]))
        if newer and one["picked"] and not one["current"]:
            yield one["take"], newer


def _advice(report: Report, plan: Plan, held: runner.Held) -> Iterable[str]:
    """The next command, where there is one."""
    manifest = plan.manifest
    path = spoken("", manifest, "").removeprefix("callsheet ")  # and the profile and provider that were asked for
    if asking := report.left.get("answer"):
        yield f"waiting for your answer: {few(asking)}"
        yield f"see why: callsheet status {path}; pay for a new attempt: callsheet again {path} TAKE"
        doubtful = {one["take"]: one["current"] for one in report.data["takes"] if one["in_doubt"]}
        if doubtful.keys() & set(asking):
            yield f"in doubt, perhaps paid for: callsheet reconcile {path} looks again, callsheet adopt {path} TAKE TASK_ID binds a task you found"
        if outdated := [take for take in asking if doubtful.get(take) is False]:
            yield f"in doubt and no longer asked for: callsheet again {path} --give-up {' '.join(outdated[:3])}"
    yield from absent.advice(manifest, report.left.get("absent", ()))
    if report.left.get("blocked"):
        yield from unblocking.after(held, plan)
    for picked, newer in _outshone(report.data["takes"]):
        why = "so output does not show" if picked in held.lock.here else "and its file is not here; there is"
        yield f"{picked} is picked and outdated, {why} {newer}: callsheet pick {path} {newer}"
    if report.exit_code in {130, 143, 75}:
        until = report.data["fetch_before"]
        before = f" before {until}, when the first link dies" if until else ""
        yield f"to go on{before}: callsheet run {path}"
    elif not report.exit_code:
        here = {shot_of(take) for take in held.lock.here}
        folders = sorted({(manifest.folder / shot.output).parent.as_posix() for shot in manifest.shots if shot.id in here})
        if not folders:
            return  # nothing that could be looked at
        yield f"renders in {few(folders)}; to look at them: callsheet board {path}, or callsheet reel {path}"
