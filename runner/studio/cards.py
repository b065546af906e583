"""A task → the card that is rendered for it, and the usage that it is billed with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from runner.errors import TakeError
from runner.studio.card import Card
from runner.studio.families import Family
from runner.studio.replies import usage
from runner.studio.shape import shape_of
from runner.studio.store import Bill

_FIELDS = {
    "img_url": "first_frame",
    "first_frame_url": "first_frame",
    "image_url": "first_frame",
    "last_frame_url": "last_frame",
    "audio_url": "driving_audio",
    "video_url": "video",
    "reference_urls": "reference",
    "reference_video_urls": "reference",
    "ref_images_url": "reference",
}
_SHOWN = {"first_frame", "last_frame", "driving_audio", "video"}
_TURNED = {5, 6, 7, 8}  # EXIF orientations that swap width and height
_ORIENTATION = 0x0112


def card_of(bill: Bill, family: Family, find: Callable[[str], Path | None]) -> tuple[Card, dict[str, Any]]:
    """The card and the usage; `find` gives the file behind a URL, or None. Raises TakeError for a picture nobody can read."""
    given = bill.body["input"]
    parameters = bill.body.get("parameters", {})
    files: dict[str, Path] = {}
    elsewhere: list[str] = []
    for role, url in _media(given):
        path = find(url) if role in _SHOWN else None
        if path and role not in files:
            files[role] = path
        if role == "video" or files.get(role) != path or path is None:
            elsewhere.append(f"{role}: {_name(url)}")
    picture = _size(files["first_frame"]) if "first_frame" in files else None
    shape = shape_of(family, parameters, picture)
    if not (family.durations and parameters.get("duration")) and (lasts := _lasts(files, family)):
        shape = replace(shape, seconds=lasts)
    seed = parameters.get("seed")
    card = Card(
        take=bill.take,
        model=bill.model,
        prompt="\n".join([_text(given.get("prompt")), *elsewhere]).strip(),
        seed=seed if isinstance(seed, int) else None,
        width=shape.width,
        height=shape.height,
        seconds=shape.seconds,
        fps=family.fps,
        first_frame=files.get("first_frame"),
        last_frame=files.get("last_frame"),
        audio=files.get("driving_audio"),
        sounds=family.sounds and parameters.get("audio") is not False,
    )
    return card, usage(family, shape, parameters)


def _lasts(files: Mapping[str, Path], family: Family) -> float | None:
    """Seconds of the video or sound that a model without a length of its own follows; None where it is not here."""
    from runner.probe import ProbeError, probe  # brings what reads media

    path = files.get("video") or (None if family.durations else files.get("driving_audio"))
    try:
        return probe(path).seconds if path else None
    except ProbeError as error:
        raise TakeError(f"the video or sound cannot be read: {error.fact}", code="InvalidFile.Format") from error


def _media(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Role and URL of every medium of an input, in whichever of the service's ways it is written."""
    for name, role in _FIELDS.items():
        value = given.get(name)
        yield from ((role, url) for url in (value if isinstance(value, list) else [value]) if isinstance(url, str))
    media = given.get("media")
    for number, item in enumerate(media if isinstance(media, list) else []):
        if isinstance(item, dict) and isinstance(item.get("url"), str):
            yield str(item.get("type")), item["url"]
        elif isinstance(item, str):
            # Bare URLs are documented for a model that starts from a picture, and say no more than their order.
            yield "media" if number else "first_frame", item


def _name(url: str) -> str:
    """What a URL is called: its last part, without signature."""
    if url.startswith("data:"):
        return "inline picture"
    return unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2]) or url[:100]


def _text(prompt: Any) -> str:
    return prompt if isinstance(prompt, str) else ""


def _size(path: Path) -> tuple[int, int]:
    from PIL import Image  # start-up time

    try:
        with Image.open(path) as picture:
            width, height = picture.size
            turned = picture.getexif().get(_ORIENTATION) in _TURNED
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise TakeError("the first frame is not a picture that can be read", code="InvalidFile.Format") from error
    return (height, width) if turned else (width, height)
