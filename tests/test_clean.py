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
from runner import cleaning
from runner.cli import code
from runner.clock import stamp
from runner.lock import Entry, advanced
from runner.lockfile import Ledger, held
from runner.studio import Settings, Studio
from tests.faults.world import tiny

TODAY = stamp(time.time())[:10]
STORYBOARD = """\
callsheet: 1
providers: {{studio: {{base_url: "{url}", poll: {{first: 0.03, every: 0.03}}}}}}
defaults: {{model: wan2.7-t2v, parameters: {{resolution: 720P, duration: 2}}}}
shots:
  - {{id: s010, prompt: "A lighthouse, {tag}"}}
  - {{id: s020, prompt: "The keeper, {tag}"}}
  - {{id: s030, prompt: "The sea, {tag}"}}
"""


AHEAD = [0.0]  # seconds that the studio's clock is ahead of ours; a day, and it has forgotten all that was before


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studio")
    with Studio(Settings(folder=folder, render=tiny, in_flight=8, clock=lambda: time.time() + AHEAD[0])) as studio:
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

    def entry(self, key):
        return json.loads((self.folder / "film.callsheet.lock").read_text("utf-8"))["takes"][key]

    def plan(self, key):
        """What is to be done about a take, and why."""
        assert self.call("plan", "--json") == 0
        return next((step["action"], step["reason"]) for step in json.loads(self.out)["steps"] if step["take"] == key)

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
    gone = [line for line in film.out.splitlines() if line.endswith(f"(deleted by clean on {TODAY})")]
    assert [line.split()[0] for line in gone] == ["s010@1", "s030@1"]
    film.edit("A lighthouse at dusk", "A lighthouse by night")
    assert film.call("run") == 0
    assert film.billed == [*before, "s010@3"]  # no number twice


def test_the_old_wording_brings_its_take_back_for_nothing(reworded):
    film = reworded
    film.clean()
    assert film.entry("s010@1")["cleaned_at"].startswith(TODAY)
    before = film.billed
    film.edit("A lighthouse at dusk", "A lighthouse")
    assert film.plan("s010@1") == ("fetch", f"deleted by clean on {TODAY}, and asked for again")
    assert film.call("run") == 0
    assert film.take("s010@1").is_file()
    assert film.billed == before
    assert "cleaned_at" not in film.entry("s010@1")
    assert film.plan("s010@1")[0] == "keep"


@pytest.fixture
def forgotten(reworded):
    """s010 stands as it was again, its first take is cleaned, and the provider has it no more; a run has found that out."""
    film = reworded
    film.keep = film.folder / "keep"
    film.keep.mkdir()
    shutil.copy(film.take("s010@1"), film.keep / "mine.mp4")
    film.clean()
    film.edit("A lighthouse at dusk", "A lighthouse")
    AHEAD[0] = 2 * 86_400.0
    try:
        film.before = film.billed
        assert film.call("run") == 0
        yield film
    finally:
        AHEAD[0] = 0.0


ADVICE = """\
absent (saved once, but neither here nor with the provider any more): s010@1
to put the files back, found by their content: callsheet collect film.callsheet.yaml --from DIR
to render it anew (free): callsheet again film.callsheet.yaml s010@1
"""


def test_a_cleaned_take_that_nobody_has_any_more_is_told_of_everywhere_with_the_line_that_renders_it(forgotten):
    film = forgotten
    assert ADVICE in film.err
    why = f"deleted by clean on {TODAY}; the provider no longer has it; `callsheet again s010@1` renders it anew (free)"
    assert film.plan("s010@1") == ("absent", why)
    for verb in ("plan", "status", "run"):
        assert film.call(verb) == 0
        assert ADVICE in film.err
    assert "nothing to do, no request was sent" in film.err
    assert film.billed == film.before, "never paid for by itself"
    assert film.call("board") == 0
    assert "`callsheet again s010@1` renders it anew (free)" in (film.folder / "film.board.html").read_text("utf-8")
    assert film.call("status", "--only", "s020") == 0
    assert "absent" not in film.err


def test_again_renders_a_cleaned_take_anew_and_says_what_that_costs(forgotten):
    film = forgotten
    assert film.call("again", "s010@1") == 0
    assert film.out == "s010@1: will be submitted by the next run, free\n"
    assert film.call("run") == 0
    assert film.billed == [*film.before, "s010@1"]
    assert film.take("s010@1").is_file()
    assert "cleaned_at" not in film.entry("s010@1")
    assert film.plan("s010@1") == ("keep", "saved")


