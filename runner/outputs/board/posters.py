"""A render or picture → its posters: small JPEGs, kept under `.callsheet/posters/` by the sha256 of what they show."""

from __future__ import annotations

import base64
import io
import os
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.errors import CallsheetError
from runner.lockfile import prepare

if TYPE_CHECKING:
    from PIL.Image import Image

LARGE, SMALL = 480, 176  # pixels, of the longer side: on a card, in its strip of takes
_AT = 1.0  # seconds into a render, or less for a short one: past a fade from black, and few frames to decode
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Poster:
    """One JPEG as a data: URI, and its size."""

    uri: str
    width: int
    height: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Posters:
    """What a render or picture looks like, large and in a strip."""

    large: Poster
    small: Poster


def made(files: Mapping[str, Path], state: Path) -> Iterator[tuple[str, Posters | None]]:
    """Each file's posters, by the sha256 under which it is given; None for one that cannot be decoded.

    A folder that may not be written only makes the next board slower.
    """
    with suppress(CallsheetError):
        prepare(state)
    folder = state / "posters"
    with suppress(OSError):
        folder.mkdir(exist_ok=True)

    def one(sha256: str) -> tuple[str, Posters | None]:
        return sha256, _posters(sha256, files[sha256], folder)

    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:  # PyAV decodes outside the interpreter's lock
        yield from pool.map(one, files)


def _posters(sha256: str, path: Path, folder: Path) -> Posters | None:
    # `v1` is the way posters are made: a file of another way is never taken for one of these.
    kept = {side: folder / f"{sha256}-v1-{side}.jpg" for side in (LARGE, SMALL)} if _SHA256.fullmatch(sha256) else {}
    with suppress(OSError, ValueError, KeyError):
        return Posters(large=_poster(kept[LARGE].read_bytes()), small=_poster(kept[SMALL].read_bytes()))
    picture = _picture(path)
    if picture is None:
        return None
    jpegs = {side: _jpeg(picture, side) for side in (LARGE, SMALL)}
    for side, target in kept.items():
        with suppress(OSError):
            part = target.with_suffix(f".{os.getpid()}.part")
            part.write_bytes(jpegs[side])
            part.replace(target)
    return Posters(large=_poster(jpegs[LARGE]), small=_poster(jpegs[SMALL]))


def _poster(jpeg: bytes) -> Poster:
    from PIL import Image  # start-up time

    with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as opened:
        width, height = opened.size
        opened.verify()
    return Poster(uri=f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}", width=width, height=height)


def _jpeg(picture: Image, side: int) -> bytes:
    from PIL import Image  # start-up time

    small = picture.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    target = io.BytesIO()
    small.save(target, "JPEG", quality=82, optimize=True, progressive=True)
    return target.getvalue()


def _picture(path: Path) -> Image | None:
    """A render's frame or the picture itself, upright and without transparency; None where it cannot be read."""
    return _still(path) or _frame(path)


def _still(path: Path) -> Image | None:
    from PIL import Image, ImageOps  # start-up time

    try:
        with Image.open(path) as opened:
            opened.draft("RGB", (2 * LARGE, 2 * LARGE))
            turned = ImageOps.exif_transpose(opened)
            if turned.has_transparency_data:
                turned = Image.alpha_composite(Image.new("RGBA", turned.size, "white"), turned.convert("RGBA"))
            return turned.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def _frame(path: Path) -> Image | None:
    import av  # start-up time

    try:
        with av.open(os.path.abspath(path), options={"protocol_whitelist": "file"}) as film:  # noqa: PTH100 - resolve() follows links
            track = film.streams.video[0]
            track.thread_type = "NONE"  # many files at once are quicker than many threads for one
            seconds = float(film.duration or 0) / av.time_base
            found: Any = None
            for found in film.decode(track):
                if found.time is None or found.time >= min(_AT, seconds / 2):
                    break
            if found is None:
                return None
            width, height = found.width, found.height
            shrunk = min(1.0, 2 * LARGE / max(width, height))
            # to_image() would read the colours by the rule of standard definition.
            small = found.reformat(
                width=max(1, round(width * shrunk)),
                height=max(1, round(height * shrunk)),
                format="rgb24",
                src_colorspace="ITU709",
                dst_colorspace="DEFAULT",
            )
            picture: Image = small.to_image()
            return picture
    except (av.FFmpegError, OSError, ValueError, IndexError):
        return None
