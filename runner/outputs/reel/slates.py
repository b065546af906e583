"""A shot without a file → a card of its length, drawn as the studio draws its animatics, with a word on why it is one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from runner.cut import Clip
from runner.errors import TakeError
from runner.outputs.reel import footage
from runner.outputs.reel.footage import Footage
from runner.outputs.reel.timeline import Look
from runner.studio.animatic import render
from runner.studio.card import Card

_WORDS = {
    "wanted": "wanted, not rendered yet",
    "intended": "in doubt: sent, but no reply was seen",
    "submitted": "under way",
    "rendered": "rendered, not fetched yet",
    "failed": "failed",
    "canceled": "canceled",
    "lost": "lost",
}


def note(clip: Clip) -> str:
    """Why there is nothing to show, in the words of the newest take that is not merely outdated."""
    if not clip.takes:
        return "not rendered yet"
    take, entry = next(reversed([*clip.takes.items()]))
    if entry.state == "saved":
        return (
            f"changed since {take}" if entry.fingerprint != clip.shot.fingerprint else f"only the studio has rendered it: {take}"
        )
    return f"{take}: {_WORDS[entry.state]}"


class Slates:
    """Cards of one look, drawn when they are reached; `folder` holds one at a time."""

    def __init__(self, look: Look, folder: Path) -> None:
        self.look, self.path = look, folder / "card.mp4"

    def sample(self, clip: Clip) -> Footage:
        """The shortest of cards: what all of them are to a decoder."""
        return self.draw(clip, "", 1)

    def draw(self, clip: Clip, why: str, frames: int) -> Footage:
        """So many frames at the reel's rate, or at the nearest whole one; the file lasts until the next is drawn."""
        rate = max(1, round(self.look.fps))
        card = Card(
            take=clip.take or clip.shot.id,
            model=clip.shot.model_name,
            prompt="\n".join(filter(None, (f"[ {why} ]" if why else "", clip.shot.prompt))),
            seed=clip.shot.seed,
            width=self.look.width,
            height=self.look.height,
            seconds=float(frames / self.look.fps),
            fps=rate,
            first_frame=_picture(clip),
        )
        try:
            render(card, self.path)
        except TakeError:
            # A picture that can be probed and not drawn must not cost the reel.
            render(replace(card, first_frame=None), self.path)
        return footage.read(self.path)


def _picture(clip: Clip) -> Path | None:
    """What the shot begins with, where that is a picture of this folder."""
    first = next((one for one in clip.shot.media if one.role == "first_frame"), None)
    return first.path if first and first.probe and first.probe.kind == "image" else None
