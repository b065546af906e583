"""A render's file → what joining needs to know of it: shape, rate, length to the frame, and why it cannot be copied."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
from av.error import FFmpegError

from runner.probe import ProbeError, probe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SQUARE = Fraction(1)
_ON_GRID = Fraction(1, 10)  # of a frame: formats that count milliseconds round their times
# Slices that stand alone, and sets of parameters, by the type of a NAL unit: ITU-T H.264 table 7-1, H.265 table 7-1.
_ALONE = {"h264": {5}, "hevc": {16, 17, 18, 19, 20}}
_SETS = {"h264": {7, 8}, "hevc": {32, 33, 34}}
_HEADER = {"h264": (7, 4), "hevc": (23, 21)}  # least bytes of avcC and hvcC, and where they say how wide a length is


@dataclass(frozen=True, kw_only=True, slots=True)
class Footage:
    """One file. `shape` is how large it is seen, `fps` None where its pictures come at no steady rate.

    `zero` is the file's own time of its first picture, `delay` how many packets come before the one shown first,
    `header` what a decoder must know before the first picture; `flaw` says why the packets cannot be copied.
    """

    path: Path
    codec: str
    width: int
    height: int
    pixels: str
    square: Fraction
    turned: int
    fps: Fraction | None
    rate: Fraction
    frames: int
    seconds: Fraction
    zero: Fraction
    delay: int
    header: bytes = field(repr=False)
    sounds: bool
    flaw: str | None

    @property
    def shape(self) -> tuple[int, int]:
        """In square pixels, upright, both sides even."""
        width, height = round(self.width * self.square), self.height
        return (even(height), even(width)) if self.turned % 180 else (even(width), even(height))


def even(side: float | Fraction) -> int:
    return max(2, round(side / 2) * 2)


def read(path: Path) -> Footage:
    """Read the times of all packets and decode the first picture; raises ProbeError where that fails."""
    facts = probe(path)
    if facts.kind != "video":
        raise ProbeError(f"not a video but {facts.format}")
    try:
        with opened(path) as container:
            return _footage(path, container)
    except (FFmpegError, ArithmeticError) as error:
        raise ProbeError("a damaged video: its pictures cannot be read") from error


def opened(path: Path) -> Any:
    """Only files: what was probed names no other file or address, and an absolute path is never taken for one."""
    return av.open(os.path.abspath(path), options={"protocol_whitelist": "file"})  # noqa: PTH100 - resolve() follows links


@dataclass(slots=True)
class _Seen:
    """What the packets say, one after another."""

    times: list[Fraction] = field(default_factory=list)
    last: Fraction = Fraction(0)  # how long the picture shown last stays
    picture: av.VideoFrame | None = None
    is_timeless: bool = False
    is_cut: bool = False
    is_dependent: bool = False
    has_other_sets: bool = False


def _footage(path: Path, container: Any) -> Footage:
    stream = container.streams.video[0]
    context = stream.codec_context
    context.thread_count = 1  # one picture is decoded: threads would cost more than they save
    header = bytes(context.extradata or b"")
    seen = _look(container, stream, header)
    if seen.picture is None or not seen.times:
        raise ProbeError("a damaged video: it has no pictures")
    shown = sorted(seen.times)
    rates = [Fraction(rate) for rate in (stream.average_rate, stream.base_rate, stream.guessed_rate) if rate]
    fps = next((rate for rate in rates if _is_steady(shown, seen.last, rate)), None)
    rate = fps or next(iter(rates), Fraction(24))
    seconds = len(shown) / fps if fps else shown[-1] - shown[0] + (seen.last or 1 / rate)
    places = {time: at for at, time in enumerate(shown)}
    turned = int(getattr(seen.picture, "rotation", 0) or 0)
    return Footage(
        path=path,
        codec=context.name,
        width=context.width,
        height=context.height,
        pixels=context.pix_fmt or "",
        square=Fraction(stream.sample_aspect_ratio or 1) or SQUARE,
        turned=turned,
        fps=fps,
        rate=rate,
        frames=len(shown),
        seconds=seconds,
        zero=shown[0],
        delay=max(at - places[time] for at, time in enumerate(seen.times)),
        header=header,
        sounds=bool(container.streams.audio),
        flaw=_flaw(seen, context.name, header, is_steady=fps is not None, turned=turned),
    )


def _look(container: Any, stream: Any, header: bytes) -> _Seen:
    seen, codec, latest = _Seen(), stream.codec_context.name, None
    for packet in container.demux(stream):
        if packet.is_corrupt:
            raise ProbeError("breaks off within a picture")
        if seen.picture is None:
            seen.picture = next(iter(packet.decode()), None)
        if not packet.size:
            continue
        if packet.is_discard:  # decoded, but not shown
            seen.is_cut = True
            continue
        units = list(_units(packet, codec, header))
        if not seen.times:
            seen.is_dependent = not any(kind in _ALONE.get(codec, ()) for kind, _ in units)
        seen.has_other_sets |= any(kind in _SETS.get(codec, ()) and unit not in header for kind, unit in units)
        seen.is_timeless |= packet.pts is None
        step = (packet.duration or 0) * packet.time_base
        time = packet.pts * packet.time_base if packet.pts is not None else len(seen.times) * step
        if latest is None or time > latest:
            latest, seen.last = time, step
        seen.times.append(time)
    return seen


def _units(packet: Any, codec: str, header: bytes) -> Iterator[tuple[int, bytes]]:
    """Each NAL unit's type, with its bytes where it is a set of parameters; none where they are stored in another way."""
    least, place = _HEADER.get(codec, (0, 0))
    if not least or len(header) < least or header[0] != 1:
        return
    wide, data, at = (header[place] & 3) + 1, memoryview(packet), 0
    while at + wide < len(data):
        length = int.from_bytes(data[at : at + wide], "big")
        at += wide
        kind = data[at] & 31 if codec == "h264" else data[at] >> 1 & 63
        yield kind, bytes(data[at : at + length]) if kind in _SETS[codec] else b""
        at += length


def _is_steady(shown: list[Fraction], last: Fraction, rate: Fraction) -> bool:
    """Whether each picture stands on its place of the grid, and the last one is no longer than the others."""
    places = ((time - shown[0]) * rate for time in shown)
    return last * rate < SQUARE * 3 / 2 and all(abs(place - at) < _ON_GRID for at, place in enumerate(places))


def _flaw(seen: _Seen, codec: str, header: bytes, *, is_steady: bool, turned: int) -> str | None:
    if codec not in _HEADER:
        return codec
    if not is_steady or seen.is_timeless or len(set(seen.times)) < len(seen.times):
        return "no steady frame rate"
    if seen.is_cut:
        return "cut by an edit list"
    if seen.is_dependent or seen.times[0] != min(seen.times):
        return "its first picture does not stand alone"
    if seen.has_other_sets or not header:
        return "other parameters among its pictures"
    return "to be turned when shown" if turned else None
