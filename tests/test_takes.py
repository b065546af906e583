"""`retake` and `pick`: the real command line against a real studio over loopback, real MP4s on disk, counted by its bills."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import av
import pytest

import runner
from runner import choosing, past
from runner.cli import code
from runner.errors import Refused
from runner.lock import Entry, Lock
from runner.studio import Settings, Studio
from runner.united import united
from tests.faults.world import tiny

STORYBOARD = """\
callsheet: 1
title: Takes
provider: qwencloud
providers:
  qwencloud:
    base_url: "{url}"
    poll: {{first: 0.02, every: 0.02}}
    limits: {{submits_per_second: 500, queries_per_second: 500}}
budget: {{takes: 500}}
defaults: {{model: wan2.7-t2v, parameters: {{resolution: 720P, duration: 2}}}}
shots:
  - {{id: s010, prompt: A lighthouse at dusk, takes: 2}}
  - {{id: s020, prompt: The keeper turns, parameters: {{seed: 7}}}}
"""
TAKES = ["s010@1", "s010@2", "s020@1"]


class Film:
    """A storyboard in a folder of its own, and what the studio has billed for it."""

    def __init__(self, folder, studio, capsys):
        folder.mkdir()
        self.folder, self.studio, self.capsys = folder, studio, capsys
        self.path = folder / "film.callsheet.yaml"
        self.path.write_text(STORYBOARD.format(url=studio.base_url))
        self.before = len(studio.bills())

    def call(self, verb, *args):
        """Exit code of a command line; what it said is kept."""
        self.capsys.readouterr()
        result = code([verb, str(self.path), *args])
        found = self.capsys.readouterr()
        self.out, self.err = found.out, found.err
        return result

    def said(self, *args):
        assert self.call(*args, "--json") == 0, self.err
        return json.loads(self.out)

    @property
    def bills(self):
        """The takes that were paid for, in the order of their submits."""
        tasks = {one["task_id"]: take for take, entry in self.lock["takes"].items() for one in entry["attempts"]}
        return [tasks[bill.task_id] for bill in self.studio.bills()[self.before :]]

    @property
    def lock(self):
        return json.loads((self.folder / "film.callsheet.lock").read_text())

    def edit(self, old, new):
        text = self.path.read_text()
        assert old in text
        self.path.write_text(text.replace(old, new))

    def shows(self, shot):
        """The take whose very file `output` is."""
        output = self.folder / f"renders/film/{shot}.mp4"
        with av.open(str(output)) as film:
            assert sum(1 for _ in film.decode(video=0)) == 4
        return next(take.stem for take in (self.folder / "renders/film/takes").iterdir() if take.samefile(output))


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    with Studio(Settings(folder=tmp_path_factory.mktemp("studio"), render=tiny, in_flight=8)) as studio:
        yield studio


@pytest.fixture
def film(studio, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-test-0123456789")
    return Film(tmp_path / "film", studio, capsys)


@pytest.fixture
def done(film):
    """The storyboard, rendered to its end."""
    assert film.call("run") == 0, film.err
    assert sorted(film.bills) == TAKES
    return film


def test_retake_on_top_of_what_is_saved_gives_that_many_more(done):
    found = done.said("retake", "s010", "-n", "2")
    assert found["wanted"] == ["s010@3", "s010@4"]
    assert found["totals"]["cost"] == [{"amount": "0.40", "currency": "USD"}]  # two of 2 s at 0.10
    assert len(done.bills) == 3, "retake itself sends nothing"
    assert [done.lock["takes"][take]["state"] for take in found["wanted"]] == ["wanted", "wanted"]
    assert done.call("status") == 75
    assert done.call("run") == 0
    assert sorted(done.bills[3:]) == ["s010@3", "s010@4"]
    assert sorted(done.lock["takes"]) == ["s010@1", "s010@2", "s010@3", "s010@4", "s020@1"]
    assert done.call("run") == 0
    assert len(done.bills) == 5


def test_retake_before_the_first_run_comes_on_top_of_takes(film):
    assert film.said("retake", "s010")["wanted"] == ["s010@1", "s010@2", "s010@3"]
    assert film.call("run") == 0
    assert sorted(film.bills) == ["s010@1", "s010@2", "s010@3", "s020@1"]


def test_a_wanted_take_is_made_from_the_shot_as_it_is_then_written(done):
    done.call("retake", "s010", "-n", "2")
    done.edit("at dusk", "at dawn")
    assert done.call("run") == 0
    assert sorted(done.bills[3:]) == ["s010@3", "s010@4"], "they are the two takes that the new wording wants"
    prompts = [done.lock["takes"][take]["request"]["prompt"] for take in ("s010@3", "s010@4")]
    assert prompts == ["A lighthouse at dawn"] * 2
    done.edit("at dawn", "at dusk")
    assert done.call("run") == 0
    assert len(done.bills) == 5, "the old wording has its takes"


def test_seeds_of_retakes(done):
    done.call("retake", "s020", "-n", "2")
    done.call("retake", "s010", "-n", "2", "--seed", str(2**31 - 1))
    assert done.call("run") == 0
    seeds = {take: entry["seed"] for take, entry in done.lock["takes"].items()}
    assert [seeds[take] for take in ("s020@1", "s020@2", "s020@3")] == [7, 8, 9], "a written seed counts on"
    assert [seeds[take] for take in ("s010@3", "s010@4")] == [2**31 - 1, 0]
    sent = [bill.body["parameters"]["seed"] for bill in done.studio.bills()[done.before :]]
    assert sent == [seeds[take] for take in done.bills]


def test_none_forgets_what_no_run_has_begun(done):
    done.call("retake", "s010", "s020")
    assert done.said("retake", "--none", "s*") == {"withdrawn": ["s010@3", "s020@2"]}
    assert done.call("run") == 0
    assert len(done.bills) == 3
    assert sorted(done.lock["takes"]) == TAKES
    assert done.said("retake", "s010")["wanted"] == ["s010@3"], "nothing was ever sent under that number"
    assert done.call("run") == 0
    assert done.call("retake", "s010", "-n", "2") == 0
    assert done.call("retake", "--none", "s010") == 0
    assert done.said("retake", "s010")["wanted"] == ["s010@4"], "what was once intended keeps its number"


def test_a_number_is_used_by_whatever_is_more_than_a_wish(tmp_path):
    def used(*records):
        path = tmp_path / "film.journal"
        path.write_text("".join(f"{json.dumps({'at': '2026-11-21T01:02:03Z', 'run': 'r', **one})}\n" for one in records))
        return past.read(path).used

    wished = [{"event": "wanted", "take": "a@1"}, {"event": "unwanted", "take": "a@1"}]
    wished.append({"event": "known", "take": "a@2", "entry": {"state": "wanted", "attempts": []}})
    assert used(*wished) == frozenset()
    again = {"event": "known", "take": "a@4", "entry": {"state": "wanted", "attempts": [{"id": "x"}]}}
    assert used(*wished, {"event": "intended", "take": "a@3", "attempt": "y"}, again) == {"a@3", "a@4"}
    assert used(*wished, {"event": "intended", "take": "a@1", "attempt": "y"}, *wished) == {"a@1"}


def test_a_retake_of_an_outdated_shot_says_first_what_would_be_rendered_anyhow_and_what_all_costs(done):
    done.edit("at dusk", "at dawn")
    assert done.call("retake", "s010", "-n", "3") == 0
    first, price, *rest = done.err.splitlines()
    assert first == ("s010 is outdated: the next run renders 2 takes for the new wording anyhow, and 3 more by this: 5 in all")
    assert price == "the next run: 5 to submit (10 s of video, 1.00 USD)."
    assert len(rest) == 1
    assert done.out == "s010@3, s010@4, s010@5, s010@6, s010@7: will be rendered by the next run\n"
    assert done.call("run") == 0
    assert sorted(done.bills[3:]) == ["s010@3", "s010@4", "s010@5", "s010@6", "s010@7"]


def test_a_retake_says_why_a_shot_lacks_takes_by_itself(done):
    assert done.call("retake", "s020") == 0
    assert "anyhow" not in done.err, "it lacks none"
    done.edit("takes: 2", "takes: 3")
    assert done.call("retake", "s010") == 0
    assert "s010 has 2 of the takes that it wants: the next run renders 1 take anyhow, and 1 more by this" in done.err


def test_what_a_retake_would_do_is_told_before_anything_is_written(done, monkeypatch):
    def full(*_, **__):
        raise Refused("the disk is full")

    monkeypatch.setattr("runner.lockfile.Ledger.note", full)
    assert done.call("retake", "s010") == 3
    assert done.err.splitlines() == [
        "the next run: 1 to submit (2 s of video, 0.20 USD).",
        "callsheet: error: the disk is full",
    ]


def test_none_forgets_also_what_was_asked_for_of_a_shot_that_left(done):
    done.call("retake", "s020")
    done.path.write_text("\n".join(line for line in done.path.read_text().splitlines() if "s020" not in line) + "\n")
    assert done.call("run") == 0
    assert len(done.bills) == 3, "nobody pays for a shot that has left"
    assert done.said("retake", "--none", "s020") == {"withdrawn": ["s020@2"]}
    assert "s020@2" not in done.lock["takes"]
    assert done.call("retake", "--none", "s020") == 2
    assert done.call("retake", "--none", "s010") == 0
    assert "no take that was asked for is left" in done.err


@pytest.mark.parametrize(
    ("args", "expected", "words"),
    [
        (("s011",), 2, ['there is no shot "s011"', 'did you mean "s010"?']),
        (("s010@1",), 2, ["is a take, retake takes shots", "callsheet retake s010"]),
        ((), 2, ["retake takes the names of shots"]),
        (("s010", "-n", "99"), 3, ["s010 would have more than 100 takes"]),
        (("s010", "-n", "0"), 2, ["0 is not in the range"]),
        (("s010", "--seed", "-1"), 2, ["-1 is not in the range"]),
    ],
)
def test_what_cannot_be_wanted_is_said_and_nothing_is_written(film, args, expected, words):
    assert film.call("retake", *args) == expected
    assert all(word in film.err for word in words), film.err
    assert not (film.folder / "film.callsheet.lock").exists()


def test_a_model_without_seed_is_said(film):
    manifests = Path(__file__).parent.parent / "manifests"
    shutil.copytree(manifests / "frames", film.folder / "frames")
    shutil.copytree(manifests / "audio", film.folder / "audio")
    head = film.path.read_text().split("defaults:")[0].replace("    base_url", "    region: cn\n    base_url")
    media = "{image: frames/keeper.png, driving_audio: audio/jingle.wav}"
    film.path.write_text(f"{head}shots: [{{id: s010, model: wan2.2-s2v, media: {media}}}]\n")
    assert film.call("check") == 0, film.out
    assert film.call("retake", "s010", "--seed", "3") == 2
    assert "wan2.2-s2v, the model of s010, has no seed" in film.err


def test_a_retake_does_not_cost_a_renamed_shot_its_takes(done):
    done.edit("id: s020", "id: keeper")
    done.call("retake", "keeper")
    assert done.call("run") == 0
    assert len(done.bills) == 4, "one more take, and the one of the old name is kept"
    entries = {take: entry for take, entry in done.lock["takes"].items() if take.startswith("keeper")}
    assert sorted(entry["state"] for entry in entries.values()) == ["saved", "saved"]
    assert [entry.get("was") for entry in entries.values()].count(["s020@1"]) == 1


def test_pick_shows_the_take_at_once_and_keeps_showing_it(done):
    assert done.shows("s010") == "s010@2"
    assert done.call("pick", "s010@1") == 0
    assert done.shows("s010") == "s010@1"
    assert done.lock["picked"] == {"s010": "s010@1"}
    done.call("retake", "s010")
    assert done.call("run") == 0
    assert done.shows("s010") == "s010@1", "newer takes do not take its place"
    assert "s010@1" in done.out + done.err or done.call("status") == 0
    assert done.call("pick", "--none", "s010") == 0
    assert done.shows("s010") == "s010@3"
    assert "picked" not in done.lock


def test_picking_the_picked_changes_nothing(done):
    done.call("pick", "s010@1")
    journal = (done.folder / ".callsheet/film.journal").read_bytes()
    lock = (done.folder / "film.callsheet.lock").read_bytes()
    assert done.call("pick", "s010@1") == 0
    assert done.out == "s010@1 is picked already\n"
    assert (done.folder / ".callsheet/film.journal").read_bytes() == journal
    assert (done.folder / "film.callsheet.lock").read_bytes() == lock


def test_an_outdated_take_can_be_picked(done):
    done.edit("at dusk", "at dawn")
    assert done.call("run") == 0
    assert done.shows("s010") == "s010@4"
    found = done.said("pick", "s010@1", "s020@1")
    assert done.call("run") == 0
    assert "s010@1 is picked and outdated, so output does not show s010@4: callsheet pick " in done.err
    assert "s020@1 is picked and outdated" not in done.err
    assert found["picked"] == {"s010": "s010@1", "s020": "s020@1"}
    assert done.shows("s010") == "s010@1"
    assert found["outdated"] == []


def test_a_strangers_file_at_output_is_left_alone_and_nothing_is_picked(done):
    output = done.folder / "renders/film/s010.mp4"
    output.unlink()
    output.write_bytes(b"somebody's cut")
    assert done.call("pick", "s010@1") == 3
    assert "is in the way: not a file of this lock" in done.err
    assert output.read_bytes() == b"somebody's cut"
    assert "picked" not in done.lock


@pytest.mark.parametrize(
    ("args", "expected", "words"),
    [
        (("s010",), 2, ['"s010" is a shot', "its saved takes: s010@1, s010@2"]),
        (("s010@9",), 2, ['there is no take "s010@9"']),
        (("s010@1", "s010@2"), 2, ["are takes of one shot"]),
        (("s010@3",), 3, ["s010@3 cannot be picked: it is wanted, not saved"]),
        (("--none", "s9"), 2, ['there is no shot "s9"']),
        ((), 2, ["pick takes the names of takes"]),
    ],
)
def test_what_cannot_be_picked_is_said(done, args, expected, words):
    done.call("retake", "s010")
    assert done.call("pick", *args) == expected
    assert all(word in done.err for word in words), done.err
    assert "picked" not in done.lock


def test_a_take_whose_shot_has_left_cannot_be_picked(done):
    done.path.write_text("\n".join(line for line in done.path.read_text().splitlines() if "s020" not in line) + "\n")
    assert done.call("pick", "s020@1") == 3
    assert "its shot has left the manifest" in done.err


def test_a_render_that_is_not_here_can_be_picked_and_is_shown_when_it_comes(done):
    (done.folder / "renders/film/takes/s010@1.mp4").unlink()
    assert done.call("pick", "s010@1") == 0
    assert "its file is not here" in done.out
    assert done.call("run") == 0
    assert done.shows("s010") == "s010@1"
    assert len(done.bills) == 3


def test_a_picked_take_of_an_older_wording_is_fetched_again_as_well(done):
    done.edit("The keeper turns", "The keeper sleeps")
    assert done.call("run") == 0
    assert done.call("pick", "s020@1") == 0
    shutil.rmtree(done.folder / "renders")
    assert done.call("plan") == 0
    assert "saved, but its file is not here (picked, outdated)" in done.out
    assert done.call("run") == 0, done.err
    assert done.shows("s020") == "s020@1"
    assert len(done.bills) == 4
    assert done.call("run") == 0
    assert "no request was sent" in done.err


def test_of_a_picked_take_that_cannot_be_had_any_more_is_said_that_it_is_not_here(done, tmp_path):
    done.edit("The keeper turns", "The keeper sleeps")
    assert done.call("run") == 0
    assert done.call("pick", "s020@1") == 0
    with Studio(Settings(folder=tmp_path / "other", render=tiny)) as other:
        done.edit(done.studio.base_url, other.base_url)
        (done.folder / "renders/film/takes/s020@1.mp4").unlink()
        (done.folder / "renders/film/s020.mp4").unlink()
        assert done.call("run") == 0
        assert "s020@1 is picked and outdated, and its file is not here; there is s020@2: callsheet pick" in done.err
        assert done.call("run") == 0
        assert "no request was sent" in done.err, "what is gone is asked for once"


def test_a_pick_that_is_misspelt_is_answered_with_the_takes_in_the_films_order(done):
    done.edit("shots:\n", "shots:\n  - {id: s900, prompt: The sea}\n")
    assert done.call("run") == 0
    assert done.call("pick", "x") == 2
    assert "one of: s900@1, s010@1, s010@2, s020@1" in done.err


def test_a_colleagues_pick_from_git_counts_though_the_journal_knows_an_older_one(done):
    done.call("pick", "s010@1")
    lock = done.lock
    lock["picked"] = {"s010": "s010@2"}
    (done.folder / "film.callsheet.lock").write_text(json.dumps(lock, indent=2, sort_keys=True) + "\n")
    assert done.call("run") == 0
    assert done.shows("s010") == "s010@2"
    assert done.lock["picked"] == {"s010": "s010@2"}
    del lock["picked"]
    (done.folder / "film.callsheet.lock").write_text(json.dumps(lock, indent=2, sort_keys=True) + "\n")
    assert done.call("pick", "s020@1") == 0
    assert done.lock["picked"] == {"s020": "s020@1"}
    (done.folder / "film.callsheet.lock").unlink()
    assert done.call("run") == 0
    assert done.lock["picked"] == {"s020": "s020@1"}, "the journal has heard that the other pick is gone"


def test_a_lost_lock_is_made_anew_with_its_picks(done):
    done.call("pick", "s010@1")
    (done.folder / "film.callsheet.lock").unlink()
    assert done.call("run") == 0
    assert done.lock["picked"] == {"s010": "s010@1"}
    assert len(done.bills) == 3


def test_a_pick_goes_with_a_shot_that_is_renamed(done):
    done.call("pick", "s010@1")
    done.edit("id: s010", "id: tower")
    assert done.call("run") == 0
    assert done.lock["picked"] == {"tower": "tower@1"}
    assert done.shows("tower") == "tower@1"


def test_a_pick_goes_with_a_rename_that_was_not_yet_folded():
    """A run took a shot's takes over and was killed before the lock was written."""
    entry = Entry(state="saved", fingerprint="1:sha256:x")
    lock = Lock(takes={"s010@1": entry}, picked={"s010": "s010@1"})
    journal = Lock(takes={"tower@1": replace(entry, was=("s010@1",))}, picked={"tower": "tower@1"})
    assert united(lock, journal).picked == {"tower": "tower@1"}


