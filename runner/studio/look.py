"""A card → the still picture of it: a slate that fills the frame, or a strip to lay over a picture's lower third."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from runner.studio.faces import is_cjk, missing
from runner.studio.letters import LEADING, draw, fit, fit_line, width

if TYPE_CHECKING:
    from runner.studio.card import Card, Colour
    from runner.studio.planes import Rect

SLATE: Colour = (24, 27, 33)
RULE: Colour = (58, 63, 73)
CHALK: Colour = (240, 238, 232)
TEXT: Colour = (206, 207, 208)
LABEL: Colour = (136, 142, 152)
PALE: Colour = (172, 176, 184)
NIGHT: Colour = (8, 9, 12)

WIDE = 1.25  # from this ratio on there is room for everything in one row


@dataclass(frozen=True, kw_only=True, slots=True)
class Clock:
    """Where the timecode stands in a still: the left end of its baseline, and how wide a figure is."""

    left: int
    baseline: int
    size: int
    digit: int
    colon: int

    @property
    def width(self) -> int:
        return self.digit * 8 + self.colon * 3

    def cells(self, words: str) -> list[tuple[str, Rect]]:
        """Each character of a timecode and the rectangle, on even pixels, that it has to itself."""
        placed, x = [], self.left
        top, bottom = even(self.baseline - self.size), even(self.baseline + self.size // 4 + 2)
        for char in words:
            across = self.colon if char == ":" else self.digit
            placed.append((char, (x, top, x + across, bottom)))
            x += across
        return placed

    def draw(self, canvas: ImageDraw.ImageDraw, char: str, rect: Rect) -> None:
        x = (rect[0] + rect[2] - width(char, self.size)) / 2
        draw(canvas, (x, self.baseline), char, self.size, CHALK)


@dataclass(frozen=True, kw_only=True, slots=True)
class Still:
    """What does not move: the picture (RGBA where something shines through), where it lies, its clock and its bar."""

    picture: Image.Image
    at: tuple[int, int]
    clock: Clock
    bar: Rect
    colour: Colour


def even(value: float) -> int:
    return round(value / 2) * 2


def clock_of(size: int, *, right: float | None = None, left: float = 0, baseline: float) -> Clock:
    digit = even(width("0", size) * 1.08)
    clock = Clock(left=even(left), baseline=round(baseline), size=size, digit=digit, colon=even(width(":", size) * 1.5))
    if right is None:
        return clock
    return Clock(left=even(right - clock.width), baseline=clock.baseline, size=size, digit=digit, colon=clock.colon)


def words_of(card: Card) -> str:
    """The shot as a heading says it; another program's request has no shot, only a model."""
    return card.shot or card.model


def lack(text: str) -> str:
    """One line about characters that cannot be drawn, empty where all can."""
    lacking = missing(text)
    if not lacking:
        return ""
    return "some characters need a CJK font" if is_cjk(lacking) else "some characters are in no font found here"


def slate(card: Card) -> Still:
    """The whole frame as a film slate: stripes, shot and take, the prompt, then what it is made with."""
    unit, margin = min(card.width, card.height) / 100, min(card.width, card.height) * 0.06
    picture = Image.new("RGB", (card.width, card.height), SLATE)
    canvas = ImageDraw.Draw(picture)
    picture.paste(stripes((card.width, even(5 * unit)), card.accent, unit), (0, 0))
    top = heading(canvas, card, unit, 5 * unit + margin)
    bar = (0, card.height - even(max(4, unit)), card.width, card.height)
    bottom, clock = footer(canvas, card, unit, bar[1] - margin * 0.8)
    middle(canvas, card, unit, (top + 4 * unit, bottom - 3 * unit))
    canvas.rectangle((bar[0], bar[1], bar[2] - 1, bar[3] - 1), fill=RULE)
    return Still(picture=picture, at=(0, 0), clock=clock, bar=bar, colour=card.accent)


def stripes(size: tuple[int, int], accent: Colour, unit: float) -> Image.Image:
    """The clapper's diagonal bars; drawn four times as large, because Pillow draws hard edges."""
    across, down = size[0] * 4, size[1] * 4
    picture = Image.new("RGB", (across, down), NIGHT)
    canvas, step = ImageDraw.Draw(picture), 32 * unit
    for count in range(-1, int(across / step) + 2):
        x = count * step
        canvas.polygon([(x, 0), (x + step / 2, 0), (x + step / 2 - down, down), (x - down, down)], fill=accent)
    return picture.reduce(4)


def heading(canvas: ImageDraw.ImageDraw, card: Card, unit: float, top: float) -> float:
    """Shot on the left, take on the right; returns where it ends."""
    margin, largest = 6 * unit, 15 * unit
    right = card.width - margin
    baseline = top + 3 * unit + largest * 0.8
    number = fit_line(card.number, 22 * unit, largest, 4 * unit)
    wide = width(number.lines[0], number.size) if card.number else 0
    draw(canvas, (margin, top + 2 * unit), "SHOT" if card.take else "MODEL", small(unit), LABEL)
    room = right - margin - (max(wide, 8 * unit) + 5 * unit if card.number else 0)
    name = fit_line(words_of(card), room, largest, 4 * unit)
    draw(canvas, (margin, baseline), name.lines[0], name.size, CHALK, weight=round(name.size / 60))
    if card.number:
        draw(canvas, (right - width("TAKE", small(unit)), top + 2 * unit), "TAKE", small(unit), LABEL)
        draw(canvas, (right - wide, baseline), number.lines[0], number.size, card.accent, weight=round(number.size / 60))
    return rule(canvas, card, unit, baseline + 5 * unit)


