"""A table (CSV, JSON Lines) → rows whose cells know where they stand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner import source
from runner.errors import ManifestError, Place, Problem

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_WHOLE = re.compile(r"[+-]?\d{1,18}")
_FRACTION = re.compile(r"[+-]?\d{1,18}\.\d{1,18}")
_TEXT = r'"(?:[^"\\]++|\\.)*+"'
_MEMBER = re.compile(
    rf"{_TEXT}\s*+:\s*+({_TEXT}|[^\s,}}]++)"
)  # of a line that is known to be JSON, with no list or mapping inside
_CELL = re.compile(r'[ \t]*"((?:[^"]|"")*)"[ \t]*|([^,\r\n]*)')


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One row: values by column; of a CSV all are texts (`texts`). `where` gives line and column of each cell."""

    file: str
    line: int
    values: Mapping[str, Any]
    texts: bool
    where: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def place(self, column: str | None = None) -> Place:
        return Place(self.file, *self.where.get(column or "", (self.line, 1)))


def read(path: Path, *, shown: str) -> list[Row]:
    """All rows of a .csv or .jsonl file; `shown` names it in places. Raises ManifestError with every problem of it."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise _broken(shown, line, 1, "this is not UTF-8 text", "save the table as UTF-8") from None
    except OSError as error:
        raise _broken(shown, 1, 1, f"the table cannot be read: {error.strerror}") from None
    if "\0" in text:
        at = text.index("\0")
        raise _broken(shown, text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at), "there is a NUL character")
    return list(_json_rows(text, shown) if path.suffix.lower() == ".jsonl" else _csv_rows(text, shown))


def _csv_rows(text: str, file: str) -> Iterator[Row]:
    records = _records(text, file)
    head = next(records, None)
    if head is None:
        raise _broken(file, 1, 1, "the table is empty", "its first line names the columns")
    names = [cell.strip() for cell, _, _ in head]
    for number, (name, (_, line, column)) in enumerate(zip(names, head, strict=True)):
        if not NAME.fullmatch(name):
            hint = "a name begins with a letter or underscore and goes on with letters, digits, dash and underscore"
            other = next((word for sign, word in ((";", "semicolons"), ("\t", "tabs")) if sign in name), None)
            if other and len(names) == 1:
                hint = f"save the table with commas between its columns, not {other}"
            raise _broken(file, line, column, f'"{name[:60]}" cannot be the name of a column', hint)
        if name in names[:number]:
            raise _broken(file, line, column, f'two columns are called "{name}"')
    for record in records:
        if len(record) == 1 and not record[0][0]:
            continue  # an empty line
        if len(record) != len(names):
            _, line, column = record[-1] if len(record) > len(names) else record[0]
            advice = 'put quotation marks around a text with commas: "…, …"' if len(record) > len(names) else None
            raise _broken(file, line, column, f"the row has {len(record)} cells, the table {len(names)} columns", advice)
        cells = list(zip(names, record, strict=True))
        yield Row(
            file=file,
            line=record[0][1],
            values={name: cell for name, (cell, _, _) in cells},
            texts=True,
            where={name: (line, column) for name, (_, line, column) in cells},
        )


def _records(text: str, file: str) -> Iterator[list[tuple[str, int, int]]]:
    """Cells with their lines and columns, record by record (RFC 4180; LF, CRLF and CR end a line)."""
    at, line, start = 0, 1, 0
    record: list[tuple[str, int, int]] = []
    while at < len(text) or record:
        found = _CELL.match(text, at)
        assert found is not None  # noqa: S101 - the second form matches anything
        column = at - start + 1
        if found[1] is None and text[at : at + 1] == '"':
            raise _broken(file, line, column, "a quotation mark is not closed")
        quoted, plain = found[1], found[2]
        record.append((quoted.replace('""', '"') if quoted is not None else plain or "", line, column))
        inside = text[at : found.end()]
        if "\n" in inside:
            line += inside.count("\n")
            start = at + inside.rindex("\n") + 1
        at = found.end()
        if text[at : at + 1] == ",":
            at += 1
            continue
        if at < len(text) and text[at] not in "\r\n":
            raise _broken(file, line, at - start + 1, "there is text behind a closing quotation mark", 'double it inside: ""')
        yield record
        record = []
        at += 2 if text[at : at + 2] == "\r\n" else 1
        line, start = line + 1, at


def _json_rows(text: str, file: str) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            values = _JSON.decode(line)
        except ValueError as error:
            column = getattr(error, "colno", 1)
            raise _broken(file, number, column, f"this line is not JSON: {getattr(error, 'msg', error)}") from None
        if not isinstance(values, dict):
            raise _broken(file, number, 1, "each line must be a JSON object")
        where = _places(line, number, values, file)
        for name, value in values.items():
            if not NAME.fullmatch(name):
                raise _broken(file, *where.get(name, (number, 1)), f'"{name[:60]}" cannot be the name of a variable')
            if not isinstance(value, str | int | float):
                raise _broken(file, *where.get(name, (number, 1)), f'"{name}" must be text, a number, true or false')
        yield Row(file=file, line=number, values=values, texts=False, where=where)


def _not_finite(word: str) -> float:
    raise ValueError(f"{word} is no number that can be sent")


_JSON = json.JSONDecoder(parse_constant=_not_finite)


def _places(line: str, number: int, values: Mapping[str, Any], file: str) -> dict[str, tuple[int, int]]:
    """Where each value of one line stands."""
    if all(isinstance(value, str | int | float) for value in values.values()):
        found = [member.start(1) + 1 for member in _MEMBER.finditer(line)]
        if len(found) == len(values):
            return {name: (number, column) for name, column in zip(values, found, strict=True)}
    # A name that stands twice, or something that is refused: the YAML reader knows, since JSON is YAML.
    try:
        data = source.parse(line.encode(), file=file).data
    except ManifestError:
        return {}
    return {name: (number, data.place(name).column) for name in data} if isinstance(data, source.Map) else {}


def typed(text: str, rule: Mapping[str, Any]) -> Any:
    """A cell's text as the number or boolean that a model's rule asks for; as it stands where it is none."""
    wanted = rule.get("type") or {type(item).__name__ for item in rule.get("enum", ())}
    if "boolean" in wanted or "bool" in wanted:
        return {"true": True, "false": False}.get(text.strip().lower(), text)
    if {"integer", "number", "int", "float"} & set([wanted] if isinstance(wanted, str) else wanted):
        return _number(text.strip())
    return text


def _number(text: str) -> Any:
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _FRACTION.fullmatch(text) else text


def _broken(file: str, line: int, column: int, message: str, hint: str | None = None) -> ManifestError:
    return ManifestError((Problem(code="E006", message=message, place=Place(file, line, column), hint=hint),))
