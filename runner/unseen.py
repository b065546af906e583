"""A text that somebody wrote → the same with what would reorder it, or what cannot be seen, as a mark: `⟨U+202E⟩`.

The weak directional marks (U+200E, U+200F, U+061C) stay as they are: right-to-left texts are written with them, and alone they
turn nothing around.
"""

from __future__ import annotations

import re

# Controls but tab and line feed, line separators, and what embeds, overrides or isolates a direction.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_BESIDE_STYLES = re.compile(rf"(?!\x1b\[[0-9;]*m){_UNSEEN.pattern}")


def marked(text: str) -> str:
    """For a page or a terminal: nothing in it moves the text around it or gives orders to the terminal."""
    return _UNSEEN.sub(_mark, text)


def marked_beside_styles(text: str) -> str:
    """The same for a text in which colours of ours may stand."""
    return _BESIDE_STYLES.sub(_mark, text)


def _mark(found: re.Match[str]) -> str:
    return f"⟨U+{ord(found[0]):04X}⟩"
