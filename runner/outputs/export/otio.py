"""A film → OpenTimelineIO: one video track, one of sound, the takes as they lie on disk.

A shot without a render is a clip with a MissingReference and its planned seconds, not a gap: an editor sees it by name,
its place in the film is kept, and once it is rendered the next export has it at the same spot. A scene is a marker over
its shots and no nested stack, which editors would bring in as a clip of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

from runner.errors import UsageError
from runner.outputs.export.film import Film, Format, Made, Piece
from runner.outputs.export.timing import base_of

_START = 3600  # seconds of timecode at which a film begins by custom
_SUB_DELIMS = "/@!$&'()*+,;="  # what a path in a URL may have as it is (RFC 3986, 3.3), less the colon


def make(film: Film, base: Path) -> Made:
    """The timeline as `.otio` JSON; media by URLs relative to `base`."""
    try:
        import opentimelineio as otio  # type: ignore[import-untyped]  # an extra; it says no types
    except ModuleNotFoundError as error:
        raise UsageError(
            "otio needs the library OpenTimelineIO, which is not installed", hint="pip install 'callsheet[otio]'"
        ) from error
    rate = film.rate
    about: dict[str, Any] = {"manifest": film.manifest.name, "shots": len(film.pieces)}
    timeline = otio.schema.Timeline(name=film.title, metadata={"callsheet": about})
    timeline.global_start_time = _time(otio, _START * base_of(rate), rate)
    pictures = otio.schema.Track(name="V1", kind=otio.schema.TrackKind.Video)
    timeline.tracks.append(pictures)
    pictures.extend(_clip(otio, film, piece, base) for piece in film.pieces)
    if any(piece.has_sound for piece in film.pieces):
        sounds = otio.schema.Track(name="A1", kind=otio.schema.TrackKind.Audio)
        timeline.tracks.append(sounds)
        sounds.extend(
            _clip(otio, film, piece, base) if piece.has_sound else otio.schema.Gap(source_range=_span(otio, film, piece))
            for piece in film.pieces
        )
    timeline.tracks.markers.extend(_markers(otio, film))
    return Made(data=otio.adapters.write_to_string(timeline, "otio_json").encode() + b"\n")


def is_ours(data: bytes) -> bool:
    try:
        said = json.loads(data)
    except ValueError:
        return False
    return isinstance(said, dict) and "callsheet" in (said.get("metadata") or {})


FORMAT = Format(name="otio", ending="otio", of_shots=True, to_stdout=False, make=make, is_ours=is_ours)


def _clip(otio: Any, film: Film, piece: Piece, base: Path) -> Any:
    span = _span(otio, film, piece)
    if piece.render:
        media = otio.schema.ExternalReference(target_url=_url(film, piece, base), available_range=span)
        media.name = str(piece.render["path"]).rpartition("/")[2]
    else:
        media = otio.schema.MissingReference()
    return otio.schema.Clip(
        name=piece.shot.id, media_reference=media, source_range=span, metadata={"callsheet": dict(_about(piece))}
    )


def _span(otio: Any, film: Film, piece: Piece) -> Any:
    """A render whole, at its own rate; what is missing at the sequence's."""
    rate = piece.length.rate or film.rate
    return otio.opentime.TimeRange(_time(otio, 0, rate), _time(otio, piece.length.frames_at(rate), rate))


def _time(otio: Any, frames: int, rate: Fraction) -> Any:
    return otio.opentime.RationalTime(frames, float(rate))


def _about(piece: Piece) -> Iterable[tuple[str, Any]]:
    """What a clip was made from; nothing is said of what is not known."""
    entry, shot = piece.clip.entry, piece.shot
    request: Mapping[str, Any] = entry.request if entry else shot.request()
    told = {
        "shot": shot.id,
        "scene": shot.scene,
        "take": piece.clip.take,
        "prompt": request.get("prompt"),
        "negative_prompt": request.get("negative_prompt"),
        "seed": entry.seed if entry else shot.seed,
        "model": entry.model if entry else shot.model_name,
        "provider": entry.provider if entry else shot.provider,
        "parameters": dict(request.get("parameters", {})),
        "sha256": piece.render.get("sha256"),
        "not_here": True if piece.is_elsewhere else None,
    }
    return [(name, value) for name, value in told.items() if value not in (None, {})]


def _markers(otio: Any, film: Film) -> Iterable[Any]:
    """A marker over each run of shots of one scene."""
    start = Fraction(0)
    for scene, group in groupby(film.pieces, key=lambda piece: piece.shot.scene):
        seconds = sum((_seconds(film, piece) for piece in group), Fraction(0))
        if scene:
            first, last = round(start * film.rate), round((start + seconds) * film.rate)
            span = otio.opentime.TimeRange(_time(otio, first, film.rate), _time(otio, last - first, film.rate))
            yield otio.schema.Marker(name=scene, marked_range=span, metadata={"callsheet": {"scene": scene}})
        start += seconds


def _seconds(film: Film, piece: Piece) -> Fraction:
    """As long as the clip is in the timeline, where a missing one counts whole pictures of the sequence."""
    return piece.length.seconds if piece.length.rate else piece.length.frames_at(film.rate) / film.rate


def _url(film: Film, piece: Piece, base: Path) -> str:
    """The render as a URL relative to `base`, percent-encoded; an absolute one where no relative path leads there."""
    path = film.path(str(piece.render["path"]), base)
    return Path(path).as_uri() if Path(path).is_absolute() else quote(path, safe=_SUB_DELIMS)