def test_a_pick_that_dies_between_lock_and_journal_is_a_pick(done, monkeypatch):
    """The lock is written first: whatever happens after it, no older word of the journal stands against it."""
    done.call("pick", "s010@2")

    class Killed(BaseException):
        pass

    def die(*_, **__):
        raise Killed

    manifest = runner.read(done.path)
    with runner.hold(manifest) as held:
        held.ledger.note = die
        with pytest.raises(Killed):
            choosing.pick(held, {"s010": "s010@1"})
    assert runner.known(manifest).picked == {"s010": "s010@1"}
    assert done.call("run") == 0
    assert done.shows("s010") == "s010@1"


def test_from_python(done):
    manifest = runner.read(done.path)
    with runner.hold(manifest) as held:
        assert runner.retake(held, ["s020"]) == ["s020@2"]
        assert runner.withdraw(held, ["s020"]) == ["s020@2"]
        assert runner.effect(held, {"s010": "s010@1"}).outdated == ()
        assert runner.pick(held, {"s010": "s010@1"}) == {"s010": "s010@1"}
        with pytest.raises(Refused):
            runner.retake(held, ["s020"], count=100)
        assert held.lock.picked == {"s010": "s010@1"}
    assert (done.folder / "renders/film/s010.mp4").stat().st_nlink == 2


