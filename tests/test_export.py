"""`export`: every format read by somebody else's reader, and held against the renders themselves."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import sys
from fractions import Fraction
from hashlib import sha256
from urllib.parse import unquote

import av
import pytest
from markdown_it import MarkdownIt
from PIL import Image

import runner
from runner.cli import code
from runner.lockfile import Ledger, held
from runner.outputs.export import edl, timing
from runner.studio import Settings, Studio

otio = pytest.importorskip("opentimelineio")

RATES = {
    "s010": Fraction(24),
    "s020-the-long-name": Fraction(24000, 1001),
    "s020-the-long-one": Fraction(25),
    "s030": Fraction(30),
    "s040": Fraction(30000, 1001),
}
FRAMES = {"s010": 60, "s020-the-long-name": 47, "s020-the-long-one": 51, "s030": 59, "s040": 61}
SILENT = {"s030"}
LONGER = {"s010": 0.1}  # seconds by which a shot's sound outlasts its pictures
NASTY = '=HYPERLINK("http://x"), a | pipe, `tick`, <script>alert(1)</script> &lt; @someone #12 **bold** [a](b) ~~x~~ \\| $m$ ![i](j)\nnext line'
STORYBOARD = """\
callsheet: 1
title: "Mist & <b>Möwen</b> | eins"
providers: {{studio: {{base_url: "{url}", poll: {{first: 0.03, every: 0.03}}}}}}
defaults: {{model: wan2.7-t2v, parameters: {{resolution: 720P, duration: 2}}}}
shots:
  - {{id: s010, scene: coast, prompt: {nasty}, takes: 2, negative_prompt: "-low"}}
  - {{id: s020-the-long-name, scene: coast, prompt: "+The keeper turns", parameters: {{seed: 7}}}}
  - {{id: s020-the-long-one, scene: lamp, prompt: The lamp}}
  - {{id: s025, scene: lamp, prompt: Not rendered, parameters: {{duration: 3}}}}
  - {{id: s030, scene: lamp, prompt: 灯塔}}
  - {{id: s040, prompt: The sea}}
