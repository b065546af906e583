"""The lock's file and the journal told together → one Lock: attempts of both, the further state, nothing forgotten."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from runner.lock import Entry, Lock, both, number_of, shot_of


def united(lock: Lock, journal: Lock) -> Lock:
    """A lock brought back by git is older than the journal; one from a colleague may know takes that the journal does not.

    Where two branches gave one take number to two renders, both are kept: the lock's gets the shot's next number.
    """
    homes = _homes(lock.takes, journal.takes)
    takes: dict[str, Entry] = {}
    for side, moves in ((lock.takes, homes.of_lock), (journal.takes, homes.of_journal)):
        for key, entry in side.items():
            home = moves.get(key, key)
            if home in entry.was:
                entry = replace(entry, was=tuple(was for was in entry.was if was != home))  # noqa: PLW2901 - the same take
            entry = _at(entry, key, home) if home in homes.new else entry  # noqa: PLW2901 - the same take under its own number
            takes[home] = _joined(takes[home], entry) if home in takes else entry
    return replace(journal, takes=_apart(takes), picked=_picked(lock, journal, homes), run=lock.run)


def _picked(lock: Lock, journal: Lock, homes: _Homes) -> dict[str, str]:
    """What was paid for the journal knows best; which take is shown is a choice, and git carries it: the lock's word counts.

    (`pick` writes the lock first, so that no older word of this machine's journal ever stands against a newer one.)
    """
    side, moves = (lock, homes.of_lock) if lock.takes else (journal, homes.of_journal)
    return {shot_of(moves[key]) if key in moves else shot: moves.get(key, key) for shot, key in side.picked.items()}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Homes:
    """Under which key a take of either side is to stand, where that is another; `new` are numbers drawn for that."""

    of_lock: dict[str, str] = field(default_factory=dict)
    of_journal: dict[str, str] = field(default_factory=dict)
    new: set[str] = field(default_factory=set)


def _homes(lock: Mapping[str, Entry], journal: Mapping[str, Entry]) -> _Homes:
    renamed = {was: key for side in (lock, journal) for key, entry in side.items() for was in entry.was}
    homes = _Homes(of_lock=dict(renamed), of_journal=dict(renamed))
    taken = {*lock, *journal, *renamed}
    for key in sorted(lock.keys() & journal.keys(), key=number_of):
        if key in renamed or not _are_two(lock[key], journal[key]):
            continue
        if there := _holder(lock, journal[key], key):
            homes.of_journal[key] = there  # what git carries has settled it already
        elif there := _holder(journal, lock[key], key):
            homes.of_lock[key] = there  # settled here, and the lock not written since
        else:
            shot = shot_of(key)
            there = f"{shot}@{1 + max(number_of(one) for one in taken if shot_of(one) == shot)}"
            taken.add(there)
            homes.new.add(there)
            homes.of_lock[key] = there
        if renamed.get(there) == key:
            # Its new name is another render's on the other side: the take keeps the old one, and its shot may take it over again.
            del homes.of_lock[there], homes.of_journal[there]
    return homes


def _are_two(one: Entry, other: Entry) -> bool:
    """Whether one key stands for two renders, each of which may have been paid for."""
    return _ids(one).isdisjoint(_ids(other)) and _may_be_paid(one) and _may_be_paid(other)


def _joined(one: Entry, other: Entry) -> Entry:
    """Two accounts of one take; where they share no attempt, the one that may be paid for is the one that counts."""
    if _ids(one).isdisjoint(_ids(other)) and _may_be_paid(one) != _may_be_paid(other):
        paid, free = (one, other) if _may_be_paid(one) else (other, one)
        return replace(paid, attempts=(*free.attempts, *paid.attempts), was=tuple(dict.fromkeys((*one.was, *other.was))))
    whole = both(one, other)
    # What `clean` did git carries too: between two that have come as far its word counts, or two folders would for ever
    # take it back from each other. (`clean` writes the lock before it deletes.)
    return replace(whole, cleaned_at=one.cleaned_at) if _ids(one) == _ids(other) and one.state == other.state else whole


def _may_be_paid(entry: Entry) -> bool:
    return any((attempt.error or {}).get("billed") is not False for attempt in entry.attempts)


def _ids(entry: Entry) -> set[str]:
    return {attempt.id for attempt in entry.attempts}


def _holder(side: Mapping[str, Entry], entry: Entry, besides: str) -> str | None:
    """The key under which a side has an entry's attempts."""
    ids = _ids(entry)
    return next((key for key, one in side.items() if key != besides and not ids.isdisjoint(_ids(one))), None)


def _at(entry: Entry, old: str, new: str) -> Entry:
    """An entry as take `new`, its file under that name: the old name is another take's."""
    folder, slash, name = str((entry.render or {}).get("path", "")).rpartition("/")
    return replace(entry, render={**entry.render, "path": f"{folder}{slash}{new}.mp4"}) if entry.render and old in name else entry


def _apart(takes: dict[str, Entry]) -> dict[str, Entry]:
    """No two takes with one file: a merge by hand gives a take a number of its own and forgets its path."""
    claims: dict[str, list[str]] = {}
    for key, entry in takes.items():
        if entry.render:
            claims.setdefault(str(entry.render["path"]), []).append(key)
    shared: Iterable[tuple[str, list[str]]] = ((path, keys) for path, keys in claims.items() if len(keys) > 1)
    for path, keys in shared:
        folder, slash, name = path.rpartition("/")
        for key in keys:
            if name != f"{key}.mp4":
                takes[key] = replace(takes[key], render={**(takes[key].render or {}), "path": f"{folder}{slash}{key}.mp4"})
    return takes
