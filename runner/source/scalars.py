"""A scalar's text → null, boolean, number or text by the rules of YAML 1.2's core schema."""

from __future__ import annotations

import math
import re
from typing import Any

_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_WHOLE = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_ENDLESS = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_FIRST = frozenset("+-.0123456789")
_BASES = {"0o": 8, "0x": 16}
_LONGEST = 300  # digits: int() refuses 4,300, and from 309 on a number fits no float
_KEPT = 40  # longer texts hardly come twice


class Unfit(Exception):
    """A scalar that is no value here, with the reason."""

    def __init__(self, fact: str, *, hint: str | None = None) -> None:
        super().__init__(fact)
        self.fact = fact
        self.hint = hint


class Scalars(dict[str, Any]):
    """`scalars[text]` is the value of a plain scalar; remembers, so that equal texts are one object. Raises Unfit."""

    def __missing__(self, text: str) -> Any:
        value = resolved(text)
        if len(text) <= _KEPT:
            self[text] = value
        return value


def resolved(text: str) -> Any:
    if text[:1] in _FIRST:
        return _number(text)
    return _WORDS.get(text, text)


def is_text(plain: str) -> bool:
    try:
        return isinstance(resolved(plain), str)
    except Unfit:
        return False


def _number(text: str) -> Any:
    if _WHOLE.fullmatch(text):
        if len(text) > _LONGEST:
            raise Unfit(f"a number of {len(text):,} digits is too long", hint="put a text of digits in quotes")
        return int(text[2:], _BASES[text[:2]]) if text[:2] in _BASES else int(text)
    if _ENDLESS.fullmatch(text):
        raise Unfit(f"{text} is no number to work with", hint="write a finite number, or put a text in quotes")
    if not _FLOAT.fullmatch(text):
        return text
    if math.isinf(value := float(text)):
        raise Unfit(f"{_short(text)} is too large a number", hint="put a text of digits in quotes")
    return value


_CORE = "tag:yaml.org,2002:"
_KINDS: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "bool": (bool,), "null": (type(None),)}


def tagged(tag: str, text: str) -> Any:
    """The value of a scalar under a tag that the text itself wears; raises Unfit for all but the core tags."""
    name = tag.removeprefix(_CORE)
    if tag in ("!", _CORE + "str"):
        return text
    if tag == name or name not in _KINDS:
        raise Unfit(f'unknown tag "{shown(tag)}"', hint="only values are read: !!str, !!int, !!float, !!bool, !!null")
    value: Any = resolved(text)
    if type(value) not in _KINDS[name]:
        raise Unfit(f'"{_short(text)}" is no !!{name}')
    return float(value) if name == "float" else value


def shown(tag: str) -> str:
    """A tag as it is written."""
    return "!!" + tag.removeprefix(_CORE) if tag.startswith(_CORE) else tag


def _short(text: str) -> str:
    return text if len(text) <= _KEPT else text[: _KEPT - 1] + "…"
