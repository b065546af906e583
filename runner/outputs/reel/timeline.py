"""Clips and what their files are → the reel's shape and rate, what stands where to the frame, and whether it can be copied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

from runner.cut import Clip
from runner.outputs.reel.footage import SQUARE, Footage

UNKNOWN = 3.0  # seconds of a card whose shot's length its model decides
_Value = TypeVar("_Value")
LEAST = 64  # pixels a side, below which no card can be drawn
_DEFAULT = (1280, 720)
_SHORTENED = Fraction(1, 100)  # frames a second


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A clip and its file, or where there is none, what its card says; `is_broken`: there should have been one."""

    clip: Clip
    footage: Footage | None = None
    note: str = ""
    is_broken: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What the whole reel is: `fps` is exact, also 30000/1001."""

    width: int
    height: int
    fps: Fraction


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A source at its place: from frame `start`, `frames` long."""

    source: Source
    start: int
    frames: int


def look(sources: Sequence[Source], size: tuple[int, int] | None, fps: Fraction | None) -> Look:
    """As asked; where nothing is said, the size and the rate that most seconds of the clips have."""
    found = [source.footage for source in sources if source.footage]
    width, height = size or _most([(one.shape, one.seconds) for one in found]) or _drawn(sources)
    steady = [(one.fps, one.seconds) for one in found if one.fps]
    rate = fps or _most(steady) or _most([(_steadied(one.rate), one.seconds) for one in found]) or Fraction(24)
    return Look(width=max(width, LEAST), height=max(height, LEAST), fps=rate)


def meant(rate: Fraction) -> Fraction:
    """What is meant by a rate that was shortened or measured: 29.97 is 30000/1001, 24.003 is 24."""
    whole = Fraction(max(1, round(rate)))
    near = min((whole, whole * 1000 / 1001), key=lambda one: abs(one - rate))
    return near if abs(near - rate) < _SHORTENED else rate


def _steadied(rate: Fraction) -> Fraction:
    """A rate to keep for pictures that come as they like: a common one."""
    near = meant(rate)
    return near if near.denominator in {1, 1001} else Fraction(max(1, round(rate)))


def parts(sources: Sequence[Source], fps: Fraction) -> tuple[Part, ...]:
    """One after another; every seam is where the exact sum of seconds says, to the frame, so that nothing drifts."""
    placed, end, at = [], Fraction(0), 0
    for source in sources:
        end += source.footage.seconds if source.footage else Fraction(source.clip.seconds or UNKNOWN)
        frames = max(1, round(end * fps) - at)
        placed.append(Part(source=source, start=at, frames=frames))
        at += frames
        if source.footage is None:
            end = at / fps  # a card ends where its last frame does, and moves nothing behind it off the grid
    return tuple(placed)


def obstacles(sources: Sequence[Source], look: Look, sample: Footage | None) -> list[tuple[str, str]]:
    """Shot and reason of everything that keeps the packets from being copied; `sample` is what a card is."""
    files = [(source.clip.shot.id, source.footage) for source in sources if source.footage]
    reference = _reference([footage for _, footage in files] or ([sample] if sample else []), look)
    found = [(shot, why) for shot, footage in files if (why := _obstacle(footage, look, reference))]
    if sample and (reference is None or _obstacle(sample, look, reference)):
        found += [(source.clip.shot.id, "a card") for source in sources if source.footage is None]
    return found


def _most(weighed: Sequence[tuple[_Value, Fraction]]) -> _Value | None:
    """The value with the greatest sum; the earlier one of equals."""
    sums: dict[_Value, Fraction] = {}
    for value, weight in weighed:
        sums[value] = sums.get(value, Fraction(0)) + weight
    return max(sums, key=lambda value: sums[value]) if sums else None


def _drawn(sources: Sequence[Source]) -> tuple[int, int]:
    """The size that the studio would give the first shot; for a reel of nothing but cards."""
    from runner.studio.families import family_of
    from runner.studio.shape import shape_of

    for source in sources:
        shot = source.clip.shot
        first = next((one.probe for one in shot.media if one.role == "first_frame" and one.probe), None)
        picture = (first.width, first.height) if first and first.width and first.height else None
        if family := family_of(shot.model.id):
            shape = shape_of(family, shot.wired, picture)
            return shape.width, shape.height
    return _DEFAULT


def _key(footage: Footage) -> tuple[object, ...]:
    return (footage.codec, footage.pixels, footage.header)


def _reference(files: Sequence[Footage], look: Look) -> Footage | None:
    """What most seconds of those have that could be copied at all."""
    fitting = [one for one in files if _misfit(one, look) is None]
    key = _most([(_key(one), one.seconds) for one in fitting])
    return next((one for one in fitting if _key(one) == key), None)


def _misfit(footage: Footage, look: Look) -> str | None:
    if (footage.width, footage.height) != (look.width, look.height):
        return f"{footage.width}x{footage.height}, the reel {look.width}x{look.height}"
    if footage.square != SQUARE:
        return "pixels that are not square"
    if footage.fps is not None and footage.fps != look.fps:
        return f"{float(footage.fps):.5g} frames a second, the reel {float(look.fps):.5g}"
    return footage.flaw


def _obstacle(footage: Footage, look: Look, reference: Footage | None) -> str | None:
    if why := _misfit(footage, look):
        return why
    if reference is None or _key(footage) == _key(reference):
        return None
    if footage.codec != reference.codec:
        return f"{footage.codec}, the others {reference.codec}"
    return "encoded in another way than the others"


def reasons(found: Sequence[tuple[str, str]], most: int = 3) -> Iterator[str]:
    """A line for each reason, with the shots that have it."""
    grouped: dict[str, list[str]] = {}
    for shot, why in found:
        grouped.setdefault(why, []).append(shot)
    for why, shots in grouped.items():
        more = f" (and {len(shots) - most} more)" if len(shots) > most else ""
        yield f"{', '.join(shots[:most])}{more}: {why}"
