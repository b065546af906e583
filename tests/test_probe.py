"""What a media file is, told from real files made here."""

from __future__ import annotations

import os
import struct
import wave
import zlib
from fractions import Fraction

import av
import pytest
from PIL import Image

from runner.errors import TakeError
from runner.probe import Probe, ProbeError, check_video, probe

SECONDS, FPS, WIDTH, HEIGHT = 2, 24, 160, 90


def _film(path, *, codec="libx264", sound=None, options=None, pictures=SECONDS * FPS, container=None):
    """Noise, so that the bytes lie all along the file."""
    with av.open(str(path), "w", format=container, options=options or {}) as out:
        video = out.add_stream(codec, rate=FPS)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        track = out.add_stream(sound, rate=48000, layout="stereo") if sound else None
        for number in range(pictures):
            frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
            for plane in frame.planes:
                plane.update(os.urandom(plane.buffer_size))
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        if track:
            _sing(out, track, SECONDS)
    return path


def _sing(out, track, seconds):
    for number in range(seconds * 48000 // 1024):
        frame = av.AudioFrame(format="fltp", layout="stereo", samples=1024)
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        frame.sample_rate, frame.pts, frame.time_base = 48000, number * 1024, Fraction(1, 48000)
        out.mux(track.encode(frame))
    out.mux(track.encode(None))


def _song(path, codec, container=None):
    with av.open(str(path), "w", format=container) as out:
        _sing(out, out.add_stream(codec, rate=48000, layout="stereo"), SECONDS)
    return path


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    return {
        "faststart": _film(folder / "faststart.mp4", sound="aac", options={"movflags": "faststart"}),
        "plain": _film(folder / "plain.mp4", sound="aac"),
        "silent": _film(folder / "silent.mp4"),
        "mov": _film(folder / "film.mov"),
        "mkv": _film(folder / "film.mkv", sound="aac"),
        "webm": _film(folder / "film.webm", codec="libvpx"),
        "avi": _film(folder / "film.avi", codec="mpeg4"),
        "ts": _film(folder / "film.ts"),
    }


def _refused(function, path):
    with pytest.raises(ProbeError) as caught:
        function(path)
    assert isinstance(caught.value, TakeError)
    assert caught.value.code == "Unreadable"
    return caught.value


class TestPictures:
    @pytest.mark.parametrize(
        ("name", "mode", "options", "kind", "alpha"),
        [
            ("a.png", "RGB", {}, "png", False),
            ("a.png", "RGBA", {}, "png", True),
            ("a.png", "LA", {}, "png", True),
            ("a.png", "P", {}, "png", False),
            ("a.png", "P", {"transparency": 0}, "png", True),
            ("a.png", "RGB", {"transparency": (0, 0, 0)}, "png", True),
            ("a.jpg", "RGB", {}, "jpeg", False),
            ("a.jpg", "CMYK", {}, "jpeg", False),
            ("a.bmp", "RGB", {}, "bmp", False),
            ("a.webp", "RGB", {}, "webp", False),
            ("a.webp", "RGBA", {"lossless": True}, "webp", True),
            ("a.gif", "P", {}, "gif", False),
            ("a.gif", "P", {"transparency": 0}, "gif", True),
            ("a.tiff", "RGB", {}, "tiff", False),
        ],
    )
    def test_format_size_and_alpha(self, tmp_path, name, mode, options, kind, alpha):
        path = tmp_path / name
        Image.new(mode, (300, 200)).save(path, **options)
        assert probe(path) == Probe(kind="image", format=kind, bytes=path.stat().st_size, width=300, height=200, alpha=alpha)

    def test_the_content_counts_and_not_the_name(self, tmp_path):
        path = tmp_path / "video.mp4"
        Image.new("RGB", (3, 2)).save(path, "PNG")
        assert probe(path).format == "png"

    def test_a_bomb_is_a_fact(self, tmp_path):
        path = tmp_path / "bomb.png"
        head = struct.pack(">IIBBBBB", 60_000, 50_000, 8, 2, 0, 0, 0)
        path.write_bytes(
            b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(b"\0")) + _chunk(b"IEND", b"")
        )
        seen = probe(path)  # warnings are errors in these tests
        assert (seen.width, seen.height, seen.bytes) == (60_000, 50_000, path.stat().st_size)

    def test_a_bomb_in_webp_is_one_in_plain_words(self, tmp_path):
        path = tmp_path / "bomb.webp"
        Image.new("RGBA", (30, 20)).save(path, lossless=False, exif=b"Exif\0\0")
        data = bytearray(path.read_bytes())
        assert data[12:16] == b"VP8X"
        data[24:30] = (16_000).to_bytes(3, "little") * 2
        path.write_bytes(data)
        assert _refused(probe, path).fact in ("a WEBP picture too large to be opened", "a damaged WEBP picture")

    @pytest.mark.parametrize("size", [9, 12, 20, 30])
    @pytest.mark.parametrize("name", ["a.png", "a.webp", "a.bmp", "a.gif", "a.tiff", "a.jpg"])
    def test_a_broken_header(self, tmp_path, name, size):
        path = tmp_path / name
        Image.new("RGB", (30, 20)).save(path)
        path.write_bytes(path.read_bytes()[:size])
        assert _refused(probe, path).fact.startswith(("a damaged", "cannot be read"))

    def test_heic_is_named(self, tmp_path):
        path = tmp_path / "a.heic"
        path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
        error = _refused(probe, path)
        assert error.fact == "a HEIC or AVIF picture, which is not read here"
        assert error.hint == "save it as JPEG or PNG"

    def test_no_plug_in_but_the_one_is_loaded(self, tmp_path):
        import subprocess
        import sys

        Image.new("RGB", (3, 2)).save(tmp_path / "a.png")
        code = (
            "import sys; from pathlib import Path; from runner.probe import probe\n"
            "assert not {'PIL', 'av'} & set(sys.modules)\n"
            f"probe(Path({str(tmp_path / 'a.png')!r}))\n"
            "assert 'av' not in sys.modules and 'PIL.TiffImagePlugin' not in sys.modules"
        )
        subprocess.run([sys.executable, "-c", code], check=True)


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