CHAIN = """\
  - {id: s010, prompt: A lighthouse at dusk, takes: 2}
  - {id: s020, model: wan2.7-i2v, prompt: The keeper turns, media: {first_frame: {shot: s010}}}
  - {id: s030, model: wan2.7-i2v, prompt: He sleeps, media: {first_frame: {shot: s020}}}
  - {id: s040, prompt: The sea}
"""


@pytest.fixture
def chain(tmp_path, capsys, monkeypatch):
    """s010 has two takes, s020 begins where s010 ends, s030 where s020 ends."""
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-test-0123456789")
    with Studio(Settings(folder=tmp_path / "studio", render=tiny, in_flight=8)) as studio:
        film = Film(tmp_path / "film", studio, capsys)
        film.path.write_text(film.path.read_text().split("shots:\n")[0] + "shots:\n" + CHAIN)
        assert film.call("run") == 1
        assert "waits for a pick among s010@1, s010@2" in film.err
        yield film


def test_a_pick_sets_a_chain_going_and_another_says_first_what_becomes_outdated(chain):
    found = chain.said("pick", "s010@1")
    assert (found["outdated"], found["totals"]["actions"]) == ([], {"submit": 2})
    assert found["totals"]["cost"] == [{"amount": "0.40", "currency": "USD"}]
    assert chain.call("run") == 0, chain.err
    assert sorted(chain.bills) == ["s010@1", "s010@2", "s020@1", "s030@1", "s040@1"]
    found = chain.said("pick", "s010@2", "s040@1")
    assert found["outdated"] == ["s020@1", "s030@1"]
    assert found["totals"]["cost"] == [{"amount": "0.40", "currency": "USD"}]
    assert len(chain.bills) == 5, "picking sends nothing"
    assert chain.call("pick", "s010@1") == 0
    assert "current again: s020@1" in chain.err
    assert chain.call("run") == 0
    assert len(chain.bills) == 5, "back to the pick that they were made from: nothing is paid"


