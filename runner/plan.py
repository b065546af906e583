"""Shots + Lock → Steps: what a run would do, each with its reason, seconds and cost. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from runner import explain, tariff
from runner import lock as locks
from runner.catalog import Model, Provider
from runner.clock import epoch
from runner.lock import Entry, Lock
from runner.money import Money
from runner.shots import Manifest, Shot

Action = Literal["submit", "watch", "fetch", "keep", "absent", "answer", "blocked"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """What a run would do for one take. `was` is the take's key before its shot was renamed."""

    take: str
    shot: str
    action: Action
    reason: str
    provider: str
    model: str
    output: str
    path: str
    seed: int | None = None
    seconds: float | None = None
    cost: Money | None = None
    fingerprint: str | None = None
    changed: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    was: str | None = None

    @property
    def is_paid(self) -> bool:
        """Whether carrying it out sends a request that may be billed by somebody else than the studio."""
        return self.action == "submit"


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """All steps in storyboard order, then those of shots that left it; `serial` is the lock's they were decided from."""

    manifest: Manifest
    steps: tuple[Step, ...]
    serial: str
    is_partial: bool = False

    def doing(self, *actions: Action) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.action in actions)

    @property
    def has_work(self) -> bool:
        """Whether a run would send, fetch or record anything, or a person is asked."""
        return any(step.action not in {"keep", "absent"} or step.was for step in self.steps)


def decide(manifest: Manifest, known: Lock, *, only: frozenset[str] | None = None, now: float = 0.0) -> Plan:
    """Every take's step.

    `only` narrows what is submitted to those shots or takes (what is under way is watched whatever was asked for);
    `now` is the time by which an old render counts as gone (0: never).
    """
    renames = _renames(manifest, known)
    moved = _moved(known, renames)
    steps: list[Step] = []
    grouped = moved.by_shot()
    for shot in manifest.shots:
        steps += _shot_steps(manifest, shot, grouped.get(shot.id, {}), moved, renames=renames, now=now)
    listed = {step.take for step in steps}
    ids = {shot.id for shot in manifest.shots}
    for take, entry in moved.takes.items():
        if take not in listed and entry.state in {"submitted", "rendered", "intended"}:
            steps.append(_left(manifest, take, entry, outdated=locks.shot_of(take) in ids))
    if only is not None:
        steps = [step for step in steps if step.action in {"watch", "fetch"} or step.take in only or step.shot in only]
    return Plan(manifest=manifest, steps=tuple(steps), serial=known.serial, is_partial=only is not None)


def is_current(entry: Entry, shot: Shot) -> bool:
    """Made from the shot as it is now written. A studio render never satisfies another provider."""
    return entry.fingerprint == shot.fingerprint and (entry.provider != "studio" or shot.provider == "studio")


def _renames(manifest: Manifest, known: Lock) -> dict[str, str]:
    """New key → old key, for shots without takes of their own whose wording an orphan has.

    A shot that has only some of an orphan's takes (the run that took them over was killed) gets the others too.
    """
    ids = {shot.id for shot in manifest.shots}
    orphans: dict[str, list[str]] = {}
    for key in sorted(known.takes, key=lambda key: (locks.shot_of(key), locks.number_of(key))):
        if locks.shot_of(key) not in ids:
            orphans.setdefault(locks.shot_of(key), []).append(key)
    came: dict[str, set[str]] = {}  # the shots that a shot's takes came from
    for key, entry in known.takes.items() if orphans else ():
        came.setdefault(locks.shot_of(key), set()).update(map(locks.shot_of, entry.was))
    renames: dict[str, str] = {}
    for shot in manifest.shots if orphans else ():
        names = orphans if shot.id not in came else [name for name in orphans if name in came[shot.id]]
        found = next((name for name in names if any(is_current(known.takes[key], shot) for key in orphans[name])), None)
        if found is None:
            continue
        number = known.next_number(shot.id)
        for key in orphans.pop(found):
            renames[f"{shot.id}@{number}"] = key
            number += 1
    return renames


def _moved(known: Lock, renames: Mapping[str, str]) -> Lock:
    takes = dict(known.takes)
    here, absent = set(known.here), set(known.absent)
    for new, old in renames.items():
        takes[new] = takes.pop(old)
        for keys in (here, absent):
            if old in keys:
                keys.add(new)
    return replace(known, takes=takes, here=frozenset(here), absent=frozenset(absent))


def _shot_steps(
    manifest: Manifest, shot: Shot, takes: Mapping[str, Entry], known: Lock, *, renames: Mapping[str, str], now: float
) -> list[Step]:
    """Current takes each get their step; then new ones until there are as many as the shot wants."""
    provider = manifest.provider(shot)
    current = {key: entry for key, entry in takes.items() if is_current(entry, shot)}
    seeds = {entry.seed for entry in current.values()}
    kept = sum(1 for entry in current.values() if entry.state != "failed")
    steps = []
    for key, entry in current.items():
        step = _base(shot, provider, key, seed=entry.seed)
        holder = manifest.catalog.providers.get(entry.provider or "", provider)
        action, reason = _known_step(entry, key, known, holder, shot.model, manifest.attempts, now)
        if action == "submit" and entry.state == "failed" and kept >= shot.takes:
            continue  # no longer wanted: trying it again would pay for nothing
        kept += action == "submit"
        if action != "submit" and entry.attempt and entry.provider and entry.model:
            step = replace(step, provider=entry.provider, model=entry.model)  # whoever has the task is asked
        was = renames.get(key)
        reason = f"was {was}" if was and action == "keep" else f"{reason} (was {was})" if was else reason
        steps.append(_settled(replace(step, action=action, reason=reason, was=was), entry, known))
    missing = shot.takes - len(current)
    number = known.next_number(shot.id) if missing > 0 else 0
    latest = next(reversed([*takes.values()]), None)
    changed = changes(latest, shot) if latest else ()
    for _ in range(missing):
        key = f"{shot.id}@{number}"
        seed = _next_seed(shot, seeds)
        seeds.add(seed)
        reason = (
            "new take"
            if current
            else f"changed: {', '.join(changed)}"
            if changed
            else "only the studio has it"
            if latest
            else "new"
        )
        reason += f" ({shot.model.id} has no {', '.join(shot.dropped)})" if shot.dropped else ""
        steps.append(_settled(replace(_base(shot, provider, key, seed=seed), reason=reason, changed=changed), None, known))
        number += 1
    return steps


