"""Pictures as the encoder wants them, a plane of light and two of colour at half size, moved and laid over each other there.

Frames are made on these planes and not in RGB because that halves the work, and it needs nothing but Pillow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from runner.studio.card import Colour

Box = tuple[float, float, float, float]
Rect = tuple[int, int, int, int]  # even numbers, so that the planes of half the size agree with it

FINER = 3  # times as many pixels in a row and in a column, where a picture is to be moved over

# ITU-R BT.709 in the limited range (16-235): what players assume of H.264.
BT709 = (
    *(0.1826, 0.6142, 0.0620, 16.0),
    *(-0.1006, -0.3386, 0.4392, 128.0),
    *(0.4392, -0.3989, -0.0403, 128.0),
)


@dataclass(frozen=True, slots=True)
class Planes:
    """A picture without alpha; the planes are changed in place by `lay` and `fill`."""

    y: Image.Image
    u: Image.Image
    v: Image.Image

    @classmethod
    def of(cls, picture: Image.Image) -> Planes:
        """Of an RGB picture with even sides; alpha is ignored."""
        y, u, v = picture.convert("RGB").convert("RGB", BT709).split()
        return cls(y, u.reduce(2), v.reduce(2))

    def copy(self) -> Planes:
        return Planes(self.y.copy(), self.u.copy(), self.v.copy())

    def blend(self, other: Planes, share: float) -> Planes:
        return Planes(
            Image.blend(self.y, other.y, share),
            Image.blend(self.u, other.u, share),
            Image.blend(self.v, other.v, share),
        )

    def lay(self, layer: Layer, at: tuple[int, int]) -> None:
        x, y = at
        self.y.paste(layer.planes.y, (x, y), layer.mask)
        self.u.paste(layer.planes.u, (x // 2, y // 2), layer.half)
        self.v.paste(layer.planes.v, (x // 2, y // 2), layer.half)

    def fill(self, colour: Colour, rect: Rect) -> None:
        y, u, v = Image.new("RGB", (1, 1), colour).convert("RGB", BT709).getpixel((0, 0))  # type: ignore[misc]
        self.y.paste(y, rect)
        self.u.paste(u, halved(rect))
        self.v.paste(v, halved(rect))


@dataclass(frozen=True, slots=True)
class Enlarged:
    """A picture made finer once, so that a view of it only has to pick pixels: half of what resampling each would cost."""

    planes: Planes

    @classmethod
    def of(cls, picture: Image.Image) -> Enlarged:
        """Of an RGB picture with even sides; alpha is ignored."""
        once = Planes.of(picture)
        return cls(Planes(finer(once.y), finer(once.u), finer(once.v)))

    def view(self, box: Box, size: tuple[int, int]) -> Planes:
        """The part within `box`, in pixels of the picture but not necessarily on them, brought to `size`."""
        half = (size[0] // 2, size[1] // 2)
        small = (box[0] / 2, box[1] / 2, box[2] / 2, box[3] / 2)
        return Planes(picked(self.planes.y, box, size), picked(self.planes.u, small, half), picked(self.planes.v, small, half))


def finer(plane: Image.Image) -> Image.Image:
    return plane.resize((plane.width * FINER, plane.height * FINER), Image.Resampling.BICUBIC)


def picked(fine: Image.Image, box: Box, size: tuple[int, int]) -> Image.Image:
    """The part of a plane before it was made finer, at `size`, each pixel within a twelfth of one of where it belongs.

    That is the mean of two choices of fine pixels, half a fine one apart: with one choice, edges shimmer as they move.
    """
    one, other = (
        fine.resize(size, Image.Resampling.NEAREST, inside(fine, [FINER * side + shift for side in box]))
        for shift in (-0.25, 0.25)
    )
    return Image.blend(one, other, 0.5)


def inside(plane: Image.Image, box: list[float]) -> Box:
    left, top, right, bottom = box
    return max(0.0, left), max(0.0, top), min(float(plane.width), right), min(float(plane.height), bottom)


@dataclass(frozen=True, slots=True)
class Layer:
    """Something to lay over a picture; without masks it covers what is below."""

    planes: Planes
    mask: Image.Image | None = None
    half: Image.Image | None = None

    @classmethod
    def of(cls, picture: Image.Image) -> Layer:
        """Of an RGB or RGBA picture with even sides."""
        if picture.mode != "RGBA":
            return cls(Planes.of(picture))
        mask = picture.getchannel("A")
        return cls(Planes.of(picture), mask, mask.reduce(2))

    def put(self, layer: Layer, at: tuple[int, int]) -> None:
        """Replace the part that `layer` covers, colour and mask alike."""
        x, y = at
        self.planes.lay(Layer(layer.planes), at)
        if self.mask and self.half and layer.mask and layer.half:
            self.mask.paste(layer.mask, (x, y))
            self.half.paste(layer.half, (x // 2, y // 2))

    def fill(self, colour: Colour, rect: Rect) -> None:
        self.planes.fill(colour, rect)
        if self.mask and self.half:
            self.mask.paste(255, rect)
            self.half.paste(255, halved(rect))

    def faded(self, share: float) -> Layer:
        """The same, with only `share` of its strength."""
        if self.mask is None or self.half is None:
            return self
        table = [round(value * share) for value in range(256)]
        return Layer(self.planes, self.mask.point(table), self.half.point(table))


def halved(rect: Rect) -> Rect:
    return (rect[0] // 2, rect[1] // 2, rect[2] // 2, rect[3] // 2)
