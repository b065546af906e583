"""Words and the room they have → lines at the largest size that fits, drawn in faces that have every character."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from runner.studio.faces import CJK, Face, clean, face_of, font

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL import ImageDraw

    from runner.studio.card import Colour

LEADING = 1.36
SHRINK = 0.93

# A line may break between any two CJK characters, but begins with no closing mark and ends with no opening one.
OPENERS = "([{\u201c\u2018\u3008\u300a\u300c\u300e\u3010\u3014\uff08"
CLOSERS = ")]},.;:!?\u201d\u2019\u2026\u3001\u3002\u3009\u300b\u300d\u300f\u3011\u3015\uff01\uff09\uff0c\uff0e\uff1a\uff1b\uff1f"
PIECE = re.compile(rf"\s+|[{re.escape(OPENERS)}]*(?:[{CJK}]|[^\s{CJK}]+)[{re.escape(CLOSERS)}]*")


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that fit the room they were set for; `cut` where an ellipsis stands for the rest."""

    lines: tuple[str, ...]
    size: int
    cut: bool = False

    @property
    def leading(self) -> int:
        return round(self.size * LEADING)

    @property
    def height(self) -> int:
        return self.leading * len(self.lines)


def runs(text: str) -> Iterator[tuple[Face, str]]:
    """The text in pieces of one face each."""
    start, last = 0, None
    for at, char in enumerate(text):
        face = last if last and char == " " else face_of(char) or Face()
        if last is not None and face != last:
            yield last, text[start:at]
            start = at
        last = face
    if last is not None:
        yield last, text[start:]


def width(text: str, size: int) -> float:
    return sum(font(face, size).getlength(piece) for face, piece in runs(text))


def draw(canvas: ImageDraw.ImageDraw, at: tuple[float, float], text: str, size: int, colour: Colour, *, weight: int = 0) -> None:
    """Draw one line with its baseline's left end at `at`; `weight` thickens the strokes by so many pixels."""
    x, y = at
    for face, piece in runs(text):
        canvas.text((x, y), piece, fill=colour, font=font(face, size), anchor="ls", stroke_width=weight)
        x += font(face, size).getlength(piece)


def wrap(text: str, room: float, size: int) -> Iterator[str]:
    """Lines no wider than `room`: broken between words, between any two CJK characters, and within a word only if need be."""
    for paragraph in filter(None, (part.strip() for part in text.splitlines())):
        line, used = "", 0.0
        for piece in (part for word in PIECE.findall(paragraph) for part in broken(word, room, size)):
            space = piece.isspace()
            wide = width(" " if space else piece, size)
            if line and not space and used + wide > room:
                yield line.rstrip()
                line, used = "", 0.0
            if line or not space:
                line, used = line + (" " if space else piece), used + wide
        if line:
            yield line.rstrip()


def broken(word: str, room: float, size: int) -> Iterator[str]:
    """The word itself, or parts of one that alone is wider than the room."""
    if len(word) * size < room or width(word, size) <= room:
        yield word
        return
    part = ""
    for char in word:
        if part and width(part + char, size) > room:
            yield part
            part = ""
        part += char
    yield part


def fit(text: str, room: tuple[float, float], largest: float, smallest: float) -> Block:
    """Set the text as large as the room (width, height) allows; at the smallest size the rest becomes an ellipsis."""
    across, down = room
    text, size = clean(text), float(largest)
    while True:
        block = set_lines(text, across, down, max(round(size), round(smallest)))
        if not block.cut or size <= smallest:
            return block
        size *= SHRINK


def set_lines(text: str, across: float, down: float, size: int) -> Block:
    count = max(1, int(down / round(size * LEADING)))
    lines = tuple(islice(wrap(text, across, size), count + 1))
    if len(lines) <= count:
        return Block(lines, size)
    return Block((*lines[: count - 1], shortened(lines[count - 1], across, size)), size, cut=True)


def shortened(line: str, room: float, size: int) -> str:
    while line and width(line + "…", size) > room:
        line = line[:-1]
    return line.rstrip(" " + CLOSERS) + "…"


def fit_line(text: str, room: float, largest: float, smallest: float) -> Block:
    """One line of text, as large as the room allows; a line break counts as a space."""
    text, size = " ".join(clean(text).split()), float(largest)
    while width(text, round(size)) > room and size > smallest:
        size *= SHRINK
    whole = max(round(size), round(smallest))
    cut = width(text, whole) > room
    return Block((shortened(text, room, whole) if cut else text,), whole, cut=cut)
