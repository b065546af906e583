"""Shots + Lock → Steps: what a run would do, each with its reason, seconds and cost. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from runner import chains, fate, renames, tariff
from runner import lock as locks
from runner.catalog import Provider
from runner.chains import Source, Standing
from runner.fate import Action
from runner.lock import Entry, Lock
from runner.money import Money
from runner.shots import Manifest, Shot, is_current
from runner.source import collector_off


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """What a run would do for one take. `was` is the take's key before its shot was renamed.

    `after` are the takes that come first; `waits` those of other shots that keep it blocked: one that does not come, or
    several of which none is picked.
    """

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
    waits: tuple[str, ...] = ()
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


@collector_off()
def decide(manifest: Manifest, known: Lock, *, only: frozenset[str] | None = None, now: float = 0.0) -> Plan:
    """Every take's step.

    `only` narrows what is submitted to those shots or takes (what is under way is watched whatever was asked for);
    `now` is the time by which an old render counts as gone (0: never).
    """
    renamed = renames.found(manifest, known)
    linked: dict[str, list[Step]] = {}
    # A linked shot's wording is known when its sources' names are, so each name that is found may bring the next.
    for _ in range(len(manifest.linked) + bool(manifest.linked)):
        manifest, linked = _linked(manifest, renames.moved(known, renamed), renamed, only=only, now=now)
        more = renames.found(manifest, known)
        if more == renamed:
            break
        renamed = more
    moved = renames.moved(known, renamed)
    steps: list[Step] = []
    grouped, numbers = moved.by_shot(), moved.numbers()
    for shot in manifest.shots:
        own = linked.get(shot.id)
        takes = grouped.get(shot.id, {})
        steps += own if own is not None else _shot_steps(manifest, shot, takes, moved, numbers, renames=renamed, now=now)
    listed = {step.take for step in steps}
    shots = {shot.id: shot for shot in manifest.shots}
    for take, entry in moved.takes.items():
        if take not in listed and entry.state in {"submitted", "rendered", "intended"}:
            steps.append(_left(manifest, take, entry, shots.get(locks.shot_of(take))))
    if only is not None:
        steps = [step for step in steps if _is_chosen(step, only)]
    return Plan(manifest=manifest, steps=tuple(steps), serial=known.serial, is_partial=only is not None)


def _is_chosen(step: Step, only: frozenset[str] | None) -> bool:
    return only is None or step.action in {"watch", "fetch"} or step.take in only or step.shot in only


def _linked(
    manifest: Manifest, known: Lock, renamed: Mapping[str, str], *, only: frozenset[str] | None, now: float
) -> tuple[Manifest, dict[str, list[Step]]]:
    """The manifest with its links as far as they are known, and the steps of the shots that have links or are linked to."""
    grouped, numbers = known.by_shot(), known.numbers()
    shots = {shot.id: shot for shot in manifest.shots}
    steps: dict[str, list[Step]] = {}
    for name in manifest.linked:
        sources = {}
        for source in {medium.link.shot for medium in shots[name].links if medium.link}:
            takes = grouped.get(source, {})
            if source not in steps:
                steps[source] = _shot_steps(manifest, shots[source], takes, known, numbers, renames=renamed, now=now)
            actions = {step.take: step.action if _is_chosen(step, only) else _unselected(step) for step in steps[source]}
            picked = known.picked.get(source)
            sources[source] = Source(shot=shots[source], takes=takes, picked=picked, actions=actions, here=known.here)
        found = chains.standing(shots[name], grouped.get(name, {}), sources)
        shots[name] = found.shot
        own = _shot_steps(manifest, found.shot, grouped.get(name, {}), known, numbers, renames=renamed, now=now)
        steps[name] = [_after(step, found) for step in own]
    return replace(manifest, shots=tuple(shots.values())), steps


def _unselected(step: Step) -> str:
    return "unselected" if step.action == "submit" else step.action


def _after(step: Step, found: Standing) -> Step:
    """A linked shot's new take comes after those it is made of, or has to wait."""
    if step.action == "keep" and found.aside:
        return replace(step, reason=f"{step.reason}, {found.aside}")
    if step.action != "submit":
        return step
    if found.wait:
        return replace(step, action="blocked", reason=found.wait, waits=found.waits, cost=None)
    if found.after:
        return replace(step, after=found.after, reason=f"{step.reason}, after {', '.join(found.after)}")
    now = [medium.take for medium in found.shot.links if f"media.{medium.role.partition('/')[0]}" in step.changed and medium.take]
    return replace(step, reason=f"{step.reason} (now of {', '.join(now)})") if now else step


