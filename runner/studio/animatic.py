"""A card, which is one take as words and pictures → its animatic, an MP4 file of exactly that size and length."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.errors import TakeError
from runner.studio.card import Card

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Card", "missing_font_hint", "render"]


def render(card: Card, target: Path) -> None:
    """Write the animatic to exactly `target`; equal cards give equal bytes. Blocks, and needs no network and no clock.

    Raises TakeError: `InvalidFile` for a picture or sound that cannot be read, `InvalidParameter` for a shape that H.264
    cannot have, `NoEncoder`. What was begun at `target` is then removed.
    """
    from runner.studio import film, frames  # they bring PIL and av, which a start without renders can do without

    if card.width % 2 or card.height % 2 or min(card.width, card.height) < 64:
        raise TakeError(
            f"a video of {card.width}x{card.height} cannot be made: both sides must be even and at least 64",
            code="InvalidParameter",
        )
    try:
        film.write(frames.frames(card), card, target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def missing_font_hint(text: str) -> str | None:
    """What to install so that a card can show every character of `text`, or None where it can."""
    from runner.studio import faces  # brings PIL

    return faces.missing_font_hint(text)
