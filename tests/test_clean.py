"""`clean`: what goes, what never goes, and that nobody pays for it afterwards. A real studio that bills, real files."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest
from filelock import FileLock

import runner
from runner.cli import code
from runner.lockfile import Ledger, held
from runner.studio import Settings, Studio
from tests.faults.world import tiny

STORYBOARD = """\
callsheet: 1
providers: {{studio: {{base_url: "{url}", poll: {{first: 0.03, every: 0.03}}}}}}
defaults: {{model: wan2.7-t2v, parameters: {{resolution: 720P, duration: 2}}}}
shots:
  - {{id: s010, prompt: "A lighthouse, {tag}"}}
  - {{id: s020, prompt: "The keeper, {tag}"}}
  - {{id: s030, prompt: "The sea, {tag}"}}
"""


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    with Studio(Settings(folder=tmp_path_factory.mktemp("studio"), render=tiny, in_flight=8)) as studio:
        yield studio


class Film:
    """A folder with a storyboard of which every take is rendered, and command lines in it."""

    def __init__(self, folder, studio, tag, capsys):
        self.folder, self.studio, self.tag, self.capsys = folder, studio, tag, capsys
        self.path = folder / "film.callsheet.yaml"
        self.path.write_text(STORYBOARD.format(url=studio.base_url, tag=tag), encoding="utf-8")
        assert self.call("run") == 0

    def call(self, *args):
        self.capsys.readouterr()
        result = code([args[0], "film.callsheet.yaml", *args[1:]])
        found = self.capsys.readouterr()
        self.out, self.err = found.out, found.err
        assert "Traceback" not in found.err
        return result

    def edit(self, old, new):
        text = self.path.read_text("utf-8")
        assert old in text
        self.path.write_text(text.replace(old, new), encoding="utf-8")

    def clean(self, *args):
        """Names of what was deleted, by a clean that must have succeeded."""
        assert self.call("clean", "--yes", "--json", *args) == 0, self.err
        self.said = json.loads(self.out)
        self.kept = {one["name"]: one["why"] for one in self.said["kept"]}
        return [item["name"] for item in self.said["items"] if item["deleted"]]

    def take(self, key):
        return self.folder / f"renders/film/takes/{key}.mp4"

    @property
    def renders(self):
        return sorted(path.name for path in (self.folder / "renders/film").rglob("*.mp4"))

    @property
    def billed(self):
        return [bill.take for bill in self.studio.bills() if bill.body["input"]["prompt"].endswith(self.tag)]

    def note(self, *records):
        files = runner.files_of(runner.read(self.path))
        with held(files):
            ledger = Ledger(files, runner.lockfile.load(files))
            for record in records:
                ledger.note(**record)
            ledger.close()


@pytest.fixture
def film(studio, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "film"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return Film(folder, studio, tmp_path.name, capsys)


@pytest.fixture
def reworded(film):
    """s010 has an outdated take and a current one; s030 has left the manifest."""
    film.edit("A lighthouse", "A lighthouse at dusk")
    assert film.call("run") == 0
    text = film.path.read_text("utf-8")
    film.path.write_text("".join(line for line in text.splitlines(keepends=True) if "s030" not in line), "utf-8")
    return film


def test_outdated_and_orphaned_takes_go_and_the_current_ones_stay(reworded):
    film = reworded
    assert film.clean() == ["s010@1", "s030@1"]
    assert film.renders == ["s010.mp4", "s010@2.mp4", "s020.mp4", "s020@1.mp4"]
    assert film.said["bytes"] == film.said["freed"] > 0
    assert film.clean() == []


def test_each_kind_can_be_had_alone(reworded):
    film = reworded
    assert film.clean("--caches") == []
    assert film.clean("--orphaned") == ["s030@1"]
    assert film.clean("--outdated") == ["s010@1"]


def test_nothing_is_paid_for_or_fetched_afterwards_and_status_says_what_is_not_here(reworded):
    film = reworded
    film.clean()
    before = film.billed
    assert film.call("run") == 0
    assert "nothing to do, no request was sent" in film.err
    assert film.billed == before
    assert film.call("status") == 0
    gone = [line for line in film.out.splitlines() if line.endswith("(not here)")]
    assert [line.split()[0] for line in gone] == ["s010@1", "s030@1"]
    film.edit("A lighthouse at dusk", "A lighthouse by night")
    assert film.call("run") == 0
    assert film.billed == [*before, "s010@3"]  # no number twice


def test_the_old_wording_brings_its_take_back_for_nothing(reworded):
    film = reworded
    film.clean()
    before = film.billed
    film.edit("A lighthouse at dusk", "A lighthouse")
    assert film.call("run") == 0
    assert film.take("s010@1").is_file()
    assert film.billed == before


def test_a_picked_take_stays_whatever_it_was_made_of(reworded):
    film = reworded
    film.note({"event": "picked", "shot": "s010", "take": "s010@1"}, {"event": "picked", "shot": "s030", "take": "s030@1"})
    assert film.clean() == []
    assert film.take("s010@1").is_file()
    assert film.take("s030@1").is_file()


def test_a_take_that_a_chain_names_stays(reworded):
    film = reworded
    link = "{first_frame: {shot: s010, frame: last, take: 1}}"
    film.edit("shots:\n", f"shots:\n  - {{id: s005, model: wan2.7-i2v, prompt: On, media: {link}}}\n")
    assert film.clean("--outdated") == []
    assert film.kept["s010@1"] == "s005 is made from it"


def test_a_renamed_shot_takes_its_takes_along_and_loses_none(film):
    film.edit("id: s030", "id: s035")
    assert film.clean() == []
    assert film.take("s030@1").is_file()


def test_the_last_look_of_a_shot_goes_with_its_take_and_is_told(film):
    film.edit("A lighthouse", "A lighthouse at dusk")
    assert film.call("clean", "--dry-run") == 0
    assert "renders/film/takes/s010@1.mp4, renders/film/s010.mp4 (still its shot's output)" in film.out
    assert film.clean() == ["s010@1"]
    assert film.said["freed"] == film.said["bytes"]
    assert "s010.mp4" not in film.renders


def test_a_file_that_is_not_the_one_that_was_saved_is_never_deleted(reworded):
    film = reworded
    size = film.take("s010@1").stat().st_size
    film.take("s010@1").write_bytes(b"x" * size)  # a grade of one's own, of the very same size
    film.take("s030@1").unlink()
    film.take("s030@1").write_bytes(b"another")
    assert film.call("clean", "--yes", "--json") == 1
    kept = {one["name"]: one["why"] for one in json.loads(film.out)["kept"]}
    assert "its content differs" in kept["s010@1"]
    assert "its size differs" in kept["s030@1"]
    assert film.take("s010@1").read_bytes() == b"x" * size
    assert film.take("s030@1").read_bytes() == b"another"


def test_a_link_that_leads_elsewhere_is_left_alone(reworded, tmp_path):
    film = reworded
    away = tmp_path / "elsewhere"
    away.mkdir()
    film.take("s010@1").rename(away / "s010@1.mp4")
    film.take("s010@1").symlink_to(away / "s010@1.mp4")
    assert film.clean("--outdated") == []
    assert (away / "s010@1.mp4").is_file()
    assert film.take("s010@1").is_symlink()


def test_what_another_manifest_of_the_folder_has_stays(reworded):
    film = reworded
    shutil.copy("film.callsheet.lock", "other.callsheet.lock")
    assert film.clean() == []
    assert film.kept["s010@1"] == "other.callsheet.lock has it too"


def test_what_is_linked_elsewhere_frees_nothing_and_says_so(reworded):
    film = reworded
    os.link(film.take("s010@1"), film.folder / "mine.mp4")
    assert film.call("clean", "--outdated", "--dry-run") == 0
    assert "become free: the rest has other names" in film.out
    assert film.clean("--outdated") == ["s010@1"]
    assert film.said["freed"] == 0
    assert (film.folder / "mine.mp4").is_file()


def test_without_a_yes_and_a_terminal_nothing_is_deleted(reworded, monkeypatch):
    film = reworded
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        assert film.call("clean") == 3
    assert "s010@1" in film.out
    assert "add --yes" in film.err
    assert film.take("s010@1").is_file()
    before = {path: path.stat().st_mtime_ns for path in film.folder.rglob("*")}
    assert film.call("clean", "--dry-run", "--json") == 0
    assert [item["deleted"] for item in json.loads(film.out)["items"]] == [False, False]
    assert {path: path.stat().st_mtime_ns for path in film.folder.rglob("*")} == before


def test_while_a_run_is_alive_nothing_is_deleted(reworded):
    film = reworded
    with held(runner.files_of(runner.read(film.path))):
        assert film.call("clean", "--yes") == 3
    assert "another run holds this lock" in film.err
    assert film.take("s010@1").is_file()


# Caches


def test_beginnings_of_downloads_go_only_where_no_run_goes_on_with_them(film):
    parts = film.folder / ".callsheet/parts"
    parts.mkdir(exist_ok=True)
    film.take("s020@1").unlink()
    for name in ("film-s010@1.part", "film-s010@1.part.json", "film-s020@1.part", "film-s777@1.part", "mine.txt"):
        (parts / name).write_bytes(b"x")
    assert film.clean("--caches") == ["leftover downloads"]
    assert sorted(path.name for path in parts.iterdir()) == ["film-s020@1.part", "film-s777@1.part", "mine.txt"]


def test_journal_guard_and_what_is_unknown_always_stay(film):
    state = film.folder / ".callsheet"
    (state / "posters").mkdir()
    (state / "posters/0.jpg").write_bytes(b"x")
    (state / "unknown").write_bytes(b"x")
    journal = (state / "film.journal").read_bytes()
    assert film.clean() == ["the board's posters"]
    assert (state / "film.journal").read_bytes() == journal
    assert (state / "unknown").exists()
    assert film.call("run") == 0
    assert "nothing to do" in film.err


def test_a_chains_frame_goes_only_where_it_can_be_cut_again(film):
    frames = film.folder / ".callsheet/frames"
    frames.mkdir()
    takes = json.loads((film.folder / "film.callsheet.lock").read_text("utf-8"))["takes"]
    names = {key: f"{takes[key]['render']['sha256']}-last.png" for key in ("s010@1", "s020@1")}
    for name in names.values():
        (frames / name).write_bytes(b"x")
    film.take("s020@1").unlink()
    assert film.clean("--caches") == ["the chains' frames"]
    assert [path.name for path in frames.iterdir()] == [names["s020@1"]]


def test_uploads_are_forgotten_when_all_have_expired(film):
    cache = film.folder / ".callsheet/uploads.json"
    row = {"url": "oss://x", "until": time.time() + 60}
    cache.write_text(json.dumps({"a wan2.7-i2v sha256:0": row, "b wan2.7-i2v sha256:0": {**row, "until": 1}}))
    assert film.clean("--caches") == []
    cache.write_text(json.dumps({"b wan2.7-i2v sha256:0": {**row, "until": 1}}))
    assert film.clean("--caches") == ["the list of uploads"]


@pytest.fixture
def own(tmp_path, monkeypatch, capsys):
    """A film whose studio is the embedded one, with its tasks in `.callsheet/studio/`."""
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.chdir(folder)

    class Own(Film):
        def __init__(self):
            self.folder, self.capsys, self.path = folder, capsys, folder / "film.callsheet.yaml"

    (folder / "film.callsheet.yaml").write_text(
        "callsheet: 1\ndefaults: {model: wan2.7-t2v, parameters: {resolution: 720P, duration: 2}}\nshots: [{id: s010, prompt: A}]\n"
    )
    return Own()


def test_the_studios_tasks_stay_as_long_as_a_run_would_ask_for_them(own):
    film = own
    assert film.call("run") == 0
    tasks = film.folder / ".callsheet/studio/tasks.jsonl"
    film.take("s010@1").rename(film.folder / "away.mp4")
    assert film.clean() == []  # a run would fetch it from there
    assert film.kept["the studio's tasks"] == "s010@1 is still to be fetched from it"
    (film.folder / "away.mp4").rename(film.take("s010@1"))
    with FileLock(film.folder / ".callsheet/studio/studio.lock"):
        assert film.call("clean", "--yes") == 1
        assert "a studio is at work in them" in film.err
        assert tasks.exists()
    assert film.clean("--caches") == ["the studio's tasks"]
    assert not tasks.exists()
    film.edit("prompt: A", "prompt: B")
    assert film.call("run") == 0
    assert film.take("s010@2").is_file()
    clip = (
        "{id: s020, model: wan2.7-i2v, prompt: On, media: {first_clip: renders/film/takes/s010@1.mp4}, parameters: {duration: 4}}"
    )
    film.edit("prompt: B}", f"prompt: B}}, {clip}")
    assert film.clean("--outdated") == []
    assert film.kept["s010@1"] == "s020 is made from it"


def test_caches_stay_while_another_manifest_of_the_folder_runs(film):
    shutil.copy("film.callsheet.lock", "other.callsheet.lock")
    posters = film.folder / ".callsheet/posters"
    posters.mkdir()
    (posters / "0.jpg").write_bytes(b"x")
    other = runner.lockfile.Files(lock=film.folder / "other.callsheet.lock")
    with held(other):
        assert film.call("clean", "--yes", "--caches") == 1
    assert "a run on other.callsheet.lock is alive" in film.err
    assert (posters / "0.jpg").exists()
    assert film.clean("--caches") == ["the board's posters"]


def test_help_has_an_example(capsys):
    assert code(["clean", "--help"]) == 0
    assert "callsheet clean film.callsheet.yaml --" in capsys.readouterr().out
