"""Draws the pictures and makes the sounds that the manifests here use, always the same: `python make_media.py [FOLDER]`."""

from __future__ import annotations

import math
import sys
import wave
from array import array
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Colour = tuple[int, int, int]
Points = list[tuple[float, float]]

SCALE = 2  # drawn twice as large, since Pillow draws hard edges
RATE = 16_000


class Paper:
    """A picture to draw on in its own pixels, whatever the scale; shapes may be translucent."""

    def __init__(self, width: int, height: int) -> None:
        self.size = (width, height)
        self.image = Image.new("RGB", (width * SCALE, height * SCALE))
        self.pen = ImageDraw.Draw(self.image, "RGBA")

    def sky(self, top: float, bottom: float, *colours: Colour) -> None:
        """Rows from the first colour to the last."""
        first, last = round(top * SCALE), round(bottom * SCALE)
        for row in range(first, last):
            self.pen.line([(0, row), (self.image.width, row)], fill=between((row - first) / (last - first), colours))

    def disc(self, x: float, y: float, radius: float, colour: Colour, alpha: int = 255) -> None:
        self.pen.ellipse([(v * SCALE) for v in (x - radius, y - radius, x + radius, y + radius)], fill=(*colour, alpha))

    def oval(self, box: tuple[float, float, float, float], colour: Colour, alpha: int = 255) -> None:
        self.pen.ellipse([v * SCALE for v in box], fill=(*colour, alpha))

    def slab(self, box: tuple[float, float, float, float], colour: Colour, alpha: int = 255, radius: float = 0) -> None:
        # Whole numbers, since what Pillow makes of fractions here depends on its version.
        self.pen.rounded_rectangle([round(v * SCALE) for v in box], round(radius * SCALE), fill=(*colour, alpha))

    def shape(self, points: Points, colour: Colour, alpha: int = 255, *, smooth: bool = True) -> None:
        drawn = curve(points) if smooth else points
        self.pen.polygon([(x * SCALE, y * SCALE) for x, y in drawn], fill=(*colour, alpha))

    def stroke(self, points: Points, colour: Colour, thick: float) -> None:
        self.pen.line(
            [(x * SCALE, y * SCALE) for x, y in curve(points, closed=False)], (*colour, 255), round(thick * SCALE), "curve"
        )

    def glow(self, x: float, y: float, radius: float, colour: Colour, *, alpha: int, rings: int = 9) -> None:
        """Discs within discs: light as a poster prints it, and small as a PNG."""
        for ring in range(rings):
            self.disc(x, y, radius * (1 - ring / rings) ** 1.4, colour, alpha)

    def done(self) -> Image.Image:
        return self.image.reduce(SCALE)


def between(share: float, colours: tuple[Colour, ...]) -> Colour:
    at = min(max(share, 0.0), 1.0) * (len(colours) - 1)
    low = min(int(at), len(colours) - 2)
    red, green, blue = (round(a + (b - a) * (at - low)) for a, b in zip(colours[low], colours[low + 1], strict=True))
    return red, green, blue


def curve(points: Points, *, closed: bool = True, steps: int = 8) -> Points:
    """A smooth line through all the points (Catmull-Rom)."""
    count, drawn = len(points), []
    for at in range(count if closed else count - 1):
        if closed:
            a, b, c, d = (points[(at + shift) % count] for shift in (-1, 0, 1, 2))
        else:
            a, b, c, d = (points[min(max(at + shift, 0), count - 1)] for shift in (-1, 0, 1, 2))
        for step in range(steps):
            t = step / steps
            drawn.append((spline(t, a[0], b[0], c[0], d[0]), spline(t, a[1], b[1], c[1], d[1])))
    return drawn if closed else [*drawn, points[-1]]


def spline(t: float, a: float, b: float, c: float, d: float) -> float:
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t * t + (3 * b - a - 3 * c + d) * t * t * t)


def moved(points: Points, x: float = 0, y: float = 0) -> Points:
    return [(a + x, b + y) for a, b in points]


def dice(seed: int) -> Iterator[float]:
    """Numbers from 0 to 1 that look random and never change."""
    while True:
        seed = (seed * 1_103_515_245 + 12_345) % 2**31
        yield seed / 2**31


# --- pictures ---------------------------------------------------------------------------------------------------------