class TestSounds:
    def test_wav(self, tmp_path):
        path = tmp_path / "a.bin"
        with wave.open(str(path), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(8000)
            out.writeframes(bytes(2 * 12_000))
        assert probe(path) == Probe(kind="audio", format="wav", bytes=path.stat().st_size, seconds=1.5, sound=True)

    @pytest.mark.parametrize(
        ("name", "codec", "kind"),
        [("a.mp3", "libmp3lame", "mp3"), ("a.m4a", "aac", "m4a"), ("a.flac", "flac", "flac"), ("a.aac", "aac", "aac")],
    )
    def test_others(self, tmp_path, name, codec, kind):
        try:
            path = _song(tmp_path / name, codec, "ipod" if kind == "m4a" else None)
        except (av.FFmpegError, ValueError) as error:
            pytest.skip(f"this FFmpeg cannot write it: {error}")
        seen = probe(path)
        assert (seen.kind, seen.format, seen.sound) == ("audio", kind, True)
        assert seen.seconds == pytest.approx(SECONDS, abs=0.2)
        assert (seen.width, seen.height, seen.fps) == (None, None, None)


class TestFilms:
    @pytest.mark.parametrize(
        ("name", "kind", "sound"),
        [
            ("faststart", "mp4", True),
            ("plain", "mp4", True),
            ("silent", "mp4", False),
            ("mov", "mov", False),
            ("mkv", "mkv", True),
            ("webm", "webm", False),
            ("avi", "avi", False),
            ("ts", "ts", False),
        ],
    )
    @pytest.mark.parametrize("function", [probe, check_video])
    def test_facts(self, films, name, kind, sound, function):
        seen = function(films[name])
        assert (seen.kind, seen.format, seen.sound, seen.alpha) == ("video", kind, sound, False)
        assert (seen.width, seen.height, seen.fps) == (WIDTH, HEIGHT, 24.0)
        assert seen.seconds == pytest.approx(SECONDS, abs=0.05)
        assert seen.bytes == films[name].stat().st_size

    def test_one_picture_is_a_film(self, tmp_path):
        assert check_video(_film(tmp_path / "one.mp4", pictures=1)).seconds == pytest.approx(1 / 24, abs=0.001)

    @pytest.mark.parametrize("name", ["faststart", "plain", "silent", "mov"])
    @pytest.mark.parametrize("lacking", [1, 10, 100, 0.1, 0.5, 0.9])
    def test_cut_short(self, films, tmp_path, name, lacking):
        data = films[name].read_bytes()
        path = tmp_path / films[name].name
        path.write_bytes(data[: len(data) - int(lacking if lacking >= 1 else lacking * len(data))])
        assert _refused(check_video, path).fact.startswith(("breaks off", "a damaged"))

    @pytest.mark.parametrize("name", ["mkv", "webm", "avi"])
    @pytest.mark.parametrize("lacking", [0.25, 0.5, 0.9])
    def test_cut_short_without_a_table(self, films, tmp_path, name, lacking):
        data = films[name].read_bytes()
        path = tmp_path / films[name].name
        path.write_bytes(data[: int(len(data) * (1 - lacking))])
        assert _refused(check_video, path).fact.startswith(("breaks off", "a damaged"))

    def test_a_table_but_nothing_to_show(self, films, tmp_path):
        """What a download that lost its middle leaves: the whole length, with zeros."""
        data = films["faststart"].read_bytes()
        start = data.index(b"mdat") + 4
        path = tmp_path / "zeros.mp4"
        path.write_bytes(data[:start] + bytes(len(data) - start))
        assert probe(path).width == WIDTH
        assert _refused(check_video, path).fact.startswith("a damaged video")

    def test_the_end_alone_is_lost(self, films, tmp_path):
        data = films["silent"].read_bytes()
        start, table = data.index(b"mdat") + 4, data.index(b"moov") - 4
        half = start + (table - start) // 2
        path = tmp_path / "half.mp4"
        path.write_bytes(data[:half] + bytes(table - half) + data[table:])
        _refused(check_video, path)

    def test_no_film_at_all(self, tmp_path):
        Image.new("RGB", (3, 2)).save(tmp_path / "a.png")
        _refused(check_video, tmp_path / "a.png")
        path = tmp_path / "a.wav"
        with wave.open(str(path), "wb") as out:
            out.setparams((1, 2, 8000, 0, "NONE", ""))
            out.writeframes(bytes(16000))
        assert _refused(check_video, path).fact == "not a video but wav"

    def test_no_word_on_the_terminal(self, films, tmp_path, capfd):
        path = tmp_path / "x.mp4"
        path.write_bytes(films["faststart"].read_bytes()[:-100])
        _refused(check_video, path)
        probe(path)
        assert capfd.readouterr() == ("", "")


class TestRefused:
    @pytest.mark.parametrize("function", [probe, check_video])
    def test_with_the_reason(self, tmp_path, function):
        (tmp_path / "empty").touch()
        (tmp_path / "text").write_text("hello\n" * 300)
        (tmp_path / "a.txt").write_text("hello\n" * 300)
        (tmp_path / "page.mp4").write_text("<html><body>Not found</body></html>")
        assert _refused(function, tmp_path / "empty").fact == "an empty file"
        assert _refused(function, tmp_path).fact == "a folder, not a file"
        assert _refused(function, tmp_path / "no").fact == "no such file"
        assert _refused(function, tmp_path / "text" / "no").fact == "no such file"
        assert "cannot be read" in _refused(function, tmp_path / "a\0b").fact
        for name in ("text", "a.txt", "page.mp4"):
            assert _refused(function, tmp_path / name).fact == "cannot be read as picture, video or sound"

    @pytest.mark.parametrize("function", [probe, check_video])
    def test_a_git_lfs_pointer(self, tmp_path, function):
        path = tmp_path / "keeper.png"
        path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n")
        error = _refused(function, path)
        assert error.fact == "a Git LFS pointer, not the file itself"
        assert "git lfs pull" in error.hint

    @pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root reads everything")
    def test_no_permission(self, tmp_path):
        path = tmp_path / "a.png"
        path.write_bytes(b"x")
        path.chmod(0)
        assert _refused(probe, path).fact == "may not be read"

    def test_lists_that_name_other_files_are_not_followed(self, films, tmp_path):
        target = films["silent"].as_posix()
        lists = {
            "a.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:2,\n{target}\n#EXT-X-ENDLIST\n",
            "a.ffconcat": f"ffconcat version 1.0\nfile '{target}'\n",
            "a.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
        }
        for name, text in lists.items():
            (tmp_path / name).write_text(text)
            _refused(probe, tmp_path / name)

    def test_a_name_that_looks_like_an_address(self, films, tmp_path, monkeypatch):
        if os.name == "nt":
            pytest.skip("no colons in names")
        monkeypatch.chdir(tmp_path)
        from pathlib import Path

        Path("data:x.mp4").write_bytes(films["silent"].read_bytes())
        assert probe(Path("data:x.mp4")).format == "mp4"
