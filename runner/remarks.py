"""What was asked for and what came → where they differ, in words; the render is kept all the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from runner.catalog import Model
from runner.shots import size_of

_AREAS = {"480P": 832 * 480, "720P": 1280 * 720, "1080P": 1920 * 1080}
_CLOSE = 0.05  # of a shape: services round sides to their grid
_SECONDS = 0.5  # services make whole frames and sound packets, not exact seconds


def remarks(model: Model, asked: Mapping[str, Any], seconds: float | None, render: Mapping[str, Any]) -> list[str]:
    """`asked` are the take's parameters as written, `seconds` what it was to last, `render` the facts of the file."""
    return [
        *_sides(model, asked, render.get("width"), render.get("height")),
        *_length(seconds, render.get("seconds")),
        *_rate(model, render.get("fps")),
        *_sound(model, asked, render.get("sound")),
    ]


def _sides(model: Model, asked: Mapping[str, Any], width: int | None, height: int | None) -> Iterator[str]:
    if not width or not height:
        return
    is_ = f"is {width}×{height}"  # noqa: RUF001 - the sign that people write
    if "size" in model.parameters:
        said = asked.get("resolution") or asked.get("ratio")
        default = model.parameters["size"].get("default")
        size = size_of(model, asked.get("resolution"), asked.get("ratio")) if said else asked.get("size", default)
        if size and size != f"{width}*{height}":
            yield f"asked for {size.replace('*', '×')}, {is_}"  # noqa: RUF001
        return
    tier = asked.get("resolution", model.parameters.get("resolution", {}).get("default"))
    nearest = min(_AREAS, key=lambda name: abs(_AREAS[name] / (width * height) - 1))
    if tier in _AREAS and nearest != tier:
        yield f"asked for {tier}, {is_}"
    ratio = str(asked.get("ratio", "")) if "ratio" in model.parameters else ""
    across, _, down = ratio.partition(":")
    if across.isdigit() and down.isdigit() and int(across) and int(down):
        off = Fraction(width, height) / Fraction(int(across), int(down))
        if abs(off - 1) > _CLOSE:
            yield f"asked for {ratio}, {is_}"


def _length(asked: float | None, seconds: float | None) -> Iterator[str]:
    if asked is not None and seconds is not None and abs(asked - seconds) > _SECONDS:
        yield f"asked for {asked:g} s, lasts {seconds:g} s"


def _rate(model: Model, fps: float | None) -> Iterator[str]:
    usual = model.about.get("fps")
    if usual and fps and abs(usual - fps) > _SECONDS:
        yield f"{model.id} makes {usual:g} frames a second, this has {fps:g}"


def _sound(model: Model, asked: Mapping[str, Any], sound: bool | None) -> Iterator[str]:
    rule = model.about.get("sound")
    wanted = {"always": True, "never": False}.get(str(rule))
    if rule == "switchable":
        wanted = asked.get("audio", model.parameters.get("audio", {}).get("default"))
    if sound is not None and wanted is not None and wanted != sound:
        yield "has no sound" if wanted else "has sound, though none was asked for"
