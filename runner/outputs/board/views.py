"""The board as values: a sheet of scenes, scenes of cards, a card for each shot with its takes in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runner.outputs.board.words import Tone

Facts = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Take:
    """One take: `word` is its state, `marks` what else is to be seen at once, `tags` what it can be found by.

    `file` is set where its render is here; `says` is what the next run does about it.
    """

    key: str
    word: str
    tone: Tone
    marks: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    facts: Facts = ()
    trouble: str | None = None
    theirs: str | None = None
    says: str | None = None
    file: Path | None = None
    sha256: str | None = None
    can_be_picked: bool = False
    is_picked: bool = False
    is_dim: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Input:
    """A medium that goes into a shot; `sha256` is that of a picture which is here."""

    role: str
    value: str
    file: Path | None = None
    sha256: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """One shot. `main` is the take that `output` shows, else the newest that can be seen; `shape` wide, square or tall."""

    shot: str
    word: str
    tone: Tone
    prompt: str
    facts: Facts
    takes: tuple[Take, ...]
    scene: str | None = None
    inputs: tuple[Input, ...] = ()
    main: Take | None = None
    shape: str = "wide"
    length: str | None = None
    is_left: bool = False

    @property
    def tags(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([self.word, *(tag for take in self.takes for tag in take.tags)]))

    @property
    def says(self) -> Mapping[str, list[str]]:
        """What the next run does, and with which takes."""
        said: dict[str, list[str]] = {}
        for take in self.takes:
            if take.says:
                said.setdefault(take.says, []).append(take.key)
        return said

    @property
    def still(self) -> Input | None:
        """The picture that stands for the shot while there is no render."""
        return next((one for one in self.inputs if one.sha256), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    name: str | None
    cards: tuple[Card, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sheet:
    """The whole board; `totals` are names with values for its head, `notices` what must not be overlooked."""

    title: str
    manifest: str
    profile: str | None
    scenes: tuple[Scene, ...]
    left: tuple[Card, ...]
    totals: Facts
    notices: tuple[str, ...]

    @property
    def cards(self) -> tuple[Card, ...]:
        return tuple(card for scene in self.scenes for card in scene.cards) + self.left

    @property
    def takes(self) -> int:
        """Takes that exist; those of the next run are not counted."""
        return sum(1 for card in self.cards for take in card.takes if "new" not in take.tags)

    @property
    def tags(self) -> Mapping[str, int]:
        """Every word that a filter may ask for, and how many shots have it."""
        counts: dict[str, int] = {}
        for card in self.cards:
            for tag in card.tags:
                counts[tag] = counts.get(tag, 0) + 1
        return dict(sorted(counts.items()))

    def files(self) -> dict[str, Path]:
        """Everything that has a poster, by sha256."""
        takes = (take for card in self.cards for take in card.takes)
        stills = (card.still for card in self.cards if not (card.main and card.main.file))
        return {one.sha256: one.file for one in (*takes, *stills) if one and one.sha256 and one.file}
