"""A shot with what is known of its takes → its card: states, costs and troubles in plain words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from runner import folder
from runner.assets import Medium, unsigned
from runner.catalog import Model
from runner.cut import Clip
from runner.lock import Entry, Lock
from runner.outputs.board import words
from runner.outputs.board.views import Card, Input, Take
from runner.plan import Step, changes
from runner.shots import Manifest, Shot

Fits = Callable[[str, str, str], bool]  # a shot's id, a take's key, its state (`new` where it has none) → whether it is shown
_PAIR = re.compile(r"(\d+)\s*[:*x]\s*(\d+)")


def card(
    manifest: Manifest, known: Lock, clip: Clip, steps: Sequence[Step], told: Mapping[str, Mapping[str, Any]], fits: Fits
) -> Card | None:
    """A shot with those of its takes that are chosen; None where none is."""
    shot = clip.shot
    by_key = {step.was or step.take: step for step in steps}
    keys = [*clip.takes, *(key for key in by_key if key not in clip.takes)]
    takes = []
    for key in keys:
        entry = known.takes.get(key)
        if fits(shot.id, key, entry.state if entry else "new"):
            step = by_key.get(key)
            takes.append(
                _take(manifest, key, entry, step, shot, told.get(key, {}), is_shown=key == clip.take)
                if entry
                else _new(step, key)
            )
    if not takes and (keys or not fits(shot.id, f"{shot.id}@0", "new")):
        return None
    actions = {step.action for step in steps}
    action = next((one for one in words.URGENCY if one in actions), None)
    seen = [take for take in takes if take.file]
    main = next((take for take in takes if take.key == clip.take), None) or next(reversed(seen or takes), None)
    return Card(
        shot=shot.id,
        scene=shot.scene,
        word=words.ACTIONS[action] if action else "saved" if clip.take else "no takes wanted",
        tone=words.tone(action or ("saved" if clip.take else "")),
        prompt=shot.prompt or "",
        facts=tuple(_written(shot)),
        inputs=tuple(taken_in(medium) for medium in shot.media),
        takes=tuple(takes),
        main=main,
        shape=shape(known.takes.get(main.key) if main else None, shot),
        length=words.length(clip.seconds),
    )


def _take(
    manifest: Manifest,
    key: str,
    entry: Entry,
    step: Step | None,
    shot: Shot | None,
    told: Mapping[str, Any],
    *,
    is_shown: bool = False,
) -> Take:
    render = entry.render or {}
    is_here = entry.state == "saved" and folder.is_here(manifest.folder, render) if render else False
    is_moved = bool(step and step.was)
    marks = [
        *(["picked"] if told.get("picked") else ["shown"] if is_shown else []),
        *(["outdated"] if shot and not told.get("current") and not is_moved else []),
        *(["not here"] if entry.state == "saved" and not is_here else []),
        *(["in doubt"] if told.get("in_doubt") else []),
    ]
    trouble, theirs = words.trouble(entry, _model(manifest, entry, shot))
    action = [words.ACTIONS[step.action]] if step and step.action != "keep" else []
    return Take(
        key=key,
        word=entry.state,
        tone=words.tone(entry.state),
        marks=tuple(marks),
        tags=(entry.state, *(mark for mark in marks if mark != "shown"), *action),
        facts=tuple(_made(key, entry, shot if "outdated" in marks else None)),
        trouble=trouble,
        theirs=theirs,
        # A failure's reason is the trouble itself.
        says=words.next_step(step) if step and not (step.action == "answer" and trouble) else None,
        file=manifest.folder / str(render["path"]) if is_here else None,
        sha256=str(render["sha256"]) if is_here else None,
        can_be_picked=entry.state == "saved" and bool(shot) and not is_moved and not told.get("picked"),
        is_picked=bool(told.get("picked")),
        is_dim=shot is None or "outdated" in marks,
    )


def _new(step: Step | None, key: str) -> Take:
    """A take that the next run would make."""
    action = step.action if step else "submit"
    return Take(
        key=key,
        word=words.ACTIONS[action],
        tone=words.tone(action),
        tags=("new", words.ACTIONS[action]),
        says=words.next_step(step) if step else None,
        facts=tuple(words.flat([("seed", step.seed)])) if step else (),
    )


def left(
    manifest: Manifest,
    shot: str,
    keys: Iterable[str],
    known: Lock,
    steps: Sequence[Step],
    told: Mapping[str, Mapping[str, Any]],
) -> Card:
    """What is kept of a shot that the storyboard no longer has."""
    by_key = {step.take: step for step in steps}
    takes = [_take(manifest, key, known.takes[key], by_key.get(key), None, told[key]) for key in keys]
    newest = known.takes[takes[-1].key] if takes else None
    main = next((take for take in reversed(takes) if take.file), takes[-1] if takes else None)
    return Card(
        shot=shot,
        word="orphaned",
        tone="calm",
        prompt=str(newest.request.get("prompt") or "") if newest else "",
        facts=tuple(words.flat([("model", newest.model), ("provider", newest.provider)])) if newest else (),
        takes=tuple(takes),
        main=main,
        shape=shape(known.takes[main.key] if main else None, None),
        is_left=True,
    )


def _written(shot: Shot) -> Iterable[tuple[str, str]]:
    """What the author asked for, field by field."""
    return words.flat(
        [
            ("model", shot.model_name),
            ("provider", shot.provider),
            *shot.parameters.items(),
            ("negative prompt", shot.negative_prompt),
            ("unchecked", shot.unchecked),
            ("takes wanted", shot.takes),
            ("output", shot.output),
        ]
    )


def _made(key: str, entry: Entry, shot: Shot | None) -> Iterable[tuple[str, str]]:
    """What a take came of; `shot` is given where that has changed since."""
    attempt = entry.attempt
    cost = words.paid({key: entry}) or (["free"] if entry.provider == "studio" else [])
    changed = changes(entry, shot) if shot else ()
    return words.flat(
        [
            ("seed", entry.seed),
            ("render", words.size(entry.render) if entry.render else None),
            ("but", ", ".join((entry.render or {}).get("remarks") or ())),
            ("cost", ", ".join(cost)),
            ("model", entry.model),
            ("provider", entry.provider),
            ("since then changed", ", ".join(map(words.field, changed))),
            ("prompt then", entry.request.get("prompt") if "prompt" in changed else None),
            ("prompt as the service rewrote it", attempt.actual_prompt if attempt else None),
            ("ended", attempt.ended_at if attempt else None),
            ("attempts", len(entry.attempts) if len(entry.attempts) > 1 else None),
            ("task", attempt.task_id if attempt else None),
            ("file", (entry.render or {}).get("path")),
            ("was", ", ".join(entry.was)),
        ]
    )


def taken_in(medium: Medium) -> Input:
    """A medium as its author named it: no inline data, no signed link."""
    value = {"data": "inline, ", "http": "", "oss": ""}.get(medium.form)
    said = medium.value if value is None else value + (medium.identity if medium.form == "data" else unsigned(medium.value))
    is_picture = medium.path is not None and medium.probe is not None and medium.probe.kind == "image"
    sha256 = medium.identity.removeprefix("sha256:") if is_picture and medium.form == "file" else None
    return Input(role=medium.role, value=said, file=medium.path if sha256 else None, sha256=sha256)


def _model(manifest: Manifest, entry: Entry, shot: Shot | None) -> Model | None:
    return manifest.catalog.models.get(entry.model or "") or (shot.model if shot else None)


def shape(entry: Entry | None, shot: Shot | None) -> str:
    """By the render, else by what is asked for, else by the picture it starts from."""
    render = (entry.render or {}) if entry else {}
    sides = (render.get("width"), render.get("height"))
    if not all(sides) and shot:
        asked = [_PAIR.fullmatch(str(shot.wired.get(name, ""))) for name in ("size", "ratio")]
        stills = ((one.probe.width, one.probe.height) for one in shot.media if one.probe and one.probe.width)
        sides = next(((int(one[1]), int(one[2])) for one in asked if one), None) or next(stills, (None, None))
    width, height = sides
    across = width / height if width and height else 16 / 9
    return "wide" if across > 1.2 else "tall" if across < 0.8 else "square"