KEEPER: Points = [
    (900, 900), (900, 760), (904, 640), (918, 560), (940, 500), (956, 462), (960, 446), (972, 436), (962, 430), (946, 436),
    (932, 424), (928, 404), (934, 388), (930, 380), (938, 372), (930, 366), (922, 360), (928, 346), (936, 330), (936, 316),
    (940, 304), (962, 300), (1000, 294), (1038, 300), (1052, 326), (1054, 362), (1046, 396), (1056, 416), (1084, 436),
    (1128, 470), (1158, 530), (1172, 620), (1180, 760), (1184, 900),
]  # fmt: skip
CAP: Points = [
    (908, 312), (926, 302), (934, 284), (944, 258), (990, 246), (1040, 254), (1062, 280), (1058, 304), (1000, 300), (950, 306),
    (922, 316),
]  # fmt: skip
ARM: Points = [
    (1040, 640), (985, 628), (936, 600), (884, 572), (846, 548), (834, 530), (832, 508), (840, 498), (850, 506), (862, 520),
    (890, 536), (930, 548), (980, 560), (1040, 580),
]  # fmt: skip


def keeper(*, night: bool = False) -> Image.Image:
    """A lighthouse keeper at the lantern room's window, at sunset or by night."""
    paper, horizon = Paper(1280, 720), 436
    if night:
        paper.sky(0, horizon, (10, 14, 34), (18, 28, 62), (38, 58, 98), (74, 98, 132))
        paper.sky(horizon, 720, (44, 66, 100), (18, 28, 56), (8, 12, 28))
        light, rim, wall = (232, 238, 244), (150, 176, 208), (9, 10, 18)
    else:
        paper.sky(0, horizon, (40, 42, 88), (98, 66, 116), (198, 98, 104), (244, 158, 96), (253, 212, 136))
        paper.sky(horizon, 720, (238, 160, 106), (140, 84, 106), (52, 44, 84), (26, 26, 54))
        light, rim, wall = (255, 240, 196), (252, 190, 118), (24, 18, 32)
    stars(paper, horizon, 60 if night else 22)
    sun = (560, 250, 40) if night else (560, 396, 50)
    paper.glow(*sun[:2], 330, light, alpha=13 if night else 19)
    paper.disc(*sun, light)
    glitter(paper, sun[0], horizon, light)
    headland(paper, horizon, between(0.55, (wall, (74, 98, 132) if night else (140, 84, 106))))
    boat(paper, 300, horizon + 26, wall)
    window(paper, wall, rim)
    for points in (ARM, KEEPER, CAP):
        paper.shape(moved(points, -4, -2), rim)
    for points in (KEEPER, CAP, ARM):
        paper.shape(points, wall)
    seam = between(0.3, (wall, rim))
    paper.stroke([(918, 548), (960, 556), (1004, 556), (1044, 540), (1064, 500)], seam, 3)
    paper.stroke([(950, 612), (1000, 628), (1056, 622), (1100, 590)], seam, 3)
    paper.stroke([(974, 438), (1010, 452), (1052, 430)], seam, 4)
    return paper.done()


def stars(paper: Paper, horizon: float, count: int) -> None:
    chance = dice(7)
    for _ in range(count):
        x, y, size = next(chance) * 1280, next(chance) ** 1.6 * horizon * 0.7, 0.7 + next(chance) * 1.1
        paper.disc(x, y, size, (255, 250, 236), round(90 + 140 * next(chance)))


def glitter(paper: Paper, x: float, horizon: float, light: Colour) -> None:
    """The path of light on the water: strokes that widen towards us."""
    chance = dice(11)
    for row in range(26):
        y = horizon + 4 + row * row * 0.36 + row * 2
        wide = (18 + row * 4.6) * (0.55 + 0.6 * next(chance))
        shift = (next(chance) - 0.5) * row * 3.4
        paper.oval((x + shift - wide, y, x + shift + wide, y + 2 + row * 0.22), light, 205 - row * 5)


def headland(paper: Paper, horizon: float, colour: Colour) -> None:
    paper.shape([(20, horizon + 4), (20, 392), (70, 384), (120, 396), (170, 412), (220, 424), (260, horizon + 4)], colour)


