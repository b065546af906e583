"""One take as an animatic shows it: the words, the shape and what it starts from; no pictures are touched here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    from pathlib import Path

Colour = tuple[int, int, int]

# Ordered so that a colour and the next ones look nothing alike: neighbouring shots differ by small numbers.
ACCENTS: tuple[Colour, ...] = (
    (242, 166, 60),  # amber
    (92, 186, 232),  # sky
    (232, 108, 92),  # coral
    (126, 200, 124),  # leaf
    (180, 142, 236),  # violet
    (236, 210, 92),  # straw
    (72, 196, 180),  # teal
    (238, 128, 172),  # rose
    (126, 150, 246),  # cornflower
    (190, 206, 88),  # lime
    (226, 140, 78),  # copper
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """What is rendered: `width` and `height` in pixels (even), `seconds` may be a fraction; `take` is `ID@N`, or empty.

    `sounds`: there is a sound track, silent where no `audio` is given.
    """

    take: str
    model: str
    prompt: str
    seed: int | None
    width: int
    height: int
    seconds: float
    fps: int = 24
    first_frame: Path | None = None
    last_frame: Path | None = None
    audio: Path | None = None
    sounds: bool = False

    @property
    def frames(self) -> int:
        return max(1, round(self.seconds * self.fps))

    @property
    def shot(self) -> str:
        return self.take.rpartition("@")[0] or self.take

    @property
    def number(self) -> str:
        """The take's number as words, empty where the take has none."""
        shot, mark, number = self.take.rpartition("@")
        return number if mark and shot else ""

    @property
    def chance(self) -> int:
        """A number that stands for this shot, the same on every machine."""
        return crc32((self.shot or self.prompt).encode())

    @property
    def accent(self) -> Colour:
        """The shot's colour; s010, s020 and s030 get neighbouring places in the list, and so never the same one."""
        numbers = [int(digits.rstrip("0") or "0") for digits in re.findall(r"[0-9]+", self.shot)]
        words = crc32(re.sub(r"[0-9]+", "", self.shot or self.prompt).encode())
        return ACCENTS[(words + sum(numbers)) % len(ACCENTS)]


def timecode(frame: int, fps: int) -> str:
    """HH:MM:SS:FF of a frame counted from 0."""
    seconds, frames = divmod(frame, fps)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}:{frames:02}"
