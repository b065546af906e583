"""Animatics as a player sees them: decoded again, compared pixel by pixel, rendered twice and in two processes."""

# ruff: noqa: RUF001 - Chinese prompts have Chinese punctuation

from __future__ import annotations

import math
import os
import subprocess
import sys
import wave
from array import array
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import av
import pytest
from PIL import Image, ImageChops, ImageDraw, ImageOps, ImageStat

import runner
from runner.errors import TakeError
from runner.studio import faces, film
from runner.studio.animatic import Card, missing_font_hint, render
from runner.studio.card import timecode
from runner.studio.letters import fit, fit_line, set_lines, width
from runner.studio.look import SLATE, lack, slate, strip
from runner.studio.planes import finer, picked

ROOT = Path(runner.__file__).parent.parent
CHINESE = "雨夜，海边的灯塔。镜头缓缓推近，浪花撞碎在黑色礁石上；守塔人推开窗，望向远方的渔船。"
ENGLISH = "A lighthouse at dusk, waves breaking on the black rocks below, the lamp turning slowly; wide shot, slow push in."
SHAPES = [(832, 480), (1280, 720), (720, 1280), (624, 624), (1088, 832), (1920, 1080)]


def card(**changes) -> Card:
    known = Card(take="s010@1", model="wan2.7-t2v", prompt=ENGLISH, seed=7, width=320, height=180, seconds=1.0)
    return replace(known, **changes)


def film_of(tmp_path: Path, wanted: Card, name: str = "take.mp4") -> Path:
    target = tmp_path / name
    render(wanted, target)
    return target


def pictures(path: Path) -> list[Image.Image]:
    with av.open(str(path)) as container:
        # Told both, because PyAV 13 otherwise takes every film for one of BT.601.
        colours = {"src_colorspace": "ITU709", "dst_colorspace": "DEFAULT"}
        return [frame.reformat(format="rgb24", **colours).to_image() for frame in container.decode(video=0)]


def distance(one: Image.Image, other: Image.Image) -> float:
    """Mean difference in levels, 0 to 255."""
    return sum(ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean) / 3