def rule(canvas: ImageDraw.ImageDraw, card: Card, unit: float, y: float) -> float:
    thick = max(2, even(unit * 0.25))
    canvas.rectangle((6 * unit, even(y), card.width - 6 * unit, even(y) + thick - 1), fill=RULE)
    return y + thick


def small(unit: float) -> int:
    return max(9, round(2.6 * unit))


def footer(canvas: ImageDraw.ImageDraw, card: Card, unit: float, bottom: float) -> tuple[float, Clock]:
    """What the take is made with, and the clock: in one row where the frame is wide, else in two; returns where it begins."""
    margin = 6 * unit
    if card.width >= WIDE * card.height:
        clock = clock_of(round(6.4 * unit), right=card.width - margin, baseline=bottom)
        cells(canvas, card, unit, (margin, bottom, clock.left - 4 * unit))
        top = bottom - 12 * unit
    else:
        cells(canvas, card, unit, (margin, bottom, card.width - margin))
        clock = clock_of(round(10 * unit), left=margin, baseline=bottom - 13 * unit)
        top = bottom - 25 * unit
    rule(canvas, card, unit, top)
    return top, clock


def cells(canvas: ImageDraw.ImageDraw, card: Card, unit: float, place: tuple[float, float, float]) -> None:
    """Label over value, side by side from left to right on a common baseline."""
    left, bottom, right = place
    fields = [
        ("MODEL", card.model if card.take else "", 0.36),
        ("SEED", "random" if card.seed is None else str(card.seed), 0.26),
        ("FRAME", f"{card.width} x {card.height}", 0.24),
        ("LENGTH", f"{card.seconds:g} s", 0.14),
    ]
    for label, value, share in fields:
        room = (right - left) * share
        words = fit_line(value, room - 3 * unit, 3.4 * unit, 2 * unit)
        if value:
            draw(canvas, (place[0], bottom - 5.4 * unit), label, small(unit), LABEL)
            draw(canvas, (place[0], bottom), words.lines[0], words.size, TEXT)
            place = (place[0] + room, bottom, right)


def middle(canvas: ImageDraw.ImageDraw, card: Card, unit: float, span: tuple[float, float]) -> None:
    """The prompt, as large as there is room for."""
    margin, (top, bottom) = 6 * unit, span
    note = lack(card.prompt)
    if note:
        draw(canvas, (margin, bottom), note, round(2.8 * unit), card.accent)
        bottom -= 5 * unit
    largest = (6.4 if card.width >= WIDE * card.height else 8) * unit
    block = fit(card.prompt, (card.width - 2 * margin, bottom - top), largest, max(10, 2.5 * unit))
    for count, line in enumerate(block.lines):
        draw(canvas, (margin, top + block.leading * count + block.size), line, block.size, TEXT)


def strip(card: Card) -> Still:
    """A lower third that darkens downwards, so that the picture stays the matter; its height is that of its words."""
    unit, margin = min(card.width, card.height) / 100, min(card.width, card.height) * 0.04
    left, note = margin + 2.4 * unit, lack(card.prompt)
    lines = 2 if card.width >= WIDE * card.height else 3
    size = 3.2 * unit
    block = fit(card.prompt, (card.width - margin - left, lines * (size * LEADING + 1)), size, max(10, 2.7 * unit))
    below = block.height + (4.4 * unit if note else 0) + margin
    height = even(below + 15 * unit)
    picture = scrim((card.width, height))
    canvas = ImageDraw.Draw(picture)
    clock = clock_of(round(4.4 * unit), right=card.width - margin, baseline=height - below - 1.8 * unit)
    canvas.rectangle((margin, clock.baseline - 3.4 * unit, margin + 0.5 * unit, height - margin), fill=card.accent)
    title(canvas, card, unit, (left, clock.baseline, clock.left - 3 * unit))
    for count, line in enumerate(block.lines):
        draw(canvas, (left, height - below + block.leading * count + block.size), line, block.size, TEXT)
    if note:
        draw(canvas, (left, height - margin), note, small(unit), card.accent)
    bar = (0, height - even(max(4, 0.8 * unit)), card.width, height)
    canvas.rectangle((bar[0], bar[1], bar[2] - 1, bar[3] - 1), fill=(*RULE, 150))
    return Still(picture=picture, at=(0, card.height - height), clock=clock, bar=bar, colour=card.accent)


def scrim(size: tuple[int, int]) -> Image.Image:
    """Night that thickens from nothing at the top."""
    column = Image.new("L", (1, size[1]))
    for y in range(size[1]):
        column.putpixel((0, y), round(214 * min(1.0, 1.7 * y / size[1]) ** 1.3))
    picture = Image.new("RGBA", size, (*NIGHT, 0))
    picture.putalpha(column.resize(size))
    return picture


def title(canvas: ImageDraw.ImageDraw, card: Card, unit: float, place: tuple[float, float, float]) -> None:
    """Shot, take, then in grey model and seed as far as they fit."""
    left, baseline, right = place
    words = f"{card.shot} / {card.number}" if card.number else words_of(card)
    name = fit_line(words, right - left, 4.4 * unit, 2.6 * unit)
    draw(canvas, (left, baseline), name.lines[0], name.size, CHALK)
    x = left + width(name.lines[0], name.size) + 3 * unit
    seed = "" if card.seed is None else f"seed {card.seed}"
    grey = fit_line(" \u00b7 ".join(filter(None, (card.model if card.take else "", seed))), right - x, 2.8 * unit, 2.3 * unit)
    if not grey.cut:
        draw(canvas, (x, baseline), grey.lines[0], grey.size, PALE)
