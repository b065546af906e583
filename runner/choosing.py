"""What a person wants of the takes, written down: more of them, none of those after all, or one picked. Sends nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from runner import lock as locks
from runner import picking
from runner.door import Held, decide
from runner.errors import Refused
from runner.lock import number_of
from runner.picking import Effect
from runner.plan import Plan, Step

MOST_TAKES = 100  # of one shot, as `takes:` has it
_SEEDS = 2**31


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """Takes to be wanted, each with the seed that was asked for; the plan as it is, and as it would then be.

    `lacking` are those of them that the next run would have made anyhow, by the numbers that they will have.
    """

    takes: Mapping[str, int | None]
    lacking: tuple[str, ...]
    before: Plan
    after: Plan


def wish(held: Held, shots: Sequence[str], *, count: int = 1, seed: int | None = None) -> Wish:
    """What `retake` would want, and what a run would then do; changes nothing. Raises Refused where a shot would have too many."""
    before = decide(held.manifest, held.lock)
    steps: dict[str, list[Step]] = {shot: [] for shot in shots}
    for step in before.steps:
        if step.shot in steps:
            steps[step.shot].append(step)
    for shot, own in steps.items():
        if len(own) + count > MOST_TAKES:
            hint = f"it has {len(own)} takes that are current or still to be made"
            raise Refused(f"{shot} would have more than {MOST_TAKES} takes", hint=hint)
    takes: dict[str, int | None] = {}
    lacking: list[str] = []
    numbers = held.lock.numbers()
    for shot in shots:
        anyhow = sum(1 for step in steps[shot] if not step.was and step.take not in held.lock.takes)
        keys = [f"{shot}@{1 + numbers.get(shot, 0) + offset}" for offset in range(anyhow + count)]
        lacking += keys[:anyhow]
        takes.update(dict.fromkeys(keys[:anyhow]))
        takes.update({key: None if seed is None else (seed + place) % _SEEDS for place, key in enumerate(keys[anyhow:])})
    known = replace(held.lock, takes=dict(held.lock.takes))
    for take, pinned in takes.items():
        known = locks.apply(known, {"event": "wanted", "take": take, "seed": pinned})
    return Wish(takes=takes, lacking=tuple(lacking), before=before, after=decide(held.manifest, known))


def retake(held: Held, shots: Sequence[str], *, count: int = 1, seed: int | None = None) -> list[str]:
    """Want `count` takes of each shot on top of those that it has or still lacks; their keys, which a run then submits.

    Each is made from the shot as it stands when it is submitted. What the shot lacks is written down with them, so that
    it ends with all of them wherever a run is interrupted. `seed` is the first one's, the others count on from it.
    Raises Refused where a shot would have too many.
    """
    wanted = wish(held, shots, count=count, seed=seed).takes
    for position, (take, pinned) in enumerate(wanted.items(), 1):
        held.ledger.note("wanted", sync=position == len(wanted), take=take, seed=pinned)  # one fsync is for all
    held.ledger.close()
    held.refresh()
    return list(wanted)


def withdraw(held: Held, shots: Sequence[str]) -> list[str]:
    """Takes of these shots that were asked for and not begun are wanted no more; their keys."""
    grouped = held.lock.by_shot()
    found = [take for shot in shots for take, entry in grouped.get(shot, {}).items() if entry.is_open]
    for position, take in enumerate(sorted(found, key=number_of), 1):
        held.ledger.note("unwanted", sync=position == len(found), take=take)
    held.ledger.close()
    held.refresh()
    return found


def effect(held: Held, picks: Mapping[str, str | None]) -> Effect:
    """What these picks would make outdated, and what a run would then submit; changes nothing."""
    after = picking.chosen(held.lock, picks)
    before = decide(held.manifest, held.lock)
    return picking.effect((held.lock, before), (after, decide(held.manifest, after)))


def pick(held: Held, picks: Mapping[str, str | None]) -> dict[str, str | None]:
    """Choose the take that each shot's `output` shows, None for the newest current one again; what each now shows.

    None stands for an output that shows nothing: no such take, or its render is not here. Raises Refused, and chooses nothing, where a stranger's file stands at an `output`.
    """
    manifest, ledger = held.manifest, held.ledger
    shots = [shot for shot in manifest.shots if shot.id in picks]
    blocked = [shot.output for shot in shots if shot.output in ledger.lock.foreign]
    if blocked:
        raise Refused(f"{blocked[0]} is in the way: not a file of this lock", hint="move it, then pick again")
    # In the lock first, which git carries: should this end here, no older word of the journal stands against it.
    ledger.lock = picking.chosen(ledger.lock, picks)
    ledger.fold()
    for position, (shot, take) in enumerate(picks.items(), 1):
        ledger.note("picked", sync=position == len(picks), shot=shot, take=take)
    ledger.close()
    grouped = ledger.lock.by_shot()
    if manifest.linked:  # which take of a linked shot is current is told by its sources
        shots = [shot for shot in decide(manifest, ledger.lock).manifest.shots if shot.id in picks]
    shown = {shot.id: picking.show(manifest.folder, ledger.lock, shot, grouped.get(shot.id, {})) for shot in shots}
    held.refresh()
    return shown