def test_a_retake_names_the_chained_shots_that_will_wait_for_a_pick_because_of_it(chain):
    chain.call("pick", "--none", "s010")
    chain.edit("s010, prompt: A lighthouse at dusk, takes: 2", "s010, prompt: A lighthouse at dawn")
    found = chain.said("retake", "s010")
    assert (found["lacking"], found["waiting"]) == (["s010@3"], ["s020@1", "s030@1"])
    chain.call("retake", "--none", "s010")
    assert chain.call("retake", "s010") == 0
    assert "s020@1, s030@1 will wait for a pick among s010@3, s010@4" in chain.err
    assert chain.said("retake", "s040")["waiting"] == []


def test_why_says_what_a_chain_was_made_of_and_what_it_will_be_and_since_when(chain):
    chain.call("pick", "s010@1")
    assert chain.call("run") == 0
    chain.call("pick", "s010@2", "--yes")
    assert chain.call("plan") == 0
    reasons = {line.split()[1]: line for line in chain.out.splitlines() if line.startswith("submit")}
    assert reasons["s020@2"].endswith("changed: media.first_frame (now of s010@2)")
    assert reasons["s030@2"].endswith("changed: media.first_frame, after s020@2")
    chain.call("why", "s020", "s030")
    told = "the last frame of the render of s010@1 → the last frame of the render of s010@2  (s010@2 was picked at 20"
    assert told in chain.out
    assert "the last frame of the render of s020@1 → the last frame of s020@2, which is not rendered yet\n" in chain.out
    assert "{" not in chain.out
    chain.edit("s020, model", "s020, takes: 2, model")
    assert chain.call("run") == 1
    chain.call("why", "s030")
    assert "→ the last frame of s020, none of whose takes is picked (s020@2, s020@3)\n" in chain.out
    assert "the next run: blocked s030@2, 2 s: waits for a pick among s020@2, s020@3" in chain.out


def test_a_pick_that_only_git_brought_has_no_time(chain):
    chain.call("pick", "s010@1")
    chain.call("run")
    lock = chain.lock
    lock["picked"] = {"s010": "s010@2"}
    (chain.folder / "film.callsheet.lock").write_text(json.dumps(lock, indent=2, sort_keys=True) + "\n")
    (answer,) = chain.said("why", "s020")["shots"]
    assert answer["changes"][0]["note"] == "s010@2 was picked"


def test_why_names_the_render_that_a_chained_take_was_made_from(chain):
    chain.call("pick", "s010@1")
    chain.call("run")
    chain.call("pick", "s010@2")
    (answer,) = chain.said("why", "s020")["shots"]
    (change,) = answer["changes"]
    assert (change["field"], change["was"], change["now"]) == (
        "media.first_frame",
        "the last frame of the render of s010@1",
        "the last frame of the render of s010@2",
    )
    place = change["places"][0]
    line = chain.path.read_text().splitlines()[place["line"] - 1]
    assert line[place["column"] - 1 :].startswith("{shot: s010}")
