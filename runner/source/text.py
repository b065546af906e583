"""A file's bytes → checked text → YAML events; what stops them, in plain words at its line and column.

The border to PyYAML: no exception of its passes. libyaml reads where it is there, PyYAML's own parser where it is not.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from yaml.error import YAMLError
from yaml.events import Event, ScalarEvent

from runner.source.pure import PureParser
from runner.source.words import Unreadable, explained, spot

if TYPE_CHECKING:
    from collections.abc import Iterator

try:
    from yaml._yaml import CParser
except ImportError:  # a PyYAML that was built without libyaml
    CParser = None  # type: ignore[assignment, misc]

_CONTROL = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ASCII = bytes([9, 10, 13, *range(32, 127)])  # what is in order; of most files little else is left to be looked at
_MISREAD = "\x85\u2028\u2029\ufeff"  # to libyaml, which reads YAML 1.1, line breaks and a mark; in YAML 1.2 plain characters
_PAIR = re.compile(r"(?<!\\)((?:\\\\)*)(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})")


def decoded(data: bytes) -> str:
    """UTF-8 with or without a byte order mark, free of control characters; anything else is Unreadable (E003)."""
    if wide := _wide(data[:4]):
        raise Unreadable(f"the file is {wide}, not UTF-8", at=(1, 1), code="E003", hint="save it as UTF-8")
    try:
        text = data.decode().lstrip("\ufeff")
    except UnicodeDecodeError as error:
        at = spot(data[: error.start].decode().lstrip("\ufeff"))
        fact = f"byte 0x{data[error.start]:02x} (number {error.start + 1:,} of the file) is not UTF-8"
        raise Unreadable(fact, at=at, code="E003", hint="save the file as UTF-8") from None
    if _CONTROL.search(data.translate(None, _ASCII).decode()) and (wrong := _CONTROL.search(text)):
        count = sum(1 for _ in _CONTROL.finditer(text))
        fact = f"the control character U+{ord(wrong[0]):04X}" + (f", the first of {count:,}" if count > 1 else "")
        raise Unreadable(fact, at=spot(text[: wrong.start()]), code="E003", hint="delete it; it cannot be seen in most editors")
    return text


def _wide(head: bytes) -> str | None:
    if head in (b"\xff\xfe\0\0", b"\0\0\xfe\xff"):
        return "UTF-32"
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or [byte == 0 for byte in head] in ([True, False] * 2, [False, True] * 2):
        return "UTF-16"
    return None


def events(text: str, *, pure: bool = False) -> Iterator[Event]:
    """The YAML events of a text, one after the other; Unreadable is raised where they stop."""
    text, table = _stood_in(text)
    told = _told(text, pure=pure or CParser is None)
    return _restored(told, table) if table else told


def _told(text: str, *, pure: bool) -> Iterator[Event]:
    try:
        get_event = (PureParser(text) if pure else CParser(text)).get_event
        while (event := get_event()) is not None:
            yield event
    except YAMLError as error:
        raise explained(error, text) from None


def _stood_in(text: str) -> tuple[str, dict[int, str | None]]:
    """The same text with private characters in place of what libyaml misreads, and the way back.

    Every place stays as it is, because each stands for one character, or fills up what an escape took.
    """
    wrong = [char for char in _MISREAD if char in text]
    paired = _is_json_with_pairs(text)
    if not (wrong or paired):
        return text, {}
    free = (char for char in map(chr, range(0xE000, 0xF900)) if char not in text)
    stand_in = {char: next(free) for char in wrong}
    text = text.translate({ord(old): new for old, new in stand_in.items()})
    back: dict[int, str | None] = {ord(new): old for old, new in stand_in.items()}
    if paired:
        filler = next(free)
        text = _PAIR.sub(lambda found: found[1] + json.loads(f'"{found[2]}"') + filler * (len(found[2]) - 1), text)
        back[ord(filler)] = None
    return text, back


def _is_json_with_pairs(text: str) -> bool:
    r"""JSON writes 😀 as \ud83d\ude00, an escape that YAML has not; only in JSON is it surely within quotes."""
    if text.lstrip()[:1] not in ("{", "[") or not _PAIR.search(text):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _restored(told: Iterator[Event], table: dict[int, str | None]) -> Iterator[Event]:
    for event in told:
        if isinstance(event, ScalarEvent):
            event.value = event.value.translate(table)
        yield event