@pytest.mark.parametrize("event", ["intended", "adopted"])
def test_a_new_attempt_is_no_cleaned_take(event):
    at = f"{TODAY}T00:00:00Z"
    cleaned = Entry(state="saved", render={"path": "a.mp4"}, cleaned_at=at)
    told = {"at": at, "task_id": "t", "account": "studio", "host": "127.0.0.1", "submitted_at": at}
    assert advanced(cleaned, {"event": event, "take": "s010@1", "attempt": "one", **told}).cleaned_at is None


def test_a_price_stands_where_there_is_one(forgotten, monkeypatch):
    film = forgotten
    for name, value in (("DASHSCOPE_API_KEY", "any-key-at-all"), ("QWENCLOUD_BASE_URL", film.studio.base_url)):
        monkeypatch.setenv(name, value)
    text = film.path.read_text("utf-8").replace("providers: {studio:", "provider: qwencloud\nproviders: {qwencloud:")
    film.path.write_text(text, "utf-8")
    assert film.call("run", "--yes") == 0
    film.edit("A lighthouse", "A lighthouse at dusk")
    assert film.call("run", "--yes") == 0
    assert "s010@3" in film.clean()
    film.edit("A lighthouse at dusk", "A lighthouse")
    AHEAD[0] *= 2
    assert film.call("run", "--yes") == 0
    assert "to render it anew (0.20 USD): callsheet again film.callsheet.yaml s010@3" in film.err
    assert film.plan("s010@3")[1].endswith("`callsheet again s010@3` renders it anew (0.20 USD)")
    assert film.call("again", "--state", "absent") == 0
    assert film.out == "s010@3: will be submitted, and paid for, by the next run\n"


def test_what_is_given_up_of_the_studios_was_never_paid_for(film):
    old = {"fingerprint": f"1:sha256:{'0' * 64}", "provider": "studio", "model": "wan2.7-t2v"}
    film.note({"event": "intended", "take": "s020@2", "attempt": "one", **old})
    assert film.call("again", "--give-up", "s020@2") == 0
    assert film.out == "s020@2: given up; free, so nothing was paid for\n"


def test_a_colleagues_copy_of_a_cleaned_take_is_recognised(forgotten):
    film = forgotten
    assert film.call("collect", "--from", str(film.keep)) == 0
    assert film.take("s010@1").is_file()
    assert "cleaned_at" not in film.entry("s010@1")
    assert film.plan("s010@1") == ("keep", "saved")
    assert film.billed == film.before


def test_a_new_take_may_be_had_instead(forgotten):
    film = forgotten
    assert film.call("retake", "s010") == 0
    assert film.call("run") == 0
    assert film.billed == [*film.before, "s010@3"]
    assert (film.folder / "renders/film/s010.mp4").samefile(film.take("s010@3"))


