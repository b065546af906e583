"""A render → one of its frames as a PNG file: the first, the last, or the one that is shown at a second."""

from __future__ import annotations

import hashlib
import os
import uuid
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from runner.errors import TakeError

if TYPE_CHECKING:
    from pathlib import Path

_OLD = {5, 6}  # the two marks of BT.601; what is unmarked is BT.709, as all these services make it


def cut(render: Path, sha256: str, frame: str | float, target: Path) -> None:
    """Write the frame to `target`, whole or not at all; raises TakeError. A file with another hash is nobody's render."""
    import av  # start-up time: a run without links does without it

    try:
        with render.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise TakeError(f"{render} is not the file that was saved", code="RenderChanged", hint="put the render back")
        picture = _picture(render, frame)
    except (av.FFmpegError, OSError) as error:
        raise TakeError(f"{render}: no frame can be read: {error}", code="Unreadable") from error
    if picture is None:
        raise TakeError(f"{render} has no frame at {frame} s", code="Unreadable")
    space = "ITU601" if picture.colorspace in _OLD else "ITU709"  # to_image() by itself takes unmarked video for BT.601
    image = picture.reformat(format="rgb24", src_colorspace=space, dst_colorspace="DEFAULT").to_image()
    beside = target.with_name(f".{uuid.uuid4().hex}.png")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as out:
            image.save(out, "PNG")
            out.flush()
            os.fsync(out.fileno())
        beside.replace(target)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise TakeError(f"{target}: cannot be written: {error.strerror}", code="Disk", retryable=True) from error


def _picture(render: Path, frame: str | float) -> Any:
    import av  # start-up time

    with av.open(str(render.absolute())) as container:
        video = container.streams.video[0]
        if frame == "first":
            return next(container.decode(video), None)
        start = video.start_time or 0
        end = None if video.duration is None else start + video.duration
        at = None if isinstance(frame, str) else start + Fraction(str(frame)) / (video.time_base or 1)
        if at is not None and end is not None and at >= end:
            return None
        video.thread_type = "AUTO"
        aim = end if at is None else int(at)
        if aim is not None:
            container.seek(aim, stream=video)
        found = _shown(container, video, at)
    if found is not None or aim is None:
        return found
    with av.open(str(render.absolute())) as container:  # a file whose index leads astray: all of it is read
        return _shown(container, container.streams.video[0], at)


def _shown(container: Any, video: Any, at: Fraction | None) -> Any:
    """The last frame that is due by `at`; the last of all without it."""
    found = None
    for frame in container.decode(video):
        if at is not None and frame.pts is not None and frame.pts > at:
            break
        found = frame
    return found
