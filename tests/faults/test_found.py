"""Faults of the product that the harness has found, each as small as it gets; mended, and kept as guards."""

from __future__ import annotations

import json
import socket
import threading

import pytest
from filelock import FileLock

import runner
from runner.cli import code
from runner.errors import LockHeld
from runner.lockfile import Files, Ledger, held, prepare
from runner.studio import Settings, Studio
from tests.faults import oracle
from tests.faults.scenarios import HEAD, TWO
from tests.faults.world import tiny


@pytest.fixture
def film(tmp_path, monkeypatch):
    """A storyboard of one shot and two takes at the native service, whose faults can be set."""
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-test-0123456789")
    with Studio(Settings(folder=tmp_path / "studio", render=tiny, in_flight=4, dialect="qwencloud")) as studio:
        folder = tmp_path / "film"
        folder.mkdir()
        text = (HEAD + TWO).format(provider="qwencloud", url=studio.base_url, tag="found")
        (folder / "small.callsheet.yaml").write_text(text)
        monkeypatch.chdir(folder)
        yield studio, folder


def test_half_a_rename_goes_on_and_pays_for_nothing(film, monkeypatch):
    """Killed between the two records of a rename, the next run submits what the other half of the orphan is."""
    studio, folder = film
    assert code(["run"]) == 0
    manifest = folder / "small.callsheet.yaml"
    manifest.write_text(manifest.read_text().replace("id: s010", "id: pier"))
    note = Ledger.note

    def once(self, event, **fields):
        found = note(self, event, **fields)
        if event == "renamed":
            raise KeyboardInterrupt
        return found

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "note", once)
        code(["run"])
    assert code(["run"]) == 0
    assert sorted(oracle.lock_of(folder)["takes"]) == ["pier@1", "pier@2"]
    assert len(studio.bills()) == 2


def test_a_rename_that_was_not_folded_keeps_its_files(film, monkeypatch):
    """Killed between the rename and the next fold, the lock's old path wins over the journal's: the file is not found."""
    _, folder = film
    assert code(["run"]) == 0
    manifest = folder / "small.callsheet.yaml"
    manifest.write_text(manifest.read_text().replace("id: s010", "id: pier"))

    def killed(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "close", killed)
        code(["run"])
    known = runner.known(runner.read(manifest))
    assert {take: (folder / entry.render["path"]).exists() for take, entry in known.takes.items()} == {
        "pier@1": True,
        "pier@2": True,
    }


def test_an_equal_request_waits_until_the_one_in_doubt_is_settled(film):
    """Two takes of one shot, both replies lost, one of them in an earlier run: afterwards no list can tell whose is whose."""
    studio, folder = film
    studio.settings.faults.add("lost-reply:2")
    studio.settings.faults.add("poll-500:*")  # the candidate does not show its prompt in this run
    code(["run", "--only", "s010@1"])
    studio.settings.faults.add("poll-500:0")
    code(["run"])
    assert oracle.in_doubt(folder) == []
    assert len(studio.bills()) == 2


def test_a_candidate_that_is_unknown_for_a_moment_is_watched_on(film):
    """UNKNOWN for a while ends no watched take; it must not make a question of one in doubt either."""
    studio, folder = film
    studio.settings.faults.add("lost-reply")
    studio.settings.faults.add("unknown:1")
    assert code(["run", "--only", "s010@1"]) == 0
    assert oracle.in_doubt(folder) == []


def test_a_run_that_meets_one_just_starting_names_it(tmp_path):
    """Between the guard and the note of who has it lie some milliseconds, in which the second run names nobody."""
    files = Files(lock=tmp_path / "film.callsheet.lock")
    prepare(files.state)
    note = {"pid": 4711, "host": socket.gethostname(), "since": "2026-11-21T00:00:00Z"}
    with FileLock(files.guard):
        writing = threading.Timer(0.05, lambda: files.holder.write_text(json.dumps(note)))
        writing.start()
        with pytest.raises(LockHeld) as refused, held(files):
            pass
        writing.join()
    assert "4711" in str(refused.value.fact)
