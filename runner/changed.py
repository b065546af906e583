"""A take and its shot as now written → what differs between the two, field by field, and two texts → their words compared. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from runner.lock import Entry
from runner.plan import changes
from runner.shots import Shot

_TOKEN = re.compile(r"\w+(?:['’]\w+)*\s*|\W\s*")  # noqa: RUF001 - the apostrophe that people write
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uac00-\ud7af]")
_SENTENCE = re.compile(r"[^.!?。！？\n]*[.!?。！？\n]*\s*", re.DOTALL)  # noqa: RUF001
_ORDER = ("model", "prompt", "negative_prompt", "media", "parameters", "unchecked")
_LONG = 4000  # words; beyond that whole sentences are compared
_KEPT = 30  # characters of an unchanged passage beside a change

Word = tuple[Literal["same", "gone", "new"], str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One field: what the take was made of and what the shot says now; None where one of them says nothing."""

    field: str
    was: Any
    now: Any
    note: str | None = None


def differences(entry: Entry, shot: Shot) -> tuple[Difference, ...]:
    """Every field that makes a take outdated; empty where it was made from the shot as it is now written."""
    before, after = entry.request, shot.request()
    found = []
    names = changes(entry, shot) if entry.fingerprint != shot.fingerprint else ()
    for name in sorted(names, key=lambda name: _ORDER.index(name.partition(".")[0])):
        if name == "model":
            found.append(Difference(field="model", was=entry.model, now=shot.model_name))
        else:
            found.append(Difference(field=name, was=_value(before, name), now=_value(after, name), note=_note(shot, name)))
    if entry.provider == "studio" and shot.provider != "studio":
        note = "a render of the studio never stands for another provider's"
        found.append(Difference(field="provider", was="studio", now=shot.provider, note=note))
    return tuple(found)


def _value(request: Mapping[str, Any], name: str) -> Any:
    part, _, rest = name.partition(".")
    return request.get(part, {}).get(rest) if rest else request.get(part)


def _note(shot: Shot, name: str) -> str | None:
    """Why a field is there no more, where that is not its author's doing."""
    part, _, rest = name.partition(".")
    if (rest or part) in shot.dropped:
        return f"{shot.model.id} has no {rest or part}"
    if part == "parameters" and rest not in shot.parameters and "default" in shot.model.parameters.get(rest, {}):
        return f"the model's default is {shot.model.parameters[rest]['default']}"
    return None


def compared(was: str, now: str) -> list[Word]:
    """Two texts word by word."""
    one, other = _tokens(was), _tokens(now)
    head = _alike(one, other)
    tail = _alike(one[head:][::-1], other[head:][::-1])
    begins, ends = "".join(one[:head]), "".join(one[len(one) - tail :])
    one, other = one[head : len(one) - tail], other[head : len(other) - tail]
    if max(len(one), len(other)) > _LONG:
        one, other = _SENTENCE.findall("".join(one)), _SENTENCE.findall("".join(other))
    found: list[Word] = [("same", begins)] if begins else []
    for _, start, end, begin, stop in difflib.SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        found += _words("".join(one[start:end]), "".join(other[begin:stop]))
    return [*found, ("same", ends)] if ends else found


def _alike(one: Sequence[str], other: Sequence[str]) -> int:
    """How many words both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((number for number, (here, there) in pairs if here != there), min(len(one), len(other)))


def _tokens(text: str) -> list[str]:
    """Words with the space behind them, and signs; scripts without spaces go by the character."""
    return [part for token in _TOKEN.findall(text) for part in (token if _CJK.search(token) else [token])]


def _words(was: str, now: str) -> Iterator[Word]:
    """One passage; a space that both have at the end is no part of the change."""
    if was == now:
        yield "same", was
        return
    space = was[len(was.rstrip()) :] if was.strip() and now.strip() else ""
    space = space if now[len(now.rstrip()) :] == space else ""
    if was:
        yield "gone", was.removesuffix(space)
    if now:
        yield "new", now.removesuffix(space)
    if space:
        yield "same", space


def shortened(words: Sequence[Word]) -> list[Word]:
    """The same with long unchanged passages cut to what stands beside a change."""
    last = len(words) - 1
    return [
        (kind, _cut(text, number == 0, number == last) if kind == "same" else text) for number, (kind, text) in enumerate(words)
    ]


def _cut(text: str, is_first: bool, is_last: bool) -> str:
    if len(text) <= 2 * _KEPT + 10:
        return text
    head, tail = (
        "" if is_first else text[:_KEPT].rpartition(" ")[0] + " ",
        "" if is_last else " " + text[-_KEPT:].partition(" ")[2],
    )
    return f"{head}…{tail}"


def new_phrases(words: Sequence[Word]) -> list[str]:
    """What is new, the longest first: by these the place is found that they come from."""
    return sorted((text.strip() for kind, text in words if kind == "new" and text.strip()), key=len, reverse=True)
