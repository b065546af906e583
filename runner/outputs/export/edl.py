"""A film → a CMX3600 edit decision list: one event a shot, non-drop timecode at the sequence's rate, lines end with CR LF.

An EDL has one rate. Where renders have several, every timecode counts at the rate of most of the film's seconds; a render
of another rate keeps its length in seconds, rounded down to whole pictures, and its event says which rate it has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

from runner.errors import UsageError
from runner.outputs.export.film import Film, Format, Made, Piece
from runner.outputs.export.timing import base_of, timecode
from runner.outputs.text import few

_MARK = "* MADE BY CALLSHEET"
_START = 3600  # seconds of timecode at which a film begins by custom
_DAY = 24 * 3600
_EVENTS = 999  # as many as CMX3600 has digits for
_REEL = 8
_RESERVED = {"BL", "AX"}  # black, and the auxiliary input: what a source without a reel is


def make(film: Film, base: Path) -> Made:
    """The list. Raises UsageError where the film is longer than timecode can count."""
    rate, at = film.rate, _START * base_of(film.rate)
    reels = _reels(piece.shot.id for piece in film.pieces)
    lines = [f"TITLE: {plain(film.title)}", "FCM: NON-DROP FRAME", ""]
    for event, piece in enumerate(film.pieces, 1):
        frames = piece.length.frames_at(rate)
        lines += _event(event, piece, reels[piece.shot.id], (at, at + frames), film, base)
        at += frames
    lines.append(f"{_MARK}: {plain(film.manifest.name)}, {said(rate)} FPS")  # strict readers take notes behind an event only
    if at > _DAY * base_of(rate):
        raise UsageError(
            "the film is longer than the 23 hours that timecode can count", hint="export a part of it: --scene, --only"
        )
    return Made(data="".join(f"{line}\r\n" for line in lines).encode(), remarks=tuple(_remarks(film)))


def is_ours(data: bytes) -> bool:
    return any(line.startswith(_MARK.encode()) for line in data.splitlines()[-2:])


FORMAT = Format(name="edl", ending="edl", of_shots=True, to_stdout=True, make=make, is_ours=is_ours)


def _event(number: int, piece: Piece, reel: str, record: tuple[int, int], film: Film, base: Path) -> Iterable[str]:
    """The event's line and what is said below it. A missing shot is black (`BL`) as long as was asked for."""
    rate, render = film.rate, piece.render
    channel = "AA/V" if piece.has_sound else "V"
    times = " ".join(timecode(frame, rate) for frame in (0, record[1] - record[0], *record))
    yield f"{number:03}  {reel if render else 'BL':8} {channel:5} {'C':8} {times}"
    if not render:
        yield f"* COMMENT: SHOT {piece.shot.id} HAS NO RENDER YET"
        return
    yield f"* FROM CLIP NAME: {plain(str(render['path']).rpartition('/')[2])}"
    yield f"* SOURCE FILE: {plain(film.path(str(render['path']), base))}"
    if piece.is_elsewhere:
        yield "* COMMENT: THE FILE IS NOT HERE"
    if piece.length.rate not in (None, rate):
        yield f"* COMMENT: SOURCE IS {said(piece.length.rate or rate)} FPS"


def _remarks(film: Film) -> Iterable[str]:
    others = [piece.shot.id for piece in film.pieces if piece.length.rate not in (None, film.rate)]
    if others:
        yield f"an EDL has one rate, here {said(film.rate)} fps; of another are {few(others)}: as long in seconds, rounded down to whole pictures"
    if len(film.pieces) > _EVENTS:
        yield f"{len(film.pieces)} events: CMX3600 ends at {_EVENTS}, and not every program reads more; --to otio has no such limit"


def _reels(shots: Iterable[str]) -> dict[str, str]:
    """A reel name a shot: up to eight capitals and digits, each its own."""
    found: dict[str, str] = {}
    taken = set(_RESERVED)
    tried: dict[str, int] = {}
    for shot in shots:
        name = re.sub(r"[^A-Z0-9]", "", shot.upper()) or "SHOT"
        reel = name[:_REEL]
        while reel in taken or (len(name) > _REEL and reel == name[:_REEL]):
            tried[name[:4]] = number = tried.get(name[:4], 0) + 1
            reel = f"{name[: _REEL - len(str(number))]}{number}"
        taken.add(reel)
        found[shot] = reel
    return found


def said(rate: Fraction) -> str:
    """`24`, `23.976`."""
    return f"{float(rate):.3f}".rstrip("0").rstrip(".")


def plain(text: str) -> str:
    """One line, without what a terminal or a parser would take for more."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
