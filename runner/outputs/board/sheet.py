"""Manifest + Lock + Plan → the board as one value: scenes of cards, each a shot with its takes in plain words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby

from runner import lock as locks
from runner.cut import Clip, cut
from runner.lock import Lock
from runner.outputs.board import words
from runner.outputs.board.cards import Fits, card, left
from runner.outputs.board.views import Scene, Sheet
from runner.outputs.text import totals
from runner.plan import Plan, Step
from runner.report import report
from runner.shots import Manifest


def sheet(manifest: Manifest, known: Lock, plan: Plan, *, fits: Fits = lambda *_: True) -> Sheet:
    """The board of the shots and takes that `fits` lets through; files are looked for, none is opened."""
    told = {take["take"]: take for take in report(known, plan).data["takes"]}
    steps: dict[str, list[Step]] = {}
    for step in plan.steps:
        steps.setdefault(step.shot, []).append(step)
    moved = {step.was for step in plan.steps if step.was}
    clips = cut(manifest, known)
    cards = [made for clip in clips if (made := card(manifest, known, clip, steps.get(clip.shot.id, []), told, fits))]
    gone = [
        left(manifest, key, [take for take in takes if fits(key, take, told[take]["state"])], known, steps.get(key, []), told)
        for key, takes in groupby((key for key in told if told[key]["orphaned"] and key not in moved), key=locks.shot_of)
    ]
    whole = Sheet(
        title=manifest.title or manifest.name,
        manifest=manifest.path.name,
        profile=manifest.profile,
        scenes=tuple(Scene(name=name, cards=tuple(found)) for name, found in groupby(cards, key=lambda one: one.scene)),
        left=tuple(one for one in gone if one.takes),
        totals=(),
        notices=tuple(_notices(manifest, known)),
    )
    return replace(whole, totals=tuple(_totals(whole, clips, known, plan)))


def _notices(manifest: Manifest, known: Lock) -> Iterable[str]:
    if known.run:
        yield f"A run was under way when this page was made (on {known.run.host}, since {known.run.since})."
    if manifest.provider_defaulted:
        yield "No provider is named, so the studio renders: these are animatics, and free."


def _totals(made: Sheet, clips: Sequence[Clip], known: Lock, plan: Plan) -> Iterable[tuple[str, str]]:
    """The head's figures, of what is shown."""
    shown = {one.shot for one in made.cards if not one.is_left}
    takes = {take.key for one in made.cards for take in one.takes}
    cuts = [clip for clip in clips if clip.shot.id in shown]
    rendered = sum(clip.seconds or 0 for clip in cuts if clip.take)
    whole = sum(clip.seconds or 0 for clip in cuts)
    yield "shots", f"{len(shown)}" if len(shown) == len(clips) else f"{len(shown)} of {len(clips)}"
    yield "takes", f"{made.takes}"
    yield "film", words.length(whole) if whole == rendered else f"{words.length(rendered)} of {words.length(whole)}"
    yield "cost", " · ".join(words.paid({key: entry for key, entry in known.takes.items() if key in takes})) or "free"
    doing = replace(plan, steps=tuple(step for step in plan.steps if step.was in takes or step.take in takes))
    yield "next run", totals(doing).removesuffix(".") if doing.has_work else "nothing to do"