def painted(path: Path, top: str, bottom: str, size=(400, 300), **options) -> Path:
    picture = Image.new("RGB", size, top)
    picture.paste(bottom, (0, size[1] // 2, *size))
    picture.save(path, **options)
    return path


def tone(path: Path, seconds: float) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(array("h", (12_000 if at // 20 % 2 else -12_000 for at in range(round(seconds * 16_000)))).tobytes())
    return path


def heard(path: Path) -> array:
    """The left channel."""
    samples = array("f")
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            samples.frombytes(bytes(frame.planes[0])[: frame.samples * 4])
    return samples


@pytest.fixture
def no_fonts(monkeypatch):
    """A machine with no fonts but the one that Pillow brings."""
    known = (faces.faces, faces.has, faces.face_of, faces.spelling)
    monkeypatch.setattr(faces, "FOLDERS", ())
    for function in known:
        function.cache_clear()
    yield
    for function in known:
        function.cache_clear()


@pytest.mark.parametrize(
    ("size", "seconds", "fps", "frames"), [((320, 180), 1.0, 24, 24), ((180, 320), 0.5, 30, 15), ((208, 208), 1.26, 24, 30)]
)
def test_size_frames_and_length_are_as_asked(tmp_path, size, seconds, fps, frames):
    path = film_of(tmp_path, card(width=size[0], height=size[1], seconds=seconds, fps=fps))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.average_rate) == (*size, fps)
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert not container.streams.audio
        assert sum(1 for _ in container.decode(video=0)) == frames
        assert container.duration == pytest.approx(frames / fps * 1_000_000, abs=1000)


def test_even_a_moment_is_one_frame(tmp_path):
    assert len(pictures(film_of(tmp_path, card(seconds=0.001)))) == 1


def test_the_index_comes_first_and_nothing_tells_when_or_with_what(tmp_path):
    content = film_of(tmp_path, card(audio=tone(tmp_path / "a.wav", 1))).read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    assert b"Lavf" not in content
    assert b"Lavc" not in content
    created = content.index(b"mvhd") + 8
    assert content[created : created + 8] == bytes(8)


def test_equal_cards_are_equal_bytes_here_and_in_another_process(tmp_path):
    first, last = tmp_path / "first.png", painted(tmp_path / "last.png", "black", "white")
    Image.radial_gradient("L").resize((400, 300)).save(first)
    wanted = card(first_frame=first, last_frame=last, audio=tone(tmp_path / "a.wav", 0.4), seconds=0.5)
    here = film_of(tmp_path, wanted, "one.mp4").read_bytes()
    assert film_of(tmp_path, wanted, "two.mp4").read_bytes() == here
    assert film_of(tmp_path, replace(wanted, seed=8), "three.mp4").read_bytes() != here
    program = (
        "import sys; from pathlib import Path, PosixPath, WindowsPath; from runner.studio.animatic import Card, render; "
        f"render({wanted!r}, Path(sys.argv[1]))"
    )
    for chance in ("1", "2", "77"):
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": chance, "TZ": "Asia/Shanghai"}
        there = tmp_path / f"there-{chance}.mp4"
        subprocess.run([sys.executable, "-c", program, str(there)], check=True, env=environment, cwd=tmp_path)
        assert there.read_bytes() == here


def test_two_slates_are_equal_bytes(tmp_path):
    assert film_of(tmp_path, card(), "one.mp4").read_bytes() == film_of(tmp_path, card(), "two.mp4").read_bytes()


def test_the_clock_runs_and_shows_the_frame_it_is(tmp_path):
    wanted = card(width=640, height=360, seconds=1.25)
    frames, still = pictures(film_of(tmp_path, wanted)), slate(wanted)
    top, bottom = still.clock.cells(timecode(0, 24))[0][1][1::2]
    box = (still.clock.left, top, still.clock.left + still.clock.width, bottom)
    for at in (0, 13, 29):
        expected = still.picture.copy()
        for char, rect in still.clock.cells(timecode(at, 24)):
            still.clock.draw(ImageDraw.Draw(expected), char, rect)
        right = distance(frames[at].crop(box), expected.crop(box))
        assert right < 4
        assert distance(frames[(at + 7) % 30].crop(box), expected.crop(box)) > 2 * right


def test_the_bar_grows_to_the_whole_width(tmp_path):
    wanted = card(seconds=1.0)
    frames, accent = pictures(film_of(tmp_path, wanted)), wanted.accent
    row = wanted.height - 2
    filled = [
        sum(1 for x in range(wanted.width) if max(abs(a - b) for a, b in zip(frame.getpixel((x, row)), accent, strict=True)) < 40)
        for frame in frames
    ]
    assert filled == sorted(filled)
    assert filled[0] < wanted.width * 0.1
    assert filled[-1] > wanted.width * 0.97


def test_a_timecode_counts_hours():
    assert timecode(0, 24) == "00:00:00:00"
    assert timecode((3600 + 61) * 30 + 29, 30) == "01:01:01:29"


def test_the_move_starts_on_the_whole_picture_and_goes_closer(tmp_path):
    source = Image.radial_gradient("L").resize((640, 360))
    picture = Image.merge("RGB", (source, ImageOps.flip(source), source.point(lambda v: 255 - v)))
    picture.paste("white", (0, 0, 12, 360))
    picture.save(tmp_path / "first.png")
    frames = pictures(film_of(tmp_path, card(width=320, height=180, first_frame=tmp_path / "first.png")))
    expected = picture.resize((320, 180), Image.Resampling.LANCZOS)
    above = (0, 0, 320, 100)
    assert distance(frames[0].crop(above), expected.crop(above)) < 4
    assert distance(frames[-1].crop(above), expected.crop(above)) > 5
    steps = [distance(one.crop(above), other.crop(above)) for one, other in pairwise(frames)]
    assert max(steps) < 3, "it moves gently"
    assert steps[0] < max(steps), "it starts slowly"


def test_a_view_is_never_off_by_more_than_a_twelfth_of_a_pixel():
    def wave(x: float) -> float:
        return 128 + 120 * math.sin(x / 4)

    plane = Image.new("L", (400, 20))
    plane.putdata([round(wave(x + 0.5)) for _ in range(20) for x in range(400)])
    fine, steepest = finer(plane), 120 / 4
    for begin in (10.0, 10.1, 10.17, 10.5, 10.83):
        shown = picked(fine, (begin, 0, begin + 318, 20), (300, 20))
        row = [shown.getpixel((x, 10)) for x in range(300)]
        wrong = [abs(level - wave(begin + (x + 0.5) * 318 / 300)) for x, level in enumerate(row)]
        assert max(wrong) < steepest / 12 + 2, "and 2 for rounding, three times over"


def test_the_words_are_gone_before_the_end_so_that_a_chained_shot_does_not_begin_with_them(tmp_path):
    shown = pictures(film_of(tmp_path, card(seconds=2.0, first_frame=painted(tmp_path / "blue.png", "navy", "navy"))))
    low = [picture.crop((0, 120, 320, 180)) for picture in shown]
    plain = Image.new("RGB", (320, 60), "navy")
    assert min(distance(picture, plain) for picture in low[: len(low) // 2]) > 8
    assert distance(low[-1], plain) < 2


@pytest.mark.parametrize("first", [True, False])
def test_the_final_frame_is_the_last_frame(tmp_path, first):
    last = Image.linear_gradient("L").resize((500, 200))
    last = Image.merge("RGB", (last, ImageOps.invert(last), last))
    last.save(tmp_path / "last.png")
    start = painted(tmp_path / "first.png", "navy", "orange") if first else None
    frames = pictures(film_of(tmp_path, card(first_frame=start, last_frame=tmp_path / "last.png", seconds=2.0)))
    expected = ImageOps.fit(last, (320, 180), Image.Resampling.LANCZOS)
    assert distance(frames[-1], expected) < 2.5
    away = [distance(frame, expected) for frame in frames[-22:]]
    assert away[0] > 20
    assert away == sorted(away, reverse=True), "it dissolves, step by step"
    assert away[-2] < 5, "and does not jump at the end"


def test_a_camera_turned_on_its_side_is_honoured(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # what was the left is the top
    picture = Image.new("RGB", (400, 300), "red")
    picture.paste("blue", (200, 0, 400, 300))
    picture.save(tmp_path / "turned.jpg", exif=exif)
    frame = pictures(film_of(tmp_path, card(width=180, height=240, seconds=0.1, first_frame=tmp_path / "turned.jpg")))[0]
    red, green, blue = frame.getpixel((90, 20))
    assert red > 200
    assert max(green, blue) < 60
    red, green, blue = frame.getpixel((90, 140))
    assert blue > 200
    assert max(green, red) < 60


def test_colours_come_through(tmp_path):
    for name in ("red", "lime", "blue", "white", "gray", "orange"):
        painted(tmp_path / "first.png", name, name)
        frame = pictures(film_of(tmp_path, card(seconds=0.1, first_frame=tmp_path / "first.png")))[0]
        assert distance(frame.crop((0, 0, 320, 90)), Image.new("RGB", (320, 90), name)) < 6, name


@pytest.mark.parametrize("long", [0.5, 3.0])
def test_a_sound_lasts_exactly_as_long_as_the_picture(tmp_path, long):
    path = film_of(tmp_path, card(audio=tone(tmp_path / "a.wav", long), seconds=1.5))
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        assert (stream.codec_context.name, stream.rate) == ("aac", 48_000)
        assert float(stream.duration * stream.time_base) == pytest.approx(1.5, abs=0.03)
    samples = heard(path)
    assert len(samples) / 48_000 == pytest.approx(1.5, abs=0.03)
    assert max(map(abs, samples[10_000:20_000])) > 0.2
    assert (max(map(abs, samples[40_000:60_000])) > 0.2) == (long > 1)


def test_a_sound_goes_with_a_move_too(tmp_path):
    first = painted(tmp_path / "first.jpg", "teal", "black")
    path = film_of(tmp_path, card(first_frame=first, audio=tone(tmp_path / "a.wav", 1.0)))
    assert len(pictures(path)) == 24
    assert len(heard(path)) > 47_000


def damaged(tmp_path: Path) -> dict[str, Path]:
    text, half = tmp_path / "text.png", tmp_path / "half.png"
    text.write_text("not a picture at all", encoding="utf-8")
    Image.effect_noise((200, 200), 50).save(half)
    half.write_bytes(half.read_bytes()[:9000])
    (tmp_path / "empty.png").touch()
    return {"text": text, "half": half, "empty": tmp_path / "empty.png", "absent": tmp_path / "absent.png"}


@pytest.mark.parametrize("role", ["first_frame", "last_frame", "audio"])
@pytest.mark.parametrize("fault", ["text", "half", "empty", "absent"])
def test_what_cannot_be_read_is_said_plainly(tmp_path, role, fault):
    path = damaged(tmp_path)[fault]
    target = tmp_path / "take.mp4"
    with pytest.raises(TakeError) as caught:
        render(card(**{role: path}), target)
    assert caught.value.code == "InvalidFile"
    assert path.name in caught.value.fact
    assert str(tmp_path) not in caught.value.fact
    assert not target.exists()


def test_what_was_begun_is_removed_when_a_render_is_interrupted(tmp_path, monkeypatch):
    target, whole = tmp_path / "take.mp4", film.frame_of

    def interrupted(planes, at, fps):
        if at == 20:
            assert target.exists()
            raise KeyboardInterrupt
        return whole(planes, at, fps)

    monkeypatch.setattr(film, "frame_of", interrupted)
    with pytest.raises(KeyboardInterrupt):
        render(card(seconds=2.0), target)
    assert not target.exists()


def test_a_shape_that_video_cannot_have_is_refused(tmp_path):
    with pytest.raises(TakeError, match="321x180") as caught:
        render(card(width=321), tmp_path / "take.mp4")
    assert caught.value.code == "InvalidParameter"


def test_without_libx264_another_encoder_serves(tmp_path, monkeypatch):
    monkeypatch.setattr(film, "ENCODERS", ("not-here", "h264"))
    assert len(pictures(film_of(tmp_path, card()))) == 24
    monkeypatch.setattr(film, "ENCODERS", ("not-here",))
    with pytest.raises(TakeError, match=r"no H\.264 encoder") as caught:
        render(card(), tmp_path / "none.mp4")
    assert caught.value.code == "NoEncoder"
    assert caught.value.hint


@pytest.mark.parametrize("text", [ENGLISH, CHINESE, ENGLISH * 40, CHINESE * 60, "w" * 900, "one\n\ntwo\tthree", ""])
@pytest.mark.parametrize("room", [(1100, 300), (300, 500), (90, 60)])
def test_set_text_keeps_within_its_room(text, room):
    block = fit(text, room, 44, 12)
    assert all(width(line, block.size) <= room[0] for line in block.lines)
    assert block.height <= room[1]
    shown = "".join("".join(block.lines).split())
    whole = "".join(faces.clean(text).split())
    assert whole.startswith(shown.removesuffix("…")) if block.cut else shown == whole


def test_text_is_as_large_as_it_can_be_and_shrinks_before_it_is_cut():
    short, long, hopeless = (fit(ENGLISH * times, (1100, 300), 44, 12) for times in (1, 9, 200))
    assert short.size == 44
    assert 12 < long.size < 44
    assert not long.cut
    assert set_lines(ENGLISH * 9, 1100, 300, long.size + 4).cut
    assert hopeless.cut
    assert hopeless.lines[-1].endswith("…")


def test_words_stay_whole_and_marks_stay_with_them(no_fonts):
    lines = fit("the lighthouse keeper turns", (150, 400), 20, 20).lines
    assert " ".join(lines) == "the lighthouse keeper turns"
    for room in range(100, 300, 9):
        lines = fit("灯塔在海边（远处），“看”。" * 12, (room, 3000), 20, 20).lines
        assert len(lines) > 3
        assert not any(line[0] in "，。；）,.;)”" or line[-1] in "（(“" for line in lines), room


@pytest.mark.parametrize("size", SHAPES)
@pytest.mark.parametrize("take", ["s010@1", "s010-a-very-long-identifier-as-long-as-the-rules-allow-it-0123456@100", ""])
def test_nothing_on_a_slate_runs_into_the_margins(size, take):
    for prompt in (ENGLISH * 30, CHINESE * 20, "w" * 400):
        shown = card(
            take=take, prompt=prompt, width=size[0], height=size[1], model="wan2.2-animate-mix-2026-04-25", seed=2**31 - 1
        )
        still = slate(shown)
        edge = round(min(size) * 0.055)
        top, bottom = round(min(size) * 0.06), still.bar[1]
        for box in ((0, top, edge, bottom), (size[0] - edge, top, size[0], bottom)):
            part = still.picture.crop(box)
            assert part.getextrema() == tuple((level, level) for level in SLATE), (size, prompt[:9])
        assert still.clock.left + still.clock.width <= size[0] - edge


@pytest.mark.parametrize("size", SHAPES)
def test_a_strip_stays_low(size):
    still = strip(card(prompt=ENGLISH * 30, width=size[0], height=size[1]))
    assert still.picture.height <= size[1] * 0.36
    assert still.at == (0, size[1] - still.picture.height)


def test_one_line_that_is_too_long_ends_in_an_ellipsis():
    block = fit_line("an-identifier-without-an-end-" * 9, 200, 40, 12)
    assert block.cut
    assert width(block.lines[0], block.size) <= 200


def test_neighbouring_shots_have_other_colours_and_takes_of_one_shot_the_same():
    for ids in (
        [f"s{n:03}" for n in range(10, 400, 10)],
        [f"shot-{n}" for n in range(1, 40)],
        [f"{n:02}b" for n in range(1, 40)],
    ):
        colours = [card(take=f"{shot}@1").accent for shot in ids]
        assert all(one != other for one, other in pairwise(colours))
    assert card(take="s010@1").accent == card(take="s010@2").accent


def test_without_a_shot_the_model_is_the_heading(tmp_path):
    named, anonymous = card(), card(take="")
    assert (named.shot, named.number) == ("s010", "1")
    assert (anonymous.shot, anonymous.number) == ("", "")
    assert len(pictures(film_of(tmp_path, anonymous))) == 24
    assert distance(slate(named).picture, slate(anonymous).picture) > 0.5


def test_glyphs_are_really_looked_for(no_fonts):
    assert faces.has(faces.Face(), "A")
    assert not faces.has(faces.Face(), "海")
    assert not faces.has(faces.Face("/no/such/font.ttf"), "A")


def test_a_missing_font_is_told_with_what_to_install(no_fonts, monkeypatch):
    assert missing_font_hint(ENGLISH) is None
    monkeypatch.setattr(faces.sys, "platform", "linux")
    hint = missing_font_hint("A lighthouse 海边")
    assert hint is not None
    assert "`apt install fonts-noto-cjk`" in hint
    assert "海边" in hint
    monkeypatch.setattr(faces.sys, "platform", "win32")
    assert "apt" not in (missing_font_hint("海") or "apt")
    other = missing_font_hint("жук")
    assert other is not None
    assert "CJK" not in other
    assert lack("海边") == "some characters need a CJK font"
    assert lack("жук") == "some characters are in no font found here"
    assert lack(ENGLISH) == ""


def test_plain_letters_stand_in_where_no_font_has_the_accent(no_fonts):
    assert missing_font_hint("Café – naïve e\u0301") is None
    assert faces.clean("Café – naïve") == "Cafe - naive"
    assert faces.clean("a\x00b\u200dc\ufe0f") == "abc"


def test_the_card_itself_says_that_a_font_is_missing(no_fonts):
    assert accented(card(prompt="海边", width=640, height=360)) > 100
    assert accented(card(prompt="sea", width=640, height=360)) == 0


def accented(shown: Card) -> int:
    """How many pixels of the prompt's part of a slate are coloured: all else there is as good as grey."""
    colours = slate(shown).picture.crop((0, 120, 640, 300)).getcolors(100_000)
    return sum(count for count, levels in colours if max(levels) - min(levels) > 40)


def test_fonts_are_found_in_folders_below_and_a_broken_one_does_no_harm(no_fonts, tmp_path, monkeypatch):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "Symbola.ttf").write_bytes(b"broken")
    monkeypatch.setattr(faces, "FOLDERS", (str(tmp_path),))
    faces.faces.cache_clear()
    assert [Path(face.path).name for face in faces.faces()] == ["", "Symbola.ttf"]
    assert missing_font_hint("ж") is not None, "a file that is no font is passed over"
