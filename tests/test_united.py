"""Lock and journal told together, whatever git, renames and deleted state have made of the two: every pair of small ones."""

from __future__ import annotations

from itertools import product

from runner.lock import Attempt, Entry, Lock
from runner.united import united

OLD, NEW = "s0@1", "s1@1"  # a take before its shot was renamed, and after


def sides():
    """Each way in which three attempts can stand under two keys, or be unknown; with and without the word of a rename."""
    for keys in product((None, OLD, NEW), repeat=3):
        held = {key: [name for name, there in zip("abc", keys, strict=True) if there == key] for key in (OLD, NEW)}
        for was in [(), (OLD,)] if held[NEW] and not held[OLD] else [()]:
            told = {OLD: (), NEW: was}
            takes = {key: entry(names, told[key]) for key, names in held.items() if names}
            yield Lock(takes=takes)


def entry(names, was):
    return Entry(state="submitted", attempts=tuple(Attempt(id=name, task_id=f"task {name}") for name in names), was=was)


def keys_of(lock):
    return {attempt.id: key for key, one in lock.takes.items() for attempt in one.attempts}


def can_meet(lock, journal):
    """An attempt has another key on one side only where that side was told of the rename."""
    ours, theirs = keys_of(lock), keys_of(journal)
    moved = [lock if ours[name] == NEW else journal for name in ours.keys() & theirs.keys() if ours[name] != theirs[name]]
    return all(side.takes[NEW].was for side in moved)


def test_every_attempt_stands_under_one_take_and_none_is_forgotten():
    pairs = [pair for pair in product(sides(), repeat=2) if can_meet(*pair)]
    assert len(pairs) > 700
    for lock, journal in pairs:
        whole = united(lock, journal)
        found = sorted(attempt.id for one in whole.takes.values() for attempt in one.attempts)
        assert found == sorted(keys_of(lock).keys() | keys_of(journal).keys()), (lock.takes, journal.takes, whole.takes)
        assert all(key not in one.was for key, one in whole.takes.items())


def test_what_was_united_stays_as_it_is():
    for lock, journal in product(sides(), repeat=2):
        if can_meet(lock, journal):
            whole = united(lock, journal)
            assert united(whole, journal).takes.keys() == whole.takes.keys(), (lock.takes, journal.takes)
            assert united(whole, whole).takes == whole.takes
