"""Shots + Lock → which takes go to shots under another name; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from runner import lock as locks
from runner.lock import Lock
from runner.shots import Manifest, is_current


def found(manifest: Manifest, known: Lock) -> dict[str, str]:
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
        if not entry.is_open:
            came.setdefault(locks.shot_of(key), set()).update(map(locks.shot_of, entry.was))
    wordings: dict[str | None, dict[str, None]] = {}  # the orphans by what they were made of
    for name, keys in orphans.items():
        for key in keys:
            wordings.setdefault(known.takes[key].fingerprint, {})[name] = None
    numbers = known.numbers() if orphans else {}
    renames: dict[str, str] = {}
    for shot in manifest.shots if orphans else ():
        alike = orphans if shot.links else wordings.get(shot.fingerprint, ())  # of links more than the fingerprint decides
        names = [name for name in alike if name in came.get(shot.id, orphans)]
        name = next((name for name in names if any(is_current(known.takes[key], shot) for key in orphans.get(name, ()))), "")
        if not name:
            continue
        number = 1 + numbers.get(shot.id, 0)
        for key in orphans.pop(name):
            renames[f"{shot.id}@{number}"] = key
            number += 1
    return renames


def moved(known: Lock, renames: Mapping[str, str]) -> Lock:
    """The lock as if the takes had their new names."""
    if not renames:
        return known
    takes = dict(known.takes)
    here, absent, picked = set(known.here), set(known.absent), dict(known.picked)
    for new, old in renames.items():
        takes[new] = takes.pop(old)
        if picked.get(locks.shot_of(old)) == old:
            picked[locks.shot_of(new)] = new
        for keys in (here, absent):
            if old in keys:
                keys.add(new)
    return replace(known, takes=takes, picked=picked, here=frozenset(here), absent=frozenset(absent))
