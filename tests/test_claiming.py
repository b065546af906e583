"""`collect --from DIR`: a colleague's renders taken in by what they are. A fresh clone, a studio that counts, real files."""

from __future__ import annotations

import json
import os
import shutil
from hashlib import sha256

import av
import pytest

import runner
from runner import catalog, claiming
from runner.cli import code
from runner.judge import faults
from runner.studio import Settings, Studio
from tests.faults.world import tiny

STORYBOARD = """\
callsheet: 1
providers: {{studio: {{base_url: "{url}", poll: {{first: 0.03, every: 0.03, unknown_for: 0.1}}}}}}
defaults: {{model: wan2.7-t2v, parameters: {{resolution: 720P, duration: 2}}}}
shots:
  - {{id: s010, scene: coast, prompt: A lighthouse, takes: 2}}
  - {{id: s020, prompt: The keeper}}
"""
TAKES = ("s010@1", "s010@2", "s020@1")


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """A colleague's folder; its provider has gone since, and knows nothing any more."""
    folder = tmp_path_factory.mktemp("colleague")
    with Studio(Settings(folder=tmp_path_factory.mktemp("studio"), render=tiny, in_flight=8)) as studio:
        (folder / "film.callsheet.yaml").write_text(STORYBOARD.format(url=studio.base_url), encoding="utf-8")
        assert code(["run", str(folder / "film.callsheet.yaml")]) == 0
    return folder


class Clone:
    """A fresh clone: manifest and lock, no renders, no journal; beside it the colleague's files under names of their own."""

    def __init__(self, folder, rendered, url, capsys):
        self.folder, self.capsys, self.theirs = folder / "clone", capsys, folder / "theirs"
        self.folder.mkdir()
        (self.theirs / "deep").mkdir(parents=True)
        (self.folder / "film.callsheet.yaml").write_text(STORYBOARD.format(url=url), encoding="utf-8")
        shutil.copy(rendered / "film.callsheet.lock", self.folder)
        self.sources = {take: self.theirs / "deep" / f"clip {number}.bin" for number, take in enumerate(TAKES)}
        for take, source in self.sources.items():
            shutil.copy(rendered / f"renders/film/takes/{take}.mp4", source)
        (self.theirs / "notes.txt").write_text("unrelated")

    def collect(self, *args):
        self.capsys.readouterr()
        result = code(["collect", "film.callsheet.yaml", "--from", str(self.theirs), *args])
        found = self.capsys.readouterr()
        self.out, self.err = found.out, found.err
        assert "Traceback" not in found.err
        return result

    def take(self, key):
        return self.folder / f"renders/film/takes/{key}.mp4"

    @property
    def here(self):
        return sorted(path.name for path in (self.folder / "renders/film/takes").glob("*"))

    @property
    def known(self):
        return runner.known(runner.read(self.folder / "film.callsheet.yaml"))


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """The provider as it is now: alive, counting, without a single task."""
    with Studio(Settings(folder=tmp_path_factory.mktemp("empty"), render=tiny)) as studio:
        yield studio


@pytest.fixture
def clone(rendered, studio, tmp_path, monkeypatch, capsys):
    made = Clone(tmp_path, rendered, studio.base_url, capsys)
    monkeypatch.chdir(made.folder)
    return made


@pytest.fixture
def nobody(rendered, tmp_path, monkeypatch, capsys):
    """A clone whose provider cannot be reached at all."""
    made = Clone(tmp_path, rendered, "http://127.0.0.1:9/api/v1", capsys)
    monkeypatch.chdir(made.folder)
    return made


def test_renders_are_known_by_their_content_whatever_their_names_and_nothing_is_sent(nobody):
    before = (nobody.folder / "film.callsheet.lock").read_bytes()
    assert nobody.collect() == 0
    assert "found 3 of 3 missing takes" in nobody.err
    assert "\ns010@2  found      renders/film/takes/s010@2.mp4 (" in nobody.err, "the names' column is as wide as they are"
    assert "nothing to do, no request was sent" in nobody.err
    lock = json.loads(before)
    for key in TAKES:
        data = nobody.take(key).read_bytes()
        assert sha256(data).hexdigest() == lock["takes"][key]["render"]["sha256"]
        with av.open(str(nobody.take(key))) as film:
            assert sum(1 for _ in film.decode(video=0)) == 4
    assert (nobody.folder / "film.callsheet.lock").read_bytes() == before
    assert list((nobody.folder / ".callsheet/parts").iterdir()) == []


def test_output_shows_what_came(nobody):
    assert nobody.collect() == 0
    for shot, take in (("s010", "s010@2"), ("s020", "s020@1")):
        assert (nobody.folder / f"renders/film/{shot}.mp4").read_bytes() == nobody.take(take).read_bytes()