def boat(paper: Paper, x: float, y: float, colour: Colour) -> None:
    paper.shape([(x - 22, y), (x + 24, y), (x + 16, y + 9), (x - 15, y + 9)], colour, smooth=False)
    paper.shape([(x, y - 3), (x, y - 52), (x + 21, y - 6)], colour, smooth=False)
    paper.shape([(x - 3, y - 3), (x - 3, y - 44), (x - 18, y - 5)], colour, smooth=False)


def window(paper: Paper, wall: Colour, rim: Colour) -> None:
    """Panes between the astragals, the sill, and a mug on it."""
    for left, right in ((0, 26), (412, 430), (842, 860), (1254, 1280)):
        paper.slab((left, 0, right, 720), wall)
        paper.slab((left - 3, 0, left, 640), rim, 170)
    paper.shape([(0, 0), (1280, 0), (1280, 66), (960, 40), (640, 32), (320, 40), (0, 66)], wall, smooth=False)
    paper.slab((0, 628, 1280, 720), wall)
    paper.slab((0, 624, 1280, 629), rim, 210)
    paper.slab((640, 572, 690, 627), wall, radius=6)
    paper.slab((637, 576, 640, 624), rim, 220)
    paper.oval((682, 582, 712, 612), wall)
    paper.oval((689, 589, 705, 605), between(0.4, (wall, rim)))
    paper.stroke([(656, 560), (650, 544), (662, 528), (655, 508)], between(0.75, (wall, rim)), 2)
    paper.stroke([(674, 562), (680, 544), (670, 526), (678, 512)], between(0.75, (wall, rim)), 2)


def lantern() -> Image.Image:
    """A product still: a small portable lamp that glows on a table, square."""
    paper = Paper(960, 960)
    paper.sky(0, 690, (20, 34, 44), (26, 58, 68), (44, 88, 92))
    paper.sky(690, 960, (32, 62, 66), (16, 30, 36), (10, 18, 24))
    paper.glow(480, 400, 460, (255, 206, 128), alpha=14, rings=12)
    paper.oval((250, 742, 710, 808), (255, 196, 112), 38)
    paper.oval((300, 752, 660, 796), (255, 206, 128), 46)
    paper.oval((350, 754, 610, 786), (8, 14, 18), 190)
    brass, dark, light = (206, 150, 82), (44, 32, 30), (255, 238, 196)
    paper.stroke([(386, 250), (400, 150), (480, 112), (560, 150), (574, 250)], brass, 11)
    paper.stroke([(388, 244), (394, 190), (408, 152), (436, 128)], (248, 206, 142), 3)
    paper.slab((392, 238, 568, 282), brass, radius=14)
    paper.slab((392, 242, 568, 250), (248, 214, 152), radius=4)
    paper.slab((398, 282, 562, 590), (255, 190, 96), radius=52)
    for inset, colour in ((10, (255, 204, 120)), (24, (255, 220, 150)), (40, (255, 234, 184)), (58, (255, 246, 220))):
        paper.slab((398 + inset, 282 + inset, 562 - inset, 590 - inset), colour, radius=52 - inset * 0.6)
    paper.slab((412, 306, 422, 560), light, 200, radius=5)
    for x in (398, 478, 556):
        paper.slab((x - 1, 280, x + 5, 592), dark, 220, radius=2)
    paper.shape([(380, 588), (580, 588), (604, 770), (560, 782), (480, 785), (400, 782), (356, 770)], dark, smooth=False)
    paper.shape([(380, 588), (408, 588), (396, 781), (378, 776), (356, 770)], (78, 54, 42), smooth=False)
    paper.slab((376, 580, 584, 606), brass, radius=8)
    paper.slab((376, 583, 584, 590), (248, 214, 152), radius=3)
    paper.disc(480, 690, 24, brass)
    paper.disc(480, 690, 17, dark)
    paper.disc(480, 690, 6, light)
    return paper.done()


