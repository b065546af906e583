"""Text → YAML events in Python alone, for a PyYAML without libyaml; mended so that the two agree."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import unquote

from yaml.events import Event, ScalarEvent
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner, ScannerError
from yaml.tokens import ScalarToken, TagToken

from runner.source.words import ESCAPE

if TYPE_CHECKING:
    from yaml.error import Mark

_BLOCK = re.compile(r"(?:[^ \t\r\n\0:]|:(?![ \t\r\n\0]))+")
_FLOW = re.compile(r"(?:[^ \t\r\n\0:,\[\]{}]|:(?![ \t\r\n\0,?\[\]{}]))+")
_TAG = re.compile(
    r"""! (?: < (?P<whole>(?: [\w;/?:@&=+$.!~*'(),\[\]-] | %[0-9a-fA-F]{2} )+) >
          | (?P<handle>[\w-]*!)? (?P<rest>(?: [\w;/?:@&=+$.!~*'()-] | %[0-9a-fA-F]{2} )*) )""",
    re.ASCII | re.VERBOSE,
)
_DOUBLE = re.compile(rf'"(?:[^"\\\r\n\0]|[\r\n](?!(?:---|\.\.\.)[ \t\r\n\0])|{ESCAPE})*')
_HEADER = re.compile(r"(?:([+-])([1-9])?|([1-9])([+-])?)?")


class PureParser(Reader, Scanner, Parser):
    """PyYAML's own parser knows no tab between tokens or in a text, no `?` in a text in brackets, and places some nulls otherwise."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)

    def scan_to_next_token(self) -> None:
        while True:
            # A tab that could be indentation is left to be refused.
            self._skip(" \t" if self.flow_level or not self.allow_simple_key else " ")
            self._skip_comment()
            if not self._break():
                return
            if not self.flow_level:
                self.allow_simple_key = True

    def scan_plain(self) -> ScalarToken:
        chunk = _FLOW if self.flow_level else _BLOCK
        start = end = self.get_mark()
        parts: list[str] = []
        gap = ""
        while not (self.peek() == "#" or self._is_at_document_mark()):
            if not (found := chunk.match(self.buffer, self.pointer)):
                break
            parts += (gap, found[0])
            self.allow_simple_key = False
            self.forward(len(found[0]))
            end = self.get_mark()
            gap = self._gap(start)
            if self.flow_level and self.peek() == ":" and self.peek(1) in ",?[]{}":
                self._refuse("a plain scalar", "found unexpected ':'", start)
            if not gap or (not self.flow_level and self.column <= self.indent):
                break
        return ScalarToken("".join(parts), True, start, end)

    def _gap(self, start: Mark) -> str:
        """The white space before the next chunk, folded."""
        blanks, breaks = "", 0
        while True:
            if self.peek() in " \t":
                if breaks and self.peek() == "\t" and self.column <= self.indent:
                    self._refuse("a plain scalar", "found a tab character that violates indentation", start)
                blanks += self.peek()
                self.forward()
            elif self._break():
                breaks += 1
                self.allow_simple_key = True
            else:
                return ("\n" * (breaks - 1) or " ") if breaks else blanks

    def scan_flow_scalar(self, style: str) -> ScalarToken:
        # Seen beforehand, since PyYAML takes lone surrogates and lets chr() fail on what is no character.
        if style == '"' and self.peek(len(self._match(_DOUBLE)[0])) == "\\":
            self._refuse("a quoted scalar", "found unknown escape character", self.get_mark())
        token: ScalarToken = super().scan_flow_scalar(style)
        return token

    def fetch_stream_end(self) -> None:
        if self.column:  # libyaml takes the end of a file for the end of a line
            self.line += 1
            self.column = 0
            self.stale_possible_simple_keys()
        super().fetch_stream_end()

    def scan_tag(self) -> TagToken:
        start = self.get_mark()
        found = self._match(_TAG)
        whole, handle, rest = found["whole"], found["handle"], found["rest"]
        self.forward(len(found[0]))
        is_ended = self.peek() in "\0 \t\r\n" or (self.peek() == "," and self.flow_level)
        if not is_ended or (handle and not rest):
            self._refuse("a tag", "did not find expected whitespace or line break", start)
        try:
            suffix = unquote(whole or rest or "!", errors="strict")
        except UnicodeDecodeError:
            self._refuse("a tag", "found an incorrect leading UTF-8 octet", start)
        return TagToken((None if whole or not rest else f"!{handle or ''}", suffix), start, self.get_mark())

    def scan_block_scalar_indicators(self, start_mark: Mark) -> tuple[bool | None, int | None]:  # noqa: ARG002 - as PyYAML calls it
        found = self._match(_HEADER)
        self.forward(len(found[0]))
        return {"+": True, "-": False}.get(found[1] or found[4]), int(found[2] or found[3] or 0) or None

    def scan_block_scalar_ignored_line(self, start_mark: Mark) -> None:
        self._skip(" \t")
        self._skip_comment()
        if self.peek() not in "\0\r\n":
            self._refuse("a block scalar", "did not find expected comment or line break", start_mark)
        self._break()

    def scan_block_scalar_indentation(self) -> tuple[list[str], int, Mark]:
        found: tuple[list[str], int, Mark] = super().scan_block_scalar_indentation()
        self._refuse_tab()
        return found

    def scan_block_scalar_breaks(self, indent: int) -> tuple[list[str], Mark]:
        found: tuple[list[str], Mark] = super().scan_block_scalar_breaks(indent)
        if self.column < indent:
            self._refuse_tab()
        return found

    def scan_directive_name(self, start_mark: Mark) -> str:
        name: str = super().scan_directive_name(start_mark)  # type: ignore[no-untyped-call]
        if name not in ("YAML", "TAG"):
            self._refuse("a directive", "found unknown directive name", start_mark)
        return name

    def parse_flow_sequence_entry_mapping_value(self) -> Event:
        return self._place_null(super().parse_flow_sequence_entry_mapping_value())  # type: ignore[no-untyped-call]

    def parse_flow_mapping_value(self) -> Event:
        return self._place_null(super().parse_flow_mapping_value())  # type: ignore[no-untyped-call]

    def _place_null(self, event: Event) -> Event:
        """A value that is not there stands before the next token, not behind the colon."""
        if isinstance(event, ScalarEvent) and event.implicit[0] and not (event.value or event.anchor):
            event.start_mark = self.peek_token().start_mark  # type: ignore[no-untyped-call]
        return event

    def _is_at_document_mark(self) -> bool:
        return self.column == 0 and self.prefix(3) in ("---", "...") and self.peek(3) in "\0 \t\r\n"

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str]:
        """For patterns that match anything."""
        found = pattern.match(self.buffer, self.pointer)
        assert found is not None  # noqa: S101 - the patterns see to it
        return found

    def _break(self) -> bool:
        return bool(self.scan_line_break())  # type: ignore[no-untyped-call]

    def _skip(self, white: str) -> None:
        while self.peek() in white:
            self.forward()

    def _skip_comment(self) -> None:
        if self.peek() == "#":
            while self.peek() not in "\0\r\n":
                self.forward()

    def _refuse_tab(self) -> None:
        if self.peek() == "\t":
            self._refuse("a block scalar", "found a tab character where an indentation space is expected")

    def _refuse(self, what: str, problem: str, start: Mark | None = None) -> NoReturn:
        raise ScannerError(f"while scanning {what}", start, problem, self.get_mark())
