"""`callsheet reel`: real takes of a real studio, whatever an encoder can make of a clip, and the reel decoded frame by frame."""

from __future__ import annotations

import hashlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from array import array
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import av
import pytest
from PIL import Image, ImageDraw

from runner.cli import code
from runner.errors import Refused
from runner.studio import Settings, Studio

ROOT = Path(__file__).parent.parent
RATE = 48_000
MANIFEST = """\
callsheet: 1
title: Reel
providers: {{studio: {{base_url: "{url}", poll: {{first: 0.01, every: 0.02}}, limits: {{submits_per_second: 500, queries_per_second: 500}}}}}}
defaults: {{model: wan2.7-t2v, prompt: A lighthouse, parameters: {{duration: 2}}}}
shots:
"""


@dataclass(frozen=True)
class Recipe:
    """A clip whose every frame has a light of its own; `clicks` are seconds of its own time, counted from its first picture."""

    frames: int = 12
    size: tuple[int, int] = (128, 96)
    fps: Fraction = Fraction(24)
    base: int = 0
    codec: str = "libx264"
    options: dict = field(default_factory=lambda: {"preset": "ultrafast", "bf": "0"})
    clicks: tuple[float, ...] | None = None
    heard: tuple[float, float] | None = None  # from when until when there is sound; as long as the pictures if not said
    rate: int = RATE
    late: float = 0.0  # seconds on the file's clock at which the first picture stands
    times: tuple[int, ...] | None = None  # of the pictures, in 1/fps
    square: Fraction = Fraction(1)
    disc: bool = False

    def light(self, at):
        return 30 + (self.base + at * 37) % 180

    def __call__(self, card, target):
        with av.open(str(target), "w", format="mp4") as out:
            stream = out.add_stream(self.codec, rate=self.fps, options=self.options)
            stream.width, stream.height, stream.pix_fmt = *self.size, "yuv420p"
            stream.codec_context.sample_aspect_ratio = self.square
            stream.codec_context.thread_count = 1
            tick = Fraction(1, 1000 * self.fps.numerator)
            stream.codec_context.time_base = tick
            packets = self.sound(out) if self.clicks is not None else []
            for at in range(self.frames):
                frame = self.picture(at)
                when = Fraction(self.times[at] if self.times else at) / self.fps + Fraction(self.late)
                frame.pts, frame.time_base = round(when / tick), tick
                packets += stream.encode(frame)
            packets += stream.encode(None)
            for packet in sorted(packets, key=lambda one: one.dts * one.time_base):
                out.mux(packet)

    def picture(self, at):
        frame = av.VideoFrame(*self.size, "yuv420p")
        if self.disc:
            picture = Image.new("L", self.size, 40)
            across, down = 60 / float(self.square), 60
            x, y = self.size[0] / 2, self.size[1] / 2
            ImageDraw.Draw(picture).rectangle((x - across / 2, y - down / 2, x + across / 2 - 1, y + down / 2 - 1), 220)
            frame.planes[0].update(picture.tobytes("raw", "L", frame.planes[0].line_size, 1))
        else:
            frame.planes[0].update(bytes([self.light(at)]) * frame.planes[0].buffer_size)
        for plane in frame.planes[1:]:
            plane.update(bytes([128]) * plane.buffer_size)
        return frame

    def sound(self, out):
        stream = out.add_stream("aac", rate=self.rate, layout="mono")
        stream.bit_rate = 128_000
        start, end = self.heard or (0.0, float(self.frames / self.fps))
        samples = array("f", bytes(4 * round((end - start) * self.rate)))
        for click in self.clicks:
            first = round((click - start) * self.rate)
            for at in range(first, min(first + self.rate // 100, len(samples))):  # 10 ms of 1 kHz
                samples[at] = 0.8 * math.sin(2 * math.pi * 1000 * (at - first) / self.rate)
        packets = []
        for at in range(0, len(samples), 1024):
            piece = samples[at : at + 1024]
            frame = av.AudioFrame(format="fltp", layout="mono", samples=len(piece))
            frame.planes[0].update(piece.tobytes().ljust(frame.planes[0].buffer_size, b"\0"))
            frame.sample_rate, frame.time_base = self.rate, Fraction(1, self.rate)
            frame.pts = round((self.late + start) * self.rate) + at
            packets += stream.encode(frame)
        return packets + stream.encode(None)


class Film:
    """A folder with a storyboard whose takes a real run has fetched from the studio."""

    def __init__(self, world, recipes, extra=""):
        self.capsys, self.folder = world.capsys, world.folder
        world.recipes.clear()
        world.recipes.update(recipes)
        self.recipes = recipes
        self.path = self.folder / "film.callsheet.yaml"
        shots = "".join(f"  - {{id: {name}}}\n" for name in recipes)
        self.path.write_text(MANIFEST.format(url=world.studio.base_url) + shots + extra)
        wanted = [part for name, recipe in recipes.items() if recipe for part in ("--only", name)]
        if wanted:
            assert self.call("run", *wanted) == 0, self.err
        self.reel = self.folder / "film.reel.mp4"

    def call(self, verb, *args):
        self.capsys.readouterr()
        result = code([verb, "film.callsheet.yaml", *args])
        self.out, self.err = self.capsys.readouterr()
        assert "Traceback" not in self.err
        return result

    def said(self, *args):
        result = self.call("reel", "--json", *args)
        return result, json.loads(self.out)

    def take(self, shot, number=1):
        return self.folder / f"renders/film/takes/{shot}@{number}.mp4"


class World:
    """The studio, and what it renders: a recipe for each shot."""

    def __init__(self, studio, recipes):
        self.studio, self.recipes = studio, recipes

    def at(self, folder, capsys):
        self.folder, self.capsys = folder, capsys
        return self


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    recipes = {}
    settings = Settings(
        folder=tmp_path_factory.mktemp("studio"), in_flight=50, render=lambda card, target: recipes[card.shot](card, target)
    )
    with Studio(settings) as found:
        yield World(found, recipes)


@pytest.fixture
def film(studio, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda recipes, extra="": Film(studio.at(tmp_path, capsys), recipes, extra)


def pictures(path):
    """Time and light of the middle of every frame."""
    with av.open(str(path)) as container:
        found = []
        for frame in container.decode(video=0):
            plane = frame.planes[0]
            middle = frame.height // 2 * plane.line_size + frame.width // 2
            found.append((frame.pts * frame.time_base, bytes(plane)[middle]))
    return found


def content(path, most=None):
    """Every frame's own picture."""
    with av.open(str(path)) as container:
        return [frame.to_image().tobytes() for frame in islice(container.decode(video=0), most)]


def packets(path, kind="video"):
    with av.open(str(path)) as container:
        stream = next(one for one in container.streams if one.type == kind)
        return [
            (one.dts * one.time_base, one.pts * one.time_base, one.duration * one.time_base)
            for one in container.demux(stream)
            if one.size
        ]


def heard(path):
    """The left channel of the whole track, laid at its times."""
    samples = array("f")
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            at = round(frame.pts * frame.time_base * RATE)
            assert at == len(samples), f"a hole or an overlap at {at / RATE} s"
            samples.frombytes(bytes(frame.planes[0])[: frame.samples * 4])
    return samples


def clicks(path):
    """Seconds at which the sound begins after silence."""
    found, last = [], -1.0
    for at, value in enumerate(heard(path)):
        if abs(value) > 0.3:
            if at / RATE - last > 0.05:
                found.append(at / RATE)
            last = at / RATE
    return found


def lights(recipe, fps, frames=None):
    """What a clip shows at each frame of a reel."""
    count = frames or round(recipe.frames / recipe.fps * fps)
    return [recipe.light(min(math.floor(at / fps * recipe.fps + Fraction(1, 100)), recipe.frames - 1)) for at in range(count)]


def is_like(found, expected, most=4):
    assert len(found) == len(expected)
    return all(abs(one - other) <= most for one, other in zip(found, expected, strict=True))


def is_whole(path, frames, fps):
    """Frames at exact times without a gap, decoding times strictly rising, and exactly as long as its frames."""
    shown = [when for when, _ in pictures(path)]
    assert shown == [Fraction(at) / fps for at in range(frames)]
    decoded = packets(path)
    assert all(one[0] < other[0] for one, other in pairwise(decoded))
    assert sum(one[2] for one in decoded) == Fraction(frames) / fps
    with av.open(str(path)) as container:
        assert container.duration == pytest.approx(frames / fps * 1_000_000, abs=1000)
    return True


SMOOTH = {"preset": "medium", "bf": "3", "b-adapt": "0", "b-pyramid": "normal"}


@pytest.mark.parametrize("options", [{"preset": "ultrafast", "bf": "0"}, SMOOTH], ids=["plain", "b-frames"])
def test_equal_takes_are_copied_frame_by_frame(film, options):
    # The second begins late on its own clock, so its file has an edit list; the third is a single frame.
    made = film(
        {
            "s010": Recipe(frames=17, base=0, options=options),
            "s020": Recipe(frames=30, base=60, options=options, late=0.5, clicks=()),
            "s030": Recipe(frames=1, base=120, options=options),
            "s040": Recipe(frames=26, base=150, options=options),
        }
    )
    result, said = made.said()
    assert (result, said["remuxed"], said["reasons"], said["errors"]) == (0, True, [], [])
    assert [one["how"] for one in said["clips"]] == ["copied"] * 4
    assert content(made.reel) == [frame for shot in made.recipes for frame in content(made.take(shot))]
    assert is_whole(made.reel, 17 + 30 + 1 + 26, Fraction(24))
    assert said["sha256"] == hashlib.sha256(made.reel.read_bytes()).hexdigest()
    assert said["bytes"] == made.reel.stat().st_size
    assert [one["start"] for one in said["clips"]] == [0, round(17 / 24, 6), round(47 / 24, 6), 2]


def test_hevc_is_copied_too(film):
    try:
        av.codec.Codec("libx265", "w")
    except ValueError:
        pytest.skip("this PyAV has no HEVC encoder")
    options = {"preset": "ultrafast", "x265-params": "log-level=none"}
    made = film({"s010": Recipe(codec="libx265", options=options), "s020": Recipe(codec="libx265", options=options, base=90)})
    assert made.said()[1]["remuxed"] is True
    assert content(made.reel) == content(made.take("s010")) + content(made.take("s020"))


def test_another_header_is_never_glued_behind_the_first(film):
    other = {"preset": "medium", "bf": "0", "profile": "main"}
    recipes = {"s010": Recipe(frames=20), "s020": Recipe(base=90, options=other), "s030": Recipe(base=120)}
    made = film(recipes)
    result, said = made.said()
    assert (result, said["remuxed"]) == (0, False)
    assert said["reasons"] == [{"shot": "s020", "reason": "encoded in another way than the others"}]
    expected = [light for recipe in recipes.values() for light in lights(recipe, 24)]
    assert is_like([light for _, light in pictures(made.reel)], expected)
    assert is_whole(made.reel, 44, Fraction(24))
    assert made.call("reel") == 0
    assert "re-encoded: s020: encoded in another way than the others\n" in made.err


def test_what_has_another_shape_is_padded_and_never_stretched(film):
    made = film(
        {
            "s010": Recipe(frames=24, size=(160, 90), disc=True),
            "s020": Recipe(frames=6, size=(90, 160), disc=True),  # upright
            "s030": Recipe(frames=6, size=(80, 90), square=Fraction(2), disc=True),  # 160x90 when seen
            "s040": Recipe(frames=6, size=(158, 122), disc=True),
        }
    )
    result, said = made.said()
    assert (result, said["remuxed"], said["width"], said["height"]) == (0, False, 160, 90)
    with av.open(str(made.reel)) as container:
        frames = [frame.to_image().convert("L") for frame in container.decode(video=0)]
        context = container.streams.video[0].codec_context
        assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (1, 1, 1, 1)
    scale = {0: 1.0, 24: 90 / 160, 30: 1.0, 36: 90 / 122}
    for at, share in scale.items():
        picture = frames[at + 3]
        across = [x for x in range(160) if picture.getpixel((x, 45)) > 130]
        down = [y for y in range(90) if picture.getpixel((80, y)) > 130]
        assert len(across) == pytest.approx(60 * share, abs=3)
        assert len(down) == pytest.approx(60 * share, abs=3)
        assert sum(across) / len(across) == pytest.approx(79.5, abs=1.5)
    upright = frames[27]
    assert upright.getpixel((20, 45)) < 5  # black on either side
    assert upright.getpixel((140, 45)) < 5
    assert upright.getpixel((60, 5)) > 15  # and the picture's own grey above its square


def test_rates_are_mixed_without_drift_over_fifty_clips(film):
    rates = [Fraction(24), Fraction(25), Fraction(30), Fraction(30000, 1001), Fraction(24000, 1001)]
    recipes = {
        f"s{number:03}": Recipe(frames=7 + number % 5, fps=rates[number % 5], base=number * 29, size=(64, 64))
        for number in range(50)
    }
    made = film(recipes)
    result, said = made.said("--fps", "29.97")
    fps = Fraction(30000, 1001)
    exact = sum(recipe.frames / recipe.fps for recipe in recipes.values())
    assert result == 0
    assert abs(said["seconds"] - exact) <= 1 / fps
    assert is_whole(made.reel, round(exact * fps), fps)
    found, begins = [light for _, light in pictures(made.reel)], Fraction(0)
    for clip, recipe in zip(said["clips"], recipes.values(), strict=True):
        start, count = round(clip["start"] * fps), round(clip["seconds"] * fps)
        assert abs(clip["start"] - begins) <= 1 / fps
        assert abs(found[start] - recipe.light(0)) <= 4
        assert is_like(found[start : start + count], lights(recipe, fps, count))
        begins += recipe.frames / recipe.fps


def test_pictures_at_varying_times_are_shown_at_theirs(film):
    varying = Recipe(frames=6, times=(0, 1, 4, 5, 10, 11), base=20)
    made = film({"s010": Recipe(frames=24), "s020": varying})
    result, said = made.said()
    assert (result, said["reasons"]) == (0, [{"shot": "s020", "reason": "no steady frame rate"}])
    shown = [light for _, light in pictures(made.reel)][24:]
    expected = [varying.light(at) for at in (0, 1, 1, 1, 2, 3, 3, 3, 3, 3, 4)]
    assert is_like(shown[:11], expected)
    assert shown[11:] == [pytest.approx(varying.light(5), abs=4)] * len(shown[11:])


SOUNDS = {
    "s010": Recipe(frames=25, clicks=(0.5,)),
    "s020": Recipe(frames=29, clicks=(0.1, 0.9), heard=(0.0, 0.95), base=40),  # ends before its pictures
    "s030": Recipe(frames=24, base=80),  # none
    "s040": Recipe(frames=23, clicks=(0.25,), heard=(-0.4, 1.6), late=0.5, base=100),  # begins earlier, lasts longer
    "s050": Recipe(frames=25, clicks=(0.5,), heard=(0.3, 1.0), base=120),  # begins later
    "s060": Recipe(frames=24, clicks=(0.2,), rate=44_100, base=140),
}


@pytest.mark.parametrize("how", [[], ["--size", "96x96"]], ids=["copied", "re-encoded"])
def test_every_click_is_heard_where_its_picture_is_seen(film, how):
    made = film(SOUNDS)
    result, said = made.said(*how)
    assert (result, said["remuxed"], said["errors"]) == (0, not how, [])
    begins = {clip["shot"]: clip["start"] for clip in said["clips"]}
    expected = [begins[shot] + click for shot, recipe in SOUNDS.items() for click in recipe.clicks or ()]
    assert clicks(made.reel) == pytest.approx(expected, abs=0.003)
    assert len(heard(made.reel)) == pytest.approx(150 / 24 * RATE, abs=1024)  # continuous, and as long as the pictures
    assert is_whole(made.reel, 150, Fraction(24))


def test_a_missing_shot_is_a_card_of_its_length(film):
    made = film({"s010": Recipe(frames=24), "s020": None, "s030": Recipe(frames=12, base=90)})
    result, said = made.said()
    assert result == 0
    assert [(one["take"], one["how"], one["seconds"]) for one in said["clips"]] == [
        ("s010@1", "re-encoded", 1.0),
        (None, "card", 2.0),
        ("s030@1", "re-encoded", 0.5),
    ]
    assert said["reasons"] == [{"shot": "s020", "reason": "a card"}]
    assert is_whole(made.reel, 24 + 48 + 12, Fraction(24))
    assert is_like([light for _, light in pictures(made.reel)][-12:], lights(made.recipes["s030"], 24))
    assert made.call("reel") == 0
    assert "card: s020: not rendered yet\n" in made.err
    assert made.said("--no-cards")[1]["clips"][1]["shot"] == "s030"
    assert is_whole(made.reel, 36, Fraction(24))
    (made.take("s030")).unlink()
    (made.folder / "renders/film/s030.mp4").unlink()
    assert made.call("reel") == 0
    assert "card: s030: s030@1 is rendered, but its file is not here\n" in made.err


def test_the_studios_own_takes_and_cards_are_joined_without_re_encoding(film):
    made = film({"s010": None, "s020": None}, extra="  - {id: s030, parameters: {ratio: '9:16'}}\n")
    text = (
        made.path.read_text().replace("model: wan2.7-t2v", "model: wan2.5-t2v-preview").replace("duration: 2", "resolution: 480P")
    )
    made.path.write_text("\n".join(line for line in text.split("\n") if not line.startswith("providers")))
    assert made.call("run", "--only", "s010") == 0
    result, said = made.said()
    assert (result, said["remuxed"]) == (0, True)
    assert [one["how"] for one in said["clips"]] == ["copied", "card", "card"]
    assert is_whole(made.reel, 3 * 120, Fraction(24))
    assert content(made.reel, 30) == content(made.take("s010"), 30)
    assert len(heard(made.reel)) == pytest.approx(15 * RATE, abs=1024)


def test_a_reel_of_nothing_but_cards_has_the_shape_that_was_asked_for(film):
    made = film({"s010": None})
    made.path.write_text(made.path.read_text().replace("duration: 2", "duration: 2, ratio: '9:16', resolution: 720P"))
    _, said = made.said()
    assert (said["width"], said["height"], said["seconds"]) == (720, 1280, 2.0)
    assert made.call("reel", "--no-cards") == 2
    assert "no shot has a render that is here" in made.err


def short(path):
    path.write_bytes(path.read_bytes()[:-300])


def changed(path):
    data = bytearray(path.read_bytes())
    data[-200:-100] = bytes(100)
    path.write_bytes(data)


def saved_as_garbage(path):
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(b"x" * path.stat().st_size)
    for known in (Path("film.callsheet.lock"), Path(".callsheet/film.journal")):
        known.write_text(known.read_text().replace(before, hashlib.sha256(path.read_bytes()).hexdigest()))


@pytest.mark.parametrize(
    ("spoil", "fact"),
    [
        (short, "the render had"),
        (changed, "its content has changed"),
        (saved_as_garbage, "cannot be read as picture, video or sound"),
    ],
)
def test_a_broken_take_is_a_card_and_an_error_and_the_reel_is_made(film, spoil, fact):
    made = film({"s010": Recipe(frames=24), "s020": Recipe(frames=36, base=50)})
    (made.folder / "renders/film/s020.mp4").unlink()  # another name of the same file
    spoil(made.take("s020"))
    result, said = made.said()
    assert (result, [one["how"] for one in said["clips"]]) == (1, ["re-encoded", "card"])
    assert said["errors"][0]["take"] == "s020@1"
    assert fact in said["errors"][0]["message"]
    assert made.err.startswith("callsheet: error: s020@1: ")
    assert is_whole(made.reel, 24 + 36, Fraction(24))


def test_pictures_that_stop_decoding_on_the_way_are_a_card_from_there(film, monkeypatch):
    made = film({"s010": Recipe(frames=24), "s020": Recipe(frames=48, base=50)})
    from runner.outputs.reel import pictures as road

    fit = road._Fit.__call__
    seen = []

    def failing(self, frame):
        seen.append(self.footage.path.name)
        if seen.count("s020@1.mp4") == 13 and self.footage.path.name == "s020@1.mp4":
            raise av.error.InvalidDataError(1094995529, "Invalid data found when processing input")
        return fit(self, frame)

    monkeypatch.setattr(road._Fit, "__call__", failing)
    result, said = made.said("--size", "96x96")
    assert (result, said["errors"]) == (1, [{"take": "s020@1", "message": "cannot be read from 0.5 s on"}])
    assert is_whole(made.reel, 72, Fraction(24))


def test_a_file_that_is_no_reel_of_ours_is_never_overwritten(film):
    made = film({"s010": Recipe()})
    take = made.take("s010")
    before = take.read_bytes()
    assert made.call("reel") == 0
    first = made.reel.read_bytes()
    for target, words in (
        (take, "not a reel of ours"),
        (made.folder / "mine.mp4", "not a reel of ours"),
        (made.folder / "link.mp4", "not a reel of ours"),
        (made.folder / "folder.mp4", "not a reel of ours"),
        (made.folder / "none/reel.mp4", "there is no folder"),
        (made.folder / "reel.mov", "a reel is an MP4 file"),
    ):
        if target.name == "mine.mp4":
            target.write_bytes(b"a film of mine")
        elif target.name == "link.mp4":
            target.symlink_to(made.reel)
        elif target.name == "folder.mp4":
            target.mkdir()
        assert made.call("reel", "--out", str(target)) == 2
        assert words in made.err
    assert take.read_bytes() == before
    assert (made.folder / "mine.mp4").read_bytes() == b"a film of mine"
    assert b"Lavf" not in first
    inode = made.reel.stat().st_ino
    assert made.call("reel") == 0  # ours is replaced, and equal takes give equal bytes
    assert made.reel.stat().st_ino != inode
    assert made.reel.read_bytes() == first
    assert not list(made.folder.glob("*.part"))


def test_of_two_reels_for_one_name_the_earlier_gives_way(film):
    from runner.outputs.reel.place import beside

    made = film({"s010": Recipe()})

    def overtaken():
        with beside(made.reel) as part, part.open("wb") as half:
            half.write(b"half a film")
            assert made.call("reel") == 0

    with pytest.raises(Refused, match="another reel is being written there"):
        overtaken()
    assert is_whole(made.reel, 12, Fraction(24))
    assert not list(made.folder.glob("*.part"))


def test_the_words_of_the_command_line_choose(film):
    made = film({"s010": Recipe(), "s020": Recipe(base=90), "s030": None}, extra="  - {id: s040, takes: 0}\n")
    assert [one["shot"] for one in made.said()[1]["clips"]] == ["s010", "s020", "s030"]
    assert [one["shot"] for one in made.said("--only", "s02*")[1]["clips"]] == ["s020"]
    assert [one["shot"] for one in made.said("--skip", "s020@1")[1]["clips"]] == ["s010", "s030"]
    assert made.call("reel", "--only", "x*") == 2
    assert "callsheet: error: no shot is selected" in made.err
    assert made.call("reel", "--scene", "harbour") == 2
    for words in (
        ["--size", "12x12"],
        ["--size", "101x100"],
        ["--size", "big"],
        ["--fps", "0"],
        ["--fps", "x"],
        ["--fps", "1/0"],
    ):
        assert made.call("reel", *words) == 2
        assert f'"{words[1]}" is no ' in made.err
    assert made.call("reel", "--fps", "12", "--size", "80x100", "--out", "small.mp4") == 0
    assert made.out == "small.mp4\n"
    with av.open("small.mp4") as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.average_rate) == (80, 100, 12)


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_leaves_the_old_reel_and_nothing_else(film):
    made = film({"s010": Recipe(frames=24)})
    assert made.call("reel") == 0
    before = made.reel.read_bytes()
    program = [sys.executable, "-m", "runner", "reel", "--size", "1920x1080", "--fps", "240"]
    with subprocess.Popen(program, cwd=made.folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE) as child:
        part, end = made.folder / "film.reel.mp4.part", time.monotonic() + 30
        while not (part.exists() and part.stat().st_size) and child.poll() is None and time.monotonic() < end:
            time.sleep(0.005)
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=30)
    assert child.returncode == 130, said
    assert b"Traceback" not in said
    assert made.reel.read_bytes() == before
    assert not part.exists()
