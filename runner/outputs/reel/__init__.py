"""A family: the film as it stands → one MP4 file of it, copied where it can be, a card where a render is missing."""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from runner import folder
from runner.cut import Clip
from runner.errors import UsageError
from runner.outputs.reel import footage, pictures, place, sounds, timeline
from runner.outputs.reel.slates import Slates, note
from runner.outputs.reel.timeline import Look, Part, Source
from runner.probe import ProbeError
from runner.shots import Manifest

__all__ = ["Made", "Wish", "write"]

Told = Callable[[str, int, int], None]  # what is being done, how far it is, how far it goes


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """How the reel is to be; None is what most of the clips are."""

    size: tuple[int, int] | None = None
    fps: Fraction | None = None
    cards: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """`data` is the object of `reel --json`; `cards` and `why` are lines for people, `errors` pairs of take and fact."""

    data: dict[str, Any]
    cards: tuple[str, ...]
    why: tuple[str, ...]
    errors: tuple[tuple[str, str], ...]


def write(manifest: Manifest, clips: Sequence[Clip], target: Path, wish: Wish, told: Told) -> Made:
    """Write the reel to `target`. A broken take becomes a card and is told in `errors`; raises UsageError and Refused."""
    place.check(target)
    sources = [_source(manifest.folder, clip, told, at, len(clips)) for at, clip in enumerate(clips)]
    errors = [(str(source.clip.take), source.note) for source in sources if source.is_broken]
    shown = [source for source in sources if source.footage or wish.cards]
    if not shown:
        raise UsageError("no shot has a render that is here", hint="render them with `callsheet run`, or leave out --no-cards")
    look = timeline.look(shown, wish.size, wish.fps)
    parts = timeline.parts(shown, look.fps)
    with tempfile.TemporaryDirectory(prefix="callsheet-reel-") as aside, place.beside(target) as part:
        film = _Film(parts, look, Slates(look, Path(aside)), told)
        why = film.obstacles()
        film.write(part, manifest.title or manifest.name, is_copied=not why)
    errors += [(str(at.source.clip.take), fact) for at, fact in film.damages]
    return Made(
        data={
            "path": target.as_posix(),
            "seconds": _seconds(film.frames, look),
            "width": look.width,
            "height": look.height,
            "fps": round(float(look.fps), 3),
            "clips": [_told(one, look, is_copied=not why) for one in parts],
            "remuxed": not why,
            "reasons": [{"shot": shot, "reason": reason} for shot, reason in why],
            "errors": [{"take": take, "message": fact} for take, fact in errors],
            "bytes": target.stat().st_size,
            "sha256": folder.sha256(target),
        },
        cards=tuple(f"{one.source.clip.shot.id}: {one.source.note}" for one in parts if one.source.footage is None),
        why=tuple(timeline.reasons(why)),
        errors=tuple(errors),
    )


def _seconds(frames: int, look: Look) -> float:
    return round(float(frames / look.fps), 6)


def _told(part: Part, look: Look, *, is_copied: bool) -> dict[str, Any]:
    source = part.source
    how = "card" if source.footage is None else "copied" if is_copied else "re-encoded"
    told = {"shot": source.clip.shot.id, "take": source.clip.take if source.footage else None}
    return {**told, "start": _seconds(part.start, look), "seconds": _seconds(part.frames, look), "how": how}


def _source(root: Path, clip: Clip, told: Told, at: int, count: int) -> Source:
    """The clip's file, if it is what was rendered and can be read."""
    told("reading the takes", at, count)
    render = clip.entry.render if clip.entry else None
    if render is None:
        return Source(clip=clip, note=note(clip))
    path = root / str(render["path"])
    if not path.exists():
        return Source(clip=clip, note=f"{clip.take} is rendered, but its file is not here")
    try:
        broken = _changed(path, render)
        if not broken:
            return Source(clip=clip, footage=footage.read(path))
    except (ProbeError, OSError) as error:
        broken = getattr(error, "fact", None) or f"cannot be read: {error}"
    return Source(clip=clip, note=f"{render['path']}: {broken}", is_broken=True)


def _changed(path: Path, render: Mapping[str, Any]) -> str | None:
    """In what the file differs from the one that was rendered, checked to decode and saved."""
    size = path.stat().st_size
    if size != render["bytes"]:
        return f"has {size:,} bytes, the render had {render['bytes']:,}"
    return None if folder.sha256(path) == render["sha256"] else "is not the render any more: its content has changed"


class _Film:
    """The parts as they go into a file."""

    def __init__(self, parts: Sequence[Part], look: Look, slates: Slates, told: Told) -> None:
        self.parts, self.look, self.slates, self.told = parts, look, slates, told
        self.frames = parts[-1].start + parts[-1].frames
        self.damages: list[tuple[Part, str]] = []
        self.sample: footage.Footage | None = None

    def obstacles(self) -> list[tuple[str, str]]:
        """What keeps the pictures from being copied."""
        sources = [part.source for part in self.parts]
        carded = next((source for source in sources if source.footage is None), None)
        self.sample = self.slates.sample(carded.clip) if carded else None
        return timeline.obstacles(sources, self.look, self.sample)

    def write(self, path: Path, title: str, *, is_copied: bool) -> None:
        # Bit-exact: equal takes give equal bytes. A tick of the track is a whole part of a frame: no time is rounded.
        options = {"movflags": "+faststart", "fflags": "+bitexact", "video_track_timescale": str(_clock(self.look.fps))}
        with av.open(str(path), "w", format="mp4", options=options) as container:
            container.metadata.update(title=title, comment=place.MARK)
            streams = self._copied(container) if is_copied else self._encoded(container)
            # Lazily, packet by packet: never more in memory than the two sources have in hand.
            self._mux(container, heapq.merge(*streams, key=lambda packet: packet.dts * packet.time_base))

    def _copied(self, container: Any) -> list[Iterator[Any]]:
        clips = (part.source.footage for part in self.parts)
        found = [one for one in (*clips, self.sample) if one]
        delay = max(one.delay for one in found)
        with footage.opened(found[0].path) as first:
            stream = _like(container, first.streams.video[0])
        return [pictures.copied(self.parts, self.look, stream, self.slates, delay), *self._sound(container)]

    def _encoded(self, container: Any) -> list[Iterator[Any]]:
        stream = pictures.prepared(container, self.look)
        return [pictures.encoded(self.parts, self.look, stream, self.slates, self._damaged), *self._sound(container)]

    def _sound(self, container: Any) -> list[Iterator[Any]]:
        if not any(part.source.footage and part.source.footage.sounds for part in self.parts):
            return []
        return [sounds.encoded(self.parts, self.look.fps, sounds.prepared(container), self._damaged)]

    def _damaged(self, part: Part, fact: str) -> None:
        self.damages.append((part, fact))

    def _mux(self, container: Any, packets: Iterable[Any]) -> None:
        done = 0
        for packet in packets:
            done += packet.stream.type == "video"
            self.told("writing the reel", done, self.frames)
            container.mux(packet)


def _clock(fps: Fraction) -> int:
    """Ticks a second, as FFmpeg chooses them: a frame is a whole number of them, and there are 10,000 at least."""
    return fps.numerator if fps.numerator >= 10_000 else fps.numerator * 512


def _like(container: Any, template: Any) -> Any:
    """A stream for packets of the template's kind."""
    if hasattr(container, "add_stream_from_template"):
        return container.add_stream_from_template(template, opaque=True)
    return container.add_stream(template=template)  # PyAV 13
