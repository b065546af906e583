"""`callsheet reel`: one film of the takes that are shown."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import runner
from runner.commands import options
from runner.commands.opening import opened
from runner.cut import cut
from runner.errors import UsageError
from runner.fit import mega
from runner.outputs.text import few

if TYPE_CHECKING:
    from runner.outputs.reel import Made

_FEW = 5
_LEAST, _MOST = 64, 8192  # pixels a side
_FASTEST = 240


@click.command("reel")
@options.manifest_argument
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", help="Write it there; else NAME.reel.mp4 by the manifest."
)
@click.option("--size", metavar="WxH", help="Its size in pixels; else that of most of the clips.")
@click.option("--fps", metavar="N", help="Frames a second, 29.97 too; else those of most of the clips.")
@click.option("--no-cards", is_flag=True, help="Leave out shots without a render, instead of showing a card.")
@click.option("--open", "is_opened", is_flag=True, help="Play it, where there is a display.")
@click.option("--only", multiple=True, metavar="PATTERN", help="Only these shots or takes; * and ? match.")
@click.option("--skip", multiple=True, metavar="PATTERN", help="Not these; * and ? match.")
@click.option("--scene", multiple=True, metavar="NAME", help="Only shots of this scene.")
@options.json_option
@options.reading
def command(
    manifest: Path | None,
    out: Path | None,
    size: str | None,
    fps: str | None,
    no_cards: bool,
    is_opened: bool,
    only: tuple[str, ...],
    skip: tuple[str, ...],
    scene: tuple[str, ...],
    as_json: bool,
    **how: Any,
) -> int:
    """Join the takes that are shown, in the storyboard's order, into one film; a shot without a render is a card.

    \b
      callsheet reel film.callsheet.yaml
      callsheet reel --scene harbour --size 1280x720 --fps 24 --out harbour.mp4

    Takes that are alike are copied without re-encoding. Nothing is sent or fetched.
    """
    chosen = options.Selection(only=only, skip=skip, scene=scene)
    shape, rate = _size(size), _rate(fps)
    read = options.read(manifest, told=not as_json, **how)
    # A shot that wants no takes and has none is not missing.
    clips = [clip for clip in cut(read, runner.known(read)) if clip.take or clip.shot.takes]
    clips = [clip for clip in clips if chosen.fits({"take": clip.take or f"{clip.shot.id}@"}, read)]
    if not clips:
        raise UsageError("no shot is selected", hint=f"the shots are: {few([shot.id for shot in read.shots])}")
    from runner.outputs import reel  # brings av and PIL, as does whatever lies in its folder
    from runner.outputs.reel.meter import Meter

    wish = reel.Wish(size=shape, fps=rate, cards=not no_cards)
    with Meter(quiet=as_json) as meter:
        made = reel.write(read, clips, out or read.folder / f"{read.name}.reel.mp4", wish, meter)
    if as_json:
        options.say_json(made.data)
    else:
        click.echo(made.data["path"])
        _say(made)
    for take, fact in made.errors:
        click.echo(f"{click.style('callsheet: error:', fg='red', bold=True)} {take}: {fact}", err=True)
    if is_opened:
        opened(Path(made.data["path"]))
    return 1 if made.errors else 0


def _say(made: Made) -> None:
    """What the reel is, what is a card in it, and what was done."""
    data = made.data
    shots = len(data["clips"])
    what = f"{data['width']}x{data['height']}, {data['fps']:g} frames a second"
    click.echo(f"{shots} {'shot' if shots == 1 else 'shots'}, {data['seconds']:g} s, {what}, {mega(data['bytes'])}", err=True)
    for line in made.cards[:_FEW]:
        click.echo(f"card: {line}", err=True)
    if len(made.cards) > _FEW:
        click.echo(f"… and {len(made.cards) - _FEW} more cards", err=True)
    if data["remuxed"]:
        click.echo("remuxed: the pictures are copied as they are", err=True)
    for line in made.why[:_FEW]:
        click.echo(f"re-encoded: {line}", err=True)


def _size(asked: str | None) -> tuple[int, int] | None:
    if asked is None:
        return None
    sides = re.fullmatch(r"(\d{1,5})[x*](\d{1,5})", asked)
    size = (int(sides[1]), int(sides[2])) if sides else (0, 0)
    if any(side % 2 or not _LEAST <= side <= _MOST for side in size):
        raise UsageError(f'--size: "{asked}" is no size', hint=f"1280x720 for example: even sides, {_LEAST} to {_MOST}")
    return size


def _rate(asked: str | None) -> Fraction | None:
    """The exact rate: 29.97 is 30000/1001."""
    if asked is None:
        return None
    try:
        rate = Fraction(asked)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 1 <= rate <= _FASTEST:
        raise UsageError(f'--fps: "{asked}" is no rate', hint=f"24, 29.97 or 30000/1001 for example, 1 to {_FASTEST}")
    from runner.outputs.reel.timeline import meant  # brings av and PIL

    return meant(rate)