"""


def footage(card, target):
    """A real film at the shot's own rate, with a tone or without; the seed makes it another one."""
    shot = card.take.partition("@")[0]
    rate, frames = RATES[shot], FRAMES[shot]
    with av.open(str(target), "w", format="mp4") as out:
        picture = out.add_stream("libx264", rate=rate)
        picture.width, picture.height, picture.pix_fmt = 64, 36, "yuv420p"
        picture.options = {"preset": "ultrafast", "threads": "1"}
        sound = None if shot in SILENT else out.add_stream("aac", rate=48000)
        for _ in range(frames):
            shade = Image.new("RGB", (64, 36), ((card.seed or 0) % 251, 90, 60))
            out.mux(picture.encode(av.VideoFrame.from_image(shade)))
        out.mux(picture.encode())
        if sound:
            for number in range(int((frames / rate + LONGER.get(shot, 0)) * 48000) // 1024 + 1):
                wave = av.AudioFrame(format="fltp", layout="stereo", samples=1024)
                for plane in wave.planes:
                    plane.update(bytes(plane.buffer_size))
                wave.sample_rate, wave.pts = 48000, number * 1024
                out.mux(sound.encode(wave))
            out.mux(sound.encode())


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """A film of which one shot is not rendered."""
    folder = tmp_path_factory.mktemp("film")
    with Studio(Settings(folder=tmp_path_factory.mktemp("studio"), render=footage, in_flight=8)) as studio:
        path = folder / "mist.callsheet.yaml"
        path.write_text(STORYBOARD.format(url=studio.base_url, nasty=json.dumps(NASTY)), encoding="utf-8")
        assert code(["run", str(path), "--skip", "s025"]) == 0
    return folder


class Film:
    """A copy of the rendered film, and command lines in it."""

    def __init__(self, folder, capsys):
        self.folder, self.capsys = folder, capsys
        self.path = folder / "mist.callsheet.yaml"

    def call(self, *args):
        self.capsys.readouterr()
        result = code([args[0], "mist.callsheet.yaml", *args[1:]])
        found = self.capsys.readouterr()
        self.out, self.err = found.out, found.err
        assert "Traceback" not in found.err
        return result

    def export(self, name, *args):
        """What an export has said; it must have succeeded."""
        assert self.call("export", "--to", name, *args) == 0, self.err
        return self.out

    def timeline(self, *args):
        self.export("otio", *args)
        return otio.adapters.read_from_file(str(self.folder / "mist.otio"))

    @property
    def lock(self):
        return json.loads((self.folder / "mist.callsheet.lock").read_text("utf-8"))

    def render(self, take):
        return self.folder / self.lock["takes"][take]["render"]["path"]

    def pick(self, take):
        files = runner.files_of(runner.read(self.path))
        with held(files):
            ledger = Ledger(files, runner.lockfile.load(files))
            ledger.note("picked", shot=take.partition("@")[0], take=take)
            ledger.close()


@pytest.fixture
def film(rendered, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "film"
    shutil.copytree(rendered, folder)
    monkeypatch.chdir(folder)
    return Film(folder, capsys)


def pictures(path):
    """What a decoder finds: pictures, the rate, the seconds of the picture track."""
    with av.open(str(path)) as container:
        count = sum(1 for _ in container.decode(video=0))
        stream = container.streams.video[0]
        return count, Fraction(stream.average_rate), float(stream.duration * stream.time_base)


# otio


def test_every_clip_of_the_timeline_is_as_long_as_its_file(film):
    timeline = film.timeline()
    assert timeline.name == "Mist & <b>Möwen</b> | eins"
    track = timeline.video_tracks()[0]
    clips = [clip for clip in track if isinstance(clip.media_reference, otio.schema.ExternalReference)]
    assert [clip.name for clip in clips] == list(RATES)
    for clip in clips:
        file = film.folder / unquote(clip.media_reference.target_url)
        count, rate, seconds = pictures(file)
        assert count == FRAMES[clip.name]
        assert rate == RATES[clip.name]
        for span in (clip.source_range, clip.media_reference.available_range, clip.trimmed_range()):
            assert span.start_time.value == 0
            assert span.duration.value == count
            assert span.duration.rate == float(rate)
        assert abs(clip.duration().to_seconds() - seconds) < 0.5 / float(rate)
        assert sha256(file.read_bytes()).hexdigest() == clip.metadata["callsheet"]["sha256"]


def test_the_timeline_is_as_long_as_its_parts_and_a_missing_shot_keeps_its_place(film):
    timeline = film.timeline()
    track = timeline.video_tracks()[0]
    parts = sum(float(FRAMES[name] / RATES[name]) for name in RATES) + 3.0
    assert abs(timeline.duration().to_seconds() - parts) < 1e-6
    missing = track[3]
    assert missing.name == "s025"
    assert isinstance(missing.media_reference, otio.schema.MissingReference)
    assert missing.duration().to_seconds() == 3.0
    before = sum(float(FRAMES[name] / RATES[name]) for name in list(RATES)[:3])
    assert abs(missing.range_in_parent().start_time.to_seconds() - before) < 1e-6
    assert "s025" in film.err


def test_sound_has_a_track_that_keeps_step_with_the_pictures(film):
    timeline = film.timeline()
    picture, sound = timeline.video_tracks()[0], timeline.audio_tracks()[0]
    assert [type(one).__name__ for one in sound] == ["Clip", "Clip", "Clip", "Gap", "Gap", "Clip"]
    for shown, heard in zip(picture, sound, strict=True):
        assert shown.range_in_parent() == heard.range_in_parent()
    assert film.timeline("--only", "s030").audio_tracks() == []


def test_what_a_take_was_made_of_travels_with_its_clip_and_scenes_are_markers(film):
    timeline = film.timeline()
    about = timeline.video_tracks()[0][1].metadata["callsheet"]
    entry = film.lock["takes"]["s020-the-long-name@1"]
    told = {name: about[name] for name in ("shot", "take", "scene", "prompt", "seed", "model", "provider")}
    assert told == {
        "shot": "s020-the-long-name",
        "take": "s020-the-long-name@1",
        "scene": "coast",
        "prompt": "+The keeper turns",
        "seed": 7,
        "model": "wan2.7-t2v",
        "provider": "studio",
    }
    assert about["sha256"] == entry["render"]["sha256"]
    markers = [
        (one.name, one.marked_range.start_time.to_seconds(), one.marked_range.duration.to_seconds())
        for one in timeline.tracks.markers
    ]
    coast = float(FRAMES["s010"] / RATES["s010"] + FRAMES["s020-the-long-name"] / RATES["s020-the-long-name"])
    assert [name for name, _, _ in markers] == ["coast", "lamp"]
    assert abs(markers[0][2] - coast) < 0.03
    assert abs(markers[1][1] - coast) < 0.03


def test_media_are_found_from_wherever_the_timeline_lies(film):
    cut = film.folder / "edit room" / "cut.otio"
    cut.parent.mkdir()
    film.export("otio", "--out", str(cut))
    for clip in otio.adapters.read_from_file(str(cut)).find_clips():
        if isinstance(clip.media_reference, otio.schema.ExternalReference):
            assert re.fullmatch(r"[A-Za-z0-9._~!$&'()*+,;=@/%-]+", clip.media_reference.target_url)
            assert (cut.parent / unquote(clip.media_reference.target_url)).is_file()


def test_a_path_with_odd_letters_is_percent_encoded(film):
    text = film.path.read_text("utf-8")
    film.path.write_text(text.replace("title:", 'output: "Möwen # 1/50% ${shot}.mp4"\ntitle:'), "utf-8")
    film.pick("s010@1")
    lock = film.folder / "mist.callsheet.lock"
    said = lock.read_text("utf-8").replace("renders/mist/takes/s010@1.mp4", "Möwen # 1/takes/s010@1.mp4")
    shutil.rmtree(film.folder / ".callsheet")  # the journal would say where it was
    lock.write_text(said, "utf-8")
    (film.folder / "Möwen # 1/takes").mkdir(parents=True)
    shutil.copy(film.folder / "renders/mist/takes/s010@1.mp4", film.folder / "Möwen # 1/takes/s010@1.mp4")
    clip = film.timeline("--only", "s010@1").video_tracks()[0][0]
    assert clip.media_reference.target_url == "M%C3%B6wen%20%23%201/takes/s010@1.mp4"


def test_a_take_whose_file_is_elsewhere_keeps_its_length_and_link(film):
    here = film.timeline()
    takes = [film.render(f"{name}@{2 if name == 's010' else 1}") for name in RATES]
    for take in takes:
        take.unlink()
    away = film.timeline()
    clips = [clip for clip in away.find_clips() if isinstance(clip.media_reference, otio.schema.ExternalReference)]
    assert clips[-1].media_reference.target_url == "renders/mist/takes/s040@1.mp4"
    for clip in clips:  # the sound of s010 is longer than its pictures, which is not what is cut by
        assert (clip.duration().value, clip.duration().rate) == (FRAMES[clip.name], float(RATES[clip.name])), clip.name
    assert away.duration() == here.duration()
    assert "not here: s010, s020-the-long-name, s020-the-long-one, s030, s040" in film.err


def test_without_the_library_it_says_how_to_install_it(film, monkeypatch):
    monkeypatch.setitem(sys.modules, "opentimelineio", None)
    assert film.call("export", "--to", "otio") == 2
    assert "pip install 'callsheet[otio]'" in film.err
    assert not (film.folder / "mist.otio").exists()


@pytest.mark.parametrize(
    ("said", "meant"),
    [("24.0", 24), ("25", 25), ("30", 30), ("23.976", Fraction(24000, 1001)), ("23.98", Fraction(24000, 1001)),
     ("29.97", Fraction(30000, 1001)), ("29.97002997", Fraction(30000, 1001)), ("59.94", Fraction(60000, 1001)), ("12.5", Fraction(25, 2))],
)  # fmt: skip
def test_rates_are_the_ones_that_are_meant(said, meant):
    assert timing.rate_of(Fraction(said)) == meant


# edl


def events(text):
    """Number, reel, channels and the four timecodes of every event."""
    form = re.compile(r"(\d{3,})  (.{8}) (AA/V|V) +C +(\d\d:\d\d:\d\d:\d\d) (\S+) (\S+) (\S+)")
    found = [match for line in text.split("\r\n") if (match := form.fullmatch(line))]
    return [(match[1], match[2].strip(), *match.groups()[2:]) for match in found]


def frame(timecode, base):
    hours, minutes, seconds, frames = map(int, timecode.split(":"))
    assert frames < base
    return ((hours * 60 + minutes) * 60 + seconds) * base + frames


def test_the_edit_list_counts_without_gaps_and_takes_no_more_than_there_is(film):
    text = film.export("edl", "--only", "s010", "--only", "s02*")
    found = events(text)
    assert [event for event, *_ in found] == ["001", "002", "003", "004"]
    base, at = 24, 24 * 3600
    for event, name in zip(found, ["s010", "s020-the-long-name", "s020-the-long-one", "s025"], strict=True):
        source, record = (frame(event[3], base), frame(event[4], base)), (frame(event[5], base), frame(event[6], base))
        assert source[0] == 0
        assert record[0] == at
        assert source[1] == record[1] - record[0]
        at = record[1]
        if name in RATES:
            seconds = FRAMES[name] / RATES[name]
            assert 0 <= seconds * 24 - source[1] < 1, name
        else:
            assert source[1] == 3 * 24
    assert "an EDL has one rate, here 24 fps; of another are s020-the-long-name, s020-the-long-one" in film.err


def test_an_edit_list_at_23_976_counts_24_to_the_second_and_every_picture(film):
    text = film.export("edl", "--only", "s020-the-long-name")
    assert "FCM: NON-DROP FRAME\r\n" in text
    assert "23.976 FPS" in text
    (event,) = events(text)
    assert event[3:] == ("00:00:00:00", "00:00:01:23", "01:00:00:00", "01:00:01:23")  # 47 pictures


def test_reels_are_short_and_each_its_own_and_a_missing_shot_is_black(film):
    text = film.export("edl")
    reels = [reel for _, reel, *_ in events(text)]
    assert all(re.fullmatch(r"[A-Z0-9]{1,8}", reel) for reel in reels)
    assert len(set(reels)) == len(reels) == 6
    assert reels[3] == "BL"
    assert "* FROM CLIP NAME: s030@1.mp4\r\n" in text
    assert [channel for _, _, channel, *_ in events(text)] == ["AA/V", "AA/V", "AA/V", "V", "V", "AA/V"]
    assert "\n" not in text.replace("\r\n", "")


def test_reels_that_would_be_the_same_are_told_apart():
    shots = ["ab", "a-b", "A.B", "bl", "ax", "x" * 20, "x" * 30, "x" * 8, *(f"{number:030}" for number in range(300))]
    reels = edl._reels(shots)
    assert len({*reels.values(), "BL", "AX"}) == len(shots) + 2
    assert {len(reel) for reel in reels.values()} <= set(range(1, 9))


def test_a_film_longer_than_a_day_is_refused(film):
    rows = "".join(f"  - {{id: x{number}, prompt: A, parameters: {{duration: 15}}}}\n" for number in range(5600))
    film.path.write_text(film.path.read_text("utf-8") + rows, "utf-8")
    assert film.call("export", "--to", "edl", "--only", "x*") == 2
    assert "23 hours" in film.err


# csv, md, jsonl


def test_the_table_survives_a_spreadsheet(film):
    text = film.export("csv")
    assert text.startswith("\ufefforder,shot,")
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    assert [row["take"] for row in rows] == [
        "s010@1", "s010@2", "s020-the-long-name@1", "s020-the-long-one@1", "s025@1", "s030@1", "s040@1"
    ]  # fmt: skip
    assert rows[0]["prompt"] == f"'{NASTY}"  # a formula no more, and otherwise as it was, line end and all
    assert rows[0]["negative_prompt"] == "'-low"
    assert rows[2]["prompt"] == "'+The keeper turns"
    assert rows[5]["prompt"] == "灯塔"
    assert not [cell for row in rows for cell in row.values() if cell.startswith(("=", "+", "-", "@"))]
    assert (rows[2]["seed"], rows[2]["seconds"], rows[2]["cost"], rows[2]["currency"]) == ("7", "1.96", "0.00", "USD")
    assert (rows[4]["state"], rows[4]["sha256"], rows[4]["here"]) == ("new", "", "false")
    assert rows[0]["sha256"] == sha256((film.folder / rows[0]["file"]).read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "name", ["=cmd|' /C calc'!A0", '+1, "two"; =3', "@SUM(1)\nM2   V 024 00:00:00:00", "\t-1", "\uff1d1\u2028A", 'a"b,c']
)
def test_names_stay_names_whatever_they_hold(film, name):
    text = film.path.read_text("utf-8")
    film.path.write_text(
        text.replace("scene: coast", f"scene: {json.dumps(name)}").replace('"Mist & <b>Möwen</b> | eins"', json.dumps(name)),
        "utf-8",
    )
    rows = list(csv.DictReader(io.StringIO(film.export("csv").removeprefix("\ufeff"), newline="")))
    assert [row["take"] for row in rows] == [
        "s010@1", "s010@2", "s020-the-long-name@1", "s020-the-long-one@1", "s025@1", "s030@1", "s040@1"
    ]  # fmt: skip
    assert {row["scene"].removeprefix("'") for row in rows[:3]} == {name}
    assert not [cell for row in rows for cell in row.values() if cell.startswith(("=", "+", "-", "@", "\t", "\uff1d"))]
    lines = film.export("edl").splitlines()
    assert lines[0].split() == ["TITLE:", *name.split()]
    assert len(events("\r\n".join(lines))) == 6
    assert not [line for line in lines if line.startswith("M2")]
    assert name in [one.name for one in film.timeline().tracks.markers]
    assert len(film.export("jsonl").split("\n")) == 7


def test_a_prompt_is_no_markup_in_a_review(film):
    text = film.export("md")
    html = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text)
    assert "<script" not in html
    assert "<b>" not in html
    assert "@someone" not in text
    rows = re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL)
    assert len(rows) == 8
    cells = [re.findall(r"<t[dh]>(.*?)</t[dh]>", row, re.DOTALL) for row in rows]
    assert {len(row) for row in cells} == {9}
    from html import unescape

    assert unescape(cells[1][8]) == " ".join(NASTY.split())
    assert unescape(re.search(r"<h1>(.*?)</h1>", html)[1]) == "Mist & <b>Möwen</b> | eins"
    assert cells[5][2:4] == ["new", "submit: new"]
    assert "1 to submit" in text


