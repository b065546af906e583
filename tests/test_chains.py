"""Shots that begin where another one ends: planned, paid for once, cut to the frame, outdated with what they are made of.

A real studio over loopback, counted by its bills; its renders are real MP4s, mostly small ones that are quick to make.
"""

from __future__ import annotations

import functools
import json
import shlex
import shutil
import signal
import subprocess
import sys
import time
from fractions import Fraction
from itertools import pairwise
from zlib import crc32

import anyio
import av
import pytest
from PIL import Image, ImageChops, ImageStat

import runner
from runner import catalog, links, still
from runner.cli import code
from runner.cut import cut as cut_of
from runner.errors import TakeError
from runner.judge import faults
from runner.plan import Step
from runner.studio import Faults, Settings, Studio
from runner.turns import Turns
from tests.faults.world import ROOT

HEAD = """\
callsheet: 1
provider: {provider}
providers:
  {provider}:
    base_url: "{url}"
    poll: {{first: 0.02, every: 0.03, unknown_for: 0.2}}
    limits: {{submits_per_second: 500, queries_per_second: 500}}
defaults: {{model: wan2.7-i2v, parameters: {{resolution: 720P, duration: 2}}}}
shots:
"""
BEGIN = "  - {id: s010, model: wan2.7-t2v, prompt: A lighthouse at dusk}\n"
CHAIN = (
    BEGIN
    + "  - {id: s020, prompt: The keeper turns, media: {first_frame: {shot: s010, frame: last}}}\n"
    + "  - {id: s030, prompt: The lens begins to turn, media: {first_frame: {shot: s020}}}\n"
    + "  - {id: s040, model: wan2.7-t2v, prompt: The sea}\n"
)
SIDES = (320, 240)
FRAMES = 8
SENT: dict[str, Image.Image] = {}  # the first frame that came with each take


def quick(card, target):
    """A real MP4 of two seconds, whose frames grow lighter; its colour is the take's own."""
    if card.first_frame:
        SENT[card.take] = Image.open(card.first_frame).convert("RGB")
    film(target, crc32(f"{card.prompt}{card.seed}{card.first_frame and card.first_frame.read_bytes()}".encode()), sides=SIDES)