def test_killed_between_the_record_and_the_deletion_the_file_is_what_counts(reworded, monkeypatch):
    film = reworded

    def killed(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(cleaning, "_unlink", killed)
        patch.setattr(Ledger, "close", Ledger.abandon)
        assert film.call("clean", "--outdated", "--yes") == 130
    assert film.entry("s010@1")["cleaned_at"].startswith(TODAY)
    film.edit("A lighthouse at dusk", "A lighthouse")
    assert film.plan("s010@1") == ("keep", "saved")
    assert film.call("status") == 0
    assert "deleted" not in film.out
    film.edit("A lighthouse", "A lighthouse at dusk")
    assert film.clean("--outdated") == ["s010@1"]


def test_a_file_that_changes_after_it_was_judged_stays(reworded, monkeypatch):
    film = reworded
    record = cleaning._record

    def late(*args):
        record(*args)
        film.take("s010@1").write_bytes(b"a grade of one's own")

    monkeypatch.setattr(cleaning, "_record", late)
    assert film.call("clean", "--outdated", "--yes") == 1
    assert "kept: s010@1: its file has just changed" in film.err
    assert film.take("s010@1").read_bytes() == b"a grade of one's own"


def test_two_folders_do_not_take_it_back_from_each_other(reworded, tmp_path):
    """What git carries is taken as it stands: neither has anything to say against it."""
    film = reworded
    theirs = tmp_path / "theirs"
    shutil.copytree(film.folder, theirs)
    film.clean()
    for _ in range(2):
        shutil.copy(film.folder / "film.callsheet.lock", theirs)
        before = (theirs / "film.callsheet.lock").read_bytes()
        assert code(["run", str(theirs / "film.callsheet.yaml")]) == 0
        assert (theirs / "film.callsheet.lock").read_bytes() == before
        assert film.call("collect", "--from", str(theirs / "renders")) == 0
        assert b"cleaned_at" not in (film.folder / "film.callsheet.lock").read_bytes()


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


def test_what_a_shot_shows_stays_until_there_is_something_else_to_show(film):
    film.edit("A lighthouse", "A lighthouse at dusk")
    assert film.clean() == []
    assert film.kept["s010@1"] == "renders/film/s010.mp4 shows it, and no current take of s010 is here"
    assert "s010.mp4" in film.renders
    assert film.call("run") == 0
    assert film.clean() == ["s010@1"]
    assert "s010.mp4" in film.renders


def test_the_last_look_of_a_shot_that_left_goes_with_its_take_and_is_told(reworded):
    film = reworded
    assert film.call("clean", "--orphaned", "--dry-run") == 0
    assert "renders/film/takes/s030@1.mp4, renders/film/s030.mp4 (still its shot's output)" in film.out
    assert film.clean("--orphaned") == ["s030@1"]
    assert film.said["freed"] == film.said["bytes"]
    assert "s030.mp4" not in film.renders


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
    """A film whose studio is the embedded one, with its tasks in `.callsheet/film.studio/`."""
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
    tasks = film.folder / ".callsheet/film.studio/tasks.jsonl"
    film.take("s010@1").rename(film.folder / "away.mp4")
    assert film.clean() == []  # a run would fetch it from there
    assert film.kept["the studio's tasks"] == "s010@1 is still to be fetched from it"
    (film.folder / "away.mp4").rename(film.take("s010@1"))
    with FileLock(film.folder / ".callsheet/film.studio/studio.lock"):
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


def test_the_tasks_of_a_served_studio_stay_as_long_as_any_take_is_to_be_had_from_it(own, monkeypatch):
    """Whatever its provider is called: the folder is `callsheet studio`'s."""
    film = own
    monkeypatch.setenv("DASHSCOPE_API_KEY", "any-key-at-all")
    place = film.folder / ".callsheet/studio"
    with Studio(Settings(folder=place, render=tiny)) as studio:
        provider = f'provider: qwencloud\nproviders: {{qwencloud: {{base_url: "{studio.base_url}", poll: {{first: 0.03, every: 0.03}}}}}}'
        film.edit("callsheet: 1", f"callsheet: 1\n{provider}")
        assert film.call("run", "--yes") == 0
        film.take("s010@1").rename(film.folder / "away.mp4")
        assert film.clean("--caches") == []
        assert film.kept["the tasks of `callsheet studio`"] == "s010@1 is still to be fetched from it"
        (film.folder / "away.mp4").rename(film.take("s010@1"))
        (film.folder / ".callsheet/posters").mkdir()
        (film.folder / ".callsheet/posters/0.jpg").write_bytes(b"x")
        assert film.call("clean", "--yes") == 1
        assert "kept: the tasks of `callsheet studio`: a studio is at work in them" in film.err
        assert not (film.folder / ".callsheet/posters/0.jpg").exists(), "which that studio knows nothing of"
    film.note({"event": "intended", "take": "s020@1", "attempt": "one", "provider": "qwencloud", "model": "wan2.7-t2v"})
    assert film.clean("--caches") == []
    assert film.kept["the tasks of `callsheet studio`"] == "s020@1 is still to be fetched from it"
    error = {"code": "NotAccepted", "message": "no", "retryable": False, "billed": False}
    film.note({"event": "failed", "take": "s020@1", "attempt": "one", "error": error})
    assert film.clean("--caches") == ["the tasks of `callsheet studio`"]
    assert [path.name for path in place.rglob("*") if path.is_file()] == ["studio.lock"]


def test_the_tasks_of_another_locks_studio_go_when_that_lock_needs_none(own):
    film = own
    assert film.call("run", "--profile", "preview") == 0
    render = film.folder / "renders/film.preview/takes/s010@1.mp4"
    render.rename(film.folder / "away.mp4")
    assert film.clean("--caches") == []
    assert film.kept["the tasks of film.preview's studio"] == "s010@1 is still to be fetched from it"
    (film.folder / "away.mp4").rename(render)
    with held(runner.lockfile.Files(lock=film.folder / "film.preview.callsheet.lock")):
        assert film.call("clean", "--yes", "--caches") == 1
    assert "a run on film.preview.callsheet.lock is alive" in film.err
    assert film.clean("--caches") == ["the tasks of film.preview's studio"]


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