def test_the_data_set_names_files_that_are_there(film):
    film.pick("s010@1")
    film.render("s040@1").unlink()
    (film.folder / "data").mkdir()
    for out in ("metadata.jsonl", "data/metadata.jsonl"):
        film.export("jsonl", "--out", out)
        lines = [json.loads(line) for line in (film.folder / out).read_bytes().decode().split("\n")[:-1]]
        assert [line["take"] for line in lines] == ["s010@1", "s010@2", "s020-the-long-name@1", "s020-the-long-one@1", "s030@1"]
        for line in lines:
            data = ((film.folder / out).parent / line["file_name"]).read_bytes()
            assert (sha256(data).hexdigest(), len(data)) == (line["sha256"], line["bytes"])
            assert line.keys() == lines[0].keys()
        assert lines[0]["prompt"] == NASTY
        assert [line["picked"] for line in lines] == [True, False, False, False, False]
        assert lines[2]["seed"] == 7
        assert lines[2]["cost"] == {"amount": "0.00", "currency": "USD", "basis": "free"}
        assert lines[4]["sound"] is False
    assert "leads out" in film.err
    assert len(film.export("jsonl", "--all").splitlines()) == 6


# files


def test_deliverables_are_numbered_as_the_storyboard_and_say_what_is_missing(film):
    assert film.call("export", "--to", "files") == 75  # a run brings s025
    names = sorted(path.name for path in (film.folder / "mist.files").iterdir())
    assert names == ["001_s010.mp4", "002_s020-the-long-name.mp4", "003_s020-the-long-one.mp4", "005_s030.mp4", "006_s040.mp4"]
    assert (film.folder / "mist.files/001_s010.mp4").samefile(film.render("s010@2"))
    assert "004_s025.mp4 is missing: no take is saved" in film.err
    assert film.call("export", "--to", "files", "--only", "s030") == 0
    assert "005_s030.mp4" in film.out


