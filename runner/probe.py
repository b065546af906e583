"""A media file → its kind, format, size and seconds, read from its content and not its name."""

from __future__ import annotations

import importlib
import os
import re
import warnings
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from runner.errors import TakeError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Kind = Literal["image", "video", "audio"]

# First bytes → format and Pillow's reader. Read directly, because Image.open refuses or warns about large pictures, whose
# size is what we want to know, and loads every plug-in there is.
_PICTURES: tuple[tuple[re.Pattern[bytes], str, str], ...] = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "png", "PngImagePlugin.PngImageFile"),
    (re.compile(rb"\xff\xd8\xff"), "jpeg", "JpegImagePlugin.JpegImageFile"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "webp", "WebPImagePlugin.WebPImageFile"),
    (re.compile(rb"BM....\0\0\0\0", re.DOTALL), "bmp", "BmpImagePlugin.BmpImageFile"),
    (re.compile(rb"GIF8[79]a"), "gif", "GifImagePlugin.GifImageFile"),
    (re.compile(rb"II\*\0|MM\0\*"), "tiff", "TiffImagePlugin.TiffImageFile"),
)
_HEIC = re.compile(rb"....ftyp(?:hei[cxms]|hev[cx]|mif1|msf1|avi[fs])", re.DOTALL)
_POINTER = b"version https://git-lfs.github.com/spec/v1"

# FFmpeg would also take play lists, which name other files and addresses, and draw a plain text as a picture.
_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,mpegts,mpeg,asf,wav,w64,mp3,flac,ogg,aac,aiff,amr"
_OPTIONS = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"}
_SOUNDS = frozenset({"wav", "w64", "mp3", "m4a", "flac", "ogg", "aac", "aiff", "amr"})
_NAMES = {"mpegts": "ts", "asf": "wmv"}
_FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")  # of an MP4 or MOV
_MISSING = 0.25  # seconds that the last track may end before the container says: rounding and edit lists


class ProbeError(TakeError):
    """The file is no medium that can be used; the fact fits behind the file's name and a colon."""

    def __init__(self, fact: str, *, hint: str | None = None) -> None:
        super().__init__(fact, code="Unreadable", hint=hint)


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """What a file says of itself; width and height in pixels as stored, `sound` whether there is a sound track.

    `seconds` is the whole file, `pictures` a video's pictures alone: its sound may go on for a moment after the last one.
    """

    kind: Kind
    format: str
    bytes: int
    width: int | None = None
    height: int | None = None
    seconds: float | None = None
    pictures: float | None = None
    fps: float | None = None
    alpha: bool = False
    sound: bool = False


def probe(path: Path) -> Probe:
    """Read the headers only, a few milliseconds whatever the size; raises ProbeError."""
    with _opened(path) as (file, head, size):
        if picture := next((row[1:] for row in _PICTURES if row[0].match(head)), None):
            return _picture(file, size, *picture)
    if _HEIC.match(head):
        raise ProbeError("a HEIC or AVIF picture, which is not read here", hint="save it as JPEG or PNG")
    with _container(path) as container:
        return _facts(container, head, size)


def check_video(path: Path) -> Probe:
    """As `probe`, and the first picture and all from the last key frame on decode; ProbeError where they do not."""
    with _opened(path) as (file, head, size):
        missing = _missing_bytes(file, size) if head[4:8] in _FIRST_BOXES else 0
    if missing:
        raise ProbeError(f"breaks off: {size:,} of at least {size + missing:,} bytes are here")
    with _container(path) as container:
        facts = _facts(container, head, size)
        if facts.kind != "video":
            raise ProbeError(f"not a video but {facts.format}")
        lasts = _read_ends(container)
    if lasts is None:  # MPEG-TS is sought to a place and not to a key frame: read all of it
        with _container(path) as container:
            lasts = _read_on(container)
    if lasts is None:
        raise ProbeError("a damaged video: it has no pictures")
    if facts.seconds is not None and lasts < facts.seconds - _MISSING:
        raise ProbeError(f"breaks off after {max(lasts, 0):.1f} of {facts.seconds:.1f} s")
    return facts


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, bytes, int]]:
    """The file, its first bytes and its size."""
    try:
        file = path.open("rb")
    except (OSError, ValueError) as error:
        raise _closed(path, error) from None
    with file:
        try:
            head = file.read(512)
            file.seek(0)
            size = os.fstat(file.fileno()).st_size
        except OSError as error:
            raise _closed(path, error) from None
        if not head:
            raise ProbeError("an empty file")
        if head.startswith(_POINTER):
            raise ProbeError("a Git LFS pointer, not the file itself", hint="git lfs pull")
        yield file, head, size