FACE: Points = [
    (600, 180), (640, 196), (664, 232), (670, 268), (668, 290), (684, 318), (700, 342), (690, 354), (676, 356), (682, 372),
    (676, 382), (682, 394), (674, 408), (672, 428), (650, 446), (612, 444), (584, 436), (580, 520), (420, 520), (448, 440),
    (440, 360), (450, 260), (510, 190),
]  # fmt: skip
COAT: Points = [
    (250, 740), (270, 620), (330, 550), (430, 506), (470, 486), (540, 520), (590, 498), (650, 530), (720, 590), (750, 740),
]  # fmt: skip
BOB: Points = [
    (668, 240), (640, 200), (590, 160), (510, 152), (440, 190), (404, 270), (400, 370), (412, 450), (470, 474), (530, 452),
    (540, 390), (546, 330), (570, 296), (610, 262),
]  # fmt: skip
GREY: Points = [
    (640, 196),
    (590, 160),
    (510, 156),
    (448, 196),
    (428, 280),
    (440, 372),
    (476, 402),
    (506, 372),
    (512, 318),
    (540, 300),
    (560, 250),
    (610, 216),
]
BEARD: Points = [
    (520, 330),
    (540, 384),
    (590, 402),
    (640, 384),
    (676, 380),
    (684, 410),
    (676, 452),
    (636, 486),
    (580, 482),
    (530, 450),
    (506, 390),
]


def portrait(*, wren: bool) -> Image.Image:
    """One of the two at the cafe's window by night, in profile: Wren looks to the right, Harlan to the left."""
    paper, chance = Paper(1280, 720), dice(23 if wren else 29)
    paper.sky(0, 720, *((24, 34, 60), (40, 62, 92), (62, 84, 104)) if wren else ((36, 28, 54), (74, 48, 76), (112, 74, 82)))
    for _ in range(34):
        x, y, radius = next(chance) * 1280, 60 + next(chance) * 460, 10 + next(chance) * 34
        warm = next(chance)
        paper.disc(x, y, radius, between(warm, ((255, 196, 110), (255, 132, 96), (126, 190, 226))), round(26 + 50 * next(chance)))
    for _ in range(70):
        x, y, long = next(chance) * 1280, next(chance) * 620, 10 + next(chance) * 38
        paper.slab((x, y, x + 1.6, y + long), (226, 236, 244), 70, radius=1)
    for x in (60, 1000):
        paper.slab((x, 0, x + 16, 720), (22, 20, 32))
    skin, shade, rim = (
        ((214, 152, 122), (160, 98, 92), (255, 208, 150)) if wren else ((196, 136, 112), (136, 84, 84), (255, 190, 140))
    )
    coat, hair = ((154, 52, 58), (38, 24, 34)) if wren else ((42, 52, 74), (196, 192, 190))
    for points in (FACE, COAT):
        paper.shape(moved(points, 5, -2), rim)
    paper.shape(FACE, skin)
    paper.shape([(450, 520), (462, 430), (520, 440), (600, 446), (582, 452), (578, 520)], shade)
    features(paper, shade, hair, wren=wren)
    paper.shape(COAT, coat)
    paper.shape(
        [(440, 504), (480, 560), (560, 600), (600, 560), (596, 500), (620, 516), (624, 590), (570, 650), (470, 600), (410, 520)],
        between(0.3, (coat, (0, 0, 0))),
    )
    table(paper, rim)
    picture = paper.done()
    return picture if wren else picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def features(paper: Paper, shade: Colour, hair: Colour, *, wren: bool) -> None:
    paper.stroke([(628, 284), (644, 292), (656, 288)], (40, 28, 34), 4)
    paper.stroke([(622, 262), (642, 252), (662, 258)], hair if wren else between(0.3, (hair, shade)), 6)
    paper.stroke([(656, 382), (668, 381), (676, 381)], shade, 4)
    paper.shape([(684, 350), (676, 344), (668, 350), (676, 356)], shade)
    paper.disc(620, 346, 26, (232, 120, 104), 46)
    if not wren:
        paper.shape(BEARD, hair)
        paper.stroke([(640, 408), (658, 404), (674, 406)], shade, 4)
    paper.shape(BOB if wren else GREY, hair)
    if not wren:
        paper.oval((506, 296, 544, 356), shade)
        paper.oval((511, 301, 541, 351), (196, 136, 112))
    else:
        paper.stroke([(430, 300), (450, 232), (510, 190), (572, 182)], between(0.25, (hair, (255, 208, 150))), 4)
        paper.disc(548, 412, 6, (250, 214, 140))


