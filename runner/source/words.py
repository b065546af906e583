"""What PyYAML or libyaml says of a broken text → the same in plain words, at the place to mend."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from yaml.error import MarkedYAMLError

if TYPE_CHECKING:
    from collections.abc import Callable

    from yaml.error import Mark, YAMLError

At = tuple[int, int]

_BREAK = re.compile("\r\n|\r|\n")
# What may follow a backslash in double quotes; (?!…) keeps halves of a surrogate pair out.
ESCAPE = (
    r"""\\(?:[0abtnvfre"/\\N_LP \t\r\n]|x[0-9a-fA-F]{2}|u(?![dD][89a-fA-F])[0-9a-fA-F]{4}"""
    r"""|U00(?:10|0[1-9a-fA-F]|00(?![dD][89a-fA-F]))[0-9a-fA-F]{4})"""
)
_WRONG_ESCAPE = re.compile(rf"{ESCAPE}|(?P<wrong>\\.?)", re.DOTALL)


class Unreadable(Exception):
    """Nothing more can be read; `at` is line and column from 1, columns in code points."""

    def __init__(self, fact: str, *, at: At, code: str = "E001", hint: str | None = None) -> None:
        super().__init__(fact)
        self.fact = fact
        self.at = at
        self.code = code
        self.hint = hint


def spot(before: str) -> At:
    """The line and column of what follows `before`."""
    lines = _BREAK.split(before)
    return len(lines), len(lines[-1]) + 1


def explained(error: YAMLError, text: str) -> Unreadable:
    """One rule a message; both parsers' wordings, libyaml's first."""
    if not isinstance(error, MarkedYAMLError):
        return Unreadable(str(error).partition("\n")[0], at=(1, 1))
    said = f"{error.context}: {error.problem}"
    tell = next((tell for pattern, tell in _RULES if re.search(pattern, said)), _as_said)
    return tell(_Trouble(error, text))


class _Trouble:
    """Where it was noticed, where what is broken begins, and the text around."""

    def __init__(self, error: MarkedYAMLError, text: str) -> None:
        self.text = text
        self.problem = str(error.problem)
        self._end = spot(text)
        self.at, self.index = self._place(error.problem_mark or error.context_mark)
        self.start, self.start_index = self._place(error.context_mark or error.problem_mark)
        self.char = text[self.index : self.index + 1]
        self.opener = text[self.start_index : self.start_index + 1]

    def _place(self, mark: Mark | None) -> tuple[At, int]:
        # libyaml counts the end of a file that lacks a last line break as a line of its own.
        return (self._end, len(self.text)) if mark is None else (min((mark.line + 1, mark.column + 1), self._end), mark.index)

    @property
    def before(self) -> str:
        """The line up to where it was noticed."""
        return _BREAK.split(self.text[: self.index])[-1]

    def word(self, index: int) -> str:
        line = _BREAK.split(self.text[index : index + 200], maxsplit=1)[0].strip()
        return line if len(line) <= 40 else line[:39] + "…"

    @property
    def is_at_end(self) -> bool:
        return not self.text[self.index :].strip()


def _tab(at: _Trouble) -> Unreadable:
    return Unreadable("a tab is used for indentation", at=at.at, hint="indent with spaces, two for each level")


def _bad_start(at: _Trouble) -> Unreadable:
    if at.char == "\t":
        return _tab(at)
    return Unreadable(f'a text cannot begin with "{at.char}"', at=at.at, hint="put the text in quotes")


def _bad_name(at: _Trouble) -> Unreadable:
    return Unreadable(f'a text cannot begin with "{at.opener}"', at=at.start, hint="put the text in quotes")


def _colon(at: _Trouble) -> Unreadable:
    if re.search(r":\s", at.before):
        fact = "a colon and a space within a text look like a second key"
        return Unreadable(fact, at=at.at, hint='put the text in quotes: prompt: "A sign: closed"')
    hint = "is there a colon, a space after it or a quote missing above, or is this line indented too far?"
    return Unreadable("a key cannot stand here, since the value above has not ended", at=at.at, hint=hint)


def _no_colon(at: _Trouble) -> Unreadable:
    hint = 'write "key: value"; a text of several lines goes in quotes, or indented under "|"'
    return Unreadable(f'a colon is missing after "{at.word(at.start_index)}"', at=at.start, hint=hint)


def _open_quote(at: _Trouble) -> Unreadable:
    fact = "the quote opened here is never closed"
    return Unreadable(fact, at=at.start, hint=f"end the text with {at.opener}, or leave both quotes away")


def _escape(at: _Trouble) -> Unreadable:
    found = next((found for found in _WRONG_ESCAPE.finditer(at.text, at.start_index) if found["wrong"]), None)
    if not found:
        return _as_said(at)
    hint = 'in double quotes write "\\\\" for a backslash, or use single quotes'
    return Unreadable(f'"{found["wrong"]}" is no escape', at=spot(at.text[: found.start()]), hint=hint)


def _open_bracket(at: _Trouble) -> Unreadable:
    closer = {"[": "]", "{": "}"}.get(at.opener, "")
    if at.is_at_end:
        hint = f'close it with "{closer}"; a text that begins with "{at.opener}" needs quotes'
        return Unreadable(f'the "{at.opener}" opened here is never closed', at=at.start, hint=hint)
    hint = f'the "{at.opener}" stands at line {at.start[0]}, column {at.start[1]}; a text that begins with it needs quotes'
    return Unreadable(f'a comma or "{closer}" is missing before this', at=at.at, hint=hint)


def _no_value(at: _Trouble) -> Unreadable:
    if not at.is_at_end:
        hint = "a text that begins with one of , ] } needs quotes" if at.char in ",]}" else None
        return Unreadable(f'a value is missing before "{at.char}"', at=at.at, hint=hint)
    fact = 'the file ends here, but a "[" or "{" is still open'
    return Unreadable(fact, at=at.at, hint="close it; a text that begins with a bracket needs quotes")


def _no_key(at: _Trouble) -> Unreadable:
    if at.char == "-" and at.at[1] == at.start[1]:
        fact = f"a list item stands among the keys of the mapping that begins in line {at.start[0]}"
        return Unreadable(fact, at=at.at, hint="a list stands under a key of its own")
    return _no_sibling(at, 'a "key: value" is expected here')


def _no_item(at: _Trouble) -> Unreadable:
    return _no_sibling(at, f'a list item is expected here: the list begins in line {at.start[0]}, each item with "- "')


def _no_sibling(at: _Trouble, otherwise: str) -> Unreadable:
    if at.before.strip():
        hint = "put the whole text in quotes; a quote within is doubled in single quotes: 'it''s'"
        return Unreadable("there is more text after the value", at=at.at, hint=hint)
    if at.at[1] != at.start[1]:
        fact = f"this line is indented by {at.at[1] - 1}, those it belongs to (from line {at.start[0]}) by {at.start[1] - 1}"
        return Unreadable(fact, at=at.at, hint="lines of one level begin in the same column")
    return Unreadable(otherwise, at=at.at)


def _tag(at: _Trouble) -> Unreadable:
    word = at.word(at.start_index).split(" ")[0]
    return Unreadable(f'unknown tag "{word}"', at=at.start, code="E004", hint='a text that begins with "!" needs quotes')


def _directive(at: _Trouble) -> Unreadable:
    hint = 'a text that begins with "%" needs quotes'
    return Unreadable('a line that begins with "%" is not understood', at=at.start, hint=hint)


def _as_said(at: _Trouble) -> Unreadable:
    return Unreadable(at.problem, at=at.at)


def _plain(fact: str, hint: str) -> Callable[[_Trouble], Unreadable]:
    return lambda at: Unreadable(fact, at=at.at, hint=hint)


_RULES: tuple[tuple[str, Callable[[_Trouble], Unreadable]], ...] = (
    (r"directive|incompatible YAML", _directive),
    (r"scanning a tag|parsing a tag|tag handle", _tag),
    (r"cannot start any token", _bad_start),
    (r"violates indentation|indentation space", _tab),
    (r"scanning an (alias|anchor)", _bad_name),
    (r"mapping values are not allowed", _colon),
    (r"could not find expected ':'", _no_colon),
    (r"unexpected end of stream|unexpected document", _open_quote),
    (r"escape|hexa?decimal", _escape),
    (r"expected ',' or", _open_bracket),
    (r"node content", _no_value),
    (r"parsing a block mapping", _no_key),
    (r"parsing a block collection", _no_item),
    (
        r"sequence entries are not allowed",
        _plain("a list cannot begin here", 'begin it in a new line under its key; a text that begins with "- " needs quotes'),
    ),
    (r"mapping keys are not allowed", _plain('a text cannot begin with "? "', "put the text in quotes")),
    (
        r"unexpected ':'",
        _plain("a colon that ends a key is followed by a space", 'write "key: value", or put the text in quotes'),
    ),
    (
        r"scanning a block scalar",
        _plain('after "|" and ">" the text begins in the next line', "move it there, indented, or put it in quotes"),
    ),
    (
        r"<document start>",
        _plain("this follows after the end of the data", "a manifest is one mapping, whose keys all begin in the same column"),
    ),
)
