"""Parameters and a first picture → width, height and seconds of a render, as the service would choose them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.studio.families import Family

# What wan2.7 makes of resolution and ratio (its reference page); 480P from the `size` list.
_EXACT: dict[int, dict[str, tuple[int, int]]] = {
    480: {"16:9": (832, 480), "9:16": (480, 832), "1:1": (624, 624)},
    720: {"16:9": (1280, 720), "9:16": (720, 1280), "1:1": (960, 960), "4:3": (1104, 832), "3:4": (832, 1104)},
    1080: {"16:9": (1920, 1080), "9:16": (1080, 1920), "1:1": (1440, 1440), "4:3": (1648, 1248), "3:4": (1248, 1648)},
}
_AREA = {480: 832 * 480, 720: 1280 * 720, 1080: 1920 * 1080}
_GRID = 16  # sides are multiples of it wherever no table says otherwise
_CLOSE = 0.01  # a picture whose ratio is this near to a table's is meant to have it


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """`tier` is 480, 720 or 1080; `ratio` the one asked for, or the nearest written one."""

    width: int
    height: int
    tier: int
    ratio: str
    seconds: float


def shape_of(family: Family, parameters: Mapping[str, Any], picture: tuple[int, int] | None) -> Shape:
    """`picture` is the size of the first frame, where there is one; parameters are taken as already checked."""
    seconds = _seconds(parameters)
    size = re.fullmatch(r"(\d{1,5})\*(\d{1,5})", str(parameters.get("size", "")))
    if size and (family.sizes or not family.tiers):
        width, height = _even(int(size[1])), _even(int(size[2]))
        tier = min(_AREA, key=lambda tier: abs(_AREA[tier] - width * height))
        return Shape(width=width, height=height, tier=tier, ratio=_named(width / height), seconds=seconds)
    tier = _tier(family, parameters)
    asked = str(parameters.get("ratio") or "")
    if picture and (family.follows_picture or asked in {"", "adaptive"}):
        asked, wide = _named(picture[0] / picture[1]), picture[0] / picture[1]
    else:
        asked = asked if re.fullmatch(r"[1-9]\d?:[1-9]\d?", asked) else "16:9"
        wide = _wide(asked)
    width, height = _sides(tier, wide)
    return Shape(width=width, height=height, tier=tier, ratio=asked, seconds=seconds)


def _seconds(parameters: Mapping[str, Any]) -> int:
    asked = parameters.get("duration", 5)
    # -1 and 0 leave the length to the service.
    return asked if isinstance(asked, int) and 0 < asked <= 60 else 5


def _tier(family: Family, parameters: Mapping[str, Any]) -> int:
    asked = str(parameters.get("resolution") or "").removesuffix("P")
    return int(asked) if asked in {"480", "720", "1080"} else family.tier


def _sides(tier: int, wide: float) -> tuple[int, int]:
    for name, sides in _EXACT[tier].items():
        if abs(_wide(name) / wide - 1) < _CLOSE:
            return sides
    wide = min(max(wide, 1 / 8), 8.0)  # no service takes slimmer pictures
    return _on_grid(math.sqrt(_AREA[tier] * wide)), _on_grid(math.sqrt(_AREA[tier] / wide))


def _named(wide: float) -> str:
    return min(("21:9", "16:9", "4:3", "1:1", "3:4", "9:16", "9:21"), key=lambda name: abs(math.log(_wide(name) / wide)))


def _wide(ratio: str) -> float:
    across, down = ratio.split(":")
    return int(across) / int(down)


def _on_grid(side: float) -> int:
    return max(_GRID, round(side / _GRID) * _GRID)


def _even(side: int) -> int:
    return min(max(side - side % 2, 64), 4096)
