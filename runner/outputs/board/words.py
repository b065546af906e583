"""What the lock and the plan know, in a director's words: states, lengths, money, parameters."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from runner import explain, money
from runner.budget import committed
from runner.catalog import Model
from runner.fate import Action
from runner.fit import mega
from runner.lock import Entry, Lock
from runner.outputs import text
from runner.plan import Step

# Four colours at most, and each only beside its word.
Tone = str
TONES: Mapping[str, Tone] = {
    "saved": "good", "keep": "good", "picked": "mark", "wanted": "wait", "submitted": "wait", "rendered": "wait",
    "new": "wait", "submit": "wait", "watch": "wait", "fetch": "wait", "intended": "bad", "failed": "bad", "lost": "bad",
    "canceled": "bad", "answer": "bad", "blocked": "bad",
}  # fmt: skip
ACTIONS: Mapping[Action, str] = {
    "submit": "to be submitted",
    "watch": "under way",
    "fetch": "to be fetched",
    "keep": "saved",
    "absent": "absent",
    "answer": "needs your answer",
    "blocked": "blocked",
}
# What a shot is called when its takes differ: the first that is found.
URGENCY: tuple[Action, ...] = ("answer", "blocked", "absent", "fetch", "watch", "submit", "keep")


def tone(word: str) -> Tone:
    return TONES.get(word, "calm")


def next_step(step: Step) -> str | None:
    """What the next run does about a take, and what that costs; None where there is nothing to say."""
    if step.action == "keep":
        return f"the next run takes it over: {step.reason}" if step.was else None
    if step.action != "submit":
        return step.reason
    price = "price unknown" if step.cost is None else str(step.cost) if step.cost.micros else "free"
    return f"{step.reason}; {price}"


def doing(steps: Sequence[Step]) -> Iterable[str]:
    """What the next run does about a shot: `renders s010@2 (5 s, 0.50 USD)`."""
    groups: dict[tuple[str, ...], list[Step]] = {}
    for step in steps:
        if step.action == "submit":
            groups.setdefault(step.after, []).append(step)
    for after, submits in groups.items():
        behind = f" after {', '.join(after)}" if after else ""
        yield f"renders {', '.join(step.take for step in submits)}{behind} ({bill(submits)})"
    for step in steps:
        if step.was and step.action == "keep":
            yield f"takes {step.was} over as {step.take}"
        elif step.action not in {"submit", "keep"}:
            yield f"{step.take}: {step.reason}"


def bill(submits: Sequence[Step]) -> str:
    """`5 s, 0.50 USD`: what is rendered, and for how much; the seconds only where all of them are known."""
    seconds = [step.seconds for step in submits if step.seconds]
    return ", ".join([*([length(sum(seconds))] if len(seconds) == len(submits) else []), text.price(submits)])


def rest(steps: Sequence[Step]) -> str:
    """What the next run does about these steps together: `renders 7 takes (17 s, 1.70 USD), 1 needs your answer`."""
    submits = [step for step in steps if step.action == "submit"]
    said = [f"renders {len(submits)} take{'s' * (len(submits) > 1)} ({bill(submits)})"] if submits else ["renders nothing"]
    for action in URGENCY:
        count = sum(1 for step in steps if step.action == action)
        if count and action not in {"submit", "keep"}:
            said.append(f"{count} {ACTIONS[action]}")
    return ", ".join(said)


def field(name: str) -> str:
    """`duration`, `first frame`: a field as people call it."""
    return name.removeprefix("parameters.").removeprefix("media.").replace("_", " ")


def length(seconds: float | None) -> str:
    """`5 s`, `2.5 s`, `1:05`."""
    if seconds is None:
        return "as the model decides"
    if seconds < 60:
        return f"{round(seconds, 1):g} s"
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02}"


def paid(takes: Mapping[str, Entry]) -> list[str]:
    """What these takes have cost, by currency: `0.50 USD spent`."""
    sums = committed(Lock(takes=takes))
    parts = (("spent", sums.spent), ("under way", sums.under_way), ("in doubt", sums.in_doubt))
    said = [
        f"{money.amount(part[currency])} {currency} {name}"
        for currency in sorted({*sums.spent, *sums.under_way, *sums.in_doubt})
        for name, part in parts
        if part.get(currency)
    ]
    return [*said, *([f"{sums.unpriced} of unknown price"] if sums.unpriced else [])]


def trouble(entry: Entry, model: Model | None) -> tuple[str | None, str | None]:
    """A take's error, first in our words and then in the service's; None where it has none or it is over."""
    error = entry.error
    if not error or entry.state == "saved":
        return None, None
    theirs = ": ".join(str(error[name]) for name in ("code", "message") if error.get(name))
    ours = explain.hint(error, model)
    return (ours, theirs) if ours else (theirs, None)


def size(render: Mapping[str, Any]) -> str:
    """`1280 × 720, 5 s, 24 fps, sound, 1.7 MB`."""  # noqa: RUF002 - the sign that people write
    parts = []
    if render.get("width") and render.get("height"):
        parts.append(f"{render['width']} × {render['height']}")  # noqa: RUF001 - the sign that people write
    if render.get("seconds"):
        parts.append(length(render["seconds"]))
    if render.get("fps"):
        parts.append(f"{render['fps']:g} fps")
    if "sound" in render:
        parts.append("sound" if render["sound"] else "silent")
    return ", ".join([*parts, mega(render["bytes"])])


def plain(value: Any) -> str:
    """A value of a manifest as its author would write it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def flat(parts: Iterable[tuple[str, Any]]) -> list[tuple[str, str]]:
    """Names with their values as texts, less those that are empty."""
    return [(name, plain(value)) for name, value in parts if value not in (None, "", {}, [], ())]
