"""A take's transition costs the same among a hundred takes and a hundred thousand: nothing looks through all of them."""

from __future__ import annotations

import json
import os
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner import journal, lockread, locktext
from runner.budget import Tally, committed
from runner.lock import Attempt, Entry, Lock, apply
from runner.lockfile import Files, Ledger, load
from runner.money import Money
from runner.takes import Takes

ASKED = {"prompt": "A pier", "parameters": {"duration": 2}}


def entry(state="saved", account="aisa:1a2b3c4d", **about):
    attempt = Attempt(
        id="a1", task_id="t1", account=account, reserved=Money(micros=500_000, currency="USD"), seconds=2.5, **about
    )
    return Entry(
        state=state, fingerprint="1:sha256:0", seed=1, provider="aisa", model="wan2.7-t2v", request=ASKED, attempts=(attempt,)
    )


def file_of(lock):
    return json.dumps(locktext.to_json(lock), ensure_ascii=False, indent=2, sort_keys=True).encode() + b"\n"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, database=None)
@given(
    asked=st.dictionaries(st.text(max_size=4), VALUES, max_size=4),
    picked=st.dictionaries(st.text(max_size=3), st.text(max_size=3)),
)
def test_the_lock_is_the_text_that_json_makes_of_it(asked, picked):
    lock = Lock(takes={"s010@1": replace(entry(), request=asked), "s010@10": entry()}, picked=picked)
    assert locktext.written(lock) == file_of(lock)
    assert locktext.written(replace(lock, takes={})) == file_of(replace(lock, takes={}))


STEPS = st.lists(
    st.tuples(st.sampled_from(["set", "pop"]), st.integers(0, 5), st.sampled_from(["saved", "submitted", "intended", "failed"])),
    max_size=30,
)


@settings(deadline=None, database=None)
@given(steps=STEPS, asked=st.sets(st.integers(0, 30)))
def test_whatever_changes_sums_pages_and_shots_are_as_if_counted_anew(steps, asked):
    lock = Lock(takes=Takes({"s0@1": entry()}))
    tally, pages = Tally(), locktext.Pages()
    for number, (what, index, state) in enumerate([*steps, ("set", 0, "saved")]):
        key = f"s{index % 3}@{index}"
        if what == "pop":
            lock.takes.pop(key, None)
        else:
            billed = {"error": {"billed": False}} if state == "failed" else {"ended_at": "2026-11-21T01:02:03Z"}
            lock.takes[key] = entry(state, account="studio" if index == 5 else "aisa", **billed)
        if number in asked or number == len(steps):
            assert {name: value for name, value in money(tally.of(lock)).items() if value} == money(committed(lock))
            assert b"".join(pages.of(lock)) == file_of(lock)
            for shot in ("s0", "s1", "s2"):
                assert list(lock.of_shot(shot).items()) == list(Lock(takes=dict(lock.takes)).of_shot(shot).items())


def money(known):
    sums = {(kind, name): amount for kind in ("spent", "under_way", "in_doubt") for name, amount in getattr(known, kind).items()}
    counts = {"seconds": known.seconds, "takes": known.takes, "unpriced": known.unpriced}
    return {name: value for name, value in {**sums, **counts}.items() if value}


def test_takes_change_one_by_one_or_not_at_all():
    takes = Takes({"s010@1": entry()})
    for change in (takes.clear, takes.popitem, lambda: takes.update({}), lambda: takes.__delitem__("s010@1")):
        with pytest.raises(TypeError):
            change()


class Reached(dict):
    """A mapping that notices when somebody looks through it."""

    walks = 0

    def __iter__(self):
        type(self).walks += 1
        return super().__iter__()

    def keys(self):
        type(self).walks += 1
        return super().keys()

    def items(self):
        type(self).walks += 1
        return super().items()

    def values(self):
        type(self).walks += 1
        return super().values()


RENDER = {"path": "s1@2.mp4", "sha256": "0" * 64, "bytes": 1}
ROAD = (
    {
        "event": "intended",
        "attempt": "b1",
        "fingerprint": "1:sha256:" + "0" * 64,
        "provider": "aisa",
        "model": "wan2.7-t2v",
        "request": ASKED,
    },
    {"event": "submitted", "attempt": "b1", "task_id": "t9"},
    {"event": "rendered", "attempt": "b1", "usage": {"duration": 2}},
    {"event": "fetched", "render": RENDER},
    {"event": "saved", "render": RENDER},
)


def test_no_transition_looks_through_the_takes():
    Reached.walks = 0
    lock = Lock(takes=Reached({f"s{number}@1": entry() for number in range(100)}))
    for record in ROAD:
        lock = apply(lock, {**record, "take": "s1@2", "at": "2026-11-21T01:02:03Z"})
    assert lock.takes["s1@2"].state == "saved"
    assert Reached.walks == 0


@pytest.fixture
def ledger(tmp_path):
    made = Ledger(Files(lock=tmp_path / "film.callsheet.lock"), load(Files(lock=tmp_path / "film.callsheet.lock")))
    yield made
    made.abandon()


@pytest.fixture
def synced(monkeypatch):
    """How often the disk was waited for."""
    counted, real = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (counted.append(fd), real(fd)))
    return counted


def test_intent_and_task_are_on_disk_at_once_and_what_can_be_learnt_again_shares_an_fsync(ledger, synced):
    ledger.note("wanted", take="s1@2")
    for number in range(50):
        before = len(synced)
        for record in ROAD[:2]:
            ledger.note(**record, take=f"s1@{number + 2}")
        assert len(synced) == before + 2
    before = len(synced)
    for record in (ROAD[2], ROAD[4]):
        for number in range(50):
            ledger.note(**record, take=f"s1@{number + 2}")
    assert len(synced) - before < 50, "one for each would be 100"
    assert sum(1 for record, _ in journal.read(ledger.files.journal) if record["event"] == "saved") == 50


def test_a_fold_writes_what_the_lock_says_and_nothing_when_nothing_happened(ledger):
    numbers = random.Random(1).sample(range(2, 40), 20)
    for number in numbers:
        for record in ROAD[: number % 5 + 1]:
            render = {"render": {**RENDER, "path": f"s1@{number}.mp4"}} if "render" in record else {}
            ledger.note(**{**record, **render}, take=f"s1@{number}")
        if number % 3 == 0:
            ledger.fold()
            assert ledger.files.lock.read_bytes() == file_of(ledger.lock)
    ledger.fold()
    assert ledger.files.lock.read_bytes() == file_of(ledger.lock)
    before = ledger.files.lock.stat()
    ledger.fold()
    assert ledger.files.lock.stat() == before
    assert load(ledger.files).takes == dict(ledger.lock.takes)


def test_a_lock_that_only_repeats_the_journal_says_what_it_says_when_it_is_read(ledger, monkeypatch):
    for number in range(2, 12):
        for record in ROAD[: number % 5 + 1]:
            render = {"render": {**RENDER, "path": f"s1@{number}.mp4"}} if "render" in record else {}
            ledger.note(**{**record, **render}, take=f"s1@{number}")
    ledger.note("picked", shot="s1", take="s1@4")
    ledger.close()
    quickly = load(ledger.files)
    text = ledger.files.lock.read_bytes()
    read = lockread.read(text, ledger.files.lock)
    assert (read.takes, read.picked) == (quickly.takes, quickly.picked) == (ledger.lock.takes, ledger.lock.picked)
    monkeypatch.setattr(locktext, "written", lambda _: b"something else")
    assert load(ledger.files) == quickly
