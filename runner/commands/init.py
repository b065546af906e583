"""`callsheet init`: a manifest that runs and teaches, and beside it the schema that editors complete from."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from runner import catalog
from runner.commands import options
from runner.errors import UsageError
from runner.outputs import editor_schema

NAME = "storyboard.callsheet.yaml"
SCHEMA = "callsheet.schema.json"
STARTER = """\
# yaml-language-server: $schema=callsheet.schema.json
# A storyboard. `callsheet run` renders it in the studio: free, on this machine, as animatics (timed cards with the
# shot's text). Change a shot and run again: only that one is made anew, and what goes on from it.
#   callsheet check   what is wrong, and where          callsheet board   a page with all shots and takes
#   callsheet plan    what a run would do, and cost     callsheet reel    one film of them
callsheet: 1
title: My first storyboard
provider: studio                    # `callsheet providers` lists the paid ones and the keys they need
# budget: {USD: 5, takes: 20}       # caps: nothing is sent that could exceed them

vars: {look: "cinematic lighting, 35mm"}    # texts use it as ${look}

defaults:                           # for every shot that does not say otherwise
  model: wan2.7-t2v                 # text to video; `callsheet models` lists all, `callsheet models NAME` what one takes
  prompt: "${prompt}. ${look}"      # wraps each shot's own prompt
  parameters: {resolution: 720P, ratio: 16:9, duration: 2}

# include: [scenes/*.yaml]          # more shots; there the first line has `$schema=../callsheet.schema.json`

scenes:                             # what the shots of a scene have in common
  cliff: {vars: {time: at dusk}}
  tower: {vars: {time: by lamplight}}

shots:                              # in the film's order; an id stays for good: takes and files go by it
  - id: s010
    scene: cliff
    prompt: A lighthouse on a cliff ${time}, waves below, the lamp begins to turn

  - id: s020
    scene: tower
    prompt: Close on the keeper's hands ${time}, lighting the lamp
    parameters: {duration: 3}       # over the defaults
    takes: 2                        # two renders; `callsheet pick s020@1` says which one the film has

  - id: s030
    scene: cliff
    model: wan2.7-i2v               # picture to video
    prompt: The beam swings out over the water ${time}
    media: {first_frame: {shot: s010, frame: last}}     # goes on from the last picture of s010

  - id: s040-${weather}             # two shots from one: a matrix of variables
    matrix: {weather: [fog, storm]}
    scene: cliff
    prompt: The lighthouse in the ${weather} ${time}, far away

  # A picture of yours, moved; a sound is followed with driving_audio:
  # - id: s050
  #   model: wan2.7-i2v
  #   prompt: She turns to the window
  #   media: {first_frame: frames/keeper.png}

  # A shot for each row of a table, whose columns are variables:
  # - id: clip-${id}
  #   each: clips.csv
  #   prompt: ${caption}
"""


@click.command("init")
@click.argument("folder", required=False, default=".", type=click.Path(path_type=Path, file_okay=False), metavar="[DIR]")
@options.json_option
def command(folder: Path, as_json: bool) -> int:
    """Write a starter manifest that runs as it stands, and the schema your editor completes from. Asks nothing.

    \b
      callsheet init film && cd film && callsheet run
    """
    there = UsageError(f"{folder / NAME} is already there", hint="nothing was written; name another folder")
    if (folder / NAME).exists():
        raise there
    is_alone = not any(folder.glob("*.callsheet.yaml"))
    schema = editor_schema.text(editor_schema.schema(catalog.load()))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        made = [name for name, text in ((SCHEMA, schema), (NAME, STARTER)) if _write(folder / name, text)]
        is_older = SCHEMA not in made and (folder / SCHEMA).read_text("utf-8", errors="replace") != schema
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written: {error.strerror}") from error
    if NAME not in made:  # another `init` at the same moment
        raise there
    if as_json:
        options.say_json({"files": [(folder / name).as_posix() for name in reversed(made)]})
    else:
        _say(folder, made, is_older=is_older, is_alone=is_alone)
    return 0


def _write(path: Path, text: str) -> bool:
    """Whether it was written: what is there already stays as it is."""
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        return False
    return True


def _say(folder: Path, made: list[str], *, is_older: bool, is_alone: bool) -> None:
    click.echo(f"wrote {folder / NAME}")
    if SCHEMA in made:
        click.echo(f"wrote {folder / SCHEMA}: from it, editors with a YAML language server complete and explain")
    if is_older:
        renew = f"callsheet schema manifest > {shlex.quote(str(folder / SCHEMA))}"
        click.echo(f"kept {folder / SCHEMA}, which is not that of this version; to renew it: {renew}", err=True)
    where = "" if folder == Path() else f"cd {shlex.quote(str(folder))} && "
    click.echo(f"next: {where}callsheet run{'' if is_alone else f' {NAME}'}", err=True)