def test_what_a_script_is_told_are_files_and_what_is_absent_has_lists_of_its_own(film):
    film.render("s040@1").unlink()
    for form in ((), ("--json",)):  # the same end in both forms
        assert film.call("export", "--to", "files", *form) == 75
    said = json.loads(film.out)
    assert [one["file"] for one in said["files"]] == sorted(path.name for path in (film.folder / "mist.files").iterdir())
    assert (said["missing"], said["not_here"], said["in_the_way"]) == (["s025"], ["s040"], [])
    for name in ("otio", "edl"):
        told = json.loads(film.export(name, "--json"))
        assert (told["missing"], told["not_here"]) == (["s025"], ["s040"])
    assert json.loads(film.export("jsonl", "--json"))["left_out"] == ["s040@1"]
    assert json.loads(film.export("jsonl", "--all", "--json"))["left_out"] == []
    timeline = film.timeline()
    assert [clip.name for clip in timeline.find_clips() if "not_here" in clip.metadata["callsheet"]] == ["s040"] * 2
    assert film.export("edl").count("* COMMENT: THE FILE IS NOT HERE\r\n") == 1


def test_a_shot_that_was_changed_is_missing_and_not_said_to_have_no_take(film):
    film.path.write_text(film.path.read_text("utf-8").replace("prompt: The sea", "prompt: The open sea"), "utf-8")
    assert film.call("export", "--to", "files", "--only", "s040") == 75
    assert film.err.splitlines()[-1] == "006_s040.mp4 is missing: its saved takes are outdated, and none is picked"


