"""A clip → its pictures and their exact rate: from the file where it is here, else from what the lock says of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from pathlib import Path

from runner.cut import Clip

UNKNOWN = Fraction(3)  # seconds of a shot without a render whose length its model decides
_NTSC = tuple(Fraction(base * 1000, 1001) for base in (24, 30, 48, 60, 120))
_NEAR = Fraction(5, 1000)  # 23.98 is how many programs say 24000/1001
_OPTIONS = {"format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm", "protocol_whitelist": "file"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Length:
    """So many pictures at so many a second; `rate` is None for what is not rendered, which has its `asked` seconds only."""

    rate: Fraction | None
    frames: int
    asked: Fraction = Fraction(0)

    @property
    def seconds(self) -> Fraction:
        return self.frames / self.rate if self.rate else self.asked

    def frames_at(self, rate: Fraction) -> int:
        """Pictures of a sequence at `rate`, never more than the render can fill."""
        if self.rate == rate:
            return self.frames
        return max(1, floor(self.seconds * rate) if self.rate else round(self.asked * rate))


def length(clip: Clip) -> Length:
    """A clip's length, whole: there are no cuts inside a take."""
    render = (clip.entry.render if clip.entry else None) or {}
    if seen := _seen(clip.file) if clip.file else None:
        return seen
    if render.get("fps") and render.get("seconds"):
        rate = rate_of(Fraction(str(render["fps"])))
        return Length(rate=rate, frames=max(1, round(Fraction(str(render["seconds"])) * rate)))
    return Length(rate=None, frames=0, asked=Fraction(str(clip.seconds)) if clip.seconds else UNKNOWN)


def rate_of(fps: Fraction) -> Fraction:
    """A rate as a file or the lock says it → the rate that is meant: whole, or a thousandth of 1001 less."""
    if abs(fps - round(fps)) < Fraction(1, 1000):
        return Fraction(round(fps))
    near = min(_NTSC, key=lambda one: abs(one - fps))
    return near if abs(near - fps) < _NEAR else fps.limit_denominator(1001)


def base_of(rate: Fraction) -> int:
    """Frame numbers in a second of timecode: 24 for 24000/1001."""
    return max(1, round(rate))


def timecode(frame: int, rate: Fraction) -> str:
    """`01:00:00:00`, non-drop: counts frames, whatever the clock says."""
    base = base_of(rate)
    seconds, frames = divmod(frame, base)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}:{frames:02}"


def _seen(path: Path) -> Length | None:
    """What the file's own index says; its sound may go on for a moment after the last picture, and does not count."""
    import av  # start-up time

    try:
        with av.open(os.path.abspath(path), options=_OPTIONS) as container:  # noqa: PTH100 - as probe.py: FFmpeg reads "data:x.mp4" as an address
            video = next(iter(container.streams.video), None)
            if video is None or not video.average_rate:
                return None
            rate = rate_of(Fraction(video.average_rate))
            if video.frames:
                return Length(rate=rate, frames=video.frames)
            if container.duration is None:
                return None
            return Length(rate=rate, frames=max(1, round(Fraction(container.duration, 1_000_000) * rate)))
    except (av.FFmpegError, OSError, ValueError):
        return None
