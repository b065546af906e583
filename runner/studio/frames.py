"""A card → its frames one after another: a slate whose clock runs, or a slow move over a picture that may end in another."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageOps

from runner.errors import TakeError
from runner.studio.card import timecode
from runner.studio.look import slate, strip
from runner.studio.planes import Enlarged, Layer, Planes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runner.studio.card import Card
    from runner.studio.look import Still
    from runner.studio.planes import Rect

ZOOM = 0.10  # so much closer at the end than at the beginning
DISSOLVE = 1.2  # seconds at most, and at most half of the take
# A strip goes before the take ends, so that a shot that goes on from the last frame has the picture without these words.
FADE = 0.4  # seconds at most, and at most a quarter of the take
# Where a move ends up: the share of the spare room on the left and above.
TOWARDS = ((0.5, 0.5), (0.15, 0.35), (0.85, 0.35), (0.2, 0.75), (0.8, 0.75), (0.5, 0.2))


@dataclass(slots=True)
class Overlay:
    """A still as planes, whose clock and bar are brought up to date cell by cell."""

    still: Still
    layer: Layer
    shown: str = ""
    known: dict[tuple[str, Rect], Layer] = field(default_factory=dict)

    @classmethod
    def of(cls, still: Still) -> Overlay:
        return cls(still, Layer.of(still.picture))

    def turn(self, words: str, share: float) -> None:
        """Show this timecode, and the bar filled to `share`."""
        for place, (char, rect) in enumerate(self.still.clock.cells(words)):
            if self.shown[place : place + 1] != char:
                self.layer.put(self.cell(char, rect), rect[:2])
        self.shown = words
        left, top, right, bottom = self.still.bar
        self.layer.fill(self.still.colour, (left, top, left + max(2, round((right - left) * share / 2) * 2), bottom))

    def cell(self, char: str, rect: Rect) -> Layer:
        if (char, rect) not in self.known:
            patch = self.still.picture.crop(rect)
            whole = Image.new("RGBA", self.still.picture.size, (0, 0, 0, 0))
            self.still.clock.draw(ImageDraw.Draw(whole), char, rect)
            drawn = Image.alpha_composite(patch.convert("RGBA"), whole.crop(rect))
            self.known[char, rect] = Layer.of(drawn.convert(self.still.picture.mode))
        return self.known[char, rect]


def frames(card: Card) -> Iterator[Planes]:
    """Each frame, in order; raises TakeError where a picture cannot be read."""
    ending = Planes.of(cover(card.last_frame, (card.width, card.height))) if card.last_frame else None
    moving = move(card) if card.first_frame else None
    overlay = Overlay.of(strip(card) if moving else slate(card))
    long = min(round(DISSOLVE * card.fps), card.frames // 2) if ending else min(round(FADE * card.fps), card.frames // 4)
    for at in range(card.frames):
        overlay.turn(timecode(at, card.fps), (at + 1) / card.frames)
        left = card.frames - 1 - at
        gone = eased(1 - left / (long + 1)) if left <= long else 0.0
        frame = next(moving) if moving else overlay.layer.planes
        if ending and gone:
            frame = frame.blend(ending, gone) if left else ending.copy()
        if moving and gone < 1:
            frame.lay(overlay.layer.faded(1 - gone) if gone else overlay.layer, overlay.still.at)
        yield frame


def move(card: Card) -> Iterator[Planes]:
    """A gentle way into the first frame, from the whole of it to a part that the card decides."""
    assert card.first_frame is not None  # noqa: S101 - asked by the caller
    size = (card.width, card.height)
    # Larger than the frame by the zoom, so that the closest view is still sharp.
    wide, high = (math.ceil(side * (1 + ZOOM) / 2) * 2 for side in size)
    source = Enlarged.of(cover(card.first_frame, (wide, high)))
    towards = TOWARDS[card.chance % len(TOWARDS)]
    for at in range(card.frames):
        closer = 1 + ZOOM * eased(at / max(1, card.frames - 1))
        across, down = wide / closer, high / closer
        x, y = (wide - across) * towards[0], (high - down) * towards[1]
        yield source.view((x, y, x + across, y + down), size)


def eased(share: float) -> float:
    return share * share * (3 - 2 * share)


def cover(path: Path, size: tuple[int, int]) -> Image.Image:
    """The picture, turned as its EXIF data says, filling `size` from its middle; transparent parts are black."""
    try:
        with Image.open(path) as opened:
            turned = ImageOps.exif_transpose(opened)
            if turned.has_transparency_data:
                turned = Image.alpha_composite(Image.new("RGBA", turned.size, (0, 0, 0, 255)), turned.convert("RGBA"))
            return ImageOps.fit(turned.convert("RGB"), size, Image.Resampling.LANCZOS)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as why:
        raise TakeError(f"{path.name} is not a picture that can be read", code="InvalidFile") from why
