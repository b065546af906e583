"""Damaged locks and journals, and the states that other people leave: each has one outcome, and none of them pays twice.

The real command line against a real studio that plays the native service; the oracle is what was billed.
"""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import runner
from runner import lockfile, paying
from runner.cli import code
from runner.clock import stamp
from runner.studio import Settings, Studio
from tests.faults.world import ROOT, tiny

KEY, OTHER_KEY = "sk-mine-0123456789ab", "sk-theirs-0123456789ab"
STORYBOARD = """\
callsheet: 1
title: States
provider: qwencloud
providers:
  qwencloud:
    base_url: "{url}"
    poll: {{first: 0.02, every: 0.02, unknown_for: 0.2}}
    limits: {{submits_per_second: 200, queries_per_second: 500}}
budget: {{takes: 50}}
defaults: {{model: wan2.7-t2v, parameters: {{resolution: 720P, duration: 2}}}}
shots:
  - {{id: s010, prompt: A lighthouse at dusk}}
  - {{id: s020, prompt: The keeper turns}}
"""
TAKES = ["s010@1", "s020@1"]


class Desk:
    """One person's clone of the storyboard."""

    def __init__(self, folder, studio, capsys, monkeypatch):
        self.folder, self.studio, self._capsys, self._monkeypatch = folder, studio, capsys, monkeypatch
        self.manifest = folder / "film.callsheet.yaml"
        self.lock_file = folder / "film.callsheet.lock"
        self.state = folder / ".callsheet"
        self.journal = self.state / "film.journal"
        self.said = ""

    def do(self, *argv):
        """Exit code of a command, and what it newly billed; all that it said is kept."""
        before = len(self.studio.bills())
        self._monkeypatch.chdir(self.folder)
        self._capsys.readouterr()
        result = code([*argv])
        found = self._capsys.readouterr()
        self.said = found.out + found.err
        return result, len(self.studio.bills()) - before

    def run(self, *args):
        return self.do("run", str(self.manifest), *args)

    def edit(self, old, new):
        text = self.manifest.read_text()
        assert old in text
        self.manifest.write_text(text.replace(old, new))

    @property
    def lock(self):
        return json.loads(self.lock_file.read_text())

    @property
    def states(self):
        return {take: entry["state"] for take, entry in sorted(self.lock["takes"].items())}

    def clone(self, name):
        """What git would carry to somebody else: manifest and lock."""
        folder = self.folder.parent / name
        folder.mkdir()
        for path in (self.manifest, self.lock_file):
            if path.exists():
                shutil.copy(path, folder)
        return Desk(folder, self.studio, self._capsys, self._monkeypatch)

    def pull(self, other):
        self.lock_file.write_bytes(other.lock_file.read_bytes())

    def is_whole(self):
        """Every saved take has its file."""
        return all(
            (self.folder / entry["render"]["path"]).stat().st_size == entry["render"]["bytes"]
            and lockfile_sha(self.folder / entry["render"]["path"]) == entry["render"]["sha256"]
            for entry in self.lock["takes"].values()
            if entry["state"] == "saved"
        )


def lockfile_sha(path):
    from runner.folder import sha256

    return sha256(path)


def snapshot(folder):
    """Every file of a folder and its bytes, but for the guard's own."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix not in {".guard", ".new"}
    }


@pytest.fixture
def studio(tmp_path):
    with Studio(Settings(folder=tmp_path / "studio", render=tiny, in_flight=4, dialect="qwencloud")) as studio:
        yield studio


@pytest.fixture
def desk(tmp_path, studio, capsys, monkeypatch):
    """A clone in which nothing has been run."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "film.callsheet.yaml").write_text(STORYBOARD.format(url=studio.base_url))
    monkeypatch.setenv("DASHSCOPE_API_KEY", KEY)
    return Desk(folder, studio, capsys, monkeypatch)


@pytest.fixture
def done(desk):
    """A clone whose two takes are saved."""
    assert desk.run() == (0, 2), desk.said
    return desk


@pytest.fixture
def under_way(desk):
    """A clone whose two takes are with the provider; nobody could ask for them yet."""
    desk.studio.settings.faults.add("poll-401:*")
    assert desk.run() == (75, 2), desk.said
    desk.studio.settings.faults.add("poll-401:0")
    assert set(desk.states.values()) == {"submitted"}
    return desk


# The journal


def test_a_torn_last_line_is_cut_off_and_the_run_goes_on(under_way):
    with under_way.journal.open("ab") as journal:
        journal.write(b'{"event":"saved","take":"s010@1","rend')
    assert under_way.run() == (0, 0), under_way.said
    assert under_way.is_whole()
    assert b'"rend\n' not in under_way.journal.read_bytes()