def test_what_stands_in_a_deliverables_place_is_left_alone(film):
    folder = film.folder / "out"
    folder.mkdir()
    (folder / "001_s010.mp4").write_bytes(b"my own cut")
    shutil.copy(film.render("s030@1"), folder / "005_s030.mp4")
    before = (folder / "005_s030.mp4").stat().st_ino
    assert film.call("export", "--to", "files", "--out", "out", "--skip", "s025", "--json") == 1
    said = json.loads(film.out)
    files = {one["shot"]: one["how"] for one in said["files"]}
    assert (files.get("s010"), files["s030"], files["s040"]) == (None, "kept", "linked")
    assert said["in_the_way"] == [{"shot": "s010", "take": "s010@2", "file": "001_s010.mp4"}]
    assert (folder / "001_s010.mp4").read_bytes() == b"my own cut"
    assert (folder / "005_s030.mp4").stat().st_ino == before


def test_a_new_pick_takes_its_number_and_the_old_take_is_still_there(film):
    assert film.call("export", "--to", "files", "--only", "s010") == 0
    film.pick("s010@1")
    assert film.call("export", "--to", "files", "--only", "s010") == 0
    assert (film.folder / "mist.files/001_s010.mp4").samefile(film.render("s010@1"))
    assert film.render("s010@2").is_file()
    film.render("s010@1").unlink()  # now the deliverable alone has it: nothing may take its place
    film.pick("s010@2")
    kept = (film.folder / "mist.files/001_s010.mp4").read_bytes()
    assert film.call("export", "--to", "files", "--only", "s010") == 1
    assert (film.folder / "mist.files/001_s010.mp4").read_bytes() == kept