def _shot_steps(
    manifest: Manifest,
    shot: Shot,
    takes: Mapping[str, Entry],
    known: Lock,
    numbers: Mapping[str, int],
    *,
    renames: Mapping[str, str],
    now: float,
) -> list[Step]:
    """Current takes each get their step; then new ones until there are as many as the shot wants.

    `numbers` are the highest take numbers so far.
    """
    provider = manifest.provider(shot)
    number = 1 + numbers.get(shot.id, 0)
    if not takes:
        return _new_steps(shot, provider, known, range(number, number + shot.takes), set(), "new")
    current = {key: entry for key, entry in takes.items() if entry.is_open or is_current(entry, shot)}
    picked = known.picked.get(shot.id) or ""
    shown = {picked: takes[picked]} if picked in takes and takes[picked].state == "saved" else {}
    seeds = {entry.seed for entry in current.values()}
    kept = sum(1 for entry in current.values() if entry.state != "failed")
    steps = []
    for key, entry in {**current, **shown}.items():
        seed = _next_seed(shot, seeds) if entry.is_open and entry.seed is None else entry.seed
        seeds.add(seed)
        step = _base(shot, provider, key, seed=seed)
        holder = manifest.catalog.providers.get(entry.provider or "", provider)
        action, reason = fate.of(entry, key, known, holder, shot.model, manifest.attempts, now)
        if action == "submit" and entry.state == "failed" and kept >= shot.takes:
            continue  # no longer wanted: trying it again would pay for nothing
        if key not in current and action != "fetch":
            continue  # picked, of an older wording: all that a run can do for it is to bring it back
        reason += "" if key in current else " (picked, outdated)"
        kept += action == "submit"
        if action == "absent":
            price = "price unknown" if step.cost is None else str(step.cost) if step.cost.micros else "free"
            reason = f"{reason}; `callsheet again {key}` renders it anew ({price})"
        if action != "submit" and entry.attempt and entry.provider and entry.model:
            step = replace(step, provider=entry.provider, model=entry.model)  # whoever has the task is asked
        was = renames.get(key)
        reason = f"was {was}" if was and action == "keep" else f"{reason} (was {was})" if was else reason
        steps.append(_settled(replace(step, action=action, reason=reason, was=was), entry, known))
    latest = next((entry for entry in reversed([*takes.values()]) if not entry.is_open), None)
    changed = changes(latest, shot) if latest else ()
    old = f"changed: {', '.join(changed)}" if changed else "only the studio has it" if latest else "new"
    missing = range(number, number + shot.takes - len(current))
    return steps + _new_steps(shot, provider, known, missing, seeds, "new take" if current else old, changed)


def _new_steps(
    shot: Shot,
    provider: Provider,
    known: Lock,
    numbers: Iterable[int],
    seeds: set[int | None],
    reason: str,
    changed: tuple[str, ...] = (),
) -> list[Step]:
    """Takes of these numbers that nothing is known of yet."""
    reason += _asides(shot, provider)
    steps = []
    for number in numbers:
        seed = _next_seed(shot, seeds)
        seeds.add(seed)
        step = _base(shot, provider, f"{shot.id}@{number}", seed=seed, reason=reason, changed=changed)
        steps.append(_settled(step, None, known))
    return steps


def _asides(shot: Shot, provider: Provider) -> str:
    """What was dropped; and the seconds of a video that is put in and billed too, which are no part of the length shown."""
    dropped = f" ({shot.model.id} has no {', '.join(shot.dropped)})" if shot.dropped else ""
    seconds = tariff.billed_seconds(shot) if shot.media and not provider.free else None
    if seconds is None or seconds == shot.seconds:
        return dropped
    return f"{dropped} ({'' if shot.model.about['bills'] == 'input and output' else 'up to '}{seconds:g} s billed)"


def _next_seed(shot: Shot, used: set[int | None]) -> int | None:
    """S, S+1 … modulo 2^31 for a written seed S; None (drawn later) where none is written."""
    seed = shot.seed
    if seed is None:
        return None
    while seed in used and seed >= 0:
        seed = (seed + 1) % 2**31
    return seed


def _base(shot: Shot, provider: Provider, key: str, *, seed: int | None, reason: str = "", changed: tuple[str, ...] = ()) -> Step:
    return Step(
        take=key,
        shot=shot.id,
        action="submit",
        reason=reason,
        provider=shot.provider,
        model=shot.model_name,
        output=shot.output,
        path=shot.take_path(locks.number_of(key)),
        seed=seed,
        seconds=shot.seconds,
        cost=tariff.expected(shot, provider),
        fingerprint=shot.fingerprint,
        changed=changed,
    )


def _settled(step: Step, entry: Entry | None, known: Lock) -> Step:
    """A file in the way blocks; what is not paid for in this run costs nothing in it."""
    # What is paid for is fetched as long as its own name is free; a stranger's file at `output` stops new spending only.
    path = str((entry.render or {}).get("path", step.path)) if entry else step.path
    ways = {"submit": (path, step.output), "fetch": (path,)}.get(step.action, ()) if known.foreign else ()
    if way := next((one for one in ways if one in known.foreign), None):
        what = "it is not the file that was saved" if entry and entry.state == "saved" else "not a file of this lock"
        return replace(step, action="blocked", reason=f"{way} is in the way: {what}; move it, then run again", cost=None)
    return step if step.action == "submit" else replace(step, cost=None)


def _left(manifest: Manifest, take: str, entry: Entry, own: Shot | None) -> Step:
    """A take under way that no current shot asks for (`own` is its shot as it now stands): still watched, since it is paid for."""
    action, reason = {
        "submitted": ("watch", "under way"),
        "rendered": ("fetch", "rendered"),
        "intended": ("answer", "sent, but no reply was seen: it may have been paid for"),
    }[entry.state]
    shot = locks.shot_of(take)
    return Step(
        take=take,
        shot=shot,
        action=action,  # type: ignore[arg-type]
        reason=f"{reason} ({'outdated' if own else 'its shot left the manifest'})",
        provider=entry.provider or "",
        model=entry.model or "",
        output=own.output if own else f"renders/{manifest.name}/{shot}.mp4",
        path=own.take_path(locks.number_of(take)) if own else f"renders/{manifest.name}/takes/{take}.mp4",
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