def table(paper: Paper, rim: Colour) -> None:
    paper.slab((0, 652, 1280, 720), (30, 22, 30))
    paper.slab((0, 648, 1280, 653), rim, 190)
    paper.shape([(846, 590), (934, 590), (924, 646), (856, 646)], (232, 226, 214), smooth=False)
    paper.oval((846, 582, 934, 598), (252, 248, 238))
    paper.oval((854, 585, 926, 596), (70, 44, 36))
    paper.oval((924, 598, 952, 628), (232, 226, 214))
    paper.oval((931, 605, 945, 621), (60, 50, 58))
    paper.oval((828, 640, 952, 654), (206, 198, 190))


# --- sounds -----------------------------------------------------------------------------------------------------------

VOWELS = {"a": (760, 1250, 2600), "e": (480, 1900, 2500), "i": (300, 2200, 2900), "o": (480, 860, 2500), "u": (330, 780, 2300)}


def voice(words: str, pitch: float, pace: float) -> Iterator[float]:
    """Something like speech: a buzz through the resonances of these vowels; a space is a breath, a full stop a fall."""
    phase, memory = 0.0, [[0.0, 0.0] for _ in range(3)]
    sung = words.replace(".", " ")
    for at, letter in enumerate(sung):
        count = round(RATE * pace * (1.0 if letter in VOWELS else 0.55))
        lift = 1.12 - 0.26 * at / len(sung) + (0.06 if at % 3 == 1 else 0.0)
        for sample in range(count):
            share = sample / count
            strength = min(1.0, 9 * share, 6 * (1 - share)) if letter in VOWELS else 0.0
            phase = (phase + pitch * (lift - 0.05 * share) / RATE) % 1.0
            buzz = (1 - 2 * phase) * strength
            yield sum(ring(buzz, freq, pair) for freq, pair in zip(VOWELS.get(letter, VOWELS["u"]), memory, strict=True))


def ring(value: float, frequency: float, memory: list[float]) -> float:
    """A resonance at this frequency, 90 Hz wide; `memory` is its last two values."""
    decay = math.exp(-math.pi * 90 / RATE)
    out = value * (1 - decay) + 2 * decay * math.cos(2 * math.pi * frequency / RATE) * memory[0] - decay * decay * memory[1]
    memory[:] = [out, memory[0]]
    return out


def melody(notes: tuple[tuple[float, float, float], ...], seconds: float) -> Iterator[float]:
    """Bells: each note is (start, frequency, loudness) and dies away."""
    for sample in range(round(seconds * RATE)):
        now = sample / RATE
        end = min(1.0, 4 * (seconds - now))
        yield end * sum(loud * bell(now - start, pitch) for start, pitch, loud in notes if start <= now)


def bell(age: float, pitch: float) -> float:
    parts = ((1.0, 1.0, 2.2), (2.0, 0.4, 3.6), (3.01, 0.18, 5.5))
    return min(1.0, age * 120) * sum(
        loud * math.exp(-fall * age) * math.sin(2 * math.pi * pitch * over * age) for over, loud, fall in parts
    )


def wav(samples: Iterator[float], path: Path) -> None:
    """16 bits, mono, as loud as it goes without clipping."""
    values = list(samples)
    loudest = max(map(abs, values))
    numbers = array("h", (round(value / loudest * 26_000) for value in values))
    if sys.byteorder == "big":
        numbers.byteswap()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(numbers.tobytes())


JINGLE = (
    (0.0, 523.25, 0.8),
    (0.3, 659.25, 0.7),
    (0.6, 783.99, 0.7),
    (0.9, 1046.5, 0.9),
    (1.5, 880.0, 0.6),
    (1.8, 783.99, 0.7),
    (2.4, 1046.5, 1.0),
)

PICTURES: dict[str, Callable[[], Image.Image]] = {
    "frames/keeper.png": keeper,
    "frames/keeper-night.png": lambda: keeper(night=True),
    "frames/lantern.png": lantern,
    "frames/wren.png": lambda: portrait(wren=True),
    "frames/harlan.png": lambda: portrait(wren=False),
}
SOUNDS: dict[str, Callable[[], Iterator[float]]] = {
    "audio/wren.wav": lambda: voice("ao ie a euo i ao.", 212, 0.19),
    "audio/harlan.wav": lambda: voice("o ua eo a ou ie ao.", 112, 0.2),
    "audio/jingle.wav": lambda: melody(JINGLE, 4.0),
}


def make(folder: Path) -> None:
    for name, picture in PICTURES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        picture().save(folder / name, optimize=True)
    for name, sound in SOUNDS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        wav(sound(), folder / name)


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
