"""A character → the face on this machine that has it; and what to install for characters that no face here has."""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

FOLDERS = (
    "~/.local/share/fonts",
    "~/.fonts",
    "/usr/local/share/fonts",
    "/usr/share/fonts",
    "/usr/share/texmf/fonts",
    "~/Library/Fonts",
    "/Library/Fonts",
    "/System/Library/Fonts",
    "/System/Library/AssetsV2",
    "~/AppData/Local/Microsoft/Windows/Fonts",
    "C:/Windows/Fonts",
)
# In order of preference, after the face that Pillow brings; the number is the face in a collection (2: simplified Chinese).
NAMES: tuple[tuple[str, int], ...] = (
    *((name, 0) for name in ("HelveticaNeue.ttc", "segoeui.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf")),
    *((name, 0) for name in ("Arial.ttf", "DejaVuSans.ttf")),
    *(("NotoSansCJK-Regular.ttc", 2), ("NotoSansCJKsc-Regular.otf", 0), ("NotoSansSC-Regular.otf", 0)),
    *((name, 0) for name in ("NotoSansSC-Regular.ttf", "NotoSansSC-VF.ttf", "NotoSansSC[wght].ttf", "NotoSansCJKsc-VF.otf")),
    *((name, 0) for name in ("SourceHanSansSC-Regular.otf", "SourceHanSansCN-Regular.otf", "SourceHanSans-Regular.ttc")),
    *((name, 0) for name in ("PingFang.ttc", "Hiragino Sans GB.ttc", "STHeiti Light.ttc", "STHeiti Medium.ttc")),
    *((name, 0) for name in ("msyh.ttc", "msyh.ttf", "simhei.ttf", "simsun.ttc", "Deng.ttf", "msjh.ttc", "YuGothR.ttc")),
    *((name, 0) for name in ("malgun.ttf", "AppleSDGothicNeo.ttc", "wqy-microhei.ttc", "wqy-zenhei.ttc")),
    *((name, 0) for name in ("DroidSansFallbackFull.ttf", "DroidSansFallback.ttf", "uming.ttc", "ukai.ttc")),
    *(("NotoSerifCJK-Regular.ttc", 2), ("Arial Unicode.ttf", 0), ("FreeSans.ttf", 0), ("unifont.ttf", 0)),
    *((f"NotoSans{script}-Regular.ttf", 0) for script in ("Arabic", "Hebrew", "Devanagari", "Thai", "Symbols2")),
    *((name, 0) for name in ("NotoEmoji-Regular.ttf", "Symbola.ttf", "seguisym.ttf", "Apple Symbols.ttf")),
)

# Han, kana, hangul, their punctuation and the full-width forms.
CJK = "\u1100-\u11ff\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\U00020000-\U0003ffff"


@dataclass(frozen=True, slots=True)
class Face:
    """A face in a font file; the one that comes with Pillow has no path."""

    path: str = ""
    index: int = 0


@cache
def faces() -> tuple[Face, ...]:
    """The faces of this machine worth trying, Pillow's own first; the folders are walked once."""
    found: dict[str, str] = {}
    wanted = {name.lower() for name, _ in NAMES}
    for folder in FOLDERS:
        for parent, folders, names in os.walk(Path(folder).expanduser()):
            folders.sort()
            for name in names:
                if name.lower() in wanted:
                    found.setdefault(name.lower(), str(Path(parent, name)))
    return (Face(), *(Face(found[name.lower()], index) for name, index in NAMES if name.lower() in found))


@lru_cache(maxsize=256)
def font(face: Face, size: int) -> Font:
    """Raises OSError where the file is no font that Pillow can use."""
    return ImageFont.truetype(face.path, size, face.index) if face.path else ImageFont.load_default(size)


@cache
def has(face: Face, char: str) -> bool:
    """Whether the face draws this character, and not the box that stands for a missing one."""
    try:
        drawn, missing = (font(face, 24).getmask(text) for text in (char, "\U0010ffff"))
    except OSError:
        return False
    return bool(drawn.getbbox()) and (drawn.size, bytes(drawn)) != (missing.size, bytes(missing))


@cache
def face_of(char: str) -> Face | None:
    """The first face with this character, or None."""
    if char.isspace():
        return Face()
    return next((face for face in faces() if has(face, char)), None)


@cache
def spelling(char: str) -> str:
    """The character itself where a face has it, else its plain letter (e for é), else itself."""
    if face_of(char) is None:
        dash = "-" if unicodedata.category(char) == "Pd" else ""
        plain = "".join(part for part in unicodedata.normalize("NFKD", char) if not unicodedata.combining(part)) or dash
        for text in (plain, dash):
            if text and all(face_of(part) for part in text):
                return text
    return char


def clean(text: str) -> str:
    """What can be drawn of it: no control, joining or variation characters, and plain letters for what no face has."""
    return "".join(spelling(char) for char in unicodedata.normalize("NFC", text) if is_drawn(char))


def is_drawn(char: str) -> bool:
    return char.isspace() or not (unicodedata.category(char).startswith("C") or "\ufe00" <= char <= "\ufe0f")


def missing(text: str) -> str:
    """The characters that no face on this machine has, each once."""
    return "".join(dict.fromkeys(char for char in clean(text) if face_of(char) is None))


def is_cjk(text: str) -> bool:
    return re.search(f"[{CJK}]", text) is not None


def missing_font_hint(text: str) -> str | None:
    """What to install so that every character can be drawn, or None where all can."""
    lacking = missing(text)
    if not lacking:
        return None
    shown = lacking if len(lacking) <= 8 else lacking[:8] + "…"
    if not is_cjk(lacking):
        return f'install a font that has "{shown}", for example Noto Sans of that script'
    how = (
        "`apt install fonts-noto-cjk`"
        if sys.platform == "linux"
        else "Noto Sans CJK SC from https://github.com/notofonts/noto-cjk"
    )
    return f'install a CJK font, for example {how}: none here has "{shown}"'