@pytest.mark.parametrize("line", [b'{"event":"submi{"event":"run"}', b"5", b"[]", b"{}", b"null", b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_line_in_the_middle_is_named_and_nothing_is_sent(done, line):
    lines = done.journal.read_bytes().splitlines(keepends=True)
    done.journal.write_bytes(b"".join([*lines[:3], line + b"\n", *lines[3:]]))
    done.edit("The keeper turns", "The keeper sleeps")
    before = snapshot(done.folder)
    for command in (["run"], ["run", "--json"], ["collect"], ["plan"], ["status"]):
        assert done.do(*command) == (3, 0), done.said
        assert "film.journal:4: this line of the journal is damaged" in done.said
        assert "Traceback" not in done.said
    assert snapshot(done.folder) == before


@pytest.mark.parametrize(
    "record",
    [
        {"event": "run", "journal": 2, "at": "2026-11-21T01:02:03Z", "run": "later", "seq": -1},
        {"event": "teleported", "take": "s010@1", "run": "later"},
        {"event": "known", "take": "s010@1", "run": "later", "entry": {"state": "saved", "attempts": [{"id": "a", "mood": 1}]}},
        {"event": "submitted", "run": "later"},
    ],
)
def test_a_journal_of_a_newer_version_is_refused_and_left_as_it_is(done, record):
    with done.journal.open("ab") as journal:
        journal.write(json.dumps(record).encode() + b"\n")
    done.edit("The keeper turns", "The keeper sleeps")
    before = snapshot(done.folder)
    assert done.run() == (3, 0), done.said
    assert re.search(r"film\.journal:\d+: (the journal has version 2|a record makes no sense)", done.said)
    assert "upgrade" in done.said
    assert snapshot(done.folder) == before


# The lock's text


def test_a_lock_of_a_newer_version_is_refused_and_left_as_it_is(done):
    text = done.lock_file.read_text().replace('"callsheet_lock": 1', '"callsheet_lock": 2, "colour": "blue"')
    done.lock_file.write_text(text)
    before = snapshot(done.folder)
    for command in (["run"], ["collect"], ["plan"], ["status"], ["again", "film.callsheet.yaml", "*"]):
        assert done.do(*command) == (3, 0), done.said
        assert "the lock has version 2, this callsheet knows 1" in done.said
        assert "upgrade" in done.said
    assert snapshot(done.folder) == before


def edited(*path, value):
    """A change of the lock's data at a path."""

    def change(data):
        for part in path[:-1]:
            data = data[part]
        data[path[-1]] = value

    return change


def removed(*path):
    def change(data):
        for part in path[:-1]:
            data = data[part]
        del data[path[-1]]

    return change


TAKE = ("takes", "s010@1")
WRONG = {
    "no such state": (edited(*TAKE, "state", value="paid"), '/takes/s010@1/state "paid" is not allowed'),
    "wrong type": (edited(*TAKE, "attempts", value={}), "/takes/s010@1/attempts must be a list"),
    "take is a list": (edited(*TAKE, value=[]), "/takes/s010@1 must be a mapping"),
    "takes is null": (edited("takes", value=None), "/takes must be a mapping"),
    "missing state": (removed(*TAKE, "state"), '"state" is missing'),
    "missing takes": (removed("takes"), '"takes" is missing'),
    "missing id": (removed(*TAKE, "attempts", 0, "id"), '"id" is missing'),
    "missing render": (removed(*TAKE, "render"), '"render" is missing'),
    "missing version": (removed("callsheet_lock"), '"callsheet_lock" is missing'),
    "extra key": (edited(*TAKE, "mood", value="good"), 'unknown key "mood"'),
    "extra key of an attempt": (edited(*TAKE, "attempts", 0, "mood", value=1), 'unknown key "mood"'),
    "bytes as text": (edited(*TAKE, "render", "bytes", value="9"), "render/bytes must be a whole number"),
    "no take": (edited("takes", "s010@x", value={"state": "wanted", "attempts": []}), "cannot be a name here"),
    "leaves the folder": (edited("takes", "../../x@1", value={"state": "wanted", "attempts": []}), "cannot be a name here"),
    "path outside": (edited(*TAKE, "render", "path", value="../../x.mp4"), "is not allowed here"),
    "path absolute": (edited(*TAKE, "render", "path", value="/tmp/x.mp4"), "is not allowed here"),
    "path of Windows": (edited(*TAKE, "render", "path", value="takes\\..\\..\\x.mp4"), "is not allowed here"),
    "path hidden": (edited(*TAKE, "render", "path", value=".git/hooks/x.mp4"), "hidden"),
    "NUL in a path": (edited(*TAKE, "render", "path", value="a\0b.mp4"), "control character"),
    "no time": (edited(*TAKE, "attempts", 0, "submitted_at", value="2026-99-99T00:00:00Z"), "is no time"),
    "no amount": (edited(*TAKE, "attempts", 0, "cost", value={"amount": "1e9", "currency": "USD"}), "wrong form"),
    "endless number": (edited(*TAKE, "render", "seconds", value=float("inf")), "JSON compliant"),
    "half a character": (edited(*TAKE, "provider", value="\ud800"), "surrogates not allowed"),
    "escape sequence": (edited(*TAKE, "provider", value="\x1b[31mred"), "control character"),
    "picked is a list": (edited("picked", value=[]), "/picked must be a mapping"),
    "run half named": (edited("run", value={"id": "x"}), '"host" is missing'),
    "under way without a task": (edited(*TAKE, value={"state": "submitted", "attempts": [{"id": "a"}]}), '"task_id" is missing'),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_lock_edited_by_hand_is_refused_at_its_place(done, case):
    change, said = WRONG[case]
    data = done.lock
    change(data)
    done.lock_file.write_text(json.dumps(data, indent=2))
    done.edit("The keeper turns", "The keeper sleeps")
    before = snapshot(done.folder)
    for command in (["run"], ["status"], ["run", "--json"]):
        assert done.do(*command) == (3, 0), done.said
        assert said in done.said.replace('\\"', '"')
        assert "film.callsheet.lock" in done.said
        assert "hint" in done.said
        assert "\x1b" not in done.said
    assert snapshot(done.folder) == before


def test_what_is_wrong_is_named_by_line_and_column(done):
    lines = done.lock_file.read_text().splitlines()
    number = next(number for number, line in enumerate(lines) if '"state": "saved"' in line)
    lines[number] = lines[number].replace("saved", "paid")
    done.lock_file.write_text("\n".join(lines) + "\n")
    assert done.run() == (3, 0)
    column = lines[number].index('"paid"') + 1
    assert f"film.callsheet.lock:{number + 1}:{column}: the lock is damaged" in done.said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", ": film.callsheet.lock:1:1: this is no lock: it is empty"),
        (b'{"callsheet_lock": 1,\n', "lock:2:1: this is no lock: it ends in the middle"),
        (b'{"callsheet_lock": 1,\n "takes": {"s0', "lock:2:12: this is no lock: it ends in the middle"),
        (b'{"callsheet_lock": 1,\n "takes": {,}}', "lock:2:12: this is no lock"),
        (b"\xff\xfe\x00", "this is no lock"),
        (b'{"callsheet_lock": 1, "takes": {"a\xe4@1": 1}}', "this is no lock"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[]", "must be a mapping"),
        (b"null", "the lock is damaged"),
        (b'{"callsheet_lock": true, "takes": {}}', "must be 1, not true"),
        (b'{"callsheet_lock": "2", "takes": {}}', 'must be 1, not "2"'),
        (b'{"callsheet_lock": 1, "takes": {}, "n": 1' + b"0" * 5000 + b"}", "this is no lock"),
    ],
)
def test_what_is_no_lock_is_said_to_be_none(done, text, said):
    done.lock_file.write_bytes(text)
    before = snapshot(done.folder)
    for command in (["run"], ["status"], ["run", "--json"]):
        assert done.do(*command) == (3, 0), done.said
        assert said in done.said.replace('\\"', '"')
    assert snapshot(done.folder) == before


@pytest.mark.parametrize("first", [True, False])
def test_merge_conflicts_are_said_as_such_with_what_to_do(done, first):
    lines = done.lock_file.read_text().splitlines()
    at = 0 if first else 4
    conflict = ["<<<<<<< HEAD", *lines[at : at + 2], "=======", *lines[at : at + 2], ">>>>>>> theirs"]
    done.lock_file.write_text("\n".join([*lines[:at], *conflict, *lines[at + 2 :]]) + "\n")
    before = snapshot(done.folder)
    assert done.run() == (3, 0)
    assert f"film.callsheet.lock:{at + 1}: the lock has unresolved merge conflicts" in done.said
    assert "keep the takes of both sides" in done.said
    assert snapshot(done.folder) == before


def test_a_take_that_stands_twice_is_not_silently_forgotten(done):
    """Whoever keeps both sides of a merge as they are has one number twice, of which JSON would keep the last."""
    entry = json.dumps(done.lock["takes"]["s010@1"])
    done.lock_file.write_text(done.lock_file.read_text().replace('"s020@1":', f'"s010@1": {entry},\n    "s020@1":'))
    assert done.run() == (3, 0)
    assert re.search(r'lock:\d+: "s010@1" stands twice in the lock', done.said)
    assert "next free number" in done.said


def test_a_lock_reformatted_by_a_tool_is_taken_and_put_in_order(done):
    before = done.lock_file.read_bytes()
    done.lock_file.write_text(json.dumps(done.lock, indent=4), encoding="utf-8-sig")
    assert done.run() == (0, 0), done.said
    assert done.lock_file.read_bytes() == before


# Whose lock it is


def named(done, run="gone", host="another-machine"):
    """The lock as it stands while a run is alive, or after one that never ended."""
    data = {**done.lock, "run": {"id": run, "host": host, "since": "2026-11-21T00:00:00Z"}}
    done.lock_file.write_text(json.dumps(data, indent=2, sort_keys=True) + "\n")


def test_a_lock_that_names_a_run_of_another_machine_pays_for_nothing_new(under_way):
    named(under_way)
    theirs = under_way.clone("theirs")
    theirs.edit("shots:\n", "shots:\n  - {id: s005, prompt: A gull}\n")
    assert theirs.run() == (3, 0), theirs.said
    assert "gone on another-machine, since 2026-11-21T00:00:00Z" in theirs.said
    assert theirs.do("collect")[1] == 0
    assert theirs.states == {"s010@1": "saved", "s020@1": "saved"}, "what is paid for is fetched all the same"
    assert theirs.lock["run"]["id"] == "gone", "and the warning stays for whoever comes next"
    assert theirs.run() == (3, 0)


def test_a_journal_of_earlier_runs_is_not_that_of_the_run_which_the_lock_names(done):
    named(done)
    done.edit("The keeper turns", "The keeper sleeps")
    assert done.run() == (3, 0)
    assert "whose journal is not here" in done.said


def test_a_second_run_stops_at_once_and_names_the_first(desk):
    with runner.hold(runner.read(desk.manifest)):
        for command in (["run"], ["collect"], ["run", "--json"]):
            assert desk.do(*command) == (3, 0)
            assert f"pid {os.getpid()} on {socket.gethostname()}, since 20" in desk.said
        assert desk.do("status")[0] != 3, "looking is never forbidden"
    assert desk.run() == (0, 2)


def test_a_dead_holder_is_in_nobodys_way(desk):
    script = "import os, runner\nheld = runner.hold(runner.read('film.callsheet.yaml'))\nheld.__enter__()\nos._exit(9)\n"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.run([sys.executable, "-c", script], check=False, cwd=desk.folder, env=env).returncode == 9
    assert (desk.state / "film.holder.json").exists()
    assert desk.run() == (0, 2), desk.said


def test_a_holder_on_another_host_is_never_broken_by_itself(desk):
    desk.state.mkdir()
    holder = desk.state / "film.holder.json"
    holder.write_text(json.dumps({"pid": 7, "host": "another-machine", "since": "2026-11-21T00:00:00Z"}))
    for _ in range(2):
        assert desk.run() == (3, 0)
        assert "pid 7 on another-machine" in desk.said
        assert str(holder) in desk.said, "the hint says what to delete"
        assert holder.exists()
    assert desk.do("status")[0] != 3
    holder.unlink()
    assert desk.run() == (0, 2)


def test_a_holder_file_that_makes_no_sense_wedges_nothing(desk):
    desk.state.mkdir()
    (desk.state / "film.holder.json").write_bytes(b'["\xff')
    assert desk.run() == (0, 2), desk.said


# The clock


@pytest.mark.parametrize("hours", [-20, -1, 1, 20])
def test_a_clock_that_is_set_between_two_runs_loses_nothing(desk, monkeypatch, hours):
    """What the first run writes down is hours off; the provider's own clock says what is over."""
    desk.studio.settings.faults.add("poll-401:*")
    with monkeypatch.context() as wrong:
        wrong.setattr(lockfile, "stamp", lambda at: stamp(at + 3600 * hours))
        assert desk.run() == (75, 2)
    desk.studio.settings.faults.add("poll-401:0")
    assert desk.run() == (0, 0), desk.said
    assert desk.is_whole()
    assert desk.run() == (0, 0)
    desk.edit("The keeper turns", "The keeper sleeps")
    assert desk.run() == (0, 1)
    assert desk.states == {"s010@1": "saved", "s020@1": "saved", "s020@2": "saved"}


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_clock_set_between_the_intent_and_the_next_run_pays_for_nothing_twice(desk, monkeypatch, hours):
    """The intent is stamped with the old clock: around that time the list has no such task, so it "never arrived"."""

    async def unasked(*_):
        return None

    desk.studio.settings.faults.add("lost-reply:1")
    desk.edit("  - {id: s020, prompt: The keeper turns}\n", "")
    with monkeypatch.context() as wrong:
        wrong.setattr(paying.reconcile, "now", unasked)  # killed before it could ask
        wrong.setattr(lockfile, "stamp", lambda at: stamp(at + 3600 * hours))
        assert desk.run() == (1, 1), desk.said
    assert desk.states == {"s010@1": "intended"}
    assert desk.run()[1] == 0, desk.said
    assert len(desk.studio.bills()) == 1


# The disk


class FullDisk:
    """Writes into a folder fail as on a full disk, from a record on; what the reserve held is room again once it is gone."""

    def __init__(self, monkeypatch, folder, needle, *, reserve=True):
        self.is_full = False
        write = os.write

        def full(fd, data):
            place = str(Path(f"/proc/self/fd/{fd}").readlink())
            if place.startswith(str(folder)):
                self.is_full = self.is_full or needle in bytes(data)
                if self.is_full and (not reserve or (folder / ".callsheet/film.reserve").exists()):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return write(fd, data)

        self._undo = lambda: monkeypatch.setattr(os, "write", write)
        monkeypatch.setattr(os, "write", full)

    def clear(self):
        self._undo()


linux = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="finds out by /proc which file is written")


@linux
@pytest.mark.parametrize("needle", [b'"event":"run"', b'"event":"intended"', b'"callsheet_lock"'])
def test_a_full_disk_before_the_request_sends_nothing(desk, monkeypatch, needle):
    disk = FullDisk(monkeypatch, desk.folder, needle)
    assert desk.run() == (3, 0), desk.said
    assert desk.said.count("callsheet: error:") == 1
    assert "cannot be written: No space left on device" in desk.said
    disk.clear()
    assert desk.run() == (0, 2), desk.said
    assert desk.is_whole()


@linux
def test_a_task_id_finds_room_on_a_full_disk(desk, monkeypatch):
    """The reserve beside the journal is given up for what is learnt of requests that are out already."""
    disk = FullDisk(monkeypatch, desk.folder, b'"event":"submitted"')
    result, paid = desk.run("--in-flight", "1")
    assert (result, paid) == (3, 1), "no further intent while the disk is full"
    assert "cannot be written" in desk.said
    disk.clear()
    desk.studio.settings.faults.add("no-id:0")
    assert [record["event"] for record in map(json.loads, desk.journal.read_text().splitlines())].count("submitted") == 1
    assert desk.run() == (0, 1), desk.said
    assert desk.is_whole()


@linux
def test_a_task_id_that_finds_no_room_is_said_aloud_and_found_again(desk, monkeypatch):
    disk = FullDisk(monkeypatch, desk.folder, b'"event":"submitted"', reserve=False)
    assert desk.run("--in-flight", "1") == (3, 1)
    (bill,) = desk.studio.bills()
    assert f"task {bill.task_id} is paid for, but could not be written down" in desk.said
    disk.clear()
    assert desk.run() == (0, 1), desk.said
    assert desk.is_whole()


@linux
def test_half_a_record_is_taken_back_before_the_next_one(desk, monkeypatch):
    write, cut = os.write, []

    def half(fd, data):
        if b'"event":"rendered"' in bytes(data) and not cut:
            cut.append(data)
            return write(fd, bytes(data)[: len(data) // 2])
        return write(fd, data)

    monkeypatch.setattr(os, "write", half)
    assert desk.run() == (0, 2), desk.said
    assert cut
    assert [json.loads(line)["event"] for line in desk.journal.read_text().splitlines()].count("rendered") == 2
    assert desk.run() == (0, 0), desk.said


@linux
def test_a_disk_that_is_full_at_the_end_leaves_the_lock_behind_and_nothing_lost(desk, monkeypatch):
    fold, folds = lockfile.Ledger.fold, []

    def at_the_end(ledger):
        folds.append(ledger)
        if len(folds) > 1:
            FullDisk(monkeypatch, desk.folder, b'"callsheet_lock"', reserve=False)
        fold(ledger)

    with monkeypatch.context() as patch:
        patch.setattr(lockfile.Ledger, "fold", at_the_end)
        write = os.write
        assert desk.run() == (3, 2), desk.said
        monkeypatch.setattr(os, "write", write)
    assert "film.callsheet.lock: cannot be written" in desk.said
    assert desk.run() == (0, 0), desk.said
    assert desk.is_whole()


@pytest.mark.parametrize("room", range(0, 4200, 350))
def test_a_file_that_may_not_grow_loses_nothing(desk, room):
    """The operating system's own limit on the size of files, in a process of its own: every write may be the one."""
    if room >= 350:
        desk.state.mkdir()
        (desk.state / "film.reserve").write_bytes(b"x" * 65_536)  # its own size would be above the limit
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    child = subprocess.run(
        [sys.executable, "-m", "runner", "run"],
        check=False,
        cwd=desk.folder,
        env=env,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
    )
    assert child.returncode in {0, 3, 75}, child.stderr
    assert "Traceback" not in child.stderr
    assert "bug" not in child.stderr
    paid = len(desk.studio.bills())
    assert desk.run()[0] == 0, desk.said
    assert len(desk.studio.bills()) == 2, f"{paid} were paid for under the limit: {child.stderr}"
    assert desk.is_whole()


def test_a_folder_that_may_not_be_written_says_so_and_looking_works(desk, monkeypatch):
    folder = Path(tempfile.mkdtemp(prefix="callsheet-"))
    try:
        shutil.copy(desk.manifest, folder)
        folder.chmod(0o555)
        there = Desk(folder, desk.studio, desk._capsys, monkeypatch)
        was = os.geteuid()
        if was == 0:
            os.seteuid(65534)  # for root nothing is read-only
        try:
            assert there.run() == (3, 0), there.said
            assert f"{folder}/.callsheet: cannot be written: Permission denied" in there.said
            assert there.do("plan") == (0, 0), there.said
            assert there.do("status")[1] == 0
            assert "Permission" not in there.said
        finally:
            os.seteuid(was)
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


# `.callsheet/` is only this machine's


def test_the_folder_of_states_deleted_between_two_runs_pays_for_nothing(under_way):
    shutil.rmtree(under_way.state)
    assert under_way.run() == (0, 0), under_way.said
    assert under_way.is_whole()
    shutil.rmtree(under_way.state)
    assert under_way.run() == (0, 0)
    assert "no request was sent" in under_way.said


@pytest.mark.parametrize("event", ["plan", "intended", "submitted", "rendered"])
@pytest.mark.parametrize("how", ["delete", "move"])
def test_the_folder_of_states_deleted_under_way_loses_nothing(desk, monkeypatch, event, how):
    note, seen = lockfile.Ledger.note, []

    def then_gone(ledger, name, **fields):
        record = note(ledger, name, **fields)
        if name == event and not seen:
            seen.append(name)
            gone(desk, how)
        return record

    monkeypatch.setattr(lockfile.Ledger, "note", then_gone)
    if event == "plan":
        seen.append("plan")
        name_run = lockfile.Ledger.name_run

        def first(ledger):
            if seen == ["plan"]:
                seen.append("gone")
                gone(desk, how)
            name_run(ledger)

        monkeypatch.setattr(lockfile.Ledger, "name_run", first)
    assert desk.run() == (0, 2), desk.said
    assert seen
    assert desk.is_whole()
    assert "run" not in desk.lock
    monkeypatch.undo()
    monkeypatch.setenv("DASHSCOPE_API_KEY", KEY)
    desk.lock_file.unlink()  # the journal made anew knows everything
    assert desk.run() == (0, 0), desk.said
    assert desk.states == dict.fromkeys(TAKES, "saved")


def gone(desk, how):
    if how == "delete":
        shutil.rmtree(desk.state)
    else:
        desk.state.rename(desk.folder / f"elsewhere{len(list(desk.folder.iterdir()))}")


def test_a_run_that_came_between_is_noticed_when_the_guard_was_deleted(desk, monkeypatch):
    """Whoever deletes the guard lets a second run in: the first stops as soon as what it knows is written down."""
    note, rivals = lockfile.Ledger.note, []

    def taken_over(ledger, name, **fields):
        if name == "submitted" and not rivals:
            shutil.rmtree(desk.state)
            script = "import sys, runner\nwith runner.hold(runner.read('film.callsheet.yaml')):\n  print('held', flush=True)\n  sys.stdin.read()\n"
            env = {**os.environ, "PYTHONPATH": str(ROOT)}
            rival = subprocess.Popen(
                [sys.executable, "-c", script], cwd=desk.folder, env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            assert rival.stdout.readline() == "held\n"
            rivals.append(rival)
        return note(ledger, name, **fields)

    monkeypatch.setattr(lockfile.Ledger, "note", taken_over)
    try:
        assert desk.run("--in-flight", "1") == (3, 1), desk.said
        assert f"pid {rivals[0].pid} on" in desk.said
    finally:
        for rival in rivals:
            rival.communicate()
    assert desk.run() == (0, 1), desk.said
    assert desk.is_whole()


# One side older than the other


def test_every_older_lock_that_git_brings_back_pays_for_nothing(desk):
    """The journal outlives its folding: whatever lock stands there, a paid take never looks new."""
    older = [None]
    desk.studio.settings.faults.add("poll-401:*")
    assert desk.run() == (75, 2)
    older.append(desk.lock_file.read_bytes())
    desk.studio.settings.faults.add("poll-401:0")
    assert desk.run() == (0, 0)
    older.append(desk.lock_file.read_bytes())
    desk.edit("The keeper turns", "The keeper sleeps")
    assert desk.run() == (0, 1)
    whole = desk.lock
    for lock in older:
        desk.lock_file.unlink() if lock is None else desk.lock_file.write_bytes(lock)
        assert desk.do("plan", "--check") == (0, 0), desk.said
        assert desk.run() == (0, 0), desk.said
        assert desk.lock == whole


def test_a_journal_older_than_the_lock_takes_over_what_the_lock_knows(done):
    old = done.journal.read_bytes()
    done.edit("The keeper turns", "The keeper sleeps")
    assert done.run() == (0, 1)
    whole = done.lock
    done.journal.write_bytes(old)
    assert done.run() == (0, 0), done.said
    assert done.lock == whole


# Other people's states


def test_a_fresh_clone_fetches_what_the_provider_still_has(done):
    theirs = done.clone("theirs")
    assert theirs.run() == (0, 0), theirs.said
    assert theirs.is_whole()
    assert (theirs.folder / "renders/film/s010.mp4").exists()


def test_a_fresh_clone_is_absent_where_the_provider_has_nothing_and_is_never_paid_again(done):
    theirs = done.clone("theirs")
    done.studio.settings.faults.add("unknown:*")
    assert theirs.run() == (0, 0), theirs.said
    assert "absent" in theirs.said
    assert theirs.states == dict.fromkeys(TAKES, "saved")
    done.studio.settings.faults.add("unknown:0")
    assert theirs.run() == (0, 0), "told once, then known"
    assert "no request was sent" in theirs.said
    assert theirs.do("again", "film.callsheet.yaml", "s010@1") == (0, 0)
    assert theirs.run() == (0, 1), "only a person's word pays again"


def test_unknown_under_a_colleagues_key_ends_nothing(under_way, monkeypatch):
    theirs = under_way.clone("theirs")
    monkeypatch.setenv("DASHSCOPE_API_KEY", OTHER_KEY)
    under_way.studio.settings.faults.add("unknown:*")
    assert theirs.run() == (75, 0), theirs.said
    assert "not known to this key" in theirs.said
    assert set(theirs.states.values()) == {"submitted"}
    under_way.studio.settings.faults.add("unknown:0")
    monkeypatch.setenv("DASHSCOPE_API_KEY", KEY)
    under_way.pull(theirs)
    assert under_way.run() == (0, 0), under_way.said
    assert under_way.is_whole()


def test_unknown_under_a_colleagues_key_makes_no_saved_take_absent(done, monkeypatch):
    theirs = done.clone("theirs")
    monkeypatch.setenv("DASHSCOPE_API_KEY", OTHER_KEY)
    done.studio.settings.faults.add("unknown:*")
    assert theirs.run()[1] == 0
    assert "absent" not in theirs.said
    done.studio.settings.faults.add("unknown:0")
    monkeypatch.setenv("DASHSCOPE_API_KEY", KEY)
    assert theirs.run() == (0, 0), theirs.said
    assert theirs.is_whole()


def test_takes_under_way_at_the_old_provider_are_fetched_there_after_the_manifest_has_changed(under_way, tmp_path, monkeypatch):
    with Studio(Settings(folder=tmp_path / "other", render=tiny, dialect="aisa")) as other:
        monkeypatch.setenv("AISA_API_KEY", "sk-aisa-0123456789ab")
        under_way.edit("provider: qwencloud\n", "provider: aisa\n")
        more = (
            "{models: [wan2.7-t2v], poll: {first: 0.02, every: 0.02}, limits: {submits_per_second: 200, queries_per_second: 500}}"
        )
        under_way.edit("providers:\n", f'providers:\n  aisa: {{base_url: "{other.base_url}", {more[1:]}\n')
        assert under_way.run() == (0, 0), under_way.said
        assert other.bills() == [], "the wording is the same, so nothing is paid again"
        assert {entry["provider"] for entry in under_way.lock["takes"].values()} == {"qwencloud"}
        assert under_way.is_whole()
        under_way.edit("The keeper turns", "The keeper sleeps")
        assert under_way.run() == (0, 0)
        assert len(other.bills()) == 1
        assert under_way.lock["takes"]["s020@2"]["provider"] == "aisa"


def test_a_provider_taken_out_of_the_manifest_is_asked_back_for_its_takes(desk):
    desk.edit("  qwencloud:\n", "  mine:\n    extends: qwencloud\n")
    desk.edit("provider: qwencloud", "provider: mine")
    desk.studio.settings.faults.add("poll-401:*")
    assert desk.run() == (75, 2), desk.said
    desk.edit("mine", "ours")
    before = desk.lock_file.read_bytes()
    assert desk.run() == (3, 0)
    assert 'the lock has takes of provider "mine", which this manifest does not know' in desk.said
    assert desk.lock_file.read_bytes() == before


@pytest.fixture
def branches(desk):
    """Two people who rendered the same two shots, each on a branch of their own: four renders, two of each number."""
    theirs = desk.clone("theirs")
    assert desk.run() == (0, 2)
    assert theirs.run() == (0, 2)
    return desk, theirs


def attempts(desk):
    return {take: [one["id"] for one in entry["attempts"]] for take, entry in sorted(desk.lock["takes"].items())}


@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_of_two_branches_that_rendered_the_same_shots_both_takes_are_kept(branches, side):
    mine, theirs = branches
    before = {"mine": attempts(mine), "theirs": attempts(theirs)}
    (winner, loser) = (mine, theirs) if side == "ours" else (theirs, mine)
    loser.pull(winner)  # the merge took one side whole
    assert loser.do("plan")[1] == 0
    assert loser.run() == (0, 0), loser.said
    assert set(loser.lock["takes"]) == {"s010@1", "s010@2", "s020@1", "s020@2"}
    assert sorted(map(tuple, attempts(loser).values())) == sorted(
        tuple(ids) for desk in before.values() for ids in desk.values()
    ), "four renders were paid for and four are known"
    assert loser.is_whole()
    assert loser.run() == (0, 0)
    assert "no request was sent" in loser.said
    outputs = {(loser.folder / f"renders/film/{shot}.mp4").stat().st_ino for shot in ("s010", "s020")}
    assert len(outputs) == 2, "each shot shows one pick"
    winner.pull(loser)
    assert winner.run()[1] == 0, winner.said
    assert attempts(winner) == attempts(loser), "both call them alike from now on"
    loser.pull(winner)
    assert loser.run() == (0, 0)
    assert attempts(winner) == attempts(loser)


def test_a_merge_that_was_cut_short_draws_no_number_twice(branches):
    mine, theirs = branches
    mine.pull(theirs)
    manifest = runner.read(mine.manifest)
    with runner.hold(manifest) as held:
        held.ledger.note("absent", take="s020@1")  # opens the journal, which takes in what only the lock knows
    assert set(runner.known(manifest).takes) == {"s010@1", "s010@2", "s020@1", "s020@2"}
    assert mine.run() == (0, 0), mine.said
    assert len(attempts(mine)) == 4


def test_a_merge_by_hand_that_forgets_the_paths_keeps_every_file_apart(branches):
    mine, theirs = branches
    data, other = mine.lock, theirs.lock
    for shot in ("s010", "s020"):
        data["takes"][f"{shot}@2"] = other["takes"][f"{shot}@1"]
    mine.lock_file.write_text(json.dumps(data, indent=2))
    assert mine.run() == (0, 0), mine.said
    assert mine.is_whole()
    paths = [entry["render"]["path"] for entry in mine.lock["takes"].values()]
    assert len(paths) == len(set(paths)) == 4


def test_takes_under_way_on_both_branches_are_all_fetched(desk):
    desk.studio.settings.faults.add("poll-401:*")
    theirs = desk.clone("theirs")
    assert desk.run() == (75, 2)
    assert theirs.run() == (75, 2)
    desk.studio.settings.faults.add("poll-401:0")
    desk.pull(theirs)
    assert desk.run() == (0, 0), desk.said
    assert len(desk.states) == 4
    assert set(desk.states.values()) == {"saved"}
    assert desk.is_whole()


def test_a_take_that_failed_on_one_branch_is_no_second_take(desk):
    theirs = desk.clone("theirs")
    desk.studio.settings.faults.add("moderation:*")
    assert desk.run() == (1, 2)
    desk.studio.settings.faults.add("moderation:0")
    assert theirs.run() == (0, 2)
    desk.pull(theirs)
    assert desk.run() == (0, 0), desk.said
    assert desk.states == dict.fromkeys(TAKES, "saved")


def test_two_manifests_with_one_output_folder_never_touch_each_others_files(done):
    done.edit("shots:\n", 'output: "renders/film/${shot}.mp4"\nshots:\n')
    other = done.folder / "other.callsheet.yaml"
    other.write_text(done.manifest.read_text().replace("The keeper turns", "The keeper dreams"))
    files = {path: path.read_bytes() for path in (done.folder / "renders").rglob("*.mp4")}
    assert done.do("run", "other.callsheet.yaml") == (1, 0), done.said
    assert "in the way: not a file of this lock" in done.said
    assert {path: path.read_bytes() for path in (done.folder / "renders").rglob("*.mp4")} == files
    assert done.run() == (0, 0)
    assert "no request was sent" in done.said


def test_profiles_have_locks_and_files_side_by_side(done):
    done.edit("shots:\n", "profiles: {draft: {parameters: {resolution: 1080P}}}\nshots:\n")
    lock = done.lock_file.read_bytes()
    files = {path: path.read_bytes() for path in (done.folder / "renders").rglob("*.mp4")}
    assert done.run("--profile", "draft") == (0, 2), done.said
    assert (done.folder / "film.draft.callsheet.lock").exists()
    assert done.lock_file.read_bytes() == lock
    assert {path: path.read_bytes() for path in (done.folder / "renders/film").rglob("*.mp4")} == files
    assert done.run() == (0, 0)
    assert done.run("--profile", "draft") == (0, 0)
    with runner.hold(runner.read(done.manifest)):
        assert done.run("--profile", "draft") == (0, 0), "one profile's run does not hold another's lock"


def test_the_lock_carries_no_secret_no_absolute_path_and_no_signed_link(done):
    text = done.lock_file.read_text()
    assert KEY not in text
    assert str(done.folder) not in text
    assert "Signature" not in text
    assert text == json.dumps(done.lock, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def test_a_folder_that_cannot_be_locked_is_said_with_what_to_do(done, monkeypatch):
    """As in a folder that one may read and not write; whoever runs this may be root, who may write everywhere."""

    def closed(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("filelock.FileLock.acquire", closed)
    assert done.run() == (3, 0)
    assert "film.guard: cannot be locked: Permission denied" in done.said
    assert "hint: give yourself the permission to write there" in done.said