def _next_seed(shot: Shot, used: set[int | None]) -> int | None:
    """S, S+1 … modulo 2^31 for a written seed S; None (drawn later) where none is written."""
    if shot.seed is None:
        return None
    seed = shot.seed
    while seed in used and seed >= 0:
        seed = (seed + 1) % 2**31
    return seed


def _base(shot: Shot, provider: Provider, key: str, *, seed: int | None) -> Step:
    return Step(
        take=key,
        shot=shot.id,
        action="submit",
        reason="",
        provider=shot.provider,
        model=shot.model_name,
        output=shot.output,
        path=shot.take_path(locks.number_of(key)),
        seed=seed,
        seconds=shot.seconds,
        cost=tariff.expected(shot, provider),
        fingerprint=shot.fingerprint,
    )


def _settled(step: Step, entry: Entry | None, known: Lock) -> Step:
    """A file in the way blocks; what is not paid for in this run costs nothing in it."""
    # What is paid for is fetched as long as its own name is free; a stranger's file at `output` stops new spending only.
    path = str((entry.render or {}).get("path", step.path)) if entry else step.path
    ways = {"submit": (path, step.output), "fetch": (path,)}.get(step.action, ())
    way = next((one for one in ways if one in known.foreign), None)
    if way:
        return replace(step, action="blocked", reason=f"{way} is in the way: not a file of this lock", cost=None)
    return step if step.action == "submit" else replace(step, cost=None)


def _known_step(
    entry: Entry, key: str, known: Lock, provider: Provider, model: Model, attempts: int, now: float
) -> tuple[Action, str]:
    task = entry.attempt.task_id if entry.attempt else None
    error = entry.error
    match entry.state:
        case "wanted":
            return "submit", "asked for"
        case "intended":
            return "answer", "sent, but no reply was seen: it may have been paid for"
        case "submitted":
            return "watch", f"task {task} is under way"
        case "rendered":
            return "fetch", f"task {task} is rendered"
        case "saved" if key in known.here:
            return "keep", "saved"
        case "saved":
            return _gone(entry, key, known, provider, now)
        case "failed" if error.get("refused"):
            return "submit", f"refused for the moment: {error.get('code')}"
        case "failed" if error.get("retryable") and entry.counted < attempts:
            return "submit", f"failed, may be tried again: {error.get('code')}"
        case "failed":
            ours = explain.hint(error, model)
            return "answer", f"failed: {error.get('code')}: {error.get('message')}{f' ({ours})' if ours else ''}"
        case "canceled":
            return "answer", "canceled"
        case "lost":
            return "answer", "paid for, but the provider no longer has it"


def _gone(entry: Entry, key: str, known: Lock, provider: Provider, now: float) -> tuple[Action, str]:
    """Saved once, and the file is not here: the provider may still have it."""
    ended = entry.attempt.ended_at if entry.attempt else None
    if key in known.absent:
        return "absent", "saved elsewhere; the provider no longer has it"
    if ended is None or entry.attempt is None or entry.attempt.task_id is None or (now and now - epoch(ended) > provider.lives):
        return "absent", "saved elsewhere; too old to be fetched again"
    return "fetch", "saved, but its file is not here"


def _left(manifest: Manifest, take: str, entry: Entry, *, outdated: bool) -> Step:
    """A take under way that no current shot asks for: still watched and fetched, since it is paid for."""
    action, reason = {
        "submitted": ("watch", "under way"),
        "rendered": ("fetch", "rendered"),
        "intended": ("answer", "sent, but no reply was seen: it may have been paid for"),
    }[entry.state]
    shot = locks.shot_of(take)
    output = f"renders/{manifest.name}/{shot}.mp4"
    return Step(
        take=take,
        shot=shot,
        action=action,  # type: ignore[arg-type]
        reason=f"{reason} ({'outdated' if outdated else 'its shot left the manifest'})",
        provider=entry.provider or "",
        model=entry.model or "",
        output=next((one.output for one in manifest.shots if one.id == shot), output),
        path=next(
            (one.take_path(locks.number_of(take)) for one in manifest.shots if one.id == shot),
            f"renders/{manifest.name}/takes/{take}.mp4",
        ),
        seed=entry.seed,
        fingerprint=entry.fingerprint,
    )


def changes(entry: Entry, shot: Shot) -> tuple[str, ...]:
    """Which fields of the shot differ from what a take was made of: `prompt`, `parameters.duration` and so on."""
    before, after = _flat(entry.request), _flat(shot.request())
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return tuple((["model"] if entry.model not in shot.model.names else []) + sorted(names))


def _flat(request: Mapping[str, Any]) -> dict[str, Any]:
    flat = {name: request[name] for name in ("prompt", "negative_prompt", "unchecked") if name in request}
    for part in ("media", "parameters"):
        flat.update({f"{part}.{name}": value for name, value in request.get(part, {}).items()})
    return flat