def test_a_take_is_a_file_of_its_own(nobody):
    assert nobody.collect() == 0
    nobody.sources["s010@1"].write_bytes(b"their new edit")
    assert sha256(nobody.take("s010@1").read_bytes()).hexdigest() == nobody.known.takes["s010@1"].render["sha256"]


def test_what_is_found_is_told_as_events_and_a_second_time_there_is_nothing_to_do(nobody):
    assert nobody.collect("--json") == 0
    events = [json.loads(line) for line in nobody.out.splitlines()]
    assert [event["event"] for event in events] == ["saved", "saved", "saved", "plan", "report"]
    assert [event["seq"] for event in events] == list(range(5))
    assert len({event["run"] for event in events}) == 1
    assert [fault for event in events for fault in faults(catalog.schema("event"), event)] == []
    assert nobody.collect() == 0
    assert "no saved take is missing here" in nobody.err


def test_what_is_not_found_is_said_and_the_provider_is_asked_for_it_alone(clone, studio):
    clone.sources["s010@1"].write_bytes(clone.sources["s010@1"].read_bytes()[::-1])  # as large, and something else
    assert clone.collect() == 0
    assert "found 2 of 3 missing takes" in clone.err
    assert "not found there: s010@1" in clone.err
    assert "could not be read" not in clone.err
    assert "absent (saved once, but neither here nor with the provider any more): s010@1" in clone.err
    assert clone.here == ["s010@2.mp4", "s020@1.mp4"]
    assert studio.bills() == []


def test_an_absent_take_is_here_again(clone):
    moved = clone.theirs.parent / "later"
    shutil.move(clone.theirs, moved)
    clone.theirs.mkdir()
    assert clone.collect() == 0
    assert clone.known.absent == set(TAKES)
    clone.theirs = moved
    assert clone.collect() == 0
    assert clone.known.absent == set()
    assert clone.here == [f"{take}.mp4" for take in TAKES]


def test_only_what_is_chosen_is_looked_for(clone):
    clone.collect("--only", "s010@1")
    assert clone.here == ["s010@1.mp4"]
    assert clone.collect("--only", "nothing") == 2


def test_a_file_in_a_takes_way_stays_and_is_told(nobody):
    nobody.take("s020@1").parent.mkdir(parents=True)
    nobody.take("s020@1").write_bytes(b"mine")
    assert nobody.collect() == 1
    assert nobody.take("s020@1").read_bytes() == b"mine"
    assert "s020@1.mp4 is in the way" in nobody.err
    assert nobody.here == [f"{take}.mp4" for take in TAKES]


def test_links_in_the_folder_are_not_followed(clone, tmp_path):
    secret = tmp_path / "elsewhere"
    shutil.move(clone.theirs / "deep", secret)
    (clone.theirs / "deep").symlink_to(secret)
    (clone.theirs / "direct.mp4").symlink_to(secret / "clip 0.bin")
    (clone.theirs / "ring").symlink_to(clone.theirs)
    clone.collect()
    assert "found 0 of 3 missing takes" in clone.err
    assert clone.here == []


def test_only_files_of_a_takes_size_are_read(nobody, monkeypatch):
    for number in range(50):
        (nobody.theirs / f"other {number}.mp4").write_bytes(b"x" * number)
    opened = []
    whole = claiming._same

    def counted(path, *rest):
        opened.append(path)
        return whole(path, *rest)

    monkeypatch.setattr(claiming, "_same", counted)
    assert nobody.collect() == 0
    assert set(opened) <= set(nobody.sources.values())


def test_a_file_that_changes_while_it_is_copied_is_not_taken(clone, monkeypatch):
    whole = claiming._copied

    def torn(source, part):
        source.write_bytes(b"x" * source.stat().st_size)
        return whole(source, part)

    monkeypatch.setattr(claiming, "_copied", torn)
    clone.collect("--only", "s020")
    assert clone.here == []
    assert list((clone.folder / ".callsheet/parts").iterdir()) == []
    assert "could not be read" in clone.err


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="everything may be read by root")
def test_a_closed_folder_is_told_and_the_rest_is_found(nobody):
    closed = nobody.theirs / "closed"
    closed.mkdir(mode=0)
    assert nobody.collect() == 0
    assert "could not be read" in nobody.err


def test_a_folder_that_is_not_there_is_a_wrong_word(nobody):
    shutil.rmtree(nobody.theirs)
    assert nobody.collect() == 2
    assert "there is no folder" in nobody.err
    assert nobody.collect("--json") == 2
    assert json.loads(nobody.out.splitlines()[-1])["exit_code"] == 2
