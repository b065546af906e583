"""A lock file's bytes → Lock, or a refusal that names line, column and what to do. Judged by `lock.schema.json`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from runner import catalog, judge, locktext, source
from runner import lock as locks
from runner.clock import epoch
from runner.errors import ManifestError, Place, Refused
from runner.judge import Fault
from runner.lock import Lock
from runner.source import Map

_MARKER = re.compile(rb"^(?:<{7}|>{7}|\|{7}|={7})(?: |\r?$)", re.MULTILINE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_TIMES = ("intended_at", "submitted_at", "ended_at")
_BACK = "bring it back from git; the journal in .callsheet/ still knows what was paid for from here"
_Path = tuple[str | int, ...]


class _Twice(ValueError):
    """A key stands twice in one mapping, of which JSON readers silently keep the last."""


def read(text: bytes, path: Path) -> Lock:
    """The lock that `text` says.

    Raises Refused with the place of what is wrong; nothing is guessed, since a wrong guess would pay twice.
    """
    path = Path(source.relative(path))
    if marker := _MARKER.search(text):
        line = text.count(b"\n", 0, marker.start()) + 1
        hint = (
            "keep the takes of both sides, each is paid for; where both have one take number, give one of the two "
            "the shot's next free number; take out the marker lines, then run again"
        )
        raise Refused(f"{path}:{line}: the lock has unresolved merge conflicts", hint=hint)
    data = _parsed(text, path)
    version = data.get("callsheet_lock") if isinstance(data, dict) else None
    if type(version) is int and version > locks.VERSION:
        hint = "upgrade callsheet; nothing was sent"
        raise Refused(f"{path}: the lock has version {version}, this callsheet knows {locks.VERSION}", hint=hint)
    if wrong := [*_faults(data)]:
        raise _told(text, path, wrong)
    return locktext.from_json(data)


def _parsed(text: bytes, path: Path) -> Any:
    try:
        data = json.loads(text, object_pairs_hook=_once)
        json.dumps(data, ensure_ascii=False, allow_nan=False).encode()
    except json.JSONDecodeError as error:
        said = error.msg[:1].lower() + error.msg[1:]
        if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
            said = "it ends in the middle" if text.strip() else "it is empty"
        raise Refused(f"{path}:{error.lineno}:{error.colno}: this is no lock: {said}", hint=_BACK) from error
    except _Twice as error:
        key = str(error)
        hint = "both are paid for: give one of the two takes the shot's next free number" if "@" in key else _BACK
        raise Refused(f'{path}:{_second(text, key)}: "{key}" stands twice in the lock', hint=hint) from error
    except RecursionError as error:
        raise Refused(f"{path}: this is no lock: it is nested too deeply", hint=_BACK) from error
    except ValueError as error:  # not UTF-8, half a character, a number without end
        raise Refused(f"{path}: this is no lock: {error}", hint=_BACK) from error
    return data


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Twice(next(name for number, name in enumerate(names) if name in names[:number]))
    return made


def _second(text: bytes, key: str) -> int:
    """The line on which a key stands for the second time, as far as its spelling tells."""
    found = [*re.finditer(re.escape(json.dumps(key, ensure_ascii=False).encode()) + rb"\s*:", text)]
    return text.count(b"\n", 0, found[min(1, len(found) - 1)].start()) + 1 if found else 1


def _faults(data: Any) -> Iterator[Fault]:
    """What the schema finds, and where it finds nothing what it cannot say."""
    broken = judge.faults(catalog.schema("lock"), data)
    yield from broken
    if not broken:
        for take, entry in data["takes"].items():
            yield from _senseless(("takes", take), entry)
        yield from (Fault(code="E003", path=path, message="has a control character") for path in _controlled(data, ()))


def _senseless(path: _Path, entry: Mapping[str, Any]) -> Iterator[Fault]:
    latest = entry["attempts"][-1] if entry["attempts"] else {}
    if entry["state"] in {"submitted", "rendered"} and not latest.get("task_id"):
        yield Fault(code="E102", path=path, message=f'"task_id" is missing: a take that is {entry["state"]} has a task')
    if entry["state"] == "saved" and "render" not in entry:
        yield Fault(code="E102", path=path, message='"render" is missing: a take that is saved has one')
    if any(part.startswith(".") for part in entry.get("render", {}).get("path", "").split("/")):
        yield Fault(code="E410", path=(*path, "render", "path"), message="is a hidden file or lies in a hidden folder")
    for number, attempt in enumerate(entry["attempts"]):
        for name in _TIMES:
            try:
                epoch(attempt.get(name, "2026-11-21T00:00:00Z"))
            except ValueError:
                at = (*path, "attempts", number, name)
                yield Fault(code="E106", path=at, message=f"{judge.shown(attempt[name])} is no time")


def _controlled(value: Any, path: _Path) -> Iterator[_Path]:
    """Texts that a terminal would obey; what was asked of a model may hold anything, it is never printed from here."""
    if isinstance(value, str) and _CONTROL.search(value):
        yield path
    elif isinstance(value, (dict, list)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            if key not in {"request", "actual_prompt"}:
                yield from _controlled(item, (*path, key))


def _told(text: bytes, path: Path, wrong: list[Fault]) -> Refused:
    """The first fault by its place, and how many more there are."""
    try:
        places = source.parse(text, file=str(path))
        first, place = min(((fault, _place(places, fault)) for fault in wrong), key=lambda pair: pair[1])
        where = str(place)
    except ManifestError:  # characters that JSON may hold and YAML may not
        first, where = wrong[0], str(path)
    at = "".join(f"/{part}" for part in first.path)
    more = f" (and {len(wrong) - 1} more)" if wrong[1:] else ""
    return Refused(f"{where}: the lock is damaged: {at or '/'} {first.message}{more}", hint=first.hint or _BACK)


def _place(places: source.Source, fault: Fault) -> Place:
    parent: Any = places.data
    for part in fault.path[:-1]:
        parent = parent[part]
    if fault.of_key and isinstance(parent, Map):
        return parent.place_of_key(str(fault.path[-1]))
    return places.place(fault.path)