def _closed(path: Path, error: OSError | ValueError) -> ProbeError:
    if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where the folder above is closed
        return ProbeError("a folder, not a file")
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return ProbeError("no such file")
    if isinstance(error, PermissionError):
        return ProbeError("may not be read", hint="give yourself the permission to read it")
    return ProbeError(f"cannot be read: {getattr(error, 'strerror', None) or error}")


def _picture(file: BinaryIO, size: int, name: str, reader: str) -> Probe:
    from PIL.Image import DecompressionBombError  # PIL here and av below: together 60 ms of start-up

    module, _, cls = reader.partition(".")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of corrupt EXIF and the like, in Pillow's words
            image = getattr(importlib.import_module(f"PIL.{module}"), cls)(file)
        width, height = image.size
        return Probe(kind="image", format=name, bytes=size, width=width, height=height, alpha=image.has_transparency_data)
    except DecompressionBombError as error:  # from the readers that need room for all of the picture
        raise ProbeError(f"a {name.upper()} picture too large to be opened") from error
    except (OSError, SyntaxError, ValueError, AttributeError, ArithmeticError, LookupError) as error:
        raise ProbeError(f"a damaged {name.upper()} picture") from error


def _container(path: Path) -> Any:
    import av  # start-up time

    try:
        # An absolute path, because FFmpeg would take "data:x.mp4" for an address.
        return av.open(os.path.abspath(path), options=_OPTIONS)  # noqa: PTH100 - resolve() follows links
    except (av.FFmpegError, ValueError) as error:
        raise ProbeError("cannot be read as picture, video or sound") from error


def _facts(container: Any, head: bytes, size: int) -> Probe:
    name = _format(container, head)
    sounds = container.streams.audio
    video = None if name in _SOUNDS else next(iter(container.streams.video), None)
    seconds = _seconds(container, video or next(iter(sounds), None))
    if video is None:
        if not sounds:
            raise ProbeError(f"a file ({name}) without picture or sound")
        return Probe(kind="audio", format=name, bytes=size, seconds=seconds, sound=True)
    if video.codec_context is None or not (video.width and video.height):
        raise ProbeError(f"a video ({name}) that cannot be decoded")
    return Probe(
        kind="video",
        format=name,
        bytes=size,
        width=video.width,
        height=video.height,
        seconds=seconds,
        pictures=_pictures(video),
        fps=float(video.average_rate) if video.average_rate else None,
        sound=bool(sounds),
    )


def _format(container: Any, head: bytes) -> str:
    name: str = container.format.name
    if name.startswith("mov,"):
        brand = container.metadata.get("major_brand", "qt").strip().lower()
        return {"qt": "mov", "m4a": "m4a", "m4b": "m4a"}.get(brand, "3gp" if brand.startswith("3g") else "mp4")
    if name.startswith("matroska"):
        return "webm" if b"webm" in head[:64] else "mkv"
    return _NAMES.get(name, name)


def _seconds(container: Any, stream: Any) -> float | None:
    if container.duration is not None:
        return float(container.duration) / 1_000_000
    return float(stream.duration * stream.time_base) if stream is not None and stream.duration is not None else None


def _pictures(video: Any) -> float | None:
    if video.frames and video.average_rate:
        return float(video.frames / video.average_rate)
    return float(video.duration * video.time_base) if video.duration is not None else None


def _missing_bytes(file: BinaryIO, size: int) -> int:
    """What the boxes of an MP4 or MOV promise beyond its end; FFmpeg puts up with a table that is cut short."""
    at = 0
    while at < size:
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            return 8 - len(head) if any(head) else 0
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:], "big")
        if length < 8:  # 0 is the rest of the file, the others are no box
            return 0
        at += length
    return at - size


def _read_ends(container: Any) -> float | None:
    """Decode the first picture and those from the last key frame → as `_read_on`."""
    import av  # start-up time

    try:
        next(container.decode(video=0), None)
    except av.FFmpegError as error:
        raise ProbeError("a damaged video: its first picture does not decode") from error
    if container.duration is not None:
        with suppress(av.FFmpegError):  # a file without an index: all of it is read then
            container.seek((container.start_time or 0) + container.duration - 1)
    return _read_on(container)


def _read_on(container: Any) -> float | None:
    """Decode what is left → the second at which the last track ends, None if there is no picture."""
    import av  # start-up time

    video, has_picture, end = container.streams.video[0], False, 0.0
    try:
        for packet in container.demux():
            if packet.is_corrupt:
                raise ProbeError("breaks off within a picture or sound")
            if packet.pts is not None:
                end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            if packet.stream is video and packet.decode():
                has_picture = True
    except av.FFmpegError as error:
        raise ProbeError("a damaged video: its pictures do not decode") from error
    return end - (container.start_time or 0) / av.time_base if has_picture else None
