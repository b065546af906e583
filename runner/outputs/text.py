"""Problems, plans, reports → lines for people; no colours here but those click strips where they are not wanted."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from runner import money
from runner.unseen import marked, marked_beside_styles

if TYPE_CHECKING:
    from runner.errors import Problem
    from runner.money import Money
    from runner.plan import Plan, Step

_COLORS = {
    "submit": "yellow", "watch": "cyan", "fetch": "cyan", "keep": "green", "absent": "bright_black", "answer": "red", "blocked": "red",
    "saved": "green", "failed": "red", "lost": "red", "canceled": "red", "intended": "red", "submitted": "cyan", "rendered": "cyan",
}  # fmt: skip


def problem_lines(problems: Iterable[Problem]) -> Iterable[str]:
    """`FILE:LINE:COLUMN: error: fact [CODE]`, the hint below it."""
    for problem in problems:
        kind = click.style(problem.severity, fg="red" if problem.severity == "error" else "yellow", bold=True)
        shot = f"shot {problem.shot}: " if problem.shot else ""
        yield f"{marked(str(problem.place))}: {kind}: {marked(f'{shot}{problem.message}')} [{problem.code}]"
        if problem.hint:
            yield f"    hint: {marked(problem.hint)}"


def table(rows: Sequence[Sequence[str]], head: Sequence[str] = ()) -> Iterable[str]:
    """Columns as wide as their content; the last one is left ragged."""
    told = [[*map(marked_beside_styles, row)] for row in ([head, *rows] if head else rows)]
    if not told:
        return
    widths = [max(len(click.unstyle(row[column])) for row in told) for column in range(len(told[0]))]
    for number, row in enumerate(told):
        cells = [cell + " " * (width - len(click.unstyle(cell))) for cell, width in zip(row, widths, strict=True)]
        line = "  ".join(cells).rstrip()
        yield click.style(line, dim=True) if head and number == 0 else line


def plan_lines(plan: Plan) -> Iterable[str]:
    """Every step with its reason, seconds and cost, then the totals."""
    rows = [
        [colored(step.action), step.take, step.model, step.provider, length(step), cost(step), marked(step.reason)]
        for step in plan.steps
    ]
    yield from table(rows, ("step", "take", "model", "provider", "length", "cost", "why"))
    yield ""
    yield totals(plan)


def length(step: Step) -> str:
    return f"{step.seconds:g} s" if step.seconds is not None else "-"


def cost(step: Step) -> str:
    if step.action != "submit":
        return "-"
    return "?" if step.cost is None else "free" if not step.cost.micros else f"{step.cost}"


def totals(plan: Plan, *, submits_nothing: bool = False) -> str:
    """One sentence: how much is to be done and what it costs."""
    submits = plan.doing("submit")
    others = {name: len(plan.doing(name)) for name in ("watch", "fetch", "keep", "absent", "answer", "blocked")}
    words = {
        "watch": "under way", "fetch": "to fetch", "keep": "saved", "absent": "absent", "answer": "waiting for your answer", "blocked": "blocked",
    }  # fmt: skip
    what = "that only a run submits" if submits_nothing else f"to submit{_price(submits)}"
    parts = [f"{len(submits)} {what}"] if submits else []
    parts += [f"{count} {words[name]}" for name, count in others.items() if count]
    return (", ".join(parts) or "no takes") + "."


def _price(submits: Sequence[Step]) -> str:
    seconds = sum(step.seconds or 0 for step in submits)
    return f" ({seconds:g} s of video, {price(submits)})"


def price(submits: Sequence[Step]) -> str:
    """What these steps cost together, by currency, and how many have no price."""
    return priced([step.cost for step in submits])


def priced(costs: Sequence[Money | None]) -> str:
    """The sum of these by currency, and how many have no price."""
    sums = money.total(cost for cost in costs if cost and cost.micros)
    unpriced = sum(1 for cost in costs if cost is None)
    said = [f"{money.amount(micros)} {currency}" for currency, micros in sorted(sums.items())]
    said += [f"{unpriced} of unknown price"] if unpriced else []
    return " + ".join(said) or "free"


def status_lines(data: Mapping[str, Any], away: Container[str] = ()) -> Iterable[str]:
    """The report as a table, what it cost, and what to do next; `away` are saved takes whose files are not here."""
    rows = [
        [
            take["take"],
            colored(take["state"]),
            marks(take),
            take.get("model") or "-",
            take.get("provider") or "-",
            marked(detail(take)) + (f" ({_away(take)})" if take["take"] in away else ""),
        ]
        for take in data["takes"]
    ]
    if rows:
        yield from table(rows, ("take", "state", "", "model", "provider", ""))
    else:
        yield "no such take" if data["counts"] else "no takes yet"
    for sums in data["cost"]:
        yield f"{sums['currency']}: {sums['spent']} spent, {sums['under_way']} under way, {sums['in_doubt']} in doubt"
    if data["fetch_before"]:
        yield f"the first link to be fetched dies at {data['fetch_before']}"


def _away(take: Mapping[str, Any]) -> str:
    return f"deleted by clean on {take['cleaned_at'][:10]}" if take.get("cleaned_at") else "not here"


def marks(take: Mapping[str, Any]) -> str:
    said = [name for name in ("picked", "orphaned") if take[name]]
    return ", ".join([*said, *(["outdated"] if take["current"] is False and not take["orphaned"] else [])])


def detail(take: Mapping[str, Any]) -> str:
    """What a take's line says last: its file, its error, its task."""
    attempt = take["attempts"][-1] if take["attempts"] else {}
    error = attempt.get("error")
    if take["in_doubt"]:
        return "in doubt: it may have been paid for"
    if error:
        return f"{error['code']}: {error['message']}"
    if take["state"] == "wanted":
        return "asked for, the next run submits it"
    if take["state"] == "saved":
        remarks = take["render"].get("remarks")
        return f"{take['render']['path']}{'; but ' + ', '.join(remarks) if remarks else ''}"
    return f"task {attempt['task_id']}" if attempt.get("task_id") else ""


def few(names: Sequence[str], most: int = 8) -> str:
    """Names in a row, the rest as a number."""
    return ", ".join(names[:most]) + (f" … ({len(names)} in all)" if len(names) > most else "")


def colored(word: str) -> str:
    return click.style(word, fg=_COLORS.get(word))
