"""Manifest + Lock → the film as it stands: every shot in order, the take that `output` shows, and where its file lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runner import folder
from runner.lock import Entry, Lock
from runner.plan import decide
from runner.shots import Manifest, Shot, shown_take


@dataclass(frozen=True, kw_only=True, slots=True)
class Clip:
    """One shot of the film. `take` is the one shown, None where none is saved; `file` is set where its render is here."""

    shot: Shot
    takes: Mapping[str, Entry]
    take: str | None = None
    file: Path | None = None

    @property
    def entry(self) -> Entry | None:
        return self.takes[self.take] if self.take else None

    @property
    def seconds(self) -> float | None:
        """As long as the render is, else as long as was asked for; None where the model decides."""
        rendered = self.entry.render.get("seconds") if self.entry and self.entry.render else None
        return self.shot.seconds if rendered is None else float(rendered)


def cut(manifest: Manifest, known: Lock) -> tuple[Clip, ...]:
    """Every shot of the manifest in the storyboard's order, also those without a render."""
    if manifest.linked:  # which of a linked shot's takes are current is told by what it is linked to
        manifest = decide(manifest, known).manifest
    grouped = known.by_shot()
    return tuple(_clip(manifest, shot, grouped.get(shot.id, {}), known) for shot in manifest.shots)


def _clip(manifest: Manifest, shot: Shot, takes: Mapping[str, Entry], known: Lock) -> Clip:
    take = shown_take(shot, takes, known.picked.get(shot.id))
    render = takes[take].render if take else None
    file = manifest.folder / str(render["path"]) if render and folder.is_here(manifest.folder, render) else None
    return Clip(shot=shot, takes=takes, take=take, file=file)