def test_where_nothing_can_be_linked_deliverables_are_copies(film, monkeypatch):
    def refuse(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    assert film.call("export", "--to", "files", "--only", "s030", "--json") == 0
    assert json.loads(film.out)["files"][0]["how"] == "copied"
    copy = film.folder / "mist.files/005_s030.mp4"
    assert not copy.samefile(film.render("s030@1"))
    assert copy.read_bytes() == film.render("s030@1").read_bytes()
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]


def test_what_no_run_brings_is_a_failure(film):
    film.path.write_text(film.path.read_text("utf-8").replace("id: s025,", "id: s025, takes: 0,"), "utf-8")
    assert film.call("export", "--to", "files") == 1


# where it goes


@pytest.mark.parametrize("name", ["otio", "edl", "csv", "jsonl", "md"])
def test_an_earlier_export_is_written_over_and_nothing_else(film, name):
    out = film.folder / f"here.{name}"
    film.export(name, "--out", out.name)
    first = out.read_bytes()
    film.export(name, "--out", out.name)
    assert out.read_bytes() == first
    out.write_bytes(b"somebody's work")
    assert film.call("export", "--to", name, "--out", out.name) == 2
    assert "in the way" in film.err
    assert out.read_bytes() == b"somebody's work"
    film.export(name, "--out", out.name, "--force")
    assert out.read_bytes() == first
    assert [path.name for path in film.folder.iterdir() if path.name.endswith(".new")] == []