def film(target, colour, *, sides, frames=FRAMES, rate=4, picture=None, **options):
    red, green = colour % 128, colour // 128 % 128
    with av.open(str(target), "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=Fraction(rate), options={"preset": "ultrafast", "threads": "1", **options})
        stream.width, stream.height = sides
        stream.pix_fmt = "yuv420p"
        for number in range(frames):
            shade = Image.new("RGB", sides, (red, green, 255 * number // frames))
            out.mux(stream.encode(av.VideoFrame.from_image(picture or shade)))
        out.mux(stream.encode())


def decoded(path):
    """Every picture of a film, all of it read from the beginning."""
    with av.open(str(path)) as container:
        frames = container.decode(video=0)
        return [one.reformat(format="rgb24", src_colorspace="ITU709", dst_colorspace="DEFAULT").to_image() for one in frames]


def apart(one, other):
    """How far two pictures are from each other: the mean over pixels and colours, of 255."""
    return sum(ImageStat.Stat(ImageChops.difference(one, other)).mean) / 3


def _billed(bill):
    """The take that a bill is for; another service than the studio is not told, so there it is the prompt."""
    return bill.take or bill.body["input"]["prompt"]


class Film:
    """A folder with a storyboard, the studio that plays it, and the command line."""

    def __init__(self, folder, studio, capsys, shots, provider="studio"):
        self.folder, self.studio, self.capsys = folder, studio, capsys
        folder.mkdir(exist_ok=True)
        self.path = folder / "film.callsheet.yaml"
        self.path.write_text(HEAD.format(url=studio.base_url, provider=provider) + shots)
        self._paid = len(studio.bills())

    def call(self, verb, *args):
        """The exit code; what it said is kept."""
        self.capsys.readouterr()
        result = code([verb, str(self.path), *args])
        found = self.capsys.readouterr()
        self.out, self.err = found.out, found.err
        assert "Traceback" not in found.err
        return result

    def edit(self, old, new):
        text = self.path.read_text()
        assert text.count(old) == 1
        self.path.write_text(text.replace(old, new))

    def run(self, *args):
        """The exit code, and the takes that were newly paid for, in their order."""
        before = len(self.studio.bills())
        result = self.call("run", *args)
        return result, [_billed(bill) for bill in self.studio.bills()[before:]]

    @property
    def bills(self):
        return [_billed(bill) for bill in self.studio.bills()[self._paid :]]

    def plan(self, *args):
        """Action and reason by take."""
        self.call("plan", "--json", *args)
        self.steps = {step["take"]: step for step in json.loads(self.out)["steps"]}
        return {take: (step["action"], step["reason"]) for take, step in self.steps.items()}

    @property
    def takes(self):
        return json.loads((self.folder / "film.callsheet.lock").read_text())["takes"]

    def render(self, take):
        return self.folder / self.takes[take]["render"]["path"]


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    with Studio(Settings(folder=tmp_path_factory.mktemp("studio"), render=quick, in_flight=8)) as studio:
        yield studio


@pytest.fixture
def made(studio, tmp_path, capsys):
    """Makes films."""
    return functools.partial(Film, tmp_path / "film", studio, capsys)


@pytest.fixture
def chain(made):
    """s010 → s020 → s030, and s040 beside them, all rendered."""
    film = made(CHAIN)
    assert film.run()[0] == 0
    return film


def test_a_chain_is_planned_and_made_in_one_run(made):
    film = made(CHAIN)
    assert film.plan() == {
        "s010@1": ("submit", "new"),
        "s020@1": ("submit", "new, after s010@1"),
        "s030@1": ("submit", "new, after s020@1"),
        "s040@1": ("submit", "new"),
    }
    assert film.steps["s030@1"]["after"] == ["s020@1"]
    assert film.steps["s030@1"]["fingerprint"] is None
    result, paid = film.run()
    assert result == 0
    assert sorted(paid) == ["s010@1", "s020@1", "s030@1", "s040@1"]
    assert [take for take in paid if take != "s040@1"] == ["s010@1", "s020@1", "s030@1"]
    assert film.run() == (0, [])
    assert {action for action, _ in film.plan().values()} == {"keep"}


def test_what_was_sent_is_the_last_picture_of_the_render(chain):
    for source, take in (("s010@1", "s020@1"), ("s020@1", "s030@1")):
        pictures = decoded(chain.render(source))
        assert len(pictures) == FRAMES
        assert apart(SENT[take], pictures[-1]) == 0
        assert all(apart(SENT[take], other) > 1 for other in pictures[:-1])


def test_the_lock_names_the_render_and_the_selector_and_nothing_of_this_machine(chain):
    for source, take in (("s010@1", "s020@1"), ("s020@1", "s030@1")):
        entry, sha256 = chain.takes[take], chain.takes[source]["render"]["sha256"]
        assert entry["request"]["media"] == {"first_frame": f"sha256:{sha256}#last"}
        assert entry["fingerprint"].startswith("1:sha256:")
    text = (chain.folder / "film.callsheet.lock").read_text()
    assert "frames/" not in text
    assert str(chain.folder) not in text


def test_animatics_go_on_where_the_other_ends(tmp_path, capsys):
    """The studio's own pictures: the second one's first is the first one's last but for the strip and the encoder."""
    film = tmp_path / "film"
    film.mkdir()
    path = film / "film.callsheet.yaml"
    shots = CHAIN.partition("  - {id: s030")[0]
    path.write_text("callsheet: 1\ndefaults: {model: wan2.7-i2v, parameters: {resolution: 720P, duration: 2}}\nshots:\n" + shots)
    assert code(["run", str(path)]) == 0
    before, after = (decoded(film / f"renders/film/takes/{take}.mp4") for take in ("s010@1", "s020@1"))
    assert before[-1].size == after[0].size
    above = (0, 0, before[0].width, before[0].height // 2)  # the strip lies below
    last, first, later = before[-1].crop(above), after[0].crop(above), after[-1].crop(above)
    assert apart(last, first) < 5  # the edges of letters: the picture is made a little larger for the move
    assert apart(last, later) > 12
    middle = (640, 330)  # nothing but ground: the colours are the same
    assert max(abs(one - other) for one, other in zip(last.getpixel(middle), first.getpixel(middle), strict=True)) <= 2
    capsys.readouterr()


def test_an_edit_upstream_makes_exactly_the_descendants_outdated(chain):
    chain.edit("A lighthouse at dusk", "A lighthouse at dawn")
    assert chain.plan() == {
        "s010@2": ("submit", "changed: prompt"),
        "s020@2": ("submit", "changed: media.first_frame, after s010@2"),
        "s030@2": ("submit", "changed: media.first_frame, after s020@2"),
        "s040@1": ("keep", "saved"),
    }
    chain.call("status", "--json")
    current = {take["take"]: take["current"] for take in json.loads(chain.out)["takes"]}
    assert current == {"s010@1": False, "s020@1": False, "s030@1": False, "s040@1": True}
    assert chain.run() == (0, ["s010@2", "s020@2", "s030@2"])
    assert chain.run() == (0, [])


def test_an_edit_in_the_middle_leaves_what_is_above(chain):
    chain.edit("The keeper turns", "The keeper sleeps")
    plan = chain.plan()
    assert {take: action for take, (action, _) in plan.items()} == {
        "s010@1": "keep",
        "s020@2": "submit",
        "s030@2": "submit",
        "s040@1": "keep",
    }
    assert chain.run() == (0, ["s020@2", "s030@2"])


def test_back_to_the_old_wording_all_is_current_again_and_free(chain):
    chain.edit("A lighthouse at dusk", "A lighthouse at dawn")
    assert chain.run()[0] == 0
    chain.edit("A lighthouse at dawn", "A lighthouse at dusk")
    assert set(chain.plan().values()) == {("keep", "saved")}
    assert chain.run() == (0, [])
    outputs = {shot: chain.folder / f"renders/film/{shot}.mp4" for shot in ("s010", "s020", "s030")}
    for shot, output in outputs.items():
        assert output.samefile(chain.render(f"{shot}@1"))


def test_another_take_upstream_changes_nothing_until_it_is_picked(chain):
    assert chain.call("retake", "s010") == 0
    plan = chain.plan()
    assert plan["s010@2"][0] == "submit"
    assert plan["s020@1"] == ("keep", "saved, made of s010@1; none of s010@1, s010@2 is picked")
    assert chain.run() == (0, ["s010@2"])
    assert {action for action, _ in chain.plan().values()} == {"keep"}
    assert chain.call("pick", "s010@2", "--yes") == 0
    plan = chain.plan()
    assert plan["s020@2"] == ("submit", "changed: media.first_frame (now of s010@2)")
    assert plan["s030@2"] == ("submit", "changed: media.first_frame, after s020@2")
    assert chain.run() == (0, ["s020@2", "s030@2"])
    assert apart(SENT["s020@2"], decoded(chain.render("s010@2"))[-1]) == 0
    assert chain.call("pick", "s010@1", "--yes") == 0
    assert {action for action, _ in chain.plan().values()} == {"keep"}
    assert chain.run() == (0, [])


def test_where_there_is_a_choice_a_chain_waits_for_the_pick(made):
    film = made(CHAIN.replace("at dusk}", "at dusk, takes: 2}"))
    waits = ("blocked", "waits for a pick among s010@1, s010@2")
    assert film.plan()["s020@1"] == waits
    assert film.plan()["s030@1"] == ("blocked", "waits for s020@1, which is blocked")
    result, paid = film.run()
    assert (result, sorted(paid)) == (1, ["s010@1", "s010@2", "s040@1"])
    assert f"blocked    {waits[1]}" in film.err
    assert film.plan()["s020@1"] == waits
    assert film.call("pick", "s010@2", "--yes") == 0
    assert film.run() == (0, ["s020@1", "s030@1"])
    assert apart(SENT["s020@1"], decoded(film.render("s010@2"))[-1]) == 0


def test_a_chain_that_names_its_take_waits_for_no_pick(made):
    shots = CHAIN.replace("at dusk}", "at dusk, takes: 2}").replace("{shot: s010, frame: last}", "{shot: s010, take: 1}")
    film = made(shots)
    assert film.plan()["s020@1"] == ("submit", "new, after s010@1")
    assert film.run()[0] == 0
    assert apart(SENT["s020@1"], decoded(film.render("s010@1"))[-1]) == 0
    assert film.call("pick", "s010@2", "--yes") == 0
    assert {action for action, _ in film.plan().values()} == {"keep"}
    film.edit("take: 1", "take: 9")
    assert film.plan()["s020@2"] == ("blocked", "waits for s010@9, which is neither in the lock nor wanted")
    assert film.run() == (1, [])


def test_nothing_is_paid_for_on_the_ground_of_an_animatic(made):
    film = made(CHAIN.replace("at dusk}", "at dusk, takes: 2}"))
    assert film.run()[0] == 1
    assert film.call("pick", "s010@2", "--yes") == 0
    paid = film.plan("--provider", "qwencloud")
    assert [paid[take][0] for take in ("s010@3", "s010@4")] == ["submit", "submit"]
    assert paid["s020@1"] == ("blocked", "waits for a pick among s010@3, s010@4"), "the picked one is only the studio's"
    film.edit("{shot: s010, frame: last}", "{shot: s010, take: 2}")
    assert film.plan("--provider", "qwencloud")["s020@1"] == ("blocked", "waits for s010@2, which only the studio has")
    assert film.plan()["s020@1"][0] == "submit", "in the studio it is as good as any"


def test_a_selection_without_the_source_says_so(made):
    film = made(CHAIN)
    assert film.plan("--only", "s020") == {"s020@1": ("blocked", "waits for s010@1, which is not rendered, nor selected")}
    assert film.run("--only", "s020") == (1, [])
    assert film.plan("--only", "s010", "--only", "s020")["s020@1"] == ("submit", "new, after s010@1")
    assert film.run("--only", "s010") == (0, ["s010@1"])
    assert film.run("--only", "s020") == (0, ["s020@1"])


def lines_about(film, word):
    return [line for line in film.err.splitlines() if f"{word}: callsheet " in line]


def run_again(film, line):
    """Exit code of the command at the end of a line of advice, as if it were copied."""
    name, verb, path, *rest = shlex.split(line.partition(": ")[2])
    assert (name, path) == ("callsheet", str(film.path))
    return film.call(verb, *rest)


def test_a_selection_without_the_source_ends_with_the_line_that_has_it(made):
    film = made(CHAIN)
    assert film.run("--only", "s030", "--only", "s040") == (1, ["s040@1"])
    (line,) = lines_about(film, "not selected")
    assert line.startswith("s030@1 waits for s010@1, s020@1, not selected: callsheet run ")
    assert line.endswith(" --only s010 --only s020 --only s030")
    film.call("plan", "--only", "s030")
    assert lines_about(film, "not selected") == [line]
    before = len(film.bills)
    assert run_again(film, line) == 0
    assert film.bills[before:] == ["s010@1", "s020@1", "s030@1"]
    film.call("plan", "--only", "s030")
    assert lines_about(film, "not selected") == []


def test_a_line_that_would_name_too_many_shots_names_none(made):
    links = [f"  - {{id: s{n:03}, prompt: Shot {n}, media: {{first_frame: {{shot: s{n - 1:03}}}}}}}\n" for n in range(1, 20)]
    film = made("  - {id: s000, model: wan2.7-t2v, prompt: The beginning}\n" + "".join(links))
    film.call("plan", "--only", "s019")
    (line,) = lines_about(film, "not selected")
    assert line.endswith(f"(19 in all), not selected: callsheet run {film.path}")


def test_only_the_takes_that_are_needed_are_named(made):
    film = made(CHAIN.replace("at dusk}", "at dusk, takes: 2}").replace("{shot: s010, frame: last}", "{shot: s010, take: 2}"))
    assert film.run("--only", "s020")[0] == 1
    (line,) = lines_about(film, "not selected")
    assert line.endswith(" --only s010@2 --only s020")
    assert run_again(film, line) == 0
    assert film.bills == ["s010@2", "s020@1"]


def test_what_waits_for_a_pick_comes_with_the_line_that_picks(made):
    film = made(CHAIN.replace("at dusk}", "at dusk, takes: 2}"))
    film.call("plan")
    (line,) = lines_about(film, "among s010@1, s010@2 once they are rendered")
    assert film.run("--only", "s010@2") == (0, ["s010@2"])
    film.call("plan")
    (line,) = lines_about(film, "among s010@2, s010@3")
    assert line.endswith(f": callsheet pick {film.path} s010@2"), "the other one cannot be picked yet"
    assert film.run("--only", "s010") == (0, ["s010@3"])
    assert film.run("--skip", "s040")[0] == 1
    (line,) = lines_about(film, "among s010@2, s010@3")
    assert line.startswith("s020@1, s030@1 wait for a pick among ")
    for verb in ("plan", "status"):
        film.call(verb)
        assert lines_about(film, "among s010@2, s010@3") == [line]
    film.call("plan", "--only", "s030")
    assert lines_about(film, "among s010@2, s010@3") == [line.replace("s020@1, s030@1 wait ", "s030@1 waits ")]
    assert run_again(film, line) == 0
    assert json.loads((film.folder / "film.callsheet.lock").read_text())["picked"] == {"s010": "s010@2"}
    assert film.run("--skip", "s040") == (0, ["s020@1", "s030@1"])


def test_what_is_blocked_for_another_reason_is_left_to_the_plan(made):
    film = made(CHAIN)
    (film.folder / "renders/film/takes").mkdir(parents=True)
    (film.folder / "renders/film/takes/s040@1.mp4").write_bytes(b"somebody's")
    assert film.run()[0] == 1
    assert f"blocked, and why: callsheet plan {film.path} (s040@1)" in film.err


def test_a_profile_goes_into_the_line(made):
    film = made(CHAIN)
    film.edit("defaults:", "profiles: {draft: {parameters: {prompt_extend: false}}}\ndefaults:")
    film.call("plan", "--only", "s020", "--profile", "draft")
    (line,) = lines_about(film, "not selected")
    assert run_again(film, line) == 0
    assert (film.folder / "film.draft.callsheet.lock").exists()


def test_a_link_to_a_take_that_will_never_be_is_warned_of_until_there_is_one(made):
    film = made(CHAIN.replace("{shot: s010, frame: last}", "{shot: s010, take: 2}"))
    said = "warning: shot s020: s010@2 is not in the lock, and s010 wants only 1 take [W208]"
    assert film.call("check") == 0
    assert said in film.out
    assert film.call("preview") == 0
    assert said in film.err
    assert film.plan()["s020@1"] == ("blocked", "waits for s010@2, which is neither in the lock nor wanted")
    assert film.call("retake", "s010") == 0
    assert film.call("check", "--strict") == 0, film.out
    assert film.call("preview") == 0
    assert "W208" not in film.err, "it is the film's own takes that count"
    assert film.run()[0] == 0
    (film.folder / "film.callsheet.lock").write_text("no lock at all")
    shutil.rmtree(film.folder / ".callsheet")
    assert film.call("check") == 0, "a lock that cannot be read is no business of the check"


def test_the_frame_and_the_take_of_a_link_may_be_variables(made):
    film = made(
        "  - {id: s010, model: wan2.7-t2v, prompt: A lighthouse, takes: 2}\n"
        '  - {id: "at-${at}", matrix: {at: [0, 0.6, last]}, vars: {one: 2}, prompt: "Boat ${at}",\n'
        '     media: {first_frame: {shot: s010, frame: "${at}", take: "${one}"}}}\n'
        '  - {id: "row-${n}", each: rows.csv, prompt: Later, media: {first_frame: {shot: s010, frame: "${at}", take: "${n}"}}}\n'
    )
    (film.folder / "rows.csv").write_text("n,at\n1,0.25\n2,first\n")
    assert film.run()[0] == 0, film.err
    media = {take: entry["request"]["media"]["first_frame"] for take, entry in film.takes.items() if "media" in entry["request"]}
    one, two = (film.takes[take]["render"]["sha256"] for take in ("s010@1", "s010@2"))
    assert media == {
        "at-0@1": f"sha256:{two}#0",
        "at-0.6@1": f"sha256:{two}#0.6",
        "at-last@1": f"sha256:{two}#last",
        "row-1@1": f"sha256:{one}#0.25",
        "row-2@1": f"sha256:{two}#first",
    }
    assert apart(SENT["at-0.6@1"], decoded(film.render("s010@2"))[2]) == 0


def test_a_shot_that_wants_no_takes_is_no_source_until_it_has_one(made):
    film = made(CHAIN.replace("at dusk}", "at dusk, takes: 0}"))
    assert film.plan()["s020@1"] == ("blocked", "s010 has no render and wants no takes")
    film.edit(", takes: 0", "")
    film.run("--only", "s010")
    film.edit("at dusk}", "at dusk, takes: 0}")
    assert film.run("--skip", "s040") == (0, ["s020@1", "s030@1"])


def test_renamed_shots_keep_their_takes_along_the_chain(chain):
    for old, new in (("s010", "a10"), ("s020", "a20"), ("s030", "a30")):
        chain.path.write_text(chain.path.read_text().replace(old, new))
    assert chain.plan() == {
        "a10@1": ("keep", "was s010@1"),
        "a20@1": ("keep", "was s020@1"),
        "a30@1": ("keep", "was s030@1"),
        "s040@1": ("keep", "saved"),
    }
    assert chain.run() == (0, [])
    assert set(chain.takes) == {"a10@1", "a20@1", "a30@1", "s040@1"}
    assert chain.run() == (0, [])


def test_a_source_whose_file_is_not_here_is_fetched_before_what_is_made_of_it(made):
    film = made(CHAIN)
    assert film.run("--only", "s010") == (0, ["s010@1"])
    shutil.rmtree(film.folder / "renders")
    plan = film.plan()
    assert plan["s010@1"][0] == "fetch"
    assert plan["s020@1"] == ("submit", "new, after s010@1")
    assert film.steps["s020@1"]["fingerprint"]  # the render is known though it is not here
    assert film.run("--skip", "s040") == (0, ["s020@1", "s030@1"])
    assert apart(SENT["s020@1"], decoded(film.render("s010@1"))[-1]) == 0


def test_a_source_that_is_gone_blocks_what_is_new_and_keeps_what_is_there(chain):
    journal = chain.folder / ".callsheet"
    shutil.rmtree(chain.folder / "renders")
    lock = json.loads((chain.folder / "film.callsheet.lock").read_text())
    for attempt in lock["takes"]["s010@1"]["attempts"]:
        attempt["ended_at"] = attempt["submitted_at"] = attempt["intended_at"] = "2020-01-01T00:00:00Z"
    (chain.folder / "film.callsheet.lock").write_text(json.dumps(lock, indent=2, sort_keys=True) + "\n")
    shutil.rmtree(journal)
    assert chain.plan()["s010@1"][0] == "absent"
    assert chain.run() == (0, [])  # the others came back from the provider
    chain.edit("The keeper turns", "The keeper sleeps")
    assert chain.plan()["s020@2"] == ("blocked", "waits for s010@1, whose file is not here")
    assert chain.run() == (1, [])


def test_frames_are_a_cache_that_may_be_lost(chain):
    shutil.rmtree(chain.folder / ".callsheet/frames")
    assert chain.run() == (0, [])
    chain.edit("The lens begins to turn", "The lens stops")
    assert chain.run() == (0, ["s030@2"])
    assert len(list((chain.folder / ".callsheet/frames").iterdir())) == 1


def test_a_render_that_is_no_longer_what_was_saved_is_not_made_use_of(chain):
    shutil.rmtree(chain.folder / ".callsheet/frames")
    path = chain.render("s020@1")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.unlink()
    path.write_bytes(data)
    chain.edit("The lens begins to turn", "The lens stops")
    result, paid = chain.run()
    assert (result, paid) == (75, [])
    assert "is not the file that was saved" in chain.err


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_source_that_fails_blocks_its_descendants_by_name_and_nothing_else(tmp_path, capsys, monkeypatch, backend):
    monkeypatch.setattr(anyio, "run", functools.partial(anyio.run, backend=backend))
    wrong = Faults.parse(["moderation:1"])
    with Studio(Settings(folder=tmp_path / "studio", render=quick, faults=wrong)) as studio:
        film = Film(tmp_path / "film", studio, capsys, CHAIN)
        film.path.write_text(film.path.read_text().replace("callsheet: 1", "callsheet: 1\nin_flight: 1"))
        result, paid = film.run()
        assert (result, paid) == (1, ["s010@1", "s040@1"])
        assert "s020@1  blocked    waits for s010@1, which has failed" in film.err
        assert "s030@1  blocked    waits for s020@1, which is blocked" in film.err
        plan = film.plan()
        assert plan["s010@1"][0] == "answer"
        assert plan["s020@1"] == ("blocked", "waits for s010@1, which waits for your answer")
        assert plan["s030@1"] == ("blocked", "waits for s020@1, which is blocked")
        assert film.call("again", "s010@1") == 0
        assert film.run() == (0, ["s010@1", "s020@1", "s030@1"])


def test_a_chain_of_a_hundred_is_made_in_one_run(made):
    links = [f"  - {{id: s{n:03}, prompt: Shot {n}, media: {{first_frame: {{shot: s{n - 1:03}}}}}}}\n" for n in range(1, 100)]
    film = made("  - {id: s000, model: wan2.7-t2v, prompt: The beginning}\n" + "".join(reversed(links)))
    result, paid = film.run()
    assert result == 0
    assert paid == [f"s{n:03}@1" for n in range(100)]
    assert film.run() == (0, [])
    film.edit("The beginning", "Another beginning")
    plan = film.plan()
    assert len(plan) == 100
    assert {action for action, _ in plan.values()} == {"submit"}


def test_two_hundred_shots_begin_with_one_and_the_same_frame(made):
    fan = [f"  - {{id: f{n:03}, prompt: Way {n}, media: {{first_frame: {{shot: s010}}}}}}\n" for n in range(200)]
    film = made(BEGIN + "".join(fan))
    result, paid = film.run()
    assert result == 0
    assert paid[0] == "s010@1"
    assert sorted(paid[1:]) == [f"f{n:03}@1" for n in range(200)]
    assert len(list((film.folder / ".callsheet/frames").iterdir())) == 1


def test_with_one_slot_what_the_most_takes_wait_for_goes_first(tmp_path, capsys):
    alone = "".join(f"  - {{id: a{n}, model: wan2.7-t2v, prompt: Alone {n}}}\n" for n in range(8))
    with Studio(Settings(folder=tmp_path / "studio", render=quick, seconds=0.25)) as studio:
        last = "  - {id: s050, prompt: The end, media: {first_frame: {shot: s030}}}\n"
        film = Film(tmp_path / "film", studio, capsys, alone + CHAIN + last)
        film.path.write_text(film.path.read_text().replace("callsheet: 1", "callsheet: 1\nin_flight: 1"))
        result, paid = film.run()
    assert result == 0
    assert paid[0] == "s010@1"
    # As soon as the source is saved, which takes as long as one other take or two: before the rest, that nobody waits for.
    assert paid.index("s020@1") <= 3
    assert paid.index("s030@1") <= 6
    assert [take for take in paid if take.startswith("a")] == [f"a{n}@1" for n in range(8)]


def step(take, *after):
    shot = take.partition("@")[0]
    facts = {"action": "submit", "reason": "", "provider": "studio", "model": "", "output": "", "path": ""}
    return Step(take=take, shot=shot, after=after, **facts)


def drained(turns, *, fails=()):
    """What is handed out when each step ends as soon as it has begun, and what is not."""

    async def drain():
        begun, lacking = [], []
        while one := await turns.next("studio"):
            begun.append(one.take)
            lacking += [(other.take, why) for other, why in turns.ended(one.take, "failed" if one.take in fails else "saved")]
        return begun, lacking

    return anyio.run(drain)


TWO_SERVICES = (
    "  - {id: s010, model: wan2.7-t2v, prompt: A lighthouse at dusk}\n"
    "  - {id: s020, provider: studio, prompt: The keeper turns, media: {first_frame: {shot: s010}}}\n"
)


def test_a_chain_goes_from_one_service_to_another(paid):
    film = paid(TWO_SERVICES)
    assert film.run("--yes")[0] == 0
    takes = film.takes
    assert {take: entry["provider"] for take, entry in takes.items()} == {"s010@1": "qwencloud", "s020@1": "studio"}
    assert takes["s020@1"]["request"]["media"]["first_frame"] == f"sha256:{takes['s010@1']['render']['sha256']}#last"


def test_an_account_that_is_refused_leaves_nobody_waiting(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-test-0123456789")
    with Studio(Settings(folder=tmp_path / "studio", render=quick, faults=Faults.parse(["arrearage"]))) as studio:
        film = Film(tmp_path / "film", studio, capsys, TWO_SERVICES, provider="qwencloud")
        assert film.run("--yes") == (75, [])
        assert film.run("--yes")[0] == 0


def test_fail_fast_ends_a_run_with_chains_too(tmp_path, capsys):
    with Studio(Settings(folder=tmp_path / "studio", render=quick, faults=Faults.parse(["moderation:1"]))) as studio:
        film = Film(tmp_path / "film", studio, capsys, CHAIN)
        film.path.write_text(film.path.read_text().replace("callsheet: 1", "callsheet: 1\nin_flight: 1"))
        assert film.run("--fail-fast")[0] == 1
        assert "s020@1" not in film.bills


def test_turns_follow_the_graph_the_longest_way_first():
    diamond = [step("z@1"), step("d@1", "b@1", "c@1"), step("b@1", "a@1"), step("c@1", "a@1"), step("a@1"), step("e@1", "d@1")]
    assert drained(Turns(diamond)) == (["a@1", "b@1", "c@1", "d@1", "z@1", "e@1"], [])
    assert drained(Turns(diamond), fails={"c@1"}) == (["a@1", "b@1", "c@1", "z@1"], WHY)
    assert drained(Turns([step(f"s{n}@1") for n in range(50)]))[0] == [f"s{n}@1" for n in range(50)]


WHY = [("d@1", "waits for c@1, which has failed"), ("e@1", "waits for d@1, which is blocked")]


def test_a_closed_provider_takes_along_what_comes_after_its_takes():
    turns = Turns([step("a@1"), step("b@1", "a@1"), step("c@1", "b@1")])

    async def closed():
        turns.close("studio", await turns.next("studio"))
        return await turns.next("studio")

    assert anyio.run(closed) is None


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Films of every build of H.264 that puts pictures in another order than they are shown, or keys where none is expected."""
    folder = tmp_path_factory.mktemp("films")
    ways = {
        "one-key": {"g": "250", "bf": "3"},
        "keys-only": {"g": "1"},
        "open-groups": {"g": "6", "bf": "3", "x264-params": "open-gop=1:b-pyramid=normal:scenecut=0"},
        "key-at-the-end": {"g": "23", "bf": "2", "x264-params": "scenecut=0"},
        "few": {"bf": "3"},
    }
    made = []
    for name, options in ways.items():
        path = folder / f"{name}.mp4"
        film(
            path,
            crc32(name.encode()),
            sides=(256, 256),
            frames=3 if name == "few" else 24,
            rate=8,
            **{"preset": "medium", **options},
        )
        made.append(path)
    return made


def sha256(path):
    return runner.door.folder.sha256(path)


def cut(path, frame, target):
    still.cut(path, sha256(path), frame, target)
    return Image.open(target)


def test_a_frame_is_cut_exactly(films, tmp_path):
    """Against all pictures decoded from the beginning, whatever lies between the keys of the film."""
    target = tmp_path / "frames/one.png"
    for path in films:
        pictures = decoded(path)
        assert apart(cut(path, "last", target), pictures[-1]) == 0
        assert apart(cut(path, "first", target), pictures[0]) == 0
        for number, picture in enumerate(pictures):
            for seconds in (number / 8, (number + 0.9) / 8):  # at the very moment, and shortly before the next
                assert apart(cut(path, seconds, target), picture) == 0, (path.name, number, seconds)
        assert all(apart(one, other) > 0.5 for one, other in pairwise(pictures))
        with pytest.raises(TakeError, match="no frame at"):
            still.cut(path, sha256(path), len(pictures) / 8, target)
    assert [one.name for one in target.parent.iterdir()] == ["one.png"]


def test_a_frame_of_what_is_no_render_is_an_error_and_leaves_nothing(films, tmp_path):
    other = tmp_path / "other.mp4"
    other.write_bytes(films[0].read_bytes()[:-1])
    with pytest.raises(TakeError, match="not the file that was saved"):
        still.cut(other, sha256(films[0]), "last", tmp_path / "one.png")
    other.write_bytes(b"no film at all")
    with pytest.raises(TakeError, match="no frame can be read"):
        still.cut(other, sha256(other), "last", tmp_path / "one.png")
    assert not (tmp_path / "one.png").exists()


def test_seconds_and_first_are_frames_of_their_own(made):
    film = made(CHAIN.replace("frame: last", "frame: 0.6").replace("{shot: s020}", "{shot: s020, frame: first}"))
    assert film.run()[0] == 0
    assert apart(SENT["s020@1"], decoded(film.render("s010@1"))[2]) == 0  # 4 frames a second
    assert apart(SENT["s030@1"], decoded(film.render("s020@1"))[0]) == 0
    assert film.takes["s020@1"]["request"]["media"]["first_frame"].endswith("#0.6")
    film.edit("frame: 0.6", "frame: last")
    assert {take: action for take, (action, _) in film.plan().items() if action == "submit"} == {
        "s020@2": "submit",
        "s030@2": "submit",
    }


def test_a_frame_beyond_the_end_of_the_render_blocks_before_anything_is_paid(made):
    """The quick studio makes two seconds whatever it is asked for."""
    film = made(CHAIN.replace("at dusk}", "at dusk, parameters: {duration: 6}}").replace("frame: last", "frame: 5"))
    result, paid = film.run()
    assert (result, sorted(paid)) == (1, ["s010@1", "s040@1"])
    assert "s020@1  blocked    there is no frame at 5 s: s010 lasts 2 s" in film.err
    assert film.plan()["s020@1"] == ("blocked", "there is no frame at 5 s: s010 lasts 2 s")


def test_a_render_that_the_role_does_not_take_blocks_before_anything_is_paid(tmp_path, capsys):
    def small(card, target):
        film(target, crc32(card.prompt.encode()), sides=(128, 128))

    with Studio(Settings(folder=tmp_path / "studio", render=small)) as studio:
        one = Film(tmp_path / "film", studio, capsys, CHAIN)
        result, paid = one.run()
        assert (result, sorted(paid)) == (1, ["s010@1", "s040@1"])
        why = "the frame of s010@1 is 128×128, each side must have 240 to 8000 pixels"  # noqa: RUF001 - as it is said
        assert f"s020@1  blocked    {why}" in one.err
        assert one.plan()["s020@1"] == ("blocked", why)


CLIP = BEGIN + "  - {id: s020, prompt: She walks on, parameters: {duration: 5}, media: {first_clip: {shot: s010}}}\n"


@pytest.fixture
def paid(studio, tmp_path, capsys, monkeypatch):
    """A film for a service that costs money; the same studio plays it."""
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-test-0123456789")
    return functools.partial(Film, tmp_path / "film", studio, capsys, provider="qwencloud")


def test_the_billed_seconds_of_a_clip_that_goes_on_are_shown_before_they_are_paid(paid):
    film = paid(CLIP)
    assert film.plan()["s020@1"] == ("submit", "new (up to 7.5 s billed), after s010@1")
    step = film.steps["s020@1"]
    assert step["seconds"] == 5
    assert step["cost"]["amount"] == "0.75"
    assert "7.5 s, if the clip is billed too" in step["cost"]["basis"]
    assert film.run("--max-cost", "0.94")[0] == 3
    assert film.bills == []
    result, takes = film.run("--max-cost", "0.95")
    assert (result, takes) == (0, ["A lighthouse at dusk", "She walks on"])
    entry, source = film.takes["s020@1"], film.takes["s010@1"]["render"]
    assert entry["request"]["media"] == {"first_clip": f"sha256:{source['sha256']}"}
    assert entry["attempts"][0]["reserved"]["amount"] == "0.70"  # by the render as it came, two seconds long


def test_a_render_that_would_cost_more_than_the_plan_showed_is_left_to_the_next_plan(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-test-0123456789")

    def long(card, target):
        film(target, 1, sides=SIDES, frames=16)

    with Studio(Settings(folder=tmp_path / "studio", render=long)) as studio:
        one = Film(tmp_path / "film", studio, capsys, CLIP, provider="qwencloud")
        assert one.run("--yes") == (75, ["A lighthouse at dusk"])
        assert "0.90 USD is more than the 0.75 USD that the plan showed" in one.err
        assert one.plan()["s020@1"] == ("submit", "new (up to 9 s billed)")
        assert one.run("--yes") == (0, ["She walks on"])


def test_a_clip_and_its_file_are_one_thing(made):
    """A link to all of a render is the render: the same bytes as a file make the same shot."""
    film = made(CLIP)
    assert film.run()[0] == 0
    shutil.copy(film.render("s010@1"), film.folder / "arrival.mp4")
    film.edit("{first_clip: {shot: s010}}", "{first_clip: arrival.mp4}")
    assert film.plan()["s020@1"] == ("keep", "saved")


def test_an_edit_that_makes_the_very_same_render_outdates_nothing(tmp_path, capsys):
    def constant(card, target):
        film(target, 7, sides=SIDES)

    with Studio(Settings(folder=tmp_path / "studio", render=constant)) as studio:
        one = Film(tmp_path / "film", studio, capsys, CHAIN)
        assert one.run()[0] == 0
        one.edit("A lighthouse at dusk", "A lighthouse at dawn")
        assert one.run() == (0, ["s010@2"])  # the plan showed two more, which turned out not to be needed
        assert "not needed" in one.err
        assert one.run() == (0, [])


def test_links_through_matrices_included_files_references_and_profiles(made):
    film = made(
        '  - {id: "pier-${time}", matrix: {time: [dawn, night]}, model: wan2.7-t2v, prompt: "The pier at ${time}"}\n'
        '  - {id: "boat-${time}", matrix: {time: [dawn, night]}, prompt: A boat, media: {first_frame: {shot: "pier-${time}"}}}\n'
        "  - id: both\n    model: wan2.7-r2v\n    prompt: Image 1 is at Image 2\n"
        "    media: {references: [{image: {shot: pier-dawn, frame: first}}, {image: {shot: far}}]}\n"
    )
    (film.folder / "more.yaml").write_text(
        "shots: [{id: far, prompt: Far away, media: {last_frame: {shot: boat-night, frame: first}, first_frame: {shot: boat-dawn}}}]"
    )
    film.edit("defaults:", "include: [more.yaml]\nprofiles: {draft: {parameters: {prompt_extend: false}}}\ndefaults:")
    plan = film.plan()
    assert plan["boat-night@1"] == ("submit", "new, after pier-night@1")
    assert plan["both@1"] == ("submit", "new, after pier-dawn@1, far@1")
    assert set(film.steps["far@1"]["after"]) == {"boat-night@1", "boat-dawn@1"}
    assert film.run()[0] == 0
    media = film.takes["both@1"]["request"]["media"]["references"]
    shas = [film.takes[take]["render"]["sha256"] for take in ("pier-dawn@1", "far@1")]
    assert media == [f"image sha256:{shas[0]}#first", f"image sha256:{shas[1]}#last"]
    assert film.run("--profile", "draft")[0] == 0
    lock = json.loads((film.folder / "film.draft.callsheet.lock").read_text())["takes"]
    assert lock["boat-dawn@1"]["request"]["media"]["first_frame"] == f"sha256:{lock['pier-dawn@1']['render']['sha256']}#last"
    assert film.run() == (0, [])


def test_the_example_is_whole():
    manifest = runner.read(ROOT / "manifests/night-walk.callsheet.yaml")
    assert not manifest.problems
    order = ["lane", "steps", "look-back", "inside-on", "door"]
    assert sorted(manifest.linked) == sorted(order)
    assert manifest.linked.index("lane") < manifest.linked.index("steps") < manifest.linked.index("door")


def test_every_event_of_a_chain_has_the_form_that_was_promised(made):
    film = made(CHAIN.replace("at dusk}", "at dusk, takes: 2}"))
    assert film.call("run", "--json") == 1
    events = [json.loads(line) for line in film.out.splitlines()]
    assert [fault for event in events for fault in faults(catalog.schema("event"), event)] == []
    blocked = {event["take"]: event["reason"] for event in events if event["event"] == "blocked"}
    assert blocked["s020@1"] == "waits for a pick among s010@1, s010@2"
    assert film.call("plan", "--json") == 0
    assert faults(catalog.schema("plan"), json.loads(film.out)) == []


def test_a_manifest_without_links_pays_nothing_for_them(made, monkeypatch):
    film = made(BEGIN)
    monkeypatch.setattr(links, "tie", None)
    monkeypatch.setattr("runner.plan._linked", None)
    assert film.run()[0] == 0


def test_stopped_in_the_middle_of_a_chain_the_next_run_goes_on(tmp_path, capsys):
    with Studio(Settings(folder=tmp_path / "studio", render=quick, seconds=0.4)) as studio:
        film = Film(tmp_path / "film", studio, capsys, CHAIN)
        run = subprocess.Popen(
            [sys.executable, "-m", "runner", "run", str(film.path)], cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        try:
            until = time.monotonic() + 30
            while "s020@1" not in film.bills and time.monotonic() < until:
                time.sleep(0.02)
            run.send_signal(signal.SIGTERM)
            assert run.wait(10) == 143
        finally:
            run.kill()
            run.stderr.close()
        assert "s030@1" not in film.bills
        result, takes = film.run()
        assert (result, takes) == (0, ["s030@1"])
        assert sorted(film.bills) == ["s010@1", "s020@1", "s030@1", "s040@1"]


def test_what_a_lost_run_may_have_paid_for_along_a_chain_is_never_paid_again_unasked(paid):
    """The lock names a run of long ago whose journal is elsewhere: any of the takes may be paid for, with what source nobody knows."""
    film = paid(CHAIN)
    run = {"id": "a" * 12, "host": "elsewhere", "since": "2020-01-01T00:00:00Z"}
    (film.folder / "film.callsheet.lock").write_text(json.dumps({"callsheet_lock": 1, "run": run, "takes": {}}))
    assert film.run("--yes") == (3, [])
    film.call("reconcile")
    assert {take: entry["state"] for take, entry in film.takes.items()} == dict.fromkeys(film.plan(), "intended")
    assert {action for action, _ in film.plan().values()} == {"answer"}
    assert film.run("--yes") == (1, [])
    assert film.call("again", "s010@1") == 0
    assert film.run("--yes") == (1, ["A lighthouse at dusk"])
    plan = film.plan()
    assert {take: plan[take][0] for take in ("s010@1", "s020@1", "s030@1")} == {
        "s010@1": "keep",
        "s020@1": "answer",
        "s030@1": "answer",
    }
    assert film.run("--yes") == (1, [])
    assert film.call("again", "s020@1") == 0
    assert film.run("--yes") == (1, ["The keeper turns"])
    assert film.takes["s020@1"]["fingerprint"]
    assert film.plan()["s020@1"] == ("keep", "saved")


def test_a_source_under_way_is_watched_and_what_comes_after_it_follows_in_the_same_run(tmp_path, capsys):
    with Studio(Settings(folder=tmp_path / "studio", render=quick, faults=Faults.parse(["poll-401:*"]))) as studio:
        film = Film(tmp_path / "film", studio, capsys, CHAIN)
        assert film.run("--only", "s010") == (75, ["s010@1"])
        studio.settings.faults.add("poll-401:0")
        plan = film.plan("--skip", "s040")
        assert plan["s010@1"][0] == "watch"
        assert plan["s020@1"] == ("submit", "new, after s010@1")
        assert film.call("collect") == 0 or film.takes["s010@1"]["state"] == "saved"
        assert film.bills == ["s010@1"]
        assert film.run("--skip", "s040") == (0, ["s020@1", "s030@1"])


def test_a_dead_upload_of_a_frame_goes_up_again(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-test-0123456789")

    def noise(card, target):
        film(target, 0, sides=(960, 640), frames=2, picture=Image.effect_noise((960, 640), 200).convert("RGB"))

    with Studio(Settings(folder=tmp_path / "studio", render=noise, faults=Faults.parse(["dead-oss"]))) as studio:
        one = Film(tmp_path / "film", studio, capsys, CHAIN, provider="qwencloud")
        assert one.run("--yes", "--only", "s010", "--only", "s020")[0] == 0
        assert len(one.takes["s020@1"]["attempts"]) == 2
        assert len([*(tmp_path / "studio/uploads").glob("*.png")]) == 2, "the dead copy was sent again"


def test_a_film_shows_the_takes_of_linked_shots(chain):
    manifest = runner.read(chain.path)
    takes = {clip.shot.id: clip.take for clip in cut_of(manifest, runner.known(manifest))}
    assert takes == {"s010": "s010@1", "s020": "s020@1", "s030": "s030@1", "s040": "s040@1"}