@pytest.mark.parametrize(
    "target", ["mist.callsheet.yaml", "mist.callsheet.lock", "renders/mist/s030.mp4", "renders/mist/takes/s030@1.mp4"]
)
def test_neither_manifest_nor_lock_nor_render_is_ever_written_over(film, target):
    before = (film.folder / target).read_bytes()
    assert film.call("export", "--to", "csv", "--out", target, "--force") == 2
    assert (film.folder / target).read_bytes() == before


@pytest.mark.parametrize("name", ["edl", "csv", "jsonl", "md"])
def test_standard_output_gets_the_bytes_that_a_file_gets(film, name):
    told = film.export(name).encode()
    film.export(name, "--out", f"x.{name}")
    assert (film.folder / f"x.{name}").read_bytes() == told == film.export(name, "--out", "-").encode()


def test_looking_changes_nothing_and_needs_no_lock(film):
    with runner.hold(runner.read(film.path)):
        before = {path: path.stat().st_mtime_ns for path in film.folder.rglob("*")}
        for name in ("edl", "csv", "jsonl", "md"):
            film.export(name)
        assert {path: path.stat().st_mtime_ns for path in film.folder.rglob("*")} == before


def test_shots_and_takes_are_chosen_and_no_match_is_said(film):
    assert [line.split(",")[3] for line in film.export("csv", "--state", "new").splitlines()[1:]] == ["s025@1"]
    assert len(events(film.export("edl", "--scene", "lamp"))) == 3
    assert len(events(film.export("edl", "--scene", "lamp", "--state", "saved"))) == 2
    for name in ("edl", "csv", "md", "jsonl", "otio", "files"):
        assert film.call("export", "--to", name, "--only", "nothing") == 2
        assert "no take is selected" in film.err


def test_json_says_what_was_made(film):
    said = json.loads(film.export("otio", "--json"))
    assert said == {"format": "otio", "path": "mist.otio", "bytes": (film.folder / "mist.otio").stat().st_size, "missing": ["s025"], "not_here": [], "remarks": []}  # fmt: skip
    said = json.loads(film.export("csv", "--json"))
    assert said["path"] is None
    assert said["text"].encode() == film.export("csv").encode()


def test_help_has_an_example(capsys):
    assert code(["export", "--help"]) == 0
    assert "callsheet export film.callsheet.yaml --" in capsys.readouterr().out
